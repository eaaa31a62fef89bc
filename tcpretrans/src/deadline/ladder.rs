//! Climbs the ladder of timeouts: fire, judge, retransmit, back off, arm again (`tcp_retransmit_timer`).

use tcpretrans_ebpf::tcp_state;

use super::{
    firing::{Aim, Firing, Span, Timeline},
    verdict::{Hearing, ProbeRule, Verdict},
    view::{Moment, Thin, Timer, TimerView},
};
use crate::event::Knob;

/// `TCP_THIN_LINEAR_RETRIES`
const THIN_LINEAR_RETRIES: u32 = 6;
/// A ladder of more rungs than this (days of retransmitting every second) gets no forecast.
const MAX_RUNGS: u32 = 10_000;

/// After so many timeouts of which each may or may not be past TCP_USER_TIMEOUT we stop looking at each jiffy.
const MAX_DOUBTS: u32 = 3;

/// The variables that change from one timeout to the next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rung {
    /// `icsk_retransmits`
    pub retransmits: u32,
    /// `total_rto`
    pub timeouts: u32,
    /// `icsk_rto`, jiffies
    pub rto: u64,
}

/// Where the ladder ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ladder {
    /// When the handler that gives up runs, ns.
    pub death_ns: Span<i64>,
    /// What it gives up for.
    pub knob: Knob,
    /// Retransmissions before that.
    pub retransmissions: u32,
    /// The RTO of the next timeout, jiffies.
    pub next_rto: u64,
}

/// Assumptions about what the view leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Course {
    pub thin: bool,
    pub probe_rule: ProbeRule,
}

/// The climb itself.
struct Climb<'a> {
    view: &'a TimerView,
    course: Course,
    thin_jiffies: Option<u32>,
    line: Timeline,
    start_ns: Option<Span<i64>>,
}

/// Climbs until the kernel gives up; `None` if it never does, or beyond what can be computed.
pub(super) fn climb(view: &TimerView, aim: Aim, course: Course) -> Option<Ladder> {
    let line = Timeline {
        kernel: view.kernel,
        mono_ns: view.mono_ns,
        jiffies: view.jiffies,
        jiffies_error: view.jiffies_error,
        on_tick: view.on_tick,
        aim,
    };
    let thin_jiffies = match view.thin {
        Thin::Yes(jiffies) | Thin::Unsure(jiffies) if course.thin => Some(jiffies),
        _ => None,
    };
    let start_ns = view.start.map(|start| span_of(start, aim));
    let mut climb = Climb { view, course, thin_jiffies, line, start_ns };
    climb.run()
}

fn span_of(moment: Moment, aim: Aim) -> Span<i64> {
    match aim {
        Aim::Likeliest => Span::point(moment.likely_ns as i64),
        Aim::Bounds => Span { lo: moment.earliest_ns as i64, hi: moment.latest_ns as i64 },
    }
}

impl TimerView {
    /// The RTO that has just expired and the one that begins, jiffies; `None` unless this is a timeout. As TCP_INFO
    /// has them: TCP_USER_TIMEOUT may cut the wait itself shorter (`tcp_clamp_rto_to_user_timeout`).
    pub fn expired_and_next_jiffies(&self) -> Option<(u64, u64)> {
        let Timer::Expired { dropped, .. } = self.timer else { return None };
        let expired = u64::from(self.rto_jiffies);
        if dropped {
            return Some((expired, self.pause_jiffies()));
        }
        let thin_jiffies = match self.thin {
            Thin::Yes(jiffies) => Some(jiffies),
            Thin::No | Thin::Unsure(_) => None,
        };
        let mut rung = Rung { retransmits: self.retransmits, timeouts: self.timeouts, rto: expired };
        rung.back_off(self, thin_jiffies);
        Some((expired, rung.rto))
    }

    /// `TCP_RESOURCE_PROBE_INTERVAL`: the wait after the qdisc dropped the packet.
    fn pause_jiffies(&self) -> u64 {
        u64::from(self.kernel.hz / 2).max(1).min(u64::from(self.rto_max_jiffies))
    }
}

impl Climb<'_> {
    fn run(&mut self) -> Option<Ladder> {
        let view = self.view;
        let mut rung = Rung {
            retransmits: view.retransmits,
            timeouts: view.timeouts,
            rto: u64::from(view.rto_jiffies).max(1),
        };
        let mut firing = self.first(&mut rung);
        let next_rto = rung.rto;
        let mut earliest_ns = None;
        let mut doubts = 0;
        for retransmissions in 0..MAX_RUNGS {
            let clock_ns = self.line.clock_ns(firing.runs);
            let hearing = Hearing {
                view,
                rung: &rung,
                probe_rule: self.course.probe_rule,
                aim: self.line.aim,
                firing,
                clock_ns,
                start_ns: self.start_ns,
            };
            let (verdict, knob) = hearing.judge()?;
            if verdict > Verdict::Lives {
                earliest_ns.get_or_insert(clock_ns.lo);
            }
            if verdict == Verdict::Dies {
                let death_ns = Span { lo: earliest_ns.unwrap_or(clock_ns.lo), hi: clock_ns.hi };
                return Some(Ladder { death_ns, knob, retransmissions, next_rto });
            }
            doubts += u32::from(verdict == Verdict::May && knob == Knob::TcpUserTimeout);
            if doubts > MAX_DOUBTS {
                let death_ns = Span {
                    lo: earliest_ns.unwrap_or(clock_ns.lo),
                    hi: self.user_timeout_ends(&rung)?.max(clock_ns.hi),
                };
                return Some(Ladder { death_ns, knob, retransmissions, next_rto });
            }
            if self.start_ns.is_none() {
                self.start_ns = Some(self.stamp(clock_ns));
            }
            rung.count(view);
            rung.back_off(view, self.thin_jiffies);
            firing = self.arm(firing.runs, clock_ns, rung.rto, true);
        }
        None
    }

    /// The first timeout to come.
    fn first(&self, rung: &mut Rung) -> Firing {
        match self.view.timer {
            Timer::Expired { in_handler, dropped } => {
                let from = self.line.just_now();
                if dropped {
                    return self.line.arm(from, self.view.pause_jiffies(), in_handler);
                }
                rung.back_off(self.view, self.thin_jiffies);
                let mono_ns = self.view.mono_ns as i64;
                self.arm(from, Span::point(mono_ns), rung.rto, in_handler)
            }
            Timer::Armed { earliest, likely, latest, delay, least_delay, in_handler } => {
                let expires = match self.line.aim {
                    Aim::Likeliest => Span::point(likely),
                    Aim::Bounds => Span {
                        lo: earliest.saturating_sub(self.view.jiffies_error),
                        hi: latest + self.view.jiffies_error,
                    },
                };
                let delay = match self.line.aim {
                    Aim::Likeliest => Span::point(delay),
                    Aim::Bounds => Span { lo: least_delay, hi: delay },
                };
                self.line.fire(expires, delay, in_handler)
            }
        }
    }

    /// The last moment at which TCP_USER_TIMEOUT can strike: every wait is cut to end there, so only the wheel's
    /// rounding of one RTO comes on top.
    fn user_timeout_ends(&self, rung: &Rung) -> Option<i64> {
        let user_timeout_ns = i64::from(self.view.user_timeout_ms?) * 1_000_000;
        let ahead_ns = self.start_ns?.hi + user_timeout_ns - self.line.mono_ns as i64;
        let tick = self.line.kernel.tick_ns() as i64;
        let expires = self.line.jiffies.saturating_add_signed(ahead_ns.max(0) / tick + 3);
        let firing = self.line.fire(Span::point(expires), Span::point(rung.rto), true);
        Some(self.line.clock_ns(firing.runs).hi)
    }

    /// `retrans_stamp` of a retransmission at that time: cut to ms, or us.
    fn stamp(&self, clock_ns: Span<i64>) -> Span<i64> {
        let unit = if self.view.usec_ts { 1000 } else { 1_000_000 };
        let cut = |ns: i64| ns - ns.rem_euclid(unit);
        Span { lo: cut(clock_ns.lo), hi: cut(clock_ns.hi) }
    }

    /// `tcp_reset_xmit_timer(sk, ICSK_TIME_RETRANS, tcp_clamp_rto_to_user_timeout(sk), false)`
    fn arm(&self, from: Span<u64>, clock_ns: Span<i64>, rto: u64, in_handler: bool) -> Firing {
        let rto = rto.min(u64::from(self.view.rto_max_jiffies)).max(1);
        let user_timeout_ms = match self.view.user_timeout_ms {
            // Rules that ignore it would have the timer fire in each jiffy once it has passed; the death is the same.
            Some(ms) if ms != 0 && self.course.probe_rule == ProbeRule::User => i64::from(ms),
            _ => return self.line.arm(from, rto, in_handler),
        };
        let Some(start) = self.start_ns else { return self.line.arm(from, rto, in_handler) };
        let delay = |clock_ns: i64, start_ns: i64| {
            let elapsed_ms = if self.view.usec_ts {
                (clock_ns - start_ns).div_euclid(1_000_000)
            } else {
                clock_ns.div_euclid(1_000_000) - start_ns.div_euclid(1_000_000)
            };
            match u64::try_from(user_timeout_ms - elapsed_ms) {
                Ok(remaining_ms) if remaining_ms > 0 => rto.min(self.view.kernel.ms_to_jiffies(remaining_ms)),
                _ => 1,
            }
        };
        if self.line.aim == Aim::Likeliest {
            let delay = delay(clock_ns.lo, start.lo);
            return self.line.fire(Span::point(from.lo + delay), Span::point(delay), in_handler);
        }
        // The later it is armed the shorter it is, so all of `from` leads to about one expiry; its ends, each
        // with the clock that fits it, bound that. A ms against a jiffy may cut off one more.
        let two_ticks = 2 * self.view.kernel.tick_ns() as i64;
        let soonest = from.lo + delay(clock_ns.lo + two_ticks, start.lo);
        let last = from.hi + delay(clock_ns.hi - two_ticks, start.hi);
        let expires = Span { lo: (soonest - 1).max(from.lo + 1), hi: last.max(soonest) + 1 };
        let delays = Span { lo: delay(clock_ns.hi, start.lo), hi: delay(clock_ns.lo, start.hi) };
        self.line.fire(expires, delays, in_handler)
    }
}

impl Rung {
    /// `tcp_update_rto_stats`; a window probe is not counted.
    fn count(&mut self, view: &TimerView) {
        if !view.probes_window() {
            self.retransmits += 1;
            self.timeouts += 1;
        }
    }

    /// The three kinds of backoff behind `out_reset_timer`.
    fn back_off(&mut self, view: &TimerView, thin_jiffies: Option<u32>) {
        if let Some(jiffies) = thin_jiffies
            && view.state == tcp_state::ESTABLISHED
            && self.retransmits <= THIN_LINEAR_RETRIES
        {
            self.rto = u64::from(jiffies);
            return;
        }
        let linear = view.sysctls.syn_linear_timeouts.unwrap_or(0);
        let doubled = if view.state == tcp_state::SYN_SENT && self.timeouts <= linear {
            self.rto
        } else {
            self.rto * 2
        };
        self.rto = doubled.min(u64::from(view.rto_max_jiffies));
    }
}
