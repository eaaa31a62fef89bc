//! `tcpretrans doctor` as it was typed.

use clap::{Args, ValueEnum};

/// Options of `tcpretrans doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// How to print the findings
    #[arg(long, value_enum, default_value_t = DoctorFormat::Text)]
    pub format: DoctorFormat,
}

/// How `doctor` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DoctorFormat {
    /// For people
    Text,
    /// One JSON object
    Json,
}
