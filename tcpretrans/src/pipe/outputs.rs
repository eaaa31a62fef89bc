//! The end of the pipe, of a live trace as of a replay: gate, totals, sinks.

use anyhow::Context;

use crate::{
    event::{Clock, Event, Lost, LostWhere, What},
    filter::gate::Gate,
    sink::{
        JsonSink, LogFile, Sink, SinkError, Stream, TableSink, Totals,
        config::{Format, OutputConfig},
    },
};

/// Opens everything that events go to.
///
/// # Errors
/// What cannot be opened.
pub fn open(config: &OutputConfig) -> anyhow::Result<Vec<Box<dyn Sink>>> {
    let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
    match config.stdout {
        Some(Format::Table) => {
            sinks.push(Box::new(TableSink::stdout().context("cannot write to standard output")?));
        }
        Some(Format::Json) => {
            let (stdout, _) = Stream::stdout().context("cannot write to standard output")?;
            sinks.push(Box::new(JsonSink::new(stdout)));
        }
        None => {}
    }
    if let Some(log) = &config.log {
        let rotation = log.rotation;
        sinks.push(Box::new(LogFile::open(&log.path, rotation)?));
    }
    Ok(sinks)
}

/// Hands events to the sinks and counts them.
pub struct Outputs {
    gate: Gate,
    sinks: Vec<Box<dyn Sink>>,
    /// Of the trace that is on.
    totals: Totals,
    /// Of those that have ended.
    ended: Totals,
    /// Flow events that may still be printed.
    left: Option<u64>,
}

impl std::fmt::Debug for Outputs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Outputs({} sinks)", self.sinks.len())
    }
}

/// Shall the trace go on?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Go {
    /// Yes.
    On,
    /// As many events as were asked for have been printed, or nobody reads any more.
    Enough,
}

impl Outputs {
    /// Writes to `sinks` what passes the gate; at most `count` flow events.
    pub fn new(gate: Gate, sinks: Vec<Box<dyn Sink>>, count: Option<u64>) -> Outputs {
        Outputs { gate, sinks, totals: Totals::default(), ended: Totals::default(), left: count }
    }

    /// Writes events and empties the list.
    pub fn write(&mut self, events: &mut Vec<Event>, clock: &Clock) -> Go {
        let mut go = Go::On;
        for event in events.drain(..) {
            if matches!(event.what, What::Start(_)) {
                self.gate.forget();
            }
            if !self.gate.passes(&event) {
                continue;
            }
            if event.what.role().counted {
                match &mut self.left {
                    Some(0) => continue,
                    Some(left) => {
                        *left -= 1;
                        if *left == 0 {
                            go = Go::Enough;
                        }
                    }
                    None => {}
                }
            }
            self.totals.count(&event);
            if self.each(|sink| sink.write(&event, clock)) == Go::Enough {
                go = Go::Enough;
            }
        }
        go
    }

    /// Brings everything out, and reports what a sink lost.
    pub fn flush(&mut self, now_ns: u64, clock: &Clock) -> Go {
        let mut go = self.each(|sink| sink.flush());
        let records: u64 = self.sinks.iter_mut().map(|sink| sink.take_lost()).sum();
        if records > 0 {
            let lost = Lost::counted(records, LostWhere::Output);
            let mut events = vec![Event { mono_ns: now_ns, flow: None, what: What::Lost(lost) }];
            if self.write(&mut events, clock) == Go::Enough {
                go = Go::Enough;
            }
        }
        go
    }

    /// The last event of a trace, and everything out.
    pub fn end(&mut self, end: impl FnOnce(Totals) -> Event, clock: &Clock) {
        // What an output cannot write now is lost for good, and `end` has to count it.
        self.each(|sink| sink.finish());
        let records: u64 = self.sinks.iter_mut().map(|sink| sink.take_lost()).sum();
        if records > 0 {
            self.totals.lose(LostWhere::Output, records);
        }
        let totals = std::mem::take(&mut self.totals);
        self.ended.add(&totals);
        let end = end(totals);
        self.each(|sink| sink.write(&end, clock));
        self.each(|sink| sink.finish());
    }

    /// Everything out; what was printed in all.
    pub fn finish(mut self) -> Totals {
        self.each(|sink| sink.finish());
        self.ended.add(&self.totals);
        self.ended
    }

    /// Does something with every sink; those whose reader has gone are dropped.
    fn each(&mut self, mut work: impl FnMut(&mut dyn Sink) -> Result<(), SinkError>) -> Go {
        let mut go = Go::On;
        self.sinks.retain_mut(|sink| match work(sink.as_mut()) {
            Ok(()) => true,
            Err(SinkError::Closed) => {
                go = Go::Enough;
                false
            }
            Err(outage) => {
                eprintln!("tcpretrans: {outage}");
                true
            }
        });
        go
    }
}
