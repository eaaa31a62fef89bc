//! Wrong usage, each in one sentence: exit code 2.

use std::fmt::Display;

use crate::filter::conflict::Conflict;

/// What is wrong with the command line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UsageError {
    /// An option's value.
    #[error("{option}: {problem}")]
    Value {
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Options that do not go together.
    #[error("{0}")]
    Conflict(String),
    /// What clap found.
    #[error("{0} (see tcpretrans --help)")]
    Syntax(String),
}

impl UsageError {
    /// Something is wrong with an option's value.
    pub(crate) fn value(option: &'static str, problem: impl Display) -> UsageError {
        UsageError::Value { option, problem: problem.to_string() }
    }

    /// Options contradict each other.
    pub(crate) fn conflict(sentence: impl Into<String>) -> UsageError {
        UsageError::Conflict(sentence.into())
    }

    /// clap's message without its layout: what is wrong and what may have been meant, on one line.
    pub(crate) fn syntax(error: &clap::Error) -> UsageError {
        let text = error.to_string();
        let body = text.strip_prefix("error: ").unwrap_or(&text);
        let paragraphs: Vec<String> = body
            .split("\n\n")
            .take_while(|paragraph| {
                !paragraph.starts_with("Usage:") && !paragraph.starts_with("For more information")
            })
            .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
            .filter(|paragraph| !paragraph.is_empty())
            .collect();
        UsageError::Syntax(paragraphs.join("; "))
    }
}

impl From<Conflict> for UsageError {
    fn from(conflict: Conflict) -> UsageError {
        UsageError::Conflict(conflict.to_string())
    }
}
