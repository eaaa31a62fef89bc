//! The one way from records to output, of live tracing, replay and demo alike:
//! source -> owner -> flow -> gate -> sinks.
//!
//! [`run`] drives it. What differs between a ring and a recording is in the [`Source`]; [`Trace`] is pure; the sinks do
//! what they do in time. Everything runs on one thread, between whose steps the source waits for records, for the user,
//! and for the next tick.

pub(crate) mod args;
mod every;
mod outputs;
mod source;
mod trace;

pub(crate) use every::Every;
use outputs::Outputs;
pub(crate) use source::{Input, Source, Supply, Woken};
pub use trace::Trace;

use crate::{
    event::{Clock, End, Event},
    failure::Failure,
    filter::gate::Gate,
    flow,
    sink::{Sink, Totals},
};

/// How often source and sinks are told that time passes.
pub(crate) const TICK_NS: u64 = 500_000_000;

/// Feeds the pipe from `source` until that is exhausted, the user says stop, enough was printed, or its time is
/// `stop_ns`. Then the source ends the trace.
///
/// # Errors
/// The source's.
pub(crate) fn run(source: &mut impl Source, pipe: &mut Pipe, stop_ns: Option<u64>) -> Result<(), Failure> {
    let mut tick = Every::period(TICK_NS);
    while !pipe.outputs.is_enough() {
        match source.wait(tick.next_ns().min(stop_ns.unwrap_or(u64::MAX))) {
            Woken::By(Input::Stop) => break,
            Woken::ByTime if stop_ns.is_some_and(|stop_ns| source.now_ns() >= stop_ns) => break,
            Woken::ByTime => {}
        }
        let supply = source.take(pipe)?;
        let now_ns = source.now_ns();
        if tick.is_due(now_ns) {
            source.tick(pipe)?;
            pipe.outputs.tick(now_ns, &pipe.clock);
        }
        pipe.outputs.flush(now_ns, &pipe.clock);
        if supply == Supply::Exhausted {
            break;
        }
    }
    source.finish(pipe)
}

/// What a source feeds: the trace that is on, and where its events go.
#[derive(Debug)]
pub(crate) struct Pipe {
    outputs: Outputs,
    trace: Option<Trace>,
    clock: Clock,
    /// Of the traces that have ended, ms.
    duration_ms: u64,
}

impl Pipe {
    /// Writes to `sinks` what passes the gate, at most `count` flow events.
    pub(crate) fn new(gate: Gate, sinks: Vec<Box<dyn Sink>>, count: Option<u64>) -> Pipe {
        Pipe {
            outputs: Outputs::new(gate, sinks, count),
            trace: None,
            clock: Clock::default(),
            duration_ms: 0,
        }
    }

    /// The wall clock by which events are written from now on.
    pub(crate) fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    /// Begins a trace with its `start` event.
    pub(crate) fn begin(&mut self, start: Event, config: flow::Config) {
        self.trace = Some(Trace::begin(start, config));
    }

    /// The trace that is on.
    pub(crate) fn trace(&mut self) -> Option<&mut Trace> {
        self.trace.as_mut()
    }

    /// Writes what has come of the trace.
    pub(crate) fn write(&mut self) {
        if let Some(trace) = &mut self.trace {
            for event in trace.take_events() {
                self.outputs.write(&event, &self.clock);
            }
        }
    }

    /// Writes one event. For a source that holds them back for a while.
    pub(crate) fn write_event(&mut self, event: &Event) {
        self.outputs.write(event, &self.clock);
    }

    /// Nothing more is wanted.
    pub(crate) fn is_enough(&self) -> bool {
        self.outputs.is_enough()
    }

    /// Ends the trace with an `end` event, after everything else. `known` is what the source knows of it: its length,
    /// its records, and how many were lost at least.
    pub(crate) fn end(&mut self, end_ns: u64, known: &End) {
        self.write();
        let Some(trace) = self.trace.take() else { return };
        self.duration_ms += known.duration_ms;
        self.outputs.end(end_ns, known, trace.flows() as u64, &self.clock);
    }

    /// The trace is over, and how it ended is not known: what was taken by then is all.
    pub(crate) fn break_off(&mut self, latest_ns: u64, duration_ms: u64) {
        if let Some(trace) = &mut self.trace {
            trace.finish(latest_ns);
            self.duration_ms += duration_ms;
        }
        self.write();
        self.trace = None;
    }

    /// Everything out; what was printed in all, and how long the traces were, ms.
    pub(crate) fn finish(self) -> (Totals, u64) {
        (self.outputs.finish(), self.duration_ms)
    }
}

#[cfg(test)]
mod stories;
