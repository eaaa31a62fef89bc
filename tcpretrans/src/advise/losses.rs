//! From a flow's events to the losses that timers repaired.
//!
//! The unit is a row of timeouts without an answer: perhaps a tail loss probe, then RTOs one after another. A loss
//! episode may hold several, if the data sent again in slow start gets lost as well. Whether it was unnecessary is
//! known at the episode's end, so that rows wait until then.

use tcpretrans_ebpf::Record;

use super::{
    estimator::{Estimator, Past},
    ladder,
    loss::Loss,
};
use crate::{
    deadline::Kernel,
    event::{Event, RecoveredBy, Retransmit, RetransmitType, What},
};

/// What the recording says about one flow's losses, event by event.
#[derive(Debug, Clone, Default)]
pub struct Losses {
    /// The row that is going on.
    row: Option<Row>,
    /// Rows of this episode that were answered.
    answered: Vec<Row>,
}

/// Why a timer's repair is not among the losses: what another floor would have made of it cannot be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unforeseen {
    /// The row began before the recording, or an event of it was lost.
    Incomplete,
    /// Something else set the RTO: no round trip was measured yet, or metrics were remembered.
    NotByFloor,
    /// An ICMP error, a closed window or a local failure to send was part of it.
    Disturbed,
}

/// What comes of a flow's events.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// A loss with its what-if.
    Loss(Loss),
    /// A timer's repair without one.
    Unforeseen(Unforeseen),
}

/// A row of timeouts.
#[derive(Debug, Clone)]
struct Row {
    probe: Option<Timeout>,
    probe_of_one: bool,
    rtos: Vec<Timeout>,
    snd_una: u32,
    estimator: Option<Estimator>,
    answered_ns: Option<u64>,
    incomplete: bool,
    disturbed: bool,
}

/// A timer's expiry.
#[derive(Debug, Clone, Copy)]
struct Timeout {
    at_ns: u64,
    jiffies: u64,
    rto_jiffies: u64,
    backoff: u8,
}

impl Timeout {
    fn of(record: &Record) -> Timeout {
        Timeout {
            at_ns: record.mono_ns,
            jiffies: record.jiffies,
            rto_jiffies: record.sock.icsk_rto.into(),
            backoff: record.sock.icsk_backoff,
        }
    }
}

impl Losses {
    /// Takes one event of the flow; `past` has learnt from it already.
    pub fn observe(&mut self, event: &Event, past: &Past, kernel: Kernel, found: &mut impl FnMut(Finding)) {
        match &event.what {
            What::Retransmit(retransmit) => self.retransmit(retransmit, past, kernel),
            What::InBackoff(_) => {
                self.row = Some(Row { incomplete: true, ..Row::new(&Record::default(), None) });
            }
            What::Recovered(recovered) => {
                // An answered probe shows when data beyond it is acknowledged (tcp_process_tlp_ack), which may be later.
                let exact = recovered.by == RecoveredBy::CongState;
                self.answer(exact.then_some(event.mono_ns));
                self.flush(recovered.spurious, found);
            }
            What::Closed(_) => {
                // What was not answered was not repaired.
                self.row = None;
                self.flush(None, found);
            }
            What::Start(_) | What::Threshold(_) | What::Observation(_) | What::Lost(_) | What::End(_) => {}
        }
    }

    /// The recording ends.
    pub fn finish(&mut self, found: &mut impl FnMut(Finding)) {
        self.row = None;
        self.flush(None, found);
    }

    fn retransmit(&mut self, retransmit: &Retransmit, past: &Past, kernel: Kernel) {
        let record = &retransmit.record;
        match retransmit.ty {
            RetransmitType::Syn | RetransmitType::SynAck => return,
            RetransmitType::Tlp => {
                // A second probe means that the first was answered.
                self.answer(None);
                let mut row = Row::new(record, Estimator::of(&record.sock, past, kernel));
                row.probe = Some(Timeout::of(record));
                row.probe_of_one = retransmit.packets_out == 1;
                self.row = Some(row);
            }
            RetransmitType::Rto => self.rto(retransmit, past, kernel),
            RetransmitType::IcmpRevert | RetransmitType::ZeroWindow => {
                let new = || Row { incomplete: true, ..Row::new(record, None) };
                self.row.get_or_insert_with(new).disturbed = true;
            }
            _ => {
                // An ACK clocked it out: that is the answer, or a part of it.
                if let Some(row) = &mut self.row {
                    row.answered_ns.get_or_insert(record.mono_ns);
                }
                if retransmit.retransmits == 0 {
                    self.answer(None);
                }
            }
        }
        if retransmit.err.is_some()
            && let Some(row) = &mut self.row
        {
            row.disturbed = true;
        }
    }

    fn rto(&mut self, retransmit: &Retransmit, past: &Past, kernel: Kernel) {
        let record = &retransmit.record;
        let goes_on = self.row.as_ref().is_some_and(|row| {
            let before = row.rtos.len() as u32;
            row.incomplete || row.snd_una == record.sock.snd_una && retransmit.retransmits == before + 1
        });
        if !goes_on {
            self.answer(None);
            let mut row = Row::new(record, Estimator::of(&record.sock, past, kernel));
            row.incomplete = retransmit.retransmits > 1;
            self.row = Some(row);
        }
        if let Some(row) = &mut self.row {
            row.rtos.push(Timeout::of(record));
        }
    }

    /// The row going on was answered; `None`: at a time that is not known.
    fn answer(&mut self, at_ns: Option<u64>) {
        if let Some(mut row) = self.row.take() {
            row.answered_ns = row.answered_ns.or(at_ns);
            self.answered.push(row);
        }
    }

    fn flush(&mut self, spurious: Option<bool>, found: &mut impl FnMut(Finding)) {
        for row in self.answered.drain(..) {
            if let Some(finding) = row.finding(spurious) {
                found(finding);
            }
        }
    }
}

impl Row {
    fn new(record: &Record, estimator: Option<Estimator>) -> Row {
        Row {
            probe: None,
            probe_of_one: false,
            rtos: Vec::new(),
            snd_una: record.sock.snd_una,
            estimator,
            answered_ns: None,
            incomplete: false,
            disturbed: false,
        }
    }

    /// `None`: the floor had no part in it. A probe of several packets does not wait for it.
    fn finding(&self, spurious: Option<bool>) -> Option<Finding> {
        if self.disturbed {
            return Some(Finding::Unforeseen(Unforeseen::Disturbed));
        }
        if self.incomplete {
            return Some(Finding::Unforeseen(Unforeseen::Incomplete));
        }
        if self.rtos.is_empty() && !self.probe_of_one {
            return None;
        }
        let first = self.probe.or(self.rtos.first().copied())?;
        let last = self.rtos.last().copied().unwrap_or(first);
        let rto = self.rtos.first().copied().unwrap_or(first);
        let explained =
            self.estimator.filter(|estimator| rto.backoff == 0 && estimator.explains(rto.rto_jiffies));
        let Some(estimator) = explained else {
            return Some(Finding::Unforeseen(Unforeseen::NotByFloor));
        };
        let wait = match self.probe {
            Some(_) => estimator.probe_jiffies(estimator.floor_us, self.probe_of_one),
            None => rto.rto_jiffies,
        };
        let armed_jiffies = ladder::armed_at(first.jiffies, wait);
        let tick_us = (estimator.kernel.tick_ns() / 1000) as i64;
        // The arming was, on average, in the middle of its jiffy.
        let first_wait_us = (first.jiffies - armed_jiffies) as i64 * tick_us - tick_us / 2;
        let between_us = |from_ns: u64, to_ns: u64| to_ns.saturating_sub(from_ns) as i64 / 1000;
        Some(Finding::Loss(Loss {
            estimator,
            armed_jiffies,
            probe_of_one: self.probe.map(|_| self.probe_of_one),
            backoffs: self.rtos.iter().map(|rto| rto.backoff).collect(),
            repaired_jiffies: last.jiffies,
            recovery_us: first_wait_us + between_us(first.at_ns, last.at_ns),
            answer_us: self.answered_ns.map(|at_ns| between_us(last.at_ns, at_ns)),
            spurious,
        }))
    }
}
