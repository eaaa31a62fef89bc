//! The end of the pipe: gate, totals, sinks.

use crate::{
    event::{Clock, End, Event, Lost, LostWhere, What},
    filter::gate::Gate,
    sink::{Sink, SinkError, Totals},
    words::escape::visible,
};

/// Hands the events that pass the gate to the sinks, and counts them.
pub(super) struct Outputs {
    gate: Gate,
    sinks: Vec<Box<dyn Sink>>,
    /// Of the trace that is on.
    totals: Totals,
    /// Of those that have ended.
    ended: Totals,
    /// Flow events that may still be printed.
    left: Option<u64>,
    /// As many events as were asked for have been printed, or nobody reads any more.
    enough: bool,
}

impl std::fmt::Debug for Outputs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Outputs({} sinks)", self.sinks.len())
    }
}

impl Outputs {
    /// Writes to `sinks` what passes the gate; at most `count` flow events.
    pub(super) fn new(gate: Gate, sinks: Vec<Box<dyn Sink>>, count: Option<u64>) -> Outputs {
        let (totals, ended) = (Totals::default(), Totals::default());
        Outputs { gate, sinks, totals, ended, left: count, enough: false }
    }

    /// Is nothing more wanted?
    pub(super) fn is_enough(&self) -> bool {
        self.enough
    }

    /// Writes an event.
    pub(super) fn write(&mut self, event: &Event, clock: &Clock) {
        if matches!(event.what, What::Start(_)) {
            self.gate.forget();
        }
        if !self.gate.passes(event) {
            return;
        }
        if event.what.role().counted
            && let Some(left) = &mut self.left
        {
            if *left == 0 {
                return;
            }
            *left -= 1;
            self.enough |= *left == 0;
        }
        self.totals.count(event);
        self.each(|sink| sink.write(event, clock));
    }

    /// Brings everything out, and reports what a sink lost.
    pub(super) fn flush(&mut self, now_ns: u64, clock: &Clock) {
        self.each(|sink| sink.flush());
        let records = self.take_lost();
        if records > 0 {
            let lost = Lost::counted(records, LostWhere::Output);
            self.write(&Event { mono_ns: now_ns, flow: None, what: What::Lost(lost) }, clock);
        }
    }

    /// Tells the sinks that time has passed.
    pub(super) fn tick(&mut self, now_ns: u64, clock: &Clock) {
        self.each(|sink| sink.tick(now_ns, clock));
    }

    /// The last event of a trace, and everything out. `known` is what the source knows of the trace: its length, its
    /// records, and how many were lost at least; the counts of events are those of what was printed.
    pub(super) fn end(&mut self, end_ns: u64, known: &End, flows_left: u64, clock: &Clock) {
        // What an output cannot write now is lost for good, and `end` has to count it.
        self.each(|sink| sink.finish());
        let records = self.take_lost();
        if records > 0 {
            self.totals.lose(LostWhere::Output, records);
        }
        let mut totals = std::mem::take(&mut self.totals);
        self.ended.add(&totals);
        // Of a recording: another output of that trace may have lost some, and what was lost last has no event.
        for (&place, &records) in &known.lost {
            totals.lose(place, records.saturating_sub(totals.lost(place)));
        }
        let end = End {
            records: known.records.clone(),
            records_sent: known.records_sent,
            records_received: known.records_received,
            flows_left,
            ..totals.into_end(known.duration_ms)
        };
        let end = Event { mono_ns: end_ns, flow: None, what: What::End(Box::new(end)) };
        self.each(|sink| sink.write(&end, clock));
        self.each(|sink| sink.finish());
    }

    /// Everything out; what was printed in all.
    pub(super) fn finish(mut self) -> Totals {
        self.each(|sink| sink.finish());
        self.ended.add(&self.totals);
        self.ended
    }

    fn take_lost(&mut self) -> u64 {
        self.sinks.iter_mut().map(|sink| sink.take_lost()).sum()
    }

    /// Does something with every sink; those whose reader has gone are dropped.
    fn each(&mut self, mut work: impl FnMut(&mut dyn Sink) -> Result<(), SinkError>) {
        let enough = &mut self.enough;
        self.sinks.retain_mut(|sink| match work(sink.as_mut()) {
            Ok(()) => true,
            Err(SinkError::Closed) => {
                *enough = true;
                false
            }
            Err(outage) => {
                eprintln!("tcpretrans: {}", visible(&outage.to_string()));
                true
            }
        });
    }
}
