//! From a flow's events to the losses that timers repaired.
//!
//! The unit is a row of timeouts without an answer: perhaps a tail loss probe, then RTOs one after another. A loss
//! episode may hold several, if the data sent again in slow start gets lost as well. Whether it was unnecessary is
//! known at the episode's end, so that rows wait until then.

use tcpretrans_ebpf::Record;

use super::{
    estimator::{Estimator, Past},
    expiries,
    loss::Loss,
};
use crate::{
    event::{Event, RecoveredBy, Retransmit, RetransmitType, What},
    socket::{Hz, Jiffies, Micros, Nanos, RecordExt, SeqNum, SnapshotExt},
};

/// Finds one flow's losses, event by event.
#[derive(Debug, Clone, Default)]
pub(super) struct LossFinder {
    /// The row that is going on.
    row: Option<TimeoutRow>,
    /// Rows of this episode that were answered.
    answered: Vec<TimeoutRow>,
}

/// Why a timer's repair is not among the losses: what another floor would have made of it cannot be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unforeseen {
    /// The row began before the recording, or an event of it was lost.
    Incomplete,
    /// Something else set the RTO: no round trip was measured yet, or metrics were remembered.
    NotByFloor,
    /// An ICMP error, a closed window or a local failure to send was part of it.
    Disturbed,
}

/// What comes of a flow's events.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Finding {
    /// A loss with its what-if.
    Loss(Loss),
    /// A timer's repair without one.
    Unforeseen(Unforeseen),
}

/// A row of timeouts.
#[derive(Debug, Clone)]
struct TimeoutRow {
    probe: Option<TimerExpiry>,
    probe_of_one: bool,
    rtos: Vec<TimerExpiry>,
    unacknowledged: SeqNum,
    estimator: Option<Estimator>,
    answered: Option<Nanos>,
    incomplete: bool,
    disturbed: bool,
}

/// A timer's expiry.
#[derive(Debug, Clone, Copy)]
struct TimerExpiry {
    time: Nanos,
    at: Jiffies,
    rto: Jiffies,
    backoff: u8,
}

impl TimerExpiry {
    fn of(record: &Record) -> TimerExpiry {
        TimerExpiry {
            time: record.time(),
            at: record.now(),
            rto: record.sock.rto(),
            backoff: record.sock.icsk_backoff,
        }
    }
}

impl LossFinder {
    /// Takes one event of the flow; `past` has learnt from it already.
    pub(super) fn observe(&mut self, event: &Event, past: &Past, hz: Hz, found: &mut impl FnMut(Finding)) {
        match &event.what {
            What::Retransmit(retransmit) => self.retransmit(retransmit, past, hz),
            What::InBackoff(_) => {
                self.row = Some(TimeoutRow { incomplete: true, ..TimeoutRow::new(&Record::default(), None) });
            }
            What::Recovered(recovered) => {
                // An answered probe shows when data beyond it is acknowledged (tcp_process_tlp_ack), which may be later.
                let exact = recovered.by == RecoveredBy::CongState;
                self.answer(exact.then_some(Nanos(event.mono_ns)));
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
    pub(super) fn finish(&mut self, found: &mut impl FnMut(Finding)) {
        self.row = None;
        self.flush(None, found);
    }

    fn retransmit(&mut self, retransmit: &Retransmit, past: &Past, hz: Hz) {
        let record = &retransmit.record;
        match retransmit.ty {
            RetransmitType::Syn | RetransmitType::SynAck => return,
            RetransmitType::Tlp => {
                // A second probe means that the first was answered.
                self.answer(None);
                let mut row = TimeoutRow::new(record, Estimator::of(&record.sock, past, hz));
                row.probe = Some(TimerExpiry::of(record));
                row.probe_of_one = retransmit.packets_out == 1;
                self.row = Some(row);
            }
            RetransmitType::Rto => self.rto(retransmit, past, hz),
            RetransmitType::IcmpRevert | RetransmitType::ZeroWindow => {
                let new = || TimeoutRow { incomplete: true, ..TimeoutRow::new(record, None) };
                self.row.get_or_insert_with(new).disturbed = true;
            }
            RetransmitType::SlowStart
            | RetransmitType::Fast
            | RetransmitType::RackTimer
            | RetransmitType::Pmtu
            | RetransmitType::Unknown => {
                // An ACK clocked it out: that is the answer, or a part of it.
                if let Some(row) = &mut self.row {
                    row.answered.get_or_insert(record.time());
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

    fn rto(&mut self, retransmit: &Retransmit, past: &Past, hz: Hz) {
        let record = &retransmit.record;
        let goes_on = self.row.as_ref().is_some_and(|row| {
            row.incomplete
                || row.unacknowledged == record.sock.unacknowledged()
                    && retransmit.retransmits as usize > row.rtos.len()
        });
        if !goes_on {
            self.answer(None);
            self.row = Some(TimeoutRow::new(record, Estimator::of(&record.sock, past, hz)));
        }
        if let Some(row) = &mut self.row {
            row.rtos.push(TimerExpiry::of(record));
            // An RTO is missing: its record was lost.
            row.incomplete |= row.rtos.len() != retransmit.retransmits as usize;
        }
    }

    /// The row going on was answered; `None`: at a time that is not known.
    fn answer(&mut self, at: Option<Nanos>) {
        if let Some(mut row) = self.row.take() {
            row.answered = row.answered.or(at);
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

impl TimeoutRow {
    fn new(record: &Record, estimator: Option<Estimator>) -> TimeoutRow {
        TimeoutRow {
            probe: None,
            probe_of_one: false,
            rtos: Vec::new(),
            unacknowledged: record.sock.unacknowledged(),
            estimator,
            answered: None,
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
        let explained = self.estimator.filter(|estimator| rto.backoff == 0 && estimator.explains(rto.rto));
        let Some(estimator) = explained else {
            return Some(Finding::Unforeseen(Unforeseen::NotByFloor));
        };
        let wait = match self.probe {
            Some(_) => estimator.probe_wait(estimator.floor, self.probe_of_one),
            None => rto.rto,
        };
        let armed = expiries::armed_at(first.at, wait);
        let hz = estimator.hz;
        // The arming was, on average, in the middle of its jiffy.
        let first_wait = hz.jiffies_to_nanos(first.at - armed) - hz.tick() / 2;
        let since = |from: Nanos, to: Nanos| -> Micros { (to - from).cut_to_micros() };
        Some(Finding::Loss(Loss {
            estimator,
            armed,
            probe_of_one: self.probe.map(|_| self.probe_of_one),
            backoffs: self.rtos.iter().map(|rto| rto.backoff).collect(),
            repaired: last.at,
            recovery: first_wait.cut_to_micros() + since(first.time, last.time),
            answer: self.answered.map(|at| since(last.time, at)),
            spurious,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        advise::story::{self, changed, closed, record, recovered, rto, slow_start, tlp},
        event::{Cause, InBackoff},
    };

    fn found(events: &[Event]) -> Vec<Finding> {
        let (mut losses, mut past, mut found) = (LossFinder::default(), Past::default(), Vec::new());
        past.learn(&record(0).sock, story::hz());
        for event in events {
            losses.observe(event, &past, story::hz(), &mut |finding| found.push(finding));
        }
        losses.finish(&mut |finding| found.push(finding));
        found
    }

    fn losses(events: &[Event]) -> Vec<Loss> {
        let loss = |finding| match finding {
            Finding::Loss(loss) => loss,
            Finding::Unforeseen(why) => panic!("{why:?}"),
        };
        found(events).into_iter().map(loss).collect()
    }

    fn opened(ms: u64) -> Event {
        recovered(ms, RecoveredBy::CongState, Some(false))
    }

    #[test]
    fn rtos_in_a_row_are_one_loss() {
        // 52 jiffies, then 108: 102 from the handler, rounded up to a multiple of 8.
        let found = losses(&[rto(208, 1), rto(640, 2), opened(641)]);
        let [loss] = &found[..] else { panic!("{found:?}") };
        assert_eq!((&loss.backoffs[..], loss.probe_of_one), (&[0, 1][..], None));
        assert_eq!((loss.recovery, loss.answer), (Micros(638_000), Some(Micros(1000))));
        assert_eq!(loss.at_floor(Micros(200_000)).sooner_us, 0);
    }

    #[test]
    fn a_probe_is_part_of_it() {
        let found = losses(&[tlp(208), rto(416, 1), opened(416)]);
        let [loss] = &found[..] else { panic!("{found:?}") };
        assert_eq!((&loss.backoffs[..], loss.probe_of_one), (&[0][..], Some(true)));
        assert_eq!(loss.recovery, Micros(414_000));
        // Answered, it is one of its own.
        let next = changed(rto(1208, 1), |record| record.sock.snd_una = 2000);
        let found = losses(&[tlp(208), next, opened(1209)]);
        assert_eq!(found.iter().map(|loss| loss.recovery.0).collect::<Vec<_>>(), [206_000, 206_000]);
        assert_eq!(found[0].answer, None, "not seen");
    }

    #[test]
    fn probes_of_many_packets_do_not_wait_for_the_floor() {
        let probe = changed(tlp(8), |record| record.sock.packets_out = 3);
        assert_eq!(found(&[probe.clone(), opened(9)]), []);
        let [loss] = &losses(&[probe, rto(216, 1), opened(217)])[..] else { panic!("one") };
        assert_eq!(loss.probe_of_one, Some(false));
        assert_eq!(loss.recovery, Micros(214_000));
    }

    #[test]
    fn an_episode_may_hold_several() {
        let second = changed(rto(508, 1), |record| record.sock.snd_una = 1032);
        let found = losses(&[rto(208, 1), slow_start(210), second, opened(512)]);
        let answers: Vec<_> = found.iter().map(|loss| loss.answer).collect();
        assert_eq!(answers, [Some(Micros(2000)), Some(Micros(4000))]);
    }

    #[test]
    fn whether_it_was_in_vain_is_known_in_the_end() {
        let end = recovered(209, RecoveredBy::CongState, Some(true));
        assert_eq!(losses(&[rto(208, 1), end])[0].spurious, Some(true));
        let late = recovered(900, RecoveredBy::Progress, None);
        let [loss] = &losses(&[tlp(208), late])[..] else { panic!("one") };
        assert_eq!((loss.spurious, loss.answer), (None, None));
    }

    #[test]
    fn what_cannot_be_foreseen_is_only_counted() {
        let why = |events: &[Event]| match &found(events)[..] {
            [Finding::Unforeseen(why)] => *why,
            other => panic!("{other:?}"),
        };
        assert_eq!(why(&[rto(640, 2), opened(641)]), Unforeseen::Incomplete);
        assert_eq!(why(&[rto(208, 1), rto(2000, 3), opened(2001)]), Unforeseen::Incomplete);
        let handshake = changed(rto(3000, 1), |record| record.sock.icsk_rto = 3 * story::TICKS);
        assert_eq!(why(&[handshake, opened(3001)]), Unforeseen::NotByFloor);
        let unmeasured = changed(rto(1000, 1), |record| record.sock.srtt_us = 0);
        assert_eq!(why(&[unmeasured, opened(1001)]), Unforeseen::NotByFloor);
        let failed = changed(rto(208, 1), |record| record.err = -1);
        assert_eq!(why(&[failed, opened(209)]), Unforeseen::Disturbed);
        let zero_window = story::of_record(RetransmitType::ZeroWindow, record(640));
        assert_eq!(why(&[rto(208, 1), zero_window, opened(641)]), Unforeseen::Disturbed);
        let in_backoff = InBackoff {
            state: 1,
            retransmits: 1,
            backoff: 1,
            rto_ms: 408,
            since_ms: None,
            total_retrans: 1,
            unacked_bytes: 64,
            deadline: None,
            episode: 1,
        };
        let seeded = story::event(story::ns(300), What::InBackoff(Box::new(in_backoff)));
        assert_eq!(why(&[seeded, rto(640, 2), opened(641)]), Unforeseen::Incomplete);
    }

    #[test]
    fn what_was_not_repaired_is_no_repair() {
        assert_eq!(found(&[rto(208, 1), rto(640, 2), closed(6000, Cause::RetransmitTimeout, None)]), []);
        assert_eq!(found(&[rto(208, 1)]), [], "the recording ends");
    }
}
