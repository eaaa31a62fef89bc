//! `tcpretrans replay`: its options, and what they mean.

use std::path::PathBuf;

use clap::Args;

use crate::{
    filter::Filter,
    options::{FilterArgs, Origin, UsageError, count, selection},
    pipe::args::{OutputArgs, OutputConfig},
    recording,
};

/// Options of `tcpretrans replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Logs of -o or of --format json, in any order; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Which flows.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Where to.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Stop after N printed events
    #[arg(short = 'n', long, value_name = "N", help_heading = "Output")]
    pub count: Option<String>,
}

/// A replay.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ReplayConfig {
    /// The recordings.
    pub files: Vec<PathBuf>,
    /// Which flows.
    pub filter: Filter,
    /// Where events go.
    pub output: OutputConfig,
    /// Stop after so many printed events.
    pub count: Option<u64>,
}

impl ReplayConfig {
    /// Understands the options.
    ///
    /// # Errors
    /// [`UsageError`] for the first thing that is wrong.
    pub(crate) fn from_args(args: &ReplayArgs) -> Result<ReplayConfig, UsageError> {
        let output = args.output.config(Origin::Recording, false)?;
        if let Some(log) = &output.sinks.log
            && args.files.iter().any(|file| recording::is_same_file(file, &log.path))
        {
            let problem = format!("{} is what is to be read: give another file", log.path.display());
            return Err(UsageError::value("--output", problem));
        }
        Ok(ReplayConfig {
            files: args.files.clone(),
            filter: selection::filter(&args.filter, Origin::Recording)?,
            count: count(args.count.as_deref())?,
            output,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        replay: ReplayArgs,
    }

    fn config(options: &[&str]) -> Result<ReplayConfig, UsageError> {
        let line = Line::try_parse_from([&["replay"], options].concat()).expect("clap accepts it");
        ReplayConfig::from_args(&line.replay)
    }

    #[test]
    fn the_recording_decides_unless_asked_otherwise() {
        let as_recorded = config(&["a.jsonl", "b.jsonl"]).expect("valid");
        assert_eq!((as_recorded.files.len(), as_recorded.output.warn_at_percent), (2, None));
        assert!(!as_recorded.output.all_closes && as_recorded.filter == Filter::default());
        let asked = config(&["-", "--warn-at", "50", "--all-closes", "-n", "3", "-p", "80"]).expect("valid");
        assert_eq!(
            (asked.output.warn_at_percent, asked.output.all_closes, asked.count),
            (Some(50), true, Some(3))
        );
        assert!(asked.filter.ports.is_some());
    }

    #[test]
    fn cgroups_need_not_exist_here() {
        assert!(config(&["x", "--cgroup", "/system.slice/of-another-machine"]).is_ok());
    }

    #[test]
    fn a_recording_is_not_written_into_itself() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let path = file.path().to_str().expect("text");
        let error = config(&[path, "-o", path]).expect_err("it would never end").to_string();
        assert!(error.ends_with("is what is to be read: give another file"), "{error}");
        assert!(Line::try_parse_from(["replay"]).is_err(), "no file");
        assert!(config(&["x", "-n", "0"]).is_err());
        assert!(config(&["x", "-q"]).is_err());
    }
}
