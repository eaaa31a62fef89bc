//! The forecast: the likeliest course of events for `expected`, every possible one for `earliest..latest`.

use super::{
    firing::Aim,
    projection::{Assumptions, GivenUp, run},
    view::{Thin, TimerView},
    write_timeout::ProbeRule,
};
use crate::event::Deadline;

impl TimerView {
    /// When the kernel gives up unless the peer answers; `None` where that cannot be computed: limits beyond the
    /// kernel's own arithmetic, or more than ten thousand retransmissions.
    ///
    /// It holds until something changes what it is built on: an ACK, an ICMP error that reverts the backoff, a
    /// sysctl or a socket option. Memory pressure ends an orphan earlier (`tcp_out_of_resources`).
    pub fn forecast(&self) -> Option<Deadline> {
        let usual = Assumptions { thin: matches!(self.thin, Thin::Yes(_)), probe_rule: ProbeRule::User };
        let likeliest = run(self, Aim::Likeliest, usual)?;
        let (mut earliest, mut latest) = (likeliest.at.lo, likeliest.at.hi);
        for assumptions in self.possible_assumptions(usual) {
            let GivenUp { at, .. } = run(self, Aim::Bounds, assumptions)?;
            earliest = earliest.min(at.lo);
            latest = latest.max(at.hi);
        }

        let limit = self.limit(likeliest.knob, likeliest.next_rto)?;
        let elapsed = self.elapsed();
        let used = match limit.budget.0 {
            0 => 1.0,
            budget_ms => (elapsed.0 as f64 / budget_ms as f64).min(1.0),
        };
        Some(Deadline {
            knob: likeliest.knob,
            limit: limit.value,
            budget_ms: Some(limit.budget.0),
            elapsed_ms: elapsed.0,
            used,
            earliest_ns: earliest.0,
            expected_ns: likeliest.at.lo.0,
            latest_ns: latest.0,
            retransmissions_left: likeliest.retransmissions,
        })
    }

    fn possible_assumptions(&self, usual: Assumptions) -> Vec<Assumptions> {
        let mut possible = vec![usual];
        if matches!(self.thin, Thin::Unsure(_)) {
            possible.push(Assumptions { thin: !usual.thin, ..usual });
        }
        if self.probes_window() && !self.modern_probe0 {
            for probe_rule in [ProbeRule::NoUser, ProbeRule::Silence] {
                possible.push(Assumptions { probe_rule, ..usual });
            }
        }
        possible
    }
}
