//! The runs of the tracer that a recording consists of: when they were, and what they missed.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Event, LostWhere, What};

/// A time between two sessions in which nobody recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionGap {
    /// When it began, ns since 1970.
    pub from_ns: i64,
    /// How long it was, ns.
    pub ns: u64,
}

/// What is known of all sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sessions {
    /// How many there are.
    pub count: u64,
    /// The first event, ns since 1970; `None`: there is none.
    pub first_ns: Option<i64>,
    /// The last one.
    pub last_ns: i64,
    /// How long was recorded, all sessions together, ns.
    pub recorded_ns: u64,
    /// How many gaps there are between sessions.
    pub gaps: u64,
    /// The longest of them.
    pub longest_gap: Option<SessionGap>,
    /// Sessions without an `end`: the tracer was killed, or the file is cut.
    pub without_end: u64,
    /// Sessions that began before the one before them was over: what both saw counts twice.
    pub overlapping: u64,
    /// Records lost, by place, that happened within the wanted time.
    pub lost: BTreeMap<LostWhere, u64>,
    /// Flows that were remembered when their session ended (`flows_left`).
    pub flows_left: u64,
    /// Kernels that were traced; not more than a few.
    pub kernels: BTreeSet<String>,
}

/// More kernels are not named.
const MOST_KERNELS: usize = 8;

#[derive(Debug)]
struct Current {
    number: u32,
    first_ns: i64,
    last_ns: i64,
    ended: bool,
    /// What its `lost` events reported, by place.
    told: BTreeMap<LostWhere, u64>,
}

/// Follows the sessions.
#[derive(Debug, Default)]
pub(crate) struct Following {
    sessions: Sessions,
    current: Option<Current>,
}

impl Following {
    /// Takes each event of the recording. `wanted`: is it within the time that the user asked for?
    pub(crate) fn observe(&mut self, event: &Event, wall_ns: i64, session: u32, wanted: bool) {
        match &mut self.current {
            // Records of several CPUs may be a little out of order.
            Some(current) if current.number == session => {
                current.first_ns = current.first_ns.min(wall_ns);
                current.last_ns = current.last_ns.max(wall_ns);
            }
            _ => self.begin(wall_ns, session),
        }
        match &event.what {
            What::Start(start) if self.sessions.kernels.len() < MOST_KERNELS => {
                self.sessions.kernels.insert(start.kernel.clone());
            }
            What::Lost(lost) => {
                if let Some(current) = &mut self.current {
                    *current.told.entry(lost.place).or_default() += lost.records;
                }
                if wanted {
                    *self.sessions.lost.entry(lost.place).or_default() += lost.records;
                }
            }
            What::End(end) => {
                let Some(current) = &mut self.current else { return };
                current.ended = true;
                self.sessions.flows_left += end.flows_left;
                // Of some losses no event tells: the output's last ones.
                for (place, &records) in end.lost.iter().filter(|_| wanted) {
                    let told = current.told.get(place).copied().unwrap_or(0);
                    *self.sessions.lost.entry(*place).or_default() += records.saturating_sub(told);
                }
            }
            What::Start(_)
            | What::Retransmit(_)
            | What::InBackoff(_)
            | What::Threshold(_)
            | What::Recovered(_)
            | What::Closed(_)
            | What::Observation(_) => {}
        }
    }

    fn begin(&mut self, wall_ns: i64, number: u32) {
        if let Some(before) = self.close() {
            if wall_ns < before {
                self.sessions.overlapping += 1;
            } else {
                let gap = SessionGap { from_ns: before, ns: wall_ns.abs_diff(before) };
                self.sessions.gaps += 1;
                if self.sessions.longest_gap.is_none_or(|longest| longest.ns < gap.ns) {
                    self.sessions.longest_gap = Some(gap);
                }
            }
        }
        self.sessions.count += 1;
        let current =
            Current { number, first_ns: wall_ns, last_ns: wall_ns, ended: false, told: BTreeMap::new() };
        self.current = Some(current);
    }

    /// The session is over; when its last event was.
    fn close(&mut self) -> Option<i64> {
        let current = self.current.take()?;
        let sessions = &mut self.sessions;
        sessions.last_ns = match sessions.first_ns {
            Some(_) => sessions.last_ns.max(current.last_ns),
            None => current.last_ns,
        };
        let first_ns = sessions.first_ns.map_or(current.first_ns, |first| first.min(current.first_ns));
        sessions.first_ns = Some(first_ns);
        sessions.recorded_ns += current.last_ns.abs_diff(current.first_ns);
        sessions.without_end += u64::from(!current.ended);
        Some(current.last_ns)
    }

    /// All that is known.
    pub(crate) fn finish(mut self) -> Sessions {
        self.close();
        self.sessions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{End, Lost, samples as sample};

    const S: i64 = 1_000_000_000;

    fn end(lost: u64) -> Event {
        let end = End { lost: [(LostWhere::Output, lost)].into(), flows_left: 2, ..End::default() };
        Event { what: What::End(Box::new(end)), ..sample::start_event() }
    }

    fn follow(events: &[(Event, i64, u32)]) -> Sessions {
        let mut following = Following::default();
        for (event, second, session) in events {
            following.observe(event, second * S, *session, true);
        }
        following.finish()
    }

    #[test]
    fn gaps_and_missing_ends() {
        let sessions = follow(&[
            (sample::start_event(), 100, 0),
            (end(0), 110, 0),
            (sample::start_event(), 140, 1),
            (sample::start_event(), 141, 2),
            (end(0), 150, 2),
            (sample::start_event(), 149, 3),
            (end(0), 151, 3),
        ]);
        assert_eq!((sessions.count, sessions.gaps, sessions.overlapping, sessions.without_end), (4, 2, 1, 1));
        assert_eq!(sessions.longest_gap, Some(SessionGap { from_ns: 110 * S, ns: 30 * S as u64 }));
        assert_eq!((sessions.first_ns, sessions.last_ns), (Some(100 * S), 151 * S));
        assert_eq!((sessions.recorded_ns, sessions.flows_left), (21 * S as u64, 6));
        assert_eq!(sessions.kernels, ["6.18.0".to_owned()].into());
    }

    #[test]
    fn what_the_end_alone_tells_is_counted_once() {
        let lost = |records| {
            let what = What::Lost(Lost::counted(records, LostWhere::Output));
            Event { what, ..sample::start_event() }
        };
        let told = |sessions: &Sessions| sessions.lost[&LostWhere::Output];
        assert_eq!(told(&follow(&[(lost(3), 1, 0), (lost(4), 2, 0), (end(9), 3, 0)])), 9);
        assert_eq!(told(&follow(&[(lost(3), 1, 0), (end(3), 3, 0), (lost(3), 5, 1), (end(3), 9, 1)])), 6);
        assert_eq!(told(&follow(&[(lost(3), 1, 0)])), 3, "no end");
    }

    #[test]
    fn an_empty_recording() {
        assert_eq!(Following::default().finish(), Sessions::default());
    }
}
