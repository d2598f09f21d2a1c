//! Here-documents of RUN, COPY and ADD: `^(\d*)<<(-?)\s*([^<]*)$`, the rest being one word. They are
//! found with `\` as escape character whatever the directive says, as BuildKit does. In RUN the word may
//! stand apart from its `<<`, but not from `<<-`.

use super::{
    diagnostic::Diagnostic,
    expansion::{Expander, MAX_HEREDOC_BYTES},
    line::PhysicalLines,
    span::Span,
};

/// A here-document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The word that ends it; COPY names the file after it.
    pub name: String,
    /// The digits before `<<`, else 0.
    pub descriptor: u64,
    /// Do variables in it count? Not where a part of the word was quoted.
    pub expand: bool,
    /// `<<-`: tabs at the beginning of its lines are dropped.
    pub chomp: bool,
    /// Its lines as they stand in the file, with their line ends and their tabs.
    pub contents: String,
}

impl Heredoc {
    /// The lines that are meant: without leading tabs where `<<-` asks for it.
    #[must_use]
    pub fn text(&self) -> String {
        if !self.chomp {
            return self.contents.clone();
        }
        self.contents.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
    }

    /// The here-document that a word opens, its contents still empty.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let rest = word[digits..].strip_prefix("<<")?;
        let chomp = rest.starts_with('-');
        let rest = rest.strip_prefix('-').unwrap_or(rest).trim_start();
        if rest.is_empty() || rest.contains('<') {
            return None;
        }
        let rules = Expander { keep_unset: true, ..Expander::new('\\') };
        let bare = rules.expand(rest, &()).ok()?;
        let quoted = Expander { keep_quotes: true, ..rules }.expand(rest, &()).ok()?;
        let ([name], [quoted]) = (&bare.words[..], &quoted.words[..]) else { return None };
        let quotes = |text: &str| text.matches(['\'', '"']).count();
        Some(Self {
            name: name.clone(),
            descriptor: word[..digits].parse().unwrap_or(0),
            expand: quotes(name) == quotes(quoted),
            chomp,
            contents: String::new(),
        })
    }

    /// The here-documents that a line opens. A line whose quotes do not match opens none.
    pub(super) fn find(line: &str) -> Vec<Self> {
        if !line.contains("<<") {
            return Vec::new();
        }
        let rules = Expander {
            keep_quotes: true,
            keep_escapes: true,
            keep_unset: true,
            limit: MAX_HEREDOC_BYTES,
            ..Expander::new('\\')
        };
        let words = rules.expand(line, &()).map(|expanded| expanded.words).unwrap_or_default();
        let mut found = Vec::new();
        let mut words = words.into_iter().peekable();
        while let Some(mut word) = words.next() {
            if word.trim_start_matches(|c: char| c.is_ascii_digit()) == "<<"
                && let Some(name) = words.next_if(|next| !next.contains('<'))
            {
                word += &name;
            }
            found.extend(Self::parse(&word));
        }
        found
    }

    /// Reads its lines. `span` is where it was opened.
    pub(super) fn read(
        &mut self,
        lines: &mut PhysicalLines<'_>,
        span: Span,
        faults: &mut Vec<Diagnostic>,
    ) {
        while let Some(line) = lines.next_line(faults) {
            let end = if self.chomp { line.text.trim_start_matches('\t') } else { line.text };
            if end == self.name {
                return;
            }
            self.contents.push_str(line.raw);
        }
        faults.push(
            Diagnostic::new(span, format!("the heredoc '{}' is not ended", self.name))
                .help(format!("end it with a line that holds only {}", self.name)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(word: &str) -> (String, u64, bool, bool) {
        let heredoc = Heredoc::parse(word).unwrap();
        (heredoc.name, heredoc.descriptor, heredoc.expand, heredoc.chomp)
    }

    #[test]
    fn what_opens_a_heredoc() {
        assert_eq!(one("<<EOF"), ("EOF".into(), 0, true, false));
        assert_eq!(one("3<<-EOF"), ("EOF".into(), 3, true, true));
        assert_eq!(one("<<'EOF'"), ("EOF".into(), 0, false, false));
        assert_eq!(one("<<\"E F\""), ("E F".into(), 0, false, false));
        assert_eq!(one("<<E\\'F"), ("E'F".into(), 0, true, false));
        for word in ["<<", "<<<EOF", "a<<EOF", "<<A<B", "<<A B", "<<'A"] {
            assert_eq!(Heredoc::parse(word), None, "{word}");
        }
    }

    #[test]
    fn where_they_are_found() {
        let names = |line: &str| -> Vec<String> {
            Heredoc::find(line).into_iter().map(|heredoc| heredoc.name).collect()
        };
        assert_eq!(names("RUN <<A cat <<-B > x"), ["A", "B"]);
        assert_eq!(names("RUN echo \"<<A\" '<<B' cat<<C <<<D"), [""; 0]);
        assert_eq!(names("RUN echo it's <<EOF"), [""; 0]);
        assert_eq!(names("RUN cat <<  A 3<<\t'B C' <<- D << <<E"), ["A", "B C", "E"]);
    }

    #[test]
    fn tabs_are_dropped_on_demand() {
        let mut heredoc = Heredoc::parse("<<-E").unwrap();
        let mut faults = Vec::new();
        heredoc.read(&mut PhysicalLines::new("\t\ta\r\n b\n\tE\n"), Span::default(), &mut faults);
        assert_eq!((heredoc.text().as_str(), faults.len()), ("a\r\n b\n", 0));
    }
}
