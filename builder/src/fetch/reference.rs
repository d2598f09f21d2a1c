//! Which of a repository's references a name means.

use crate::remote::{GitAddress, RefKind};

/// Picks what git-checkout(1) would of the answer of ls-remote: a full reference, a branch, a tag; the
/// commit behind an annotated tag.
pub(super) fn choose(answer: &str, name: &str, kind: RefKind) -> Option<(String, String)> {
    let find = |wanted: &str| {
        let line = answer.lines().filter_map(|line| line.split_once('\t'));
        let at = |full: &str| line.clone().find(|(_, found)| *found == full);
        let (commit, _) = at(&format!("{wanted}^{{}}")).or_else(|| at(wanted))?;
        GitAddress::is_commit(commit).then(|| (commit.to_owned(), wanted.to_owned()))
    };
    let head = || find(&format!("refs/heads/{name}"));
    let tag = || find(&format!("refs/tags/{name}"));
    match kind {
        RefKind::Branch => head(),
        RefKind::Tag => tag(),
        RefKind::Any if name == "HEAD" => find("HEAD"),
        RefKind::Any => {
            let full = format!("refs/{}", name.strip_prefix("refs/").unwrap_or(name));
            find(&full).or_else(head).or_else(tag)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_goes_before_a_tag_and_a_tag_is_peeled() {
        let id = |c: &str| c.repeat(40);
        let (a, b, c) = (id("a"), id("b"), id("c"));
        let answer = format!(
            "{a}\trefs/heads/x\n{b}\trefs/tags/x\n{c}\trefs/tags/x^{{}}\n{b}\trefs/heads/dir/x\n"
        );
        let found = |name: &str, kind| choose(&answer, name, kind).map(|(commit, _)| commit);
        assert_eq!(found("x", RefKind::Any), Some(a.clone()));
        assert_eq!(found("x", RefKind::Branch), Some(a.clone()));
        assert_eq!(found("x", RefKind::Tag), Some(c.clone()));
        assert_eq!(found("refs/tags/x", RefKind::Any), Some(c.clone()));
        assert_eq!(found("tags/x", RefKind::Any), Some(c));
        assert_eq!(found("heads/x", RefKind::Any), Some(a));
        assert_eq!(found("y", RefKind::Any), None);
    }
}
