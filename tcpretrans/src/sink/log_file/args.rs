//! `-o FILE` and how it rotates, as it was typed.

use std::path::{Path, PathBuf};

use clap::Args;

use super::LogFile;
use crate::{
    options::{UsageError, check_file, quantity},
    sink::{
        Rotation, Sink, SinkError,
        registry::{SinkArgs, SinkConfig},
    },
};

/// Options of the log.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct LogArgs {
    /// Also log JSON Lines to FILE (appended)
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Begin a new log file at this size: 100M
    #[arg(long, value_name = "SIZE")]
    pub rotate_size: Option<String>,
    /// Old log files to keep [default: 5]
    #[arg(long, value_name = "N")]
    pub rotate_keep: Option<String>,
}

/// A log of JSON Lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogConfig {
    /// The file.
    pub path: PathBuf,
    /// `None`: it grows without limit.
    pub rotation: Option<Rotation>,
}

const DEFAULT_KEEP: u32 = 5;

impl SinkArgs for LogArgs {
    type Config = LogConfig;

    fn config(&self) -> Result<Option<LogConfig>, UsageError> {
        let Some(path) = &self.output else {
            return match (&self.rotate_size, &self.rotate_keep) {
                (None, None) => Ok(None),
                (Some(_), _) => Err(UsageError::conflict("--rotate-size needs a log to rotate: add -o FILE")),
                (None, Some(_)) => {
                    Err(UsageError::conflict("--rotate-keep needs a log to rotate: add -o FILE"))
                }
            };
        };
        if path == Path::new("-") {
            let sentence = "-o - is not a file: use --format json for JSON Lines on standard output";
            return Err(UsageError::conflict(sentence));
        }
        check_file("--output", path)?;
        let rotation = match (&self.rotate_size, &self.rotate_keep) {
            (None, None) => None,
            (None, Some(_)) => {
                let sentence = "--rotate-keep needs to know when to rotate: add --rotate-size";
                return Err(UsageError::conflict(sentence));
            }
            (Some(size), keep) => Some(Rotation {
                max_bytes: rotate_size(size)?,
                keep: keep.as_deref().map_or(Ok(DEFAULT_KEEP), rotate_keep)?,
            }),
        };
        Ok(Some(LogConfig { path: path.clone(), rotation }))
    }
}

impl SinkConfig for LogConfig {
    const REFUSED_IN_REPLAY: Option<&'static str> = None;

    fn open(&self) -> Result<Box<dyn Sink>, SinkError> {
        Ok(Box::new(LogFile::open(&self.path, self.rotation)?))
    }
}

fn rotate_size(text: &str) -> Result<u64, UsageError> {
    match quantity::size(text) {
        Ok(0) => Err(UsageError::value("--rotate-size", "must be more than zero")),
        size => size.map_err(|problem| UsageError::value("--rotate-size", problem)),
    }
}

fn rotate_keep(text: &str) -> Result<u32, UsageError> {
    let count = quantity::count(text).map_err(|problem| UsageError::value("--rotate-keep", problem))?;
    u32::try_from(count).map_err(|_| UsageError::value("--rotate-keep", format!("'{text}' is too large")))
}
