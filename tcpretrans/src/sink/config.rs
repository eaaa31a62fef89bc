//! Where events go, and how: what the options mean.

use std::path::PathBuf;

use clap::ValueEnum;

use super::Rotation;

/// Where events go, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputConfig {
    /// Form of standard output; `None`: nothing goes there.
    pub stdout: Option<Format>,
    /// The log.
    pub log: Option<LogConfig>,
    /// Totals at the end.
    pub summary: bool,
    /// Percentage of the death budget at which to warn, 1 to 100.
    pub warn_at_percent: u8,
}

/// A log of JSON Lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// The file.
    pub path: PathBuf,
    /// `None`: it grows without limit.
    pub rotation: Option<Rotation>,
}

/// What standard output looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// JSON Lines, as in a log
    Json,
}
