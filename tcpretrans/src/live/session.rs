//! A trace in progress: record -> owner -> correlation.

use tcpretrans_ebpf::{Kind, Record};

use super::{clock, losses::Losses};
use crate::{
    event::{Account, End, Event, What},
    flow::Correlator,
    kernel::programs::{AttachError, KindCounts, Programs},
    owner::Owners,
};

/// The live source and everything up to the events.
#[derive(Debug)]
pub struct Session {
    programs: Programs,
    correlator: Correlator,
    owners: Owners,
    losses: Losses,
    /// Records by kind.
    received: KindCounts,
}

impl Session {
    /// Begins with programs that are attached.
    pub fn new(programs: Programs, correlator: Correlator, owners: Owners) -> Session {
        Session { programs, correlator, owners, losses: Losses::default(), received: KindCounts::default() }
    }

    /// Takes some records.
    pub fn take_batch(&mut self, batch: &[(Kind, Record)], events: &mut Vec<Event>) {
        for (kind, record) in batch {
            self.received[*kind as usize] += 1;
            let owner = self.owners.of(record);
            self.correlator.observe(*kind, record, &owner, events);
        }
    }

    /// Lets time pass for the flows. `complete_ns`: every record that is older was taken.
    pub fn advance(&mut self, complete_ns: u64, events: &mut Vec<Event>) {
        // Records may be on their way: only what is surely older than all of them is over.
        self.correlator.advance(complete_ns.saturating_sub(clock::DRAIN_PERIOD_NS), events);
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
    /// `malformed`: what came out of the ring and was no record.
    ///
    /// # Errors
    /// If the kernel's counters cannot be read.
    pub fn close_accounts(&self, malformed: u64, end: &mut End) -> Result<(), AttachError> {
        let (sent, lost) = (self.programs.sent()?, self.programs.lost()?);
        end.records = Kind::ALL
            .into_iter()
            .filter(|&kind| kind != Kind::Calibrate)
            .map(|kind| {
                let at = kind as usize;
                (kind, Account { sent: sent[at], received: self.received[at], ring: lost[at] })
            })
            .collect();
        end.records_sent = end.records.iter().map(|(_, account)| account.sent).sum();
        end.records_received =
            end.records.iter().map(|(_, account)| account.received).sum::<u64>() + malformed;
        end.flows_left = self.correlator.flows() as u64;
        Ok(())
    }

    /// The programs.
    pub fn programs_mut(&mut self) -> &mut Programs {
        &mut self.programs
    }
}
