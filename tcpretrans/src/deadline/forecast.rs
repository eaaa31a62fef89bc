//! The forecast: the likeliest course of events for `expected`, every possible one for `earliest..latest`.

use super::{
    firing::Aim,
    ladder::{Course, Ladder, climb},
    verdict::ProbeRule,
    view::{Thin, TimerView},
};
use crate::event::Deadline;

impl TimerView {
    /// When the kernel gives up unless the peer answers; `None` where that cannot be computed: limits beyond the
    /// kernel's own arithmetic, or a ladder of more than ten thousand retransmissions.
    ///
    /// It holds until something changes what it is built on: an ACK, an ICMP error that reverts the backoff, a
    /// sysctl or a socket option. Memory pressure kills an orphan earlier (`tcp_out_of_resources`).
    pub fn forecast(&self) -> Option<Deadline> {
        let usual = Course { thin: matches!(self.thin, Thin::Yes(_)), probe_rule: ProbeRule::User };
        let likeliest = climb(self, Aim::Likeliest, usual)?;
        let mut earliest_ns = likeliest.death_ns.lo;
        let mut latest_ns = likeliest.death_ns.hi;
        for course in self.courses(usual) {
            let Ladder { death_ns, .. } = climb(self, Aim::Bounds, course)?;
            earliest_ns = earliest_ns.min(death_ns.lo);
            latest_ns = latest_ns.max(death_ns.hi);
        }

        let limit = self.limit(likeliest.knob, likeliest.next_rto)?;
        let elapsed_ms = self.elapsed_ms();
        let used = match limit.budget_ms {
            Some(budget_ms) if budget_ms > 0 => (elapsed_ms as f64 / budget_ms as f64).min(1.0),
            _ => 1.0,
        };
        Some(Deadline {
            knob: limit.knob,
            limit: limit.value,
            budget_ms: limit.budget_ms,
            elapsed_ms,
            used,
            earliest_ns: earliest_ns.max(0) as u64,
            expected_ns: likeliest.death_ns.lo.max(0) as u64,
            latest_ns: latest_ns.max(0) as u64,
            retransmissions_left: likeliest.retransmissions,
        })
    }

    /// Every course that the view allows.
    fn courses(&self, usual: Course) -> Vec<Course> {
        let mut courses = vec![usual];
        if matches!(self.thin, Thin::Unsure(_)) {
            courses.push(Course { thin: !usual.thin, ..usual });
        }
        if self.probes_window() && !self.modern_probe0 {
            for probe_rule in [ProbeRule::NoUser, ProbeRule::Silence] {
                courses.push(Course { probe_rule, ..usual });
            }
        }
        courses
    }
}
