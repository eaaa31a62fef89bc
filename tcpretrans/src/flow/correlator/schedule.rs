//! What becomes due as time passes. By the records' times alone, never by how often somebody looks: else a replay,
//! which hears of time from the records only, would see another order than the live trace.

use std::collections::{BTreeSet, VecDeque};

use crate::{
    event::FlowId,
    socket::{Millis, Nanos},
};

/// How long after CLOSE the records are waited for that belong to it (a reset sent, the socket's destruction). They
/// follow within microseconds, in no one order; records are in order.
pub(super) const SETTLE: Nanos = Millis(100).to_nanos();

/// Flows that are gone without a record are looked for at multiples of this.
const SWEEP_PERIOD: Nanos = Nanos::from_secs(2);

const NEVER: Nanos = Nanos(u64::MAX);

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// What belongs to a flow's end has been waited for; its CLOSE was [`SETTLE`] before this.
    Settled(Nanos, FlowId),
    /// A connection request has lived through all its timeouts.
    RequestOver(Nanos, FlowId),
    /// A look for flows that are gone without a record.
    Sweep(Nanos),
}

/// What will be due, and when.
#[derive(Debug)]
pub(super) struct Schedule {
    /// Closed flows in order of their CLOSE: `(give up waiting at, id)`.
    closing: VecDeque<(Nanos, FlowId)>,
    /// Connection requests: `(over at, id)`.
    requests: BTreeSet<(Nanos, FlowId)>,
    next_sweep: Nanos,
}

impl Default for Schedule {
    fn default() -> Schedule {
        Schedule { closing: VecDeque::new(), requests: BTreeSet::new(), next_sweep: NEVER }
    }
}

impl Schedule {
    /// A flow was closed.
    pub(super) fn settle(&mut self, closed: Nanos, id: FlowId) {
        self.closing.push_back((closed + SETTLE, id));
    }

    /// A request lives, at most until then; before, it was until `before`.
    pub(super) fn request_lives(&mut self, id: FlowId, over: Nanos, before: Option<Nanos>) {
        self.request_ended(id, before);
        self.requests.insert((over, id));
    }

    /// A request is none any more.
    pub(super) fn request_ended(&mut self, id: FlowId, over: Option<Nanos>) {
        if let Some(over) = over {
            self.requests.remove(&(over, id));
        }
    }

    /// Requests, the one that is over first first.
    pub(super) fn requests(&self) -> impl Iterator<Item = FlowId> {
        self.requests.iter().map(|&(_, id)| id)
    }

    /// Something may be gone after this time: look for it.
    pub(super) fn sweep_after(&mut self, time: Nanos) {
        self.next_sweep = self.next_sweep.min(sweep_time_after(time));
    }

    /// Takes the first thing that is due by then.
    pub(super) fn take_due(&mut self, now: Nanos) -> Option<Due> {
        let closing = self.closing.front().map_or(NEVER, |&(until, _)| until);
        // As long after its time as a closed flow, so that both are announced in the order of their times.
        let request = self.requests.first().map_or(NEVER, |&(over, _)| over + SETTLE);
        let first = closing.min(request).min(self.next_sweep);
        if first > now || first == NEVER {
            return None;
        }
        if first == closing {
            return self.closing.pop_front().map(|(until, id)| Due::Settled(until, id));
        }
        if first == request {
            return self.requests.pop_first().map(|(over, id)| Due::RequestOver(over, id));
        }
        self.next_sweep = NEVER;
        Some(Due::Sweep(first))
    }
}

fn sweep_time_after(time: Nanos) -> Nanos {
    SWEEP_PERIOD * (time.0 / SWEEP_PERIOD.0 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Nanos {
        Nanos::from_secs(seconds)
    }

    fn all_due(schedule: &mut Schedule, now: Nanos) -> Vec<Due> {
        std::iter::from_fn(|| schedule.take_due(now)).collect()
    }

    fn filled() -> Schedule {
        let mut schedule = Schedule::default();
        schedule.settle(seconds(1), FlowId(1));
        schedule.settle(seconds(5), FlowId(2));
        schedule.request_lives(FlowId(3), seconds(9), None);
        schedule.request_lives(FlowId(3), seconds(3), Some(seconds(9)));
        schedule.sweep_after(seconds(1));
        schedule
    }

    #[test]
    fn all_in_the_order_of_their_times_however_often_one_asks() {
        let expected = [
            Due::Settled(seconds(1) + SETTLE, FlowId(1)),
            Due::Sweep(seconds(2)),
            Due::RequestOver(seconds(3), FlowId(3)),
            Due::Settled(seconds(5) + SETTLE, FlowId(2)),
        ];
        assert_eq!(all_due(&mut filled(), seconds(100)), expected);
        for step in [seconds(1) / 1000, seconds(1) / 7, seconds(1), seconds(4)] {
            let mut schedule = filled();
            let times = (0..seconds(10).0).step_by(step.0 as usize).map(Nanos);
            let due: Vec<Due> = times.flat_map(|now| all_due(&mut schedule, now)).collect();
            assert_eq!(due, expected, "looked every {step:?}");
        }
    }

    #[test]
    fn what_is_over_is_not_due() {
        let mut schedule = filled();
        schedule.request_ended(FlowId(3), Some(seconds(3)));
        assert_eq!(schedule.requests().count(), 0);
        let due = all_due(&mut schedule, NEVER);
        assert_eq!(due.len(), 3, "{due:?}");
    }

    #[test]
    fn the_end_of_time_is_no_overflow() {
        let mut schedule = Schedule::default();
        schedule.settle(NEVER, FlowId(1));
        schedule.request_lives(FlowId(2), NEVER, None);
        schedule.sweep_after(NEVER);
        assert_eq!(schedule.take_due(NEVER), None);
    }
}
