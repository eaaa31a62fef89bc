//! A trace in progress: ring buffer -> decode -> owner -> correlation.

use aya::maps::{MapData, RingBuf};
use tcpretrans_ebpf::{Kind, Record};

use super::{clock, incoming::Incoming, losses::Losses};
use crate::{
    event::{End, Event, What, run::Account},
    flow::Correlator,
    kernel::programs::{AttachError, Programs},
    owner::Owners,
};

/// Records taken in one go, so that the output is written and signals are heard under a storm, too.
const BATCH: usize = 2048;

/// The live source and everything up to the events.
#[derive(Debug)]
pub struct Session {
    programs: Programs,
    correlator: Correlator,
    owners: Owners,
    losses: Losses,
    incoming: Incoming,
}

impl Session {
    /// Begins with programs that are attached.
    pub fn new(programs: Programs, correlator: Correlator, owners: Owners) -> Session {
        Session { programs, correlator, owners, losses: Losses::default(), incoming: Incoming::default() }
    }

    /// Takes one record that the ring gave before the trace began in earnest.
    pub fn take_record(&mut self, kind: Kind, record: &Record, events: &mut Vec<Event>) {
        self.incoming.received[kind as usize] += 1;
        let owner = self.owners.of(record, || {});
        self.correlator.observe(kind, record, &owner, events);
    }

    /// Takes what the ring has, up to a batch. Returns whether more may be waiting.
    pub fn drain(&mut self, ring: &mut RingBuf<MapData>, events: &mut Vec<Event>) -> bool {
        for _ in 0..BATCH {
            let Some((kind, record)) = self.incoming.next(ring) else { return false };
            // While an owner is looked for, the ring goes on filling.
            let owner = self.owners.of(&record, || self.incoming.set_aside(ring));
            self.correlator.observe(kind, &record, &owner, events);
        }
        true
    }

    /// Lets time pass for the flows. `now_ns`: when the ring began to be drained.
    pub fn advance(&mut self, now_ns: u64, events: &mut Vec<Event>) {
        // Records may be on their way: only what is surely older than all of them is over.
        self.correlator.advance(now_ns.saturating_sub(clock::DRAIN_PERIOD_NS), events);
    }

    /// Asks for losses since the last call.
    ///
    /// # Errors
    /// If the kernel's counters cannot be read.
    pub fn check_losses(&mut self, now_ns: u64, events: &mut Vec<Event>) -> Result<(), AttachError> {
        let losses = self.losses.check(&self.programs)?;
        if !losses.lost.is_empty() {
            self.correlator.records_were_lost(now_ns);
        }
        for lost in losses.lost {
            events.push(Event { mono_ns: now_ns, flow: None, what: What::Lost(lost) });
        }
        self.correlator.report_evictions(now_ns, events);
        if losses.retransmissions {
            self.correlator.retransmissions_were_lost(now_ns);
        } else {
            self.correlator.nothing_was_lost(events);
        }
        Ok(())
    }

    /// Ends the trace: nothing more will come.
    pub fn finish(&mut self, now_ns: u64, events: &mut Vec<Event>) {
        self.correlator.finish(now_ns, events);
    }

    /// What became of the records, the tracer's own calibration apart: in `end`, once nothing more will come.
    ///
    /// # Errors
    /// If the kernel's counters cannot be read.
    pub fn close_accounts(&self, end: &mut End) -> Result<(), AttachError> {
        let (sent, lost) = (self.programs.sent()?, self.programs.lost()?);
        end.records = Kind::ALL
            .into_iter()
            .filter(|&kind| kind != Kind::Calibrate)
            .map(|kind| {
                let at = kind as usize;
                (kind, Account { sent: sent[at], received: self.incoming.received[at], ring: lost[at] })
            })
            .collect();
        end.records_sent = end.records.iter().map(|(_, account)| account.sent).sum();
        end.records_received =
            end.records.iter().map(|(_, account)| account.received).sum::<u64>() + self.incoming.malformed;
        end.flows_left = self.correlator.flows() as u64;
        Ok(())
    }

    /// The programs.
    pub fn programs_mut(&mut self) -> &mut Programs {
        &mut self.programs
    }
}
