//! `tcpretrans demo`: its options, and what they mean.

use clap::Args;

use crate::{options::UsageError, sink::Format};

/// Options of `tcpretrans demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Play N times as fast as it happened; no pause is longer than a second
    #[arg(long, value_name = "N", default_value = "1")]
    pub speed: String,
    /// Play without pauses
    #[arg(long, conflicts_with = "speed")]
    pub no_wait: bool,
    /// What standard output looks like
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// A demonstration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DemoConfig {
    /// `None`: without pauses.
    pub speed: Option<f64>,
    /// What standard output looks like.
    pub format: Format,
}

impl DemoConfig {
    /// Understands the options.
    ///
    /// # Errors
    /// [`UsageError`] for a speed that is none.
    pub(crate) fn from_args(args: &DemoArgs) -> Result<DemoConfig, UsageError> {
        let speed = args.speed.parse().ok().filter(|speed: &f64| speed.is_finite() && *speed > 0.0);
        let problem = || UsageError::value("--speed", format!("'{}' is not a number above 0", args.speed));
        let speed = speed.ok_or_else(problem)?;
        Ok(DemoConfig { speed: (!args.no_wait).then_some(speed), format: args.format })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_a_number_above_zero() {
        let config = |speed: &str, no_wait| {
            DemoConfig::from_args(&DemoArgs { speed: speed.to_owned(), no_wait, format: Format::Table })
        };
        assert_eq!(config("2.5", false).expect("valid").speed, Some(2.5));
        assert_eq!(config("1", true).expect("valid").speed, None);
        for bad in ["0", "-1", "inf", "NaN", "fast", ""] {
            let error = config(bad, false).expect_err(bad).to_string();
            assert_eq!(error, format!("--speed: '{bad}' is not a number above 0"));
        }
    }
}
