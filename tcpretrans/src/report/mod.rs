//! `tcpretrans report`: what a recording says, on one screen.
//!
//! `tally` sums up (pure), `screen` shows it to people, `json` to machines.

pub(crate) mod args;
mod ending;
mod json;
mod screen;
pub(crate) mod tally;
pub(crate) mod window;

use std::{
    io::{self, Write},
    path::PathBuf,
};

use jiff::tz::TimeZone;
use tally::{Report, Tally, groups::By};
use window::{Moment, Window};

use crate::{
    failure::Failure,
    filter::gate::{Before, Gate},
    options::{Exit, Origin, UsageError, quantity, selection},
    page::Page,
    recording::{Detail, Reader, progress::Progress},
    report::args::{ReportArgs, ReportFormat},
};

/// What a report is about, besides the events themselves.
#[derive(Debug)]
struct Subject {
    files: Vec<PathBuf>,
    window: Window,
    /// The filters in force, as text by option.
    filters: std::collections::BTreeMap<String, String>,
    damaged_lines: u64,
    unknown_events: u64,
    /// How many of each are named; `None`: as many as suit.
    top: Option<usize>,
    by: Option<By>,
}

/// Reads recordings and reports on them. Exit code 2 if there are damaged lines.
///
/// # Errors
/// Wrong options, files that are no recordings, and failures to read or write.
pub(crate) fn run(args: &ReportArgs) -> Result<Exit, Failure> {
    let zone = TimeZone::system();
    let filter = selection::filter(&args.filter, Origin::Recording)?;
    let top = args.report.top.as_deref().map(quantity::count).transpose();
    let top = top.map_err(|error| UsageError::value("--top", error))?;
    let moments = moments(args, &zone)?;
    let mut reader = open(&args.files)?;
    let window = window(&moments, &args.files, &zone)?;
    let mut subject = Subject {
        files: args.files.clone(),
        window,
        filters: filter.describe(),
        damaged_lines: 0,
        unknown_events: 0,
        top: top.map(|top| usize::try_from(top).unwrap_or(usize::MAX)),
        by: args.report.by.map(By::from),
    };
    let report = read(&mut reader, window, Gate::new(filter, Before::Nothing))?;
    subject.damaged_lines = reader.damage().count();
    subject.unknown_events = reader.damage().unknown_events();

    // First the warnings: on a terminal the report is what stays in sight.
    let warned = reader.damage().write(&mut io::stderr().lock());
    warned.map_err(Failure::io("cannot write to standard error"))?;
    let mut stdout = io::stdout().lock();
    let text = match args.report.format {
        ReportFormat::Json => json::render(&report, &subject).map_err(Failure::stdout)? + "\n",
        ReportFormat::Text => screen::render(&report, &subject, Page::stdout(), &zone),
    };
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(Failure::stdout)?;
    Ok(if reader.damage().is_any() { Exit::Usage } else { Exit::Done })
}

fn open(files: &[PathBuf]) -> Result<Reader, UsageError> {
    Reader::open(files, Detail::WithoutKernel).map_err(|error| UsageError::conflict(error.to_string()))
}

/// `--since` and `--until`.
type Moments = [Option<Moment>; 2];

fn moments(args: &ReportArgs, zone: &TimeZone) -> Result<Moments, UsageError> {
    let texts = [&args.report.since, &args.report.until];
    let mut moments = [None, None];
    for ((moment, text), option) in moments.iter_mut().zip(texts).zip(OPTIONS) {
        *moment = text.as_deref().map(|text| Moment::parse(option, text, zone)).transpose()?;
    }
    // Before anything is read: a pipe can be read only once.
    match needs_the_end(&moments) {
        Some(option) => ending::refuse_streams(&args.files, option).map(|()| moments),
        None => Ok(moments),
    }
}

const OPTIONS: [&str; 2] = ["--since", "--until"];

/// The option that has to know when the recording ends.
fn needs_the_end(moments: &Moments) -> Option<&'static str> {
    let relative = |moment: &Option<Moment>| moment.as_ref().is_some_and(Moment::needs_the_end);
    OPTIONS.into_iter().zip(moments).find(|(_, moment)| relative(moment)).map(|(option, _)| option)
}

fn window(moments: &Moments, files: &[PathBuf], zone: &TimeZone) -> Result<Window, Failure> {
    let end_ns = match needs_the_end(moments) {
        Some(option) => ending::of(files, option)?,
        None => 0,
    };
    let [since, until] = moments;
    Ok(Window::of(since.as_ref(), until.as_ref(), end_ns, zone)?)
}

fn read(reader: &mut Reader, window: Window, mut gate: Gate) -> Result<Report, Failure> {
    let mut tally = Tally::default();
    let mut progress = Progress::on_stderr();
    while let Some(recorded) = reader.next() {
        let recorded = recorded?;
        // The gate has to see what was before the window: it remembers which flows had a wanted type.
        let wanted = gate.passes(&recorded.event)
            && (window.is_everything() || window.contains(recorded.clock.wall_ns(recorded.event.mono_ns)));
        tally.observe(&recorded, wanted);
        progress.update(reader);
    }
    progress.finish();
    Ok(tally.finish())
}
