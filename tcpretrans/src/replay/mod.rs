//! `tcpretrans replay`: a recording run through the correlation of live tracing, printed as live tracing prints.

pub mod args;
pub mod pace;
pub mod session;

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
};

use pace::Pace;
use session::{Session, Settings};

use crate::{
    event::{Clock, Event, What},
    filter::gate::{Before, Gate},
    options::exit::Exit,
    page::Page,
    pipe::{
        outputs,
        outputs::{Go, Outputs},
    },
    recording::{Detail, Reader, Recorded, progress::Progress},
    replay::args::ReplayConfig,
};

/// Replays and prints.
///
/// # Errors
/// Files that are no recording, an output that cannot be opened, reading that fails on the way.
pub fn run(config: &ReplayConfig) -> anyhow::Result<ExitCode> {
    let reader = Reader::open(&config.files, Detail::Whole)?;
    play(reader, config, None)
}

/// Replays what `reader` reads, and prints; at a `pace`, if there is one.
///
/// # Errors
/// An output that cannot be opened, reading that fails on the way.
pub fn play(mut reader: Reader, config: &ReplayConfig, pace: Option<Pace>) -> anyhow::Result<ExitCode> {
    let sinks = outputs::open(&config.output)?;
    let gate = Gate::new(config.filter.clone(), Before::Nothing);
    let settings = Settings { warn_at_percent: config.warn_at_percent, all_closes: config.all_closes };
    let mut replay = Replay {
        outputs: Outputs::new(gate, sinks, config.count),
        settings,
        pace,
        session: None,
        events: Vec::new(),
        clock: Clock::default(),
        duration_ms: 0,
        homeless: 0,
        notes: Vec::new(),
    };
    let draws_on_terminal = config.output.stdout.is_some() && io::stdout().is_terminal();
    let mut progress = if draws_on_terminal { Progress::hidden() } else { Progress::on_stderr() };
    let failure = loop {
        if reader.must_read() && replay.flush() == Go::Enough {
            break None;
        }
        match reader.next() {
            None => break None,
            Some(Err(error)) => break Some(error),
            Some(Ok(recorded)) => {
                if replay.take(recorded) == Go::Enough {
                    break None;
                }
            }
        }
        progress.update(&reader);
    };
    progress.finish();
    replay.finish(config.output.summary);
    // Nobody may be reading standard error either.
    let _ = reader.damage().tell(&mut io::stderr());
    match failure {
        Some(error) => Err(error.into()),
        None if reader.damage().is_any() => Ok(Exit::Usage.into()),
        None => Ok(Exit::Done.into()),
    }
}

struct Replay {
    outputs: Outputs,
    settings: Settings,
    pace: Option<Pace>,
    session: Option<Session>,
    events: Vec<Event>,
    /// Of the latest line.
    clock: Clock,
    /// Of the sessions that are over.
    duration_ms: u64,
    /// Lines before the first `start`.
    homeless: u64,
    /// What was said on standard error already.
    notes: Vec<&'static str>,
}

impl Replay {
    fn take(&mut self, recorded: Recorded) -> Go {
        let Recorded { event, clock, after_gap, .. } = recorded;
        if let What::Start(start) = &event.what {
            self.session_is_over();
            for note in self.settings.notes(start) {
                self.note(note);
            }
            self.session = Some(Session::begin(event.mono_ns, start, self.settings));
        }
        let Some(session) = &mut self.session else {
            self.homeless += 1;
            return Go::On;
        };
        self.clock = clock;
        if after_gap {
            session.records_are_missing(event.mono_ns);
        }
        if let What::End(end) = &event.what {
            session.finish(event.mono_ns, &mut self.events);
            let go = print(&mut self.outputs, &mut self.pace, &mut self.events, &clock);
            if let Some(pace) = &mut self.pace {
                pace.keep(&event);
            }
            self.duration_ms += end.duration_ms;
            self.outputs.end(|totals| session.end(totals, event.mono_ns, end), &clock);
            self.session = None;
            return go;
        }
        session.take(event, &mut self.events);
        print(&mut self.outputs, &mut self.pace, &mut self.events, &clock)
    }

    fn flush(&mut self) -> Go {
        let now_ns = self.session.as_ref().map_or(0, Session::latest_ns);
        self.outputs.flush(now_ns, &self.clock)
    }

    /// A session without `end`: what is known now is all.
    fn session_is_over(&mut self) {
        if let Some(mut session) = self.session.take() {
            session.finish(session.latest_ns(), &mut self.events);
            self.outputs.write(&mut self.events, &self.clock);
            self.duration_ms += session.duration_ms();
        }
    }

    fn note(&mut self, note: &'static str) {
        if !self.notes.contains(&note) {
            eprintln!("tcpretrans: {note}");
            self.notes.push(note);
        }
    }

    fn finish(mut self, summary: bool) {
        self.session_is_over();
        let totals = self.outputs.finish();
        if self.homeless > 0 {
            eprintln!(
                "tcpretrans: {} lines before the first `start` cannot be replayed, for nothing says how fast that \
                 kernel's timer ticks: give the log from its beginning",
                self.homeless
            );
        }
        if summary {
            eprint!("{}", totals.summary(self.duration_ms, Page::stderr()));
        }
    }
}

/// Writes events and empties the list.
fn print(outputs: &mut Outputs, pace: &mut Option<Pace>, events: &mut Vec<Event>, clock: &Clock) -> Go {
    let Some(pace) = pace else { return outputs.write(events, clock) };
    for event in std::mem::take(events) {
        let mono_ns = event.mono_ns;
        pace.keep(&event);
        if outputs.write(&mut vec![event], clock) == Go::Enough || outputs.flush(mono_ns, clock) == Go::Enough
        {
            return Go::Enough;
        }
    }
    Go::On
}
