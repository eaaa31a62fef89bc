//! Live tracing as it was typed. Values stay text here: [`super::config`] turns them into what they mean.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use crate::{options::FilterArgs, pipe::args::OutputArgs};

/// Options of live tracing.
#[derive(Debug, Default, Args)]
pub(crate) struct LiveArgs {
    /// Which flows.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Where to.
    #[command(flatten)]
    pub output: OutputArgs,
    /// How to trace.
    #[command(flatten)]
    pub tracing: TracingArgs,
}

/// How long and how.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Tracing")]
pub(crate) struct TracingArgs {
    /// Stop after this time: 30s, 5m, 1h30m
    #[arg(short, long, value_name = "TIME")]
    pub duration: Option<String>,
    /// Stop after N printed events
    #[arg(short = 'n', long, value_name = "N")]
    pub count: Option<String>,
    /// Create this file once all programs are attached
    #[arg(long, value_name = "PATH")]
    pub ready_file: Option<PathBuf>,
    /// Size of the ring buffer between kernel and tcpretrans, rounded up to a power of two [default: 4M]
    #[arg(long, value_name = "SIZE")]
    pub ring_size: Option<String>,
    /// Do not look for connections that are already in RTO backoff when the trace begins
    #[arg(long)]
    pub no_seed: bool,
    /// Print diagnostics on standard error
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}
