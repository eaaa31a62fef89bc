//! What becomes due as time passes. By the records' times alone, never by how often somebody looks: else a replay,
//! which hears of time from the records only, would see another order than the live trace.

use std::collections::{BTreeSet, VecDeque};

use crate::event::FlowId;

/// How long after CLOSE a flow's last words (a reset sent, the socket's destruction) are waited for, ns. They
/// follow within microseconds, in no one order; records are in order.
pub const LAST_WORDS_NS: u64 = 100_000_000;

/// Flows that are gone without a word are looked for at multiples of this, ns.
const SWEEP_PERIOD_NS: u64 = 2_000_000_000;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// A closed flow's last words have been waited for; its CLOSE was [`LAST_WORDS_NS`] before this, mono ns.
    LastWords(u64, FlowId),
    /// A connection request has lived through all its timeouts, mono ns.
    RequestOver(u64, FlowId),
    /// A look for flows that are gone without a word, mono ns.
    Sweep(u64),
}

/// What will be due, and when.
#[derive(Debug)]
pub struct Schedule {
    /// Closed flows in order of their CLOSE: `(give up waiting at, id)`.
    closing: VecDeque<(u64, FlowId)>,
    /// Connection requests: `(over at, id)`.
    requests: BTreeSet<(u64, FlowId)>,
    next_sweep_ns: u64,
}

impl Default for Schedule {
    fn default() -> Schedule {
        Schedule { closing: VecDeque::new(), requests: BTreeSet::new(), next_sweep_ns: u64::MAX }
    }
}

impl Schedule {
    /// A flow was closed.
    pub fn await_last_words(&mut self, closed_ns: u64, id: FlowId) {
        self.closing.push_back((closed_ns.saturating_add(LAST_WORDS_NS), id));
    }

    /// A request lives, at most until then; before, it was until `before_ns`.
    pub fn request_lives(&mut self, id: FlowId, over_ns: u64, before_ns: Option<u64>) {
        self.request_ended(id, before_ns);
        self.requests.insert((over_ns, id));
    }

    /// A request is none any more.
    pub fn request_ended(&mut self, id: FlowId, over_ns: Option<u64>) {
        if let Some(over_ns) = over_ns {
            self.requests.remove(&(over_ns, id));
        }
    }

    /// Requests, the one that is over first first.
    pub fn requests(&self) -> impl Iterator<Item = FlowId> {
        self.requests.iter().map(|&(_, id)| id)
    }

    /// Something may be gone after this time: look for it.
    pub fn sweep_after(&mut self, mono_ns: u64) {
        self.next_sweep_ns = self.next_sweep_ns.min(sweep_time_after(mono_ns));
    }

    /// Takes the first thing that is due by then.
    pub fn take_due(&mut self, now_ns: u64) -> Option<Due> {
        let closing_ns = self.closing.front().map_or(u64::MAX, |&(until_ns, _)| until_ns);
        // As long after its time as a closed flow, so that both are told in the order of their times.
        let request_ns =
            self.requests.first().map_or(u64::MAX, |&(over_ns, _)| over_ns.saturating_add(LAST_WORDS_NS));
        let first_ns = closing_ns.min(request_ns).min(self.next_sweep_ns);
        if first_ns > now_ns || first_ns == u64::MAX {
            return None;
        }
        if first_ns == closing_ns {
            return self.closing.pop_front().map(|(until_ns, id)| Due::LastWords(until_ns, id));
        }
        if first_ns == request_ns {
            return self.requests.pop_first().map(|(over_ns, id)| Due::RequestOver(over_ns, id));
        }
        self.next_sweep_ns = u64::MAX;
        Some(Due::Sweep(first_ns))
    }
}

fn sweep_time_after(mono_ns: u64) -> u64 {
    (mono_ns / SWEEP_PERIOD_NS + 1).saturating_mul(SWEEP_PERIOD_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn all_due(schedule: &mut Schedule, now_ns: u64) -> Vec<Due> {
        std::iter::from_fn(|| schedule.take_due(now_ns)).collect()
    }

    fn filled() -> Schedule {
        let mut schedule = Schedule::default();
        schedule.await_last_words(SECOND, FlowId(1));
        schedule.await_last_words(5 * SECOND, FlowId(2));
        schedule.request_lives(FlowId(3), 9 * SECOND, None);
        schedule.request_lives(FlowId(3), 3 * SECOND, Some(9 * SECOND));
        schedule.sweep_after(SECOND);
        schedule
    }

    #[test]
    fn all_in_the_order_of_their_times_however_often_one_asks() {
        let expected = [
            Due::LastWords(SECOND + LAST_WORDS_NS, FlowId(1)),
            Due::Sweep(2 * SECOND),
            Due::RequestOver(3 * SECOND, FlowId(3)),
            Due::LastWords(5 * SECOND + LAST_WORDS_NS, FlowId(2)),
        ];
        assert_eq!(all_due(&mut filled(), 100 * SECOND), expected);
        for step in [SECOND / 1000, SECOND / 7, SECOND, 4 * SECOND] {
            let mut schedule = filled();
            let times = (0..10 * SECOND).step_by(step as usize);
            let due: Vec<Due> = times.flat_map(|now_ns| all_due(&mut schedule, now_ns)).collect();
            assert_eq!(due, expected, "looked every {step} ns");
        }
    }

    #[test]
    fn what_is_over_is_not_due() {
        let mut schedule = filled();
        schedule.request_ended(FlowId(3), Some(3 * SECOND));
        assert_eq!(schedule.requests().count(), 0);
        let due = all_due(&mut schedule, u64::MAX);
        assert_eq!(due.len(), 3, "{due:?}");
    }

    #[test]
    fn the_end_of_time_is_no_overflow() {
        let mut schedule = Schedule::default();
        schedule.await_last_words(u64::MAX, FlowId(1));
        schedule.request_lives(FlowId(2), u64::MAX, None);
        schedule.sweep_after(u64::MAX);
        assert_eq!(schedule.take_due(u64::MAX), None);
    }
}
