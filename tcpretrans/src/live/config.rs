//! What a run shall do: the command line understood and checked.

use std::{path::PathBuf, time::Duration};

use crate::{
    filter::Filter,
    kernel::programs::DEFAULT_RING_BYTES,
    live::args::{LiveArgs, TracingArgs},
    options::{Origin, UsageError, check_file, count, quantity, selection},
    pipe::args::{DEFAULT_WARN_AT_PERCENT, OutputConfig},
};

/// A run of live tracing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Config {
    /// The command line, for the `start` event.
    pub command: Vec<String>,
    /// Which flows.
    pub filter: Filter,
    /// Where events go.
    pub output: OutputConfig,
    /// When to stop.
    pub limits: Limits,
    /// Created once all programs are attached.
    pub ready_file: Option<PathBuf>,
    /// Size of the ring: a power of two, at least a page.
    pub ring_bytes: u32,
    /// Percentage of the time until the kernel gives up at which to warn, 1 to 100.
    pub warn_at_percent: u8,
    /// Look for connections that are already in RTO backoff when the trace begins.
    pub seed: bool,
    /// Diagnostics on standard error: 0 none, 1 some, 2 all.
    pub verbosity: u8,
}

/// When to stop; `None`: a signal does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Limits {
    /// After this time.
    pub duration: Option<Duration>,
    /// After so many printed events.
    pub count: Option<u64>,
}

/// The kernel maps a ring twice in a row and counts its pages in 32 bits; nobody needs more than this.
const LARGEST_RING: u64 = 1 << 30;
/// Records are some 500 bytes: a ring of a page on a machine with small pages holds eight.
const SMALLEST_RING: u64 = 4096;

impl Config {
    /// Understands the options of live tracing.
    ///
    /// # Errors
    /// [`UsageError`] for the first thing that is wrong.
    pub(crate) fn from_args(args: &LiveArgs, command: Vec<String>) -> Result<Config, UsageError> {
        let output = args.output.config(Origin::Live, args.tracing.ready_file.is_some())?;
        let limits = limits(&args.tracing)?;
        let ring_bytes = ring_bytes(args.tracing.ring_size.as_deref())?;
        if let Some(path) = &args.tracing.ready_file {
            check_file("--ready-file", path)?;
        }
        Ok(Config {
            command,
            filter: selection::filter(&args.filter, Origin::Live)?,
            warn_at_percent: output.warn_at_percent.unwrap_or(DEFAULT_WARN_AT_PERCENT),
            output,
            limits,
            ready_file: args.tracing.ready_file.clone(),
            ring_bytes,
            seed: !args.tracing.no_seed,
            verbosity: args.tracing.verbose,
        })
    }
}

fn limits(args: &TracingArgs) -> Result<Limits, UsageError> {
    let duration = args.duration.as_deref().map(quantity::duration).transpose();
    Ok(Limits {
        duration: duration.map_err(|problem| UsageError::value("--duration", problem))?,
        count: count(args.count.as_deref())?,
    })
}

fn ring_bytes(text: Option<&str>) -> Result<u32, UsageError> {
    let Some(text) = text else { return Ok(DEFAULT_RING_BYTES) };
    let wrong = |problem| UsageError::value("--ring-size", problem);
    let bytes = quantity::size(text).map_err(wrong)?;
    let page = match nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE) {
        Ok(Some(page)) => (page as u64).max(SMALLEST_RING),
        _ => SMALLEST_RING,
    };
    if bytes == 0 {
        return Err(wrong("must be more than zero".to_owned()));
    }
    if bytes > LARGEST_RING {
        return Err(wrong(format!("'{text}' is more than 1G")));
    }
    Ok(bytes.max(page).next_power_of_two() as u32)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use proptest::prelude::*;

    use super::*;
    use crate::sink::{Format, Rotation, log_file::LogConfig, registry::AllSinks};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        live: LiveArgs,
    }

    fn config(options: &[&str]) -> Result<Config, UsageError> {
        let line = Line::try_parse_from([&["tcpretrans"], options].concat()).expect("clap accepts it");
        Config::from_args(&line.live, vec!["tcpretrans".to_owned()])
    }

    #[test]
    fn has_sensible_defaults() {
        let config = config(&[]).expect("valid");
        let sinks = AllSinks { stdout: Some(Format::Table), log: None };
        assert_eq!((config.output.sinks, config.output.summary), (sinks, false));
        assert_eq!(config.warn_at_percent, 50);
        assert_eq!((config.limits, config.ring_bytes), (Limits::default(), 4 << 20));
        assert_eq!(config.filter, Filter::default());
    }

    #[test]
    fn understands_every_option() {
        let config = config(&[
            "-q",
            "-o",
            "log.jsonl",
            "--rotate-size",
            "100M",
            "--rotate-keep",
            "3",
            "-d",
            "1m30s",
            "-n",
            "7",
            "--warn-at",
            "80%",
            "--summary",
            "--ready-file",
            "ready",
            "--ring-size",
            "1000000",
            "--all-closes",
            "-vv",
            "-p",
            "443",
        ])
        .expect("valid");
        let rotation = Some(Rotation { max_bytes: 100 << 20, keep: 3 });
        let log = Some(LogConfig { path: "log.jsonl".into(), rotation });
        assert_eq!(
            config.output,
            OutputConfig {
                sinks: AllSinks { stdout: None, log },
                summary: true,
                warn_at_percent: Some(80),
                all_closes: true,
            }
        );
        assert_eq!(config.warn_at_percent, 80);
        assert_eq!(config.limits, Limits { duration: Some(Duration::from_secs(90)), count: Some(7) });
        assert_eq!(config.ready_file, Some("ready".into()));
        assert_eq!((config.ring_bytes, config.output.all_closes, config.verbosity), (1 << 20, true, 2));
        assert!(config.filter.ports.is_some());
    }

    #[test]
    fn every_bad_value_gives_one_sentence() {
        let cases: &[(&[&str], &str)] = &[
            (&["-d", "0"], "--duration: must be more than zero"),
            (&["-d", "soon"], "--duration: 'soon' is not a time (30s, 5m, 1h30m)"),
            (&["-n", "0"], "--count: must be at least 1"),
            (&["-n", "many"], "--count: 'many' is not a whole number"),
            (&["--warn-at", "0"], "--warn-at: '0' is not a percentage from 1 to 100"),
            (&["--warn-at", "101"], "--warn-at: '101' is not a percentage from 1 to 100"),
            (&["--warn-at", "half"], "--warn-at: 'half' is not a percentage from 1 to 100"),
            (&["--rotate-size", "1M"], "--rotate-size needs a log to rotate: add -o FILE"),
            (&["--rotate-keep", "1"], "--rotate-keep needs a log to rotate: add -o FILE"),
            (
                &["-o", "f", "--rotate-keep", "1"],
                "--rotate-keep needs to know when to rotate: add --rotate-size",
            ),
            (&["-o", "f", "--rotate-size", "0"], "--rotate-size: must be more than zero"),
            (
                &["-o", "f", "--rotate-size", "big"],
                "--rotate-size: 'big' is not a size (a number of bytes, or with K, M or G: 100M)",
            ),
            (&["-o", "f", "--rotate-size", "1M", "--rotate-keep", "0"], "--rotate-keep: must be at least 1"),
            (
                &["-o", "f", "--rotate-size", "1M", "--rotate-keep", "4294967296"],
                "--rotate-keep: '4294967296' is too large",
            ),
            (&["-o", "-"], "-o - is not a file: use --format json for JSON Lines on standard output"),
            (&["-o", "/proc"], "--output: /proc is a directory"),
            (
                &["-o", "/nonexistent/log"],
                "--output: there is no directory /nonexistent for /nonexistent/log",
            ),
            (
                &["--ready-file", "/nonexistent/ready"],
                "--ready-file: there is no directory /nonexistent for /nonexistent/ready",
            ),
            (
                &["-q", "--format", "json", "-o", "f"],
                "-q and --format exclude each other: -q leaves standard output empty",
            ),
            (&["-q"], "-q alone leaves nothing to see: add -o FILE or --summary"),
            (&["--ring-size", "0"], "--ring-size: must be more than zero"),
            (&["--ring-size", "2G"], "--ring-size: '2G' is more than 1G"),
            (&["-4", "-6"], "-4 and -6 together match nothing: leave both out to see both"),
            (&["-p", "http"], "--port: 'http' is not a port (a number from 0 to 65535)"),
        ];
        for (options, sentence) in cases {
            let error = config(options).expect_err(&options.join(" "));
            assert_eq!(&error.to_string(), sentence);
        }
    }

    proptest! {
        #[test]
        fn a_ring_is_a_power_of_two_that_holds_what_was_asked(bytes in 1u32..=1 << 30) {
            let ring = ring_bytes(Some(&bytes.to_string())).expect("valid");
            prop_assert!(ring.is_power_of_two() && ring >= bytes && ring >= 4096);
            prop_assert!(ring == 4096 || ring / 2 < bytes || ring as i64 == page_size::get());
        }
    }

    mod page_size {
        pub(super) fn get() -> i64 {
            nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4096)
        }
    }
}
