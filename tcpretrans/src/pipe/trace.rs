//! One trace, from its `start` to its `end`: what the kernel says goes through the correlation. Pure: records and times
//! go in, events come out.

use tcpretrans_ebpf::{Kind, Record};

use crate::{
    event::{Event, FlowId, Lost, What},
    flow::{Config, Correlator, Owner},
};

/// A trace that is on. Its source tells it what happens, in order of time.
#[derive(Debug)]
pub struct Trace {
    correlator: Correlator,
    /// What has come of it and was not taken yet.
    events: Vec<Event>,
}

impl Trace {
    /// Begins with a `start` event.
    pub fn begin(start: Event, config: Config) -> Trace {
        Trace { correlator: Correlator::new(config), events: vec![start] }
    }

    /// From now on, compares the sockets' own counts with the records. `hides_failed`: this kernel makes no record of
    /// attempts that fail locally.
    pub fn watch_for_unseen(&mut self, now_ns: u64, hides_failed: bool) {
        self.correlator.watch_for_unseen(now_ns, hides_failed);
    }

    /// The kernel made a record; `owner` is whose socket it is.
    pub fn observe(&mut self, kind: Kind, record: &Record, owner: &Owner) {
        self.correlator.observe(kind, record, owner, &mut self.events);
    }

    /// Every record that is older than this has come.
    pub fn advance(&mut self, complete_ns: u64) {
        self.correlator.advance(complete_ns, &mut self.events);
    }

    /// The source has looked for losses, and these are new. `retransmissions`: there may be records of
    /// retransmissions among them.
    pub fn losses_were_counted(&mut self, now_ns: u64, lost: &[Lost], retransmissions: bool) {
        if !lost.is_empty() {
            self.correlator.records_were_lost(now_ns);
        }
        let event = |&lost: &Lost| Event { mono_ns: now_ns, flow: None, what: What::Lost(lost) };
        self.events.extend(lost.iter().map(event));
        self.flows_were_forgotten(now_ns);
        if retransmissions {
            self.correlator.retransmissions_were_lost(now_ns);
        } else {
            self.correlator.nothing_was_lost(&mut self.events);
        }
    }

    /// Records before this time are missing.
    pub fn records_are_missing(&mut self, mono_ns: u64) {
        self.correlator.records_were_lost(mono_ns);
    }

    /// Reports the flows that were forgotten for lack of room.
    pub fn flows_were_forgotten(&mut self, now_ns: u64) {
        self.correlator.report_evictions(now_ns, &mut self.events);
    }

    /// The end of this flow was reported then, in the trace that is played again.
    pub fn end_was_reported(&mut self, flow: FlowId, mono_ns: u64) {
        self.correlator.end_was_announced(flow, mono_ns, &mut self.events);
    }

    /// An event that the source has whole: it goes on as it is.
    pub fn pass_on(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Nothing more will come after this time.
    pub fn finish(&mut self, end_ns: u64) {
        self.correlator.finish(end_ns, &mut self.events);
    }

    /// Flows that are still remembered.
    pub fn flows(&self) -> usize {
        self.correlator.flows()
    }

    /// What has come of all this since it was last asked.
    pub fn take_events(&mut self) -> std::vec::Drain<'_, Event> {
        self.events.drain(..)
    }
}
