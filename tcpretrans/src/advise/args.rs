//! `tcpretrans advise` as it was typed, and understood.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::{
    advise::Questions,
    filter::Filter,
    options::{FilterArgs, Origin, UsageError, quantity, selection},
};

/// Options of `tcpretrans advise`.
#[derive(Debug, Default, Args)]
pub(crate) struct AdviseArgs {
    /// Recordings: logs written with -o, rotated ones too; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Further values of RTO_MIN to compute, in ms, besides 10, 20, 50, 100 and 200; commands are shown for these
    #[arg(long, value_name = "MS,...")]
    pub rto_min: Vec<String>,
    /// Time within which a dead peer must be noticed [default: 30s]
    #[arg(long, value_name = "TIME")]
    pub detect_within: Option<String>,
    /// What standard output looks like
    #[arg(long, value_enum, default_value_t)]
    pub format: AdviseFormat,
    /// Which flows.
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// How `advise` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum AdviseFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object
    Json,
}

/// A run of `advise`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AdviseConfig {
    /// The recordings.
    pub files: Vec<PathBuf>,
    /// Which flows.
    pub filter: Filter,
    /// What is asked.
    pub questions: Questions,
    /// How to print.
    pub format: AdviseFormat,
}

/// A floor of more than this is no floor: Linux's default is 200, an RTO that was never measured 1000.
const HIGHEST_FLOOR_MS: u64 = 10_000;
const DEFAULT_DETECTION_MS: u64 = 30_000;
/// A connection may be given up after minutes or hours; beyond a day nobody waits.
const LONGEST_DETECTION_MS: u64 = 24 * 3600 * 1000;

impl AdviseConfig {
    /// Understands the options.
    ///
    /// # Errors
    /// [`UsageError`] for the first thing that is wrong.
    pub(crate) fn from_args(args: &AdviseArgs) -> Result<AdviseConfig, UsageError> {
        let floors = args.rto_min.iter().flat_map(|list| list.split(',')).map(str::trim);
        Ok(AdviseConfig {
            files: args.files.clone(),
            filter: selection::filter(&args.filter, Origin::Recording)?,
            questions: Questions {
                floors_ms: floors.map(floor_ms).collect::<Result<_, _>>()?,
                detect_within_ms: args
                    .detect_within
                    .as_deref()
                    .map_or(Ok(DEFAULT_DETECTION_MS), detection_ms)?,
            },
            format: args.format,
        })
    }
}

fn floor_ms(text: &str) -> Result<u32, UsageError> {
    let wrong = |problem: String| UsageError::value("--rto-min", problem);
    let number = text.strip_suffix("ms").unwrap_or(text).trim_end();
    let ms = quantity::count(number)
        .map_err(|_| wrong(format!("'{text}' is not a number of milliseconds (10,20,50)")))?;
    u32::try_from(ms)
        .ok()
        .filter(|_| ms <= HIGHEST_FLOOR_MS)
        .ok_or_else(|| wrong(format!("'{text}' is too large: RTO_MIN can be {HIGHEST_FLOOR_MS} ms at most")))
}

fn detection_ms(text: &str) -> Result<u64, UsageError> {
    let wrong = |problem: String| UsageError::value("--detect-within", problem);
    let ms = quantity::duration(text).map_err(wrong)?.as_millis();
    u64::try_from(ms)
        .ok()
        .filter(|&ms| (1..=LONGEST_DETECTION_MS).contains(&ms))
        .ok_or_else(|| wrong(format!("'{text}' is not between a millisecond and a day")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(rto_min: &[&str], detect_within: Option<&str>) -> Result<AdviseConfig, String> {
        let args = AdviseArgs {
            files: vec!["x".into()],
            rto_min: rto_min.iter().map(|&text| text.to_owned()).collect(),
            detect_within: detect_within.map(str::to_owned),
            ..AdviseArgs::default()
        };
        AdviseConfig::from_args(&args).map_err(|error| error.to_string())
    }

    #[test]
    fn understands_floors_and_times() {
        let questions = config(&["40, 60ms", "5"], Some("1m")).expect("valid").questions;
        assert_eq!(questions, Questions { floors_ms: vec![40, 60, 5], detect_within_ms: 60_000 });
        assert_eq!(config(&[], None).expect("valid").questions.detect_within_ms, 30_000);
    }

    #[test]
    fn says_what_is_wrong() {
        for (rto_min, detect_within, sentence) in [
            (&["fifty"][..], None, "--rto-min: 'fifty' is not a number of milliseconds (10,20,50)"),
            (&["50,,60"], None, "--rto-min: '' is not a number of milliseconds (10,20,50)"),
            (&["0"], None, "--rto-min: '0' is not a number of milliseconds (10,20,50)"),
            (&["0.5"], None, "--rto-min: '0.5' is not a number of milliseconds (10,20,50)"),
            (&["20000"], None, "--rto-min: '20000' is too large: RTO_MIN can be 10000 ms at most"),
            (&[], Some("soon"), "--detect-within: 'soon' is not a time (30s, 5m, 1h30m)"),
            (&[], Some("3d"), "--detect-within: '3d' is not between a millisecond and a day"),
        ] {
            assert_eq!(config(rto_min, detect_within).expect_err(sentence), sentence);
        }
    }
}
