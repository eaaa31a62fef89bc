//! What becomes of events, as it was typed: for live tracing and replay alike.

use clap::Args;

use crate::{
    options::{Origin, UsageError, quantity},
    sink::registry::{AllSinkArgs, AllSinks},
};

/// Where events go, and which there are.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// Where to.
    #[command(flatten)]
    pub sinks: AllSinkArgs,
    /// Print totals at the end
    #[arg(long)]
    pub summary: bool,
    /// Warn when a connection has used up this share of the time after which the kernel gives it up [default: 50; replay:
    /// as recorded]
    #[arg(long, value_name = "PERCENT")]
    pub warn_at: Option<String>,
    /// Report the end of every connection, not only of those that retransmitted or failed
    #[arg(long)]
    pub all_closes: bool,
}

/// Where events go, and what else is said of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct OutputConfig {
    /// Where to.
    pub sinks: AllSinks,
    /// Totals at the end.
    pub summary: bool,
    /// Percentage of the time until the kernel gives up at which to warn, 1 to 100; `None`: as recorded, or else
    /// [`DEFAULT_WARN_AT_PERCENT`].
    pub warn_at_percent: Option<u8>,
    /// Report the end of every connection; false: as recorded.
    pub all_closes: bool,
}

/// Without `--warn-at`.
pub(crate) const DEFAULT_WARN_AT_PERCENT: u8 = 50;

impl OutputArgs {
    /// Understands the options of whatever prints events. `useful_without`: it does something even if nothing is
    /// printed.
    ///
    /// # Errors
    /// [`UsageError`] for the first thing that is wrong.
    pub(crate) fn config(&self, origin: Origin, useful_without: bool) -> Result<OutputConfig, UsageError> {
        let sinks = self.sinks.config(origin)?;
        if sinks.is_empty() && !self.summary && !useful_without {
            return Err(UsageError::conflict("-q alone leaves nothing to see: add -o FILE or --summary"));
        }
        let warn_at_percent = self.warn_at.as_deref().map(percent).transpose()?;
        Ok(OutputConfig { sinks, summary: self.summary, warn_at_percent, all_closes: self.all_closes })
    }
}

fn percent(text: &str) -> Result<u8, UsageError> {
    let number = text.strip_suffix('%').unwrap_or(text);
    match quantity::count(number) {
        Ok(percent @ 1..=100) => Ok(percent as u8),
        _ => Err(UsageError::value("--warn-at", format!("'{text}' is not a percentage from 1 to 100"))),
    }
}
