use std::collections::BTreeMap;

use super::*;

fn variables() -> BTreeMap<String, String> {
    let pairs = [("foo", "bar"), ("empty", ""), ("path", "/a/b.tar.gz"), ("two", "x  y")];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn text(word: &str) -> String {
    match Expander::new('\\').expand(word, &variables()) {
        Ok(expanded) => expanded.text,
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn every_form() {
    for (word, expected) in [
        ("$foo.${foo}x$none", "bar.barx"),
        ("${none:-w}${empty:-w}${foo:-w}", "wwbar"),
        ("${none-w}${empty-w}${foo-w}", "wbar"),
        ("${none:+w}${empty:+w}${foo:+w}", "w"),
        ("${none+w}${empty+w}${foo+w}", "ww"),
        ("${foo:?m}${foo?m}${empty?m}", "barbar"),
        ("${path#*/}", "a/b.tar.gz"),
        ("${path##*/}", "b.tar.gz"),
        ("${path%.*}", "/a/b.tar"),
        ("${path%%.*}", "/a/b"),
        ("${path/a/z}", "/z/b.tar.gz"),
        ("${path//a/z}", "/z/b.tzr.gz"),
        ("${path//\\//-}", "-a-b.tar.gz"),
        ("${none:-${foo}}", "bar"),
        ("${none:-${empty:-$foo}}", "bar"),
        ("a$", "a$"),
        ("$/", "$/"),
        ("$$x$1y", "xy"),
    ] {
        assert_eq!(text(word), expected, "{word}");
    }
}

#[test]
fn quotes_and_escapes() {
    for (word, expected) in [
        ("'$foo'\"$foo\"", "$foobar"),
        ("\\$foo \"\\$foo\" \"a\\nb\" a\\nb", "$foo $foo a\\nb anb"),
        ("\"a\\\"b\"", "a\"b"),
        ("a\\", "a"),
        ("it''s", "its"),
    ] {
        assert_eq!(text(word), expected, "{word}");
    }
    let expanded = Expander::new('`').expand("\\$foo `$foo", &variables()).unwrap();
    assert_eq!(expanded.text, "\\bar $foo");
}

#[test]
fn faults_name_the_mistake() {
    for (word, expected) in [
        ("${foo", "error: '${' is not closed by '}'"),
        ("${foo:-x", "error: '${' is not closed by '}'"),
        ("${foo/x", "error: '${…/…' lacks its second '/'"),
        ("${foo/x/y", "error: '${' is not closed by '}'"),
        ("${}", "error: '${' is not followed by a variable name"),
        ("${foo!x}", "error: '!' is no modifier of '${…}'"),
        ("${foo:=x}", "error: ':=' is no modifier of '${…}'"),
        ("'x", "error: the quote ' is not closed"),
        ("\"x", "error: the quote \" is not closed"),
        ("${none:?}", "error: none: is not allowed to be unset"),
        ("${empty:?}", "error: empty: is not allowed to be empty"),
        ("${none?give it}", "error: none: give it"),
        (
            "${foo#\\x}",
            "error: the pattern '\\x' is not valid: a backslash stands where it may not",
        ),
    ] {
        assert_eq!(text(word), expected, "{word}");
    }
}

#[test]
fn words_are_cut_after_the_expansion() {
    let expanded = Expander::new('\\').expand("80 $two \"$two\" a\\ b", &variables()).unwrap();
    assert_eq!(expanded.words, ["80", "x", "y", "x  y", "a b"]);
    for (word, expected) in
        [("80-${none:-82}", "82"), ("1${foo+2}3${none-4}5", "45"), ("\"8${none:-0}\"", "80")]
    {
        let expanded = Expander::new('\\').expand(word, &variables()).unwrap();
        assert_eq!(expanded.words, [expected], "{word}");
    }
    let unset = Expander::new('\\').expand("$none ${gone:-x}", &()).unwrap().unset;
    assert_eq!(unset.into_iter().collect::<Vec<_>>(), ["gone", "none"]);
}

#[test]
fn unset_variables_can_be_kept() {
    let rules = Expander { keep_unset: true, keep_quotes: true, ..Expander::new('\\') };
    let written = "$a ${a} ${a:-b} ${a/b/c} \"$a\" 'x'";
    assert_eq!(rules.expand(written, &()).unwrap().text, written);
}

#[test]
fn depth_and_length_are_bounded() {
    let deep = format!("{}x{}", "${a:-".repeat(10_000), "}".repeat(10_000));
    assert_eq!(text(&deep), "error: '${…}' is nested more than 64 deep");
    let long = "$a".repeat(3000);
    let variables: BTreeMap<_, _> = [("a".to_owned(), "x".repeat(100))].into();
    assert_eq!(
        Expander::new('\\').expand(&long, &variables),
        Err(ExpansionError::TooLong(MAX_WORD_BYTES))
    );
    let heredoc = Expander::heredoc().expand("it's \"$foo\" \\$foo\n", &self::variables()).unwrap();
    assert_eq!(heredoc.text, "it's \"bar\" $foo\n");
}
