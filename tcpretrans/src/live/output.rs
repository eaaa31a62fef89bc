//! The end of the pipe: gate, totals, sinks.

use crate::{
    event::{Event, LostWhere, What, run::Lost},
    filter::gate::Gate,
    sink::{Clock, Sink, SinkError, Totals},
};

/// Hands events to the sinks and counts them.
pub struct Output {
    gate: Gate,
    sinks: Vec<Box<dyn Sink>>,
    totals: Totals,
    /// Flow events that may still be printed.
    left: Option<u64>,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Output({} sinks)", self.sinks.len())
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

impl Output {
    /// Writes to `sinks` what passes the gate; at most `count` flow events.
    pub fn new(gate: Gate, sinks: Vec<Box<dyn Sink>>, count: Option<u64>) -> Output {
        Output { gate, sinks, totals: Totals::default(), left: count }
    }

    /// Writes events and empties the list.
    pub fn write(&mut self, events: &mut Vec<Event>, clock: &Clock) -> Go {
        let mut go = Go::On;
        for event in events.drain(..) {
            if !self.gate.passes(&event) {
                continue;
            }
            if event.what.is_flow_event() {
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

    /// The last event, then everything out.
    pub fn finish(mut self, end: impl FnOnce(Totals) -> Event, clock: &Clock) -> Totals {
        // What an output cannot write now is lost for good, and `end` has to count it.
        self.each(|sink| sink.finish());
        let records: u64 = self.sinks.iter_mut().map(|sink| sink.take_lost()).sum();
        if records > 0 {
            let lost = Lost::counted(records, LostWhere::Output);
            self.totals.count(&Event { mono_ns: 0, flow: None, what: What::Lost(lost) });
        }
        let totals = self.totals.clone();
        let end = end(totals.clone());
        self.each(|sink| sink.write(&end, clock));
        self.each(|sink| sink.finish());
        totals
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
