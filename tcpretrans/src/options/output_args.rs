//! Where events go, as it was typed.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{quantity, usage::UsageError};
use crate::sink::{
    Rotation,
    config::{Format, LogConfig, OutputConfig},
};

/// Where events go.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// What standard output looks like [default: table]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Also log JSON Lines to FILE (appended)
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Begin a new log file at this size: 100M
    #[arg(long, value_name = "SIZE")]
    pub rotate_size: Option<String>,
    /// Old log files to keep [default: 5]
    #[arg(long, value_name = "N")]
    pub rotate_keep: Option<String>,
    /// Nothing on standard output
    #[arg(short, long)]
    pub quiet: bool,
    /// Totals at the end
    #[arg(long)]
    pub summary: bool,
    /// Warn when this much of a connection's time to live without an answer is used [default: 50; replay: as recorded]
    #[arg(long, value_name = "PERCENT")]
    pub warn_at: Option<String>,
    /// Report the end of every connection, not only of those that were in trouble
    #[arg(long)]
    pub all_closes: bool,
}

const DEFAULT_KEEP: u32 = 5;
const DEFAULT_WARN_AT_PERCENT: u8 = 50;

impl OutputArgs {
    /// Understands the options of whatever prints events. `useful_without`: it does something even if nothing is
    /// printed.
    ///
    /// # Errors
    /// [`UsageError`] for the first thing that is wrong.
    pub fn config(&self, useful_without: bool) -> Result<OutputConfig, UsageError> {
        if self.quiet && self.format.is_some() {
            return Err(UsageError::conflict(
                "-q and --format exclude each other: -q leaves standard output empty",
            ));
        }
        if self.quiet && self.output.is_none() && !self.summary && !useful_without {
            return Err(UsageError::conflict("-q alone leaves nothing to see: add -o FILE or --summary"));
        }
        let stdout = if self.quiet { None } else { Some(self.format.unwrap_or_default()) };
        Ok(OutputConfig {
            stdout,
            log: log(self)?,
            summary: self.summary,
            warn_at_percent: self.warn_at.as_deref().map_or(Ok(DEFAULT_WARN_AT_PERCENT), percent)?,
        })
    }
}

fn log(args: &OutputArgs) -> Result<Option<LogConfig>, UsageError> {
    let Some(path) = &args.output else {
        return match (&args.rotate_size, &args.rotate_keep) {
            (None, None) => Ok(None),
            (Some(_), _) => Err(UsageError::conflict("--rotate-size needs a log to rotate: add -o FILE")),
            (None, Some(_)) => Err(UsageError::conflict("--rotate-keep needs a log to rotate: add -o FILE")),
        };
    };
    if path == Path::new("-") {
        let sentence = "-o - is not a file: use --format json for JSON Lines on standard output";
        return Err(UsageError::conflict(sentence));
    }
    check_file("--output", path)?;
    let rotation = match (&args.rotate_size, &args.rotate_keep) {
        (None, None) => None,
        (None, Some(_)) => {
            return Err(UsageError::conflict(
                "--rotate-keep needs to know when to rotate: add --rotate-size",
            ));
        }
        (Some(size), keep) => Some(Rotation {
            max_bytes: rotate_size(size)?,
            keep: keep.as_deref().map_or(Ok(DEFAULT_KEEP), rotate_keep)?,
        }),
    };
    Ok(Some(LogConfig { path: path.clone(), rotation }))
}

/// Refuses early what could never be written. Whether it can be will be seen when it is opened.
pub fn check_file(option: &'static str, path: &Path) -> Result<(), UsageError> {
    let shown = path.display();
    if path.is_dir() {
        return Err(UsageError::value(option, format!("{shown} is a directory")));
    }
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => {
            Err(UsageError::value(option, format!("there is no directory {} for {shown}", parent.display())))
        }
        _ => Ok(()),
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

fn percent(text: &str) -> Result<u8, UsageError> {
    let number = text.strip_suffix('%').unwrap_or(text);
    match quantity::count(number) {
        Ok(percent @ 1..=100) => Ok(percent as u8),
        _ => Err(UsageError::value("--warn-at", format!("'{text}' is not a percentage from 1 to 100"))),
    }
}
