//! Standard output: the table for people, or JSON Lines.

use clap::{Args, ValueEnum};

use super::{
    JsonSink, Sink, SinkError, Stream, TableSink,
    registry::{SinkArgs, SinkConfig},
};
use crate::options::UsageError;

/// Options of standard output.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct StdoutArgs {
    /// What standard output looks like [default: table]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Nothing on standard output
    #[arg(short, long)]
    pub quiet: bool,
}

/// What standard output looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Table,
    /// JSON Lines, as in a log
    Json,
}

impl SinkArgs for StdoutArgs {
    type Config = Format;

    fn config(&self) -> Result<Option<Format>, UsageError> {
        if self.quiet && self.format.is_some() {
            return Err(UsageError::conflict(
                "-q and --format exclude each other: -q leaves standard output empty",
            ));
        }
        Ok((!self.quiet).then(|| self.format.unwrap_or_default()))
    }
}

impl SinkConfig for Format {
    const REFUSED_IN_REPLAY: Option<&'static str> = None;

    fn open(&self) -> Result<Box<dyn Sink>, SinkError> {
        Ok(match self {
            Format::Table => Box::new(TableSink::stdout().map_err(SinkError::Stdout)?),
            Format::Json => Box::new(JsonSink::new(Stream::stdout().map_err(SinkError::Stdout)?.0)),
        })
    }
}
