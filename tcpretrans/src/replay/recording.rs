//! The source of a replay: a recording, line by line, as fast as it can be read or at the pace at which it happened.

use std::{collections::VecDeque, thread};

use super::{
    line::{self, Changes},
    pace::Pace,
};
use crate::{
    event::{Event, What},
    failure::Failure,
    pipe::{Pipe, Source, Supply, Woken},
    recording::{ReadError, Reader, Recorded, progress::Progress},
};

/// A recording that is being played.
#[derive(Debug)]
pub(super) struct Recording {
    reader: Reader,
    changes: Changes,
    pace: Option<Pace>,
    /// Events that wait for their time to come.
    held: VecDeque<Event>,
    progress: Progress,
    /// Monotonic time of the trace's `start`, ns; `None` between traces.
    began_ns: Option<u64>,
    /// Of the trace's latest line.
    latest_ns: u64,
    /// Lines that belong to a trace whose `start` is not there.
    without_start: u64,
    /// What was said on standard error already.
    notes: Vec<&'static str>,
    failure: Option<ReadError>,
}

impl Recording {
    /// Plays what `reader` reads; as fast as possible without a `pace`.
    pub(super) fn new(reader: Reader, changes: Changes, pace: Option<Pace>, progress: Progress) -> Recording {
        Recording {
            reader,
            changes,
            pace,
            held: VecDeque::new(),
            progress,
            began_ns: None,
            latest_ns: 0,
            without_start: 0,
            notes: Vec::new(),
            failure: None,
        }
    }

    /// Lines before the first `start`, which could not be played.
    pub(super) fn lines_without_start(&self) -> u64 {
        self.without_start
    }

    /// What was read, and why not to its end.
    pub(super) fn into_reader(self) -> (Reader, Option<ReadError>) {
        (self.reader, self.failure)
    }

    fn play(&mut self, recorded: Recorded, pipe: &mut Pipe) {
        let Recorded { event, clock, after_gap, .. } = recorded;
        if let What::Start(start) = &event.what {
            self.break_off(pipe);
            let notes = self.changes.notes(start);
            notes.into_iter().for_each(|note| self.note(note));
            self.began_ns = Some(event.mono_ns);
            self.latest_ns = event.mono_ns;
            pipe.begin(event.clone(), self.changes.config(start));
        }
        let Some(trace) = pipe.trace() else {
            self.without_start += 1;
            return;
        };
        if after_gap {
            trace.records_are_missing(event.mono_ns);
        }
        self.latest_ns = self.latest_ns.max(event.mono_ns);
        let end = match event.what {
            What::End(_) => {
                trace.finish(event.mono_ns);
                Some(event)
            }
            _ => {
                line::observe(trace, event);
                None
            }
        };
        if self.pace.is_some() {
            self.held.extend(trace.take_events().chain(end));
            pipe.set_clock(clock);
            return;
        }
        pipe.set_clock(clock);
        pipe.write();
        if let Some(end) = end {
            self.write(&end, pipe);
        }
    }

    fn write(&mut self, event: &Event, pipe: &mut Pipe) {
        match &event.what {
            What::End(end) => {
                self.began_ns = None;
                pipe.end(event.mono_ns, end);
            }
            _ => pipe.write_event(event),
        }
    }

    /// A trace without an `end`.
    fn break_off(&mut self, pipe: &mut Pipe) {
        if let Some(began_ns) = self.began_ns.take() {
            pipe.break_off(self.latest_ns, (self.latest_ns - began_ns) / 1_000_000);
        }
    }

    fn note(&mut self, note: &'static str) {
        if !self.notes.contains(&note) {
            eprintln!("tcpretrans: {note}");
            self.notes.push(note);
        }
    }
}

impl Source for Recording {
    fn now_ns(&self) -> u64 {
        self.latest_ns
    }

    fn wait(&mut self, _until_ns: u64) -> Woken {
        if let (Some(pace), Some(event)) = (&mut self.pace, self.held.front()) {
            thread::sleep(pace.before(event));
        }
        Woken::ByTime
    }

    fn take(&mut self, pipe: &mut Pipe) -> Result<Supply, Failure> {
        if let Some(event) = self.held.pop_front() {
            self.write(&event, pipe);
            return Ok(Supply::Open);
        }
        loop {
            match self.reader.next() {
                None => return Ok(Supply::Exhausted),
                Some(Err(error)) => {
                    self.failure = Some(error);
                    return Ok(Supply::Exhausted);
                }
                Some(Ok(recorded)) => self.play(recorded, pipe),
            }
            self.progress.update(&self.reader);
            // What was taken is to be seen before the next line is waited for, which may be long (a pipe).
            if self.pace.is_some() || pipe.is_enough() || self.reader.must_read() {
                return Ok(Supply::Open);
            }
        }
    }

    fn tick(&mut self, _pipe: &mut Pipe) -> Result<(), Failure> {
        Ok(())
    }

    fn finish(&mut self, pipe: &mut Pipe) -> Result<(), Failure> {
        self.progress.finish();
        self.break_off(pipe);
        Ok(())
    }
}
