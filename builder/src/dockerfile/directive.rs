//! Parser directives (Dockerfile reference, "Parser directives"): `syntax`, `escape`, `check`, each at
//! most once, in comments before anything else.

use super::{diagnostic::Diagnostic, span::Span};

/// The directives of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives {
    /// The frontend that the file names; always one of Docker's.
    pub syntax: Option<String>,
    /// The escape character, `\` or `` ` ``.
    pub escape: char,
    /// Lint options.
    pub check: Check,
}

impl Default for Directives {
    fn default() -> Self {
        Self { syntax: None, escape: '\\', check: Check::default() }
    }
}

/// `# check=skip=RuleA,RuleB;error=true`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Check {
    /// Rules to leave out, by name; `all` is kept as it is.
    pub skip: Vec<String>,
    /// Does a finding fail the build?
    pub error: bool,
    /// Experimental rules to run; `all` is kept as it is.
    pub experimental: Vec<String>,
}

/// Reads directives line by line until the first line that is none.
#[derive(Debug, Default)]
pub(super) struct DirectiveReader {
    directives: Directives,
    seen: Vec<String>,
    /// Does an interpreter line stand first? Then only `syntax` is looked for behind it.
    only_syntax: bool,
    done: bool,
}

impl DirectiveReader {
    /// The escape character as far as it is known.
    pub(super) fn escape(&self) -> char {
        self.directives.escape
    }

    /// All directives, after the last line.
    pub(super) fn finish(self) -> Directives {
        self.directives
    }

    /// Looks at the next physical line. Is it a directive?
    pub(super) fn read(&mut self, line: &str, number: usize, faults: &mut Vec<Diagnostic>) -> bool {
        if number == 1 && line.starts_with("#!") {
            self.only_syntax = true;
            return false;
        }
        if self.done {
            return false;
        }
        let Some((key, value)) = key_and_value(line) else {
            self.done = true;
            return false;
        };
        let key = key.to_ascii_lowercase();
        let span = span_of(line, value, number);
        if !["syntax", "escape", "check"].contains(&key.as_str()) {
            self.done = true;
        } else if self.only_syntax && key != "syntax" {
            // A comment like any other, as it is to BuildKit.
            return false;
        } else if self.seen.contains(&key) {
            faults.push(
                Diagnostic::new(span, format!("the directive '{key}' is given twice"))
                    .help("keep one of the two lines"),
            );
        } else {
            let result = match key.as_str() {
                "syntax" => self.syntax(value),
                "escape" => self.escape_character(value),
                _ => self.check(value),
            };
            self.seen.push(key);
            faults.extend(
                result.err().map(|(message, help)| Diagnostic::new(span, message).help(help)),
            );
        }
        !self.done
    }

    fn syntax(&mut self, value: &str) -> Result<(), (String, String)> {
        let frontend = value.split_whitespace().next().unwrap_or_default();
        if !is_dockerfile_frontend(frontend) {
            return Err((
                format!("the directive 'syntax' names the frontend '{frontend}', which is unknown"),
                "frontend images are not run; remove the line, or name docker/dockerfile:1".into(),
            ));
        }
        self.directives.syntax = Some(frontend.into());
        Ok(())
    }

    fn escape_character(&mut self, value: &str) -> Result<(), (String, String)> {
        match value {
            "\\" => self.directives.escape = '\\',
            "`" => self.directives.escape = '`',
            other => {
                return Err((
                    format!("'{other}' cannot be the escape character"),
                    "use \\ or `".into(),
                ));
            }
        }
        Ok(())
    }

    fn check(&mut self, value: &str) -> Result<(), (String, String)> {
        Check::parse(value).map(|check| self.directives.check = check)
    }
}

impl Check {
    /// Reads `skip=RuleA,RuleB;error=true`.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub fn parse(value: &str) -> Result<Self, (String, String)> {
        let mut check = Self::default();
        let usage = || "write for example: # check=skip=StageNameCasing;error=true".to_owned();
        for option in value.split(';').map(str::trim).filter(|option| !option.is_empty()) {
            let fault = || (format!("invalid check option '{option}'"), usage());
            let (key, value) = option.split_once('=').ok_or_else(fault)?;
            let names = || value.split(',').map(|name| name.trim().to_owned()).collect();
            match key.trim().to_ascii_lowercase().as_str() {
                "skip" => check.skip = names(),
                "experimental" => check.experimental = names(),
                "error" => {
                    check.error = match value.trim() {
                        "true" | "1" | "True" | "TRUE" | "t" | "T" => true,
                        "false" | "0" | "False" | "FALSE" | "f" | "F" => false,
                        _ => return Err(fault()),
                    }
                }
                _ => return Err(fault()),
            }
        }
        Ok(check)
    }
}

/// `#\s*key\s*=\s*value\s*`, key `[a-zA-Z][a-zA-Z0-9]*`.
fn key_and_value(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.trim_start().strip_prefix('#')?.split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    let named = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.chars().all(|c| c.is_ascii_alphanumeric());
    (named && !value.is_empty()).then_some((key, value))
}

/// Is this Docker's Dockerfile frontend, in any version, from any registry?
fn is_dockerfile_frontend(frontend: &str) -> bool {
    let name = frontend.split('@').next().unwrap_or_default();
    let name = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    };
    let mut parts = name.rsplit('/');
    matches!(parts.next(), Some("dockerfile" | "dockerfile-upstream"))
        && parts.next() == Some("docker")
}

fn span_of(line: &str, part: &str, number: usize) -> Span {
    let before = line.find(part).map_or(0, |offset| line[..offset].chars().count());
    Span::on_line(number, before + 1, before + 1 + part.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Directives, Vec<String>) {
        let (mut reader, mut faults) = (DirectiveReader::default(), Vec::new());
        for (index, line) in text.lines().enumerate() {
            reader.read(line, index + 1, &mut faults);
        }
        (reader.finish(), faults.into_iter().map(|fault| fault.message).collect())
    }

    #[test]
    fn directives_end_at_the_first_line_that_is_none() {
        let (directives, faults) = read("# Syntax = docker/dockerfile:1-labs\n#escape=`\nFROM");
        assert_eq!(directives.syntax.as_deref(), Some("docker/dockerfile:1-labs"));
        assert_eq!((directives.escape, faults.len()), ('`', 0));
        let after_interpreter = read("#!x\n#escape=`\n#syntax=docker/dockerfile:1").0;
        assert_eq!(after_interpreter.syntax.as_deref(), Some("docker/dockerfile:1"));
        assert_eq!(after_interpreter.escape, '\\');
        for text in
            ["\n#escape=`", "# comment\n#escape=`", "# other=1\n#escape=`", "FROM\n#escape=`"]
        {
            assert_eq!(read(text).0.escape, '\\', "{text}");
        }
    }

    #[test]
    fn check_options() {
        let check = read("# check=skip=A, B;error=true").0.check;
        assert_eq!((check.skip, check.error), (vec!["A".into(), "B".into()], true));
        assert_eq!(read("# check=spik=A").1, ["invalid check option 'spik=A'"]);
    }

    #[test]
    fn only_dockers_frontend_is_accepted() {
        for name in [
            "docker/dockerfile",
            "docker.io/docker/dockerfile:1.7@sha256:00",
            "m.example:5000/docker/dockerfile-upstream:master",
        ] {
            assert!(read(&format!("# syntax={name}")).1.is_empty(), "{name}");
        }
        for name in ["team/dockerfile", "dockerfile", "docker/buildfile", "a.example/x:1"] {
            assert_eq!(read(&format!("# syntax={name}")).1.len(), 1, "{name}");
        }
    }
}
