//! A question about the Dockerfile in place of a build.

use std::str::FromStr;

use clap::Args;
use touchmark_builder::dockerfile::suggest;

/// A question about the Dockerfile in place of a build.
#[derive(Debug, Args)]
#[command(next_help_heading = "Instead of building")]
pub(crate) struct CallArgs {
    /// Answer a question about the Dockerfile: `check`, `outline` or `targets`, with `,format=json`
    /// for programs; `build` builds
    #[arg(long, value_name = "QUESTION", default_value = "build", hide_default_value = true)]
    pub(crate) call: Call,
    /// Look at the Dockerfile by the rules of `touchmark lint`; short for `--call check`
    #[arg(long)]
    pub(crate) check: bool,
}

impl CallArgs {
    /// What is asked, when nothing is to be built. `--call` counts over `--check`.
    pub(crate) fn question(&self) -> Option<Question> {
        match self.call.question {
            None if self.check => Some(Question { what: What::Check, json: false }),
            asked => asked,
        }
    }
}

/// The value of `--call`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    question: Option<Question>,
}

/// A question and the form of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Question {
    /// What is asked.
    pub(crate) what: What,
    /// As JSON?
    pub(crate) json: bool,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// What the rules find.
    Check,
    /// What the target takes.
    Outline,
    /// What can be built.
    Targets,
}

const KNOWN: [&str; 4] = ["build", "check", "outline", "targets"];

impl FromStr for Call {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',');
        let name = parts.next().unwrap_or_default();
        let what = match name {
            "build" => None,
            // BuildKit's own name for it, which docker takes as well.
            "check" | "lint" => Some(What::Check),
            "outline" => Some(What::Outline),
            "targets" => Some(What::Targets),
            other => {
                return Err(match suggest::nearest(other, KNOWN) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("it is one of {}", KNOWN.join(", ")),
                });
            }
        };
        let mut json = false;
        for part in parts {
            json = match part {
                "format=json" => true,
                "format=text" => false,
                other => return Err(format!("'{other}' is neither format=json nor format=text")),
            };
        }
        Ok(Self { question: what.map(|what| Question { what, json }) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions() {
        let asked = |text: &str| text.parse::<Call>().map(|call| call.question);
        assert_eq!(asked("build"), Ok(None));
        assert_eq!(
            asked("outline,format=json"),
            Ok(Some(Question { what: What::Outline, json: true }))
        );
        assert_eq!(asked("chekc"), Err("did you mean check?".into()));
        assert_eq!(
            asked("check,format=xml"),
            Err("'format=xml' is neither format=json nor format=text".into())
        );
    }
}
