//! Why a word cannot be expanded, and what to do about it.

use super::MAX_DEPTH;

/// Why a word cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpansionError {
    /// `${` without its `}`.
    #[error("'${{' is not closed by '}}'")]
    Unclosed,
    /// `${v/p` without the second `/`.
    #[error("'${{…/…' lacks its second '/'")]
    NoReplacement,
    /// A quote that is not closed.
    #[error("the quote {0} is not closed")]
    Quote(char),
    /// `${}`, `${:…}`, `${{…`.
    #[error("'${{' is not followed by a variable name")]
    NoName,
    /// `${v!x}` and the like.
    #[error("'{0}' is no modifier of '${{…}}'")]
    Modifier(String),
    /// A pattern that cannot be used.
    #[error("the pattern '{0}' is not valid: {1}")]
    Pattern(String, &'static str),
    /// `${v:?message}`.
    #[error("{name}: {message}")]
    Required {
        /// The variable.
        name: String,
        /// Why it is needed.
        message: String,
    },
    /// Nested too deep.
    #[error("'${{…}}' is nested more than {MAX_DEPTH} deep")]
    TooDeep,
    /// The value is too long.
    #[error("the expanded text is longer than {0} bytes")]
    TooLong(usize),
}

impl ExpansionError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::Unclosed => "write ${name}, or \\$ for a dollar sign",
            Self::NoReplacement => "write ${name/pattern/replacement}",
            Self::Quote(_) => "close it, or write \\ before it",
            Self::NoName => "write ${name}, or \\$ for a dollar sign",
            Self::Modifier(_) => "use one of :- - :+ + :? ? # ## % %% / //",
            Self::Pattern(..) => "a pattern has * and ?, and \\ only before *, ?, \\, / and }",
            Self::Required { .. } => "give it with --build-arg, ARG or ENV",
            Self::TooDeep => "split it over several ARG or ENV instructions",
            Self::TooLong(_) => "keep long texts in files and COPY them",
        }
    }
}
