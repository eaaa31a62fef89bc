//! `tcpretrans report` as it was typed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::{options::FilterArgs, report::tally::groups::By};

/// Options of `tcpretrans report`.
#[derive(Debug, Default, Args)]
pub(crate) struct ReportArgs {
    /// Recordings: logs that `tcpretrans -o FILE` wrote; - is standard input
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Which flows.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// What the report looks like.
    #[command(flatten)]
    pub report: ReportOptions,
}

/// What the report looks like.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Report")]
pub(crate) struct ReportOptions {
    /// A table by group instead of the overview
    #[arg(long, value_enum, value_name = "GROUP")]
    pub by: Option<ReportBy>,
    /// Only events from then on: 03:00, "2026-11-22 03:00", or 2h (before the recording's end)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only events before then
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// How many remotes, processes, episodes ... to name [default: 3 in the overview, else 20]
    #[arg(long, value_name = "N")]
    pub top: Option<String>,
    /// How to print the report
    #[arg(long, value_enum, default_value_t)]
    pub format: ReportFormat,
}

/// What flows are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportBy {
    /// Remote address
    Remote,
    /// Port of the service: the lower one of the two
    Port,
    /// Name of the owning process
    Process,
    /// Cgroup
    Cgroup,
    /// Network namespace
    Netns,
}

impl From<ReportBy> for By {
    fn from(by: ReportBy) -> By {
        match by {
            ReportBy::Remote => By::Remote,
            ReportBy::Port => By::Port,
            ReportBy::Process => By::Process,
            ReportBy::Cgroup => By::Cgroup,
            ReportBy::Netns => By::Netns,
        }
    }
}

/// How `report` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object
    Json,
}
