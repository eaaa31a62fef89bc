//! `tcpretrans replay`: a recording run through the correlation of live tracing, printed as live tracing prints.

pub(crate) mod args;
pub(crate) mod line;
pub(crate) mod pace;
mod recording;

use std::io::{self, IsTerminal};

use line::Changes;
use pace::Pace;
use recording::Recording;

use crate::{
    failure::Failure,
    filter::gate::{Before, Gate},
    options::Exit,
    page::Page,
    pipe,
    pipe::Pipe,
    recording::{Detail, Reader, progress::Progress},
    replay::args::ReplayConfig,
};

/// Replays and prints.
///
/// # Errors
/// Files that are no recording, an output that cannot be opened, reading that fails on the way.
pub(crate) fn run(config: &ReplayConfig) -> Result<Exit, Failure> {
    let reader = Reader::open(&config.files, Detail::Whole)?;
    play(reader, config, None)
}

/// Replays what `reader` reads, and prints; at a `pace`, if there is one.
///
/// # Errors
/// An output that cannot be opened, reading that fails on the way.
pub(crate) fn play(reader: Reader, config: &ReplayConfig, pace: Option<Pace>) -> Result<Exit, Failure> {
    let sinks = config.output.sinks.open()?;
    let mut pipe = Pipe::new(Gate::new(config.filter.clone(), Before::Nothing), sinks, config.count);
    let draws_on_terminal = config.output.sinks.stdout.is_some() && io::stdout().is_terminal();
    let progress = if draws_on_terminal { Progress::hidden() } else { Progress::on_stderr() };
    let changes =
        Changes { warn_at_percent: config.output.warn_at_percent, all_closes: config.output.all_closes };
    let mut recording = Recording::new(reader, changes, pace, progress);
    pipe::run(&mut recording, &mut pipe, None)?;

    let (totals, duration_ms) = pipe.finish();
    let lines = recording.lines_without_start();
    if lines > 0 {
        eprintln!(
            "tcpretrans: {lines} lines before the first `start` cannot be replayed, because HZ of that kernel is \
             not known: give the log from its beginning"
        );
    }
    if config.output.summary {
        eprint!("{}", totals.summary(duration_ms, Page::stderr()));
    }
    let (reader, failure) = recording.into_reader();
    // Nobody may be reading standard error either.
    let _ = reader.damage().write(&mut io::stderr());
    match failure {
        Some(error) => Err(error.into()),
        None if reader.damage().is_any() => Ok(Exit::Usage),
        None => Ok(Exit::Done),
    }
}
