//! The deadline of an unanswered SYN-ACK (`reqsk_timer_handler`, `tcp_fastopen_synack_timer`).
//!
//! Here the kernel counts and does not time: a request is dropped at the timeout that finds
//! `num_timeout >= max_syn_ack_retries`. Its expiry leaves no trace in any tracepoint.

use tcpretrans_ebpf::{Record, tcp_state};

use super::{
    firing::{Aim, Firing, Span, Timeline},
    from_record::back_from,
    view::Sysctls,
};
use crate::{
    event::{Deadline, Knob},
    socket::jiffies::Kernel,
};

const ABSENT: u32 = u32::MAX;
/// The backlog below which `reqsk_timer_handler` does not hurry.
const CALM_BACKLOG: u32 = 8;
/// Requests under pressure keep this many retries.
const HURRIED_RETRIES: u32 = 2;

/// A connection request at the moment when its SYN-ACK was sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestView {
    /// HZ and the like.
    pub kernel: Kernel,
    /// The moment, `ktime_get_ns`.
    pub mono_ns: u64,
    /// `jiffies64` at the moment.
    pub jiffies: u64,
    /// Did the request's timer send it? Otherwise the peer had repeated its SYN, which restarts the timer but is
    /// no timeout (`tcp_check_req`).
    pub by_timer: bool,
    /// When the timer expires that waits already: only a Fast Open child's goes on when a SYN is repeated.
    pub armed_for: Option<u64>,
    /// `req->timeout`: the first wait, jiffies.
    pub timeout_jiffies: u32,
    /// `req->num_timeout` before this one.
    pub num_timeout: u32,
    /// What `num_timeout` may reach: the listener's TCP_SYNCNT, or `tcp_synack_retries`.
    pub max_retries: u32,
    /// `max_retries` is the socket option.
    pub own_limit: bool,
    /// The longest wait, jiffies.
    pub cap_jiffies: WaitCap,
    /// `qlen`, `young` and `sk_max_ack_backlog` of the listener: above half full, old requests go sooner.
    pub queue: Queue,
    /// `rskq_defer_accept`: with TCP_DEFER_ACCEPT a request whose ACK came waits so many timeouts for data.
    pub defer_accept: u32,
}

/// `req->timeout << num_timeout`, capped (`tcp_reqsk_timeout`): the wait that begins after so many timeouts.
pub fn request_wait_jiffies(timeout_jiffies: u64, num_timeout: u32, cap_jiffies: u64) -> u64 {
    (timeout_jiffies << num_timeout.min(31)).clamp(1, cap_jiffies.max(1))
}

/// The likely and the least value of a cap that the kernel's version decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitCap {
    /// Likely, and the most.
    pub likely: u64,
    /// The least.
    pub least: u64,
}

/// A listener's queue of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// Requests.
    pub length: u32,
    /// Those of them that had no timeout yet.
    pub young: u32,
    /// `sk_max_ack_backlog`
    pub backlog: u32,
}

impl Queue {
    fn crowded(self) -> bool {
        u64::from(self.length) * 2 > u64::from(self.backlog.max(CALM_BACKLOG))
    }

    /// `max_syn_ack_retries` as `reqsk_timer_handler` reduces it.
    fn allows(self, max_retries: u32) -> u32 {
        // `req->num_timeout` is one byte: no request lives through more, and a damaged recording may say any number.
        let mut allowed = max_retries.min(u32::from(u8::MAX));
        if self.crowded() {
            let mut young = u64::from(self.young) * 2;
            while allowed > HURRIED_RETRIES && u64::from(self.length) >= young {
                allowed -= 1;
                young *= 2;
            }
        }
        allowed
    }
}

impl RequestView {
    /// The request at a `tcp_retransmit_synack`; `None` where the kernel hides a sysctl.
    pub fn from_record(record: &Record, kernel: Kernel) -> Option<Self> {
        let sock = &record.sock;
        if !super::from_record::is_plausible(record) {
            return None;
        }
        let sysctls = Sysctls::from_snapshot(sock)?;
        let fast_open_child = sock.skc_state != tcp_state::LISTEN;
        let constant = u64::from(kernel.rto_max_jiffies());
        let own = match sock.icsk_rto_max {
            ABSENT | 0 => constant,
            max => u64::from(max),
        };
        let cap_jiffies = match kernel.request_rto_max {
            _ if fast_open_child => WaitCap { likely: own, least: own },
            Some(true) => WaitCap { likely: own, least: own },
            Some(false) => WaitCap { likely: constant, least: constant },
            None => WaitCap { likely: constant, least: own.min(constant) },
        };
        let by_timer = if fast_open_child {
            sock.icsk_pending == 0
        } else {
            // The timer's expiry is past in its own handler, and still to come when a SYN is repeated.
            back_from(record.jiffies, record.req_expires) <= record.jiffies
        };
        let own_limit = sock.icsk_syn_retries != 0;
        Some(Self {
            kernel,
            mono_ns: record.mono_ns,
            jiffies: record.jiffies,
            by_timer,
            armed_for: (fast_open_child && !by_timer).then_some(sock.timer_expires),
            timeout_jiffies: match record.req_timeout {
                // Before 5.15 the constant TCP_TIMEOUT_INIT.
                ABSENT | 0 => kernel.timeout_init_jiffies(),
                jiffies => jiffies,
            },
            num_timeout: u32::from(record.num_timeout),
            max_retries: match (own_limit, fast_open_child) {
                (true, _) => u32::from(sock.icsk_syn_retries),
                (false, false) => sysctls.synack_retries,
                (false, true) => sysctls.synack_retries + 1,
            },
            own_limit,
            cap_jiffies,
            queue: if fast_open_child {
                Queue { length: 0, young: 0, backlog: 0 }
            } else {
                Queue { length: sock.reqsk_qlen, young: sock.reqsk_young, backlog: sock.sk_max_ack_backlog }
            },
            defer_accept: if fast_open_child { 0 } else { u32::from(sock.rskq_defer_accept) },
        })
    }

    /// When the kernel drops the request unless the peer's ACK comes. Its elapsed time is modelled: the
    /// kernel keeps no birth date that a probe could read on every version.
    pub fn forecast(&self) -> Option<Deadline> {
        // From now on this request is not young any more.
        let was_young = u32::from(self.by_timer && self.num_timeout == 0);
        let queue = Queue { young: self.queue.young.saturating_sub(was_young), ..self.queue };
        let allowed = queue.allows(self.max_retries);
        // In a crowd the queue changes by the ms: it may empty, or fill up.
        let least = if queue.crowded() { self.max_retries.min(HURRIED_RETRIES) } else { allowed };
        let most = if queue.crowded() { self.max_retries } else { allowed };
        // If the ACK came while the listener waits for data, the kernel holds on longer; the probe cannot see it.
        let most = if self.may_be_deferred() { most.max(self.defer_accept) } else { most };

        let (expected, left) = self.run(Aim::Likeliest, allowed, self.cap_jiffies.likely)?;
        let (soonest, _) = self.run(Aim::Bounds, least, self.cap_jiffies.least)?;
        let (last, _) = self.run(Aim::Bounds, most, self.cap_jiffies.likely)?;
        let expected_ns = expected.lo.max(0) as u64;

        let waits = self.num_timeout + u32::from(self.by_timer);
        let elapsed_jiffies: u64 = (0..waits).map(|n| self.wait(n, self.cap_jiffies.likely)).sum();
        let elapsed_ms = self.kernel.jiffies_to_ms(elapsed_jiffies);
        let ahead_ms = expected_ns.saturating_sub(self.mono_ns) / 1_000_000;
        Some(Deadline {
            knob: if self.own_limit { Knob::TcpSyncnt } else { Knob::TcpSynackRetries },
            limit: Some(self.max_retries),
            budget_ms: None,
            elapsed_ms,
            used: elapsed_ms as f64 / (elapsed_ms + ahead_ms).max(1) as f64,
            earliest_ns: (soonest.lo.max(0) as u64).min(expected_ns),
            expected_ns,
            latest_ns: (last.hi.max(0) as u64).max(expected_ns),
            retransmissions_left: left,
        })
    }

    /// Could the peer's bare ACK have come already? Not while the timer sends: with TCP_DEFER_ACCEPT it then
    /// falls silent until the last but one timeout of the period.
    fn may_be_deferred(&self) -> bool {
        self.defer_accept != 0 && (!self.by_timer || self.num_timeout + 1 >= self.defer_accept)
    }

    fn wait(&self, num_timeout: u32, cap: u64) -> u64 {
        request_wait_jiffies(u64::from(self.timeout_jiffies), num_timeout, cap)
    }

    /// The wait that has just expired and the one that begins, jiffies; `None` unless the request's timer did this.
    pub fn expired_and_next_jiffies(&self) -> Option<(u64, u64)> {
        let wait = |num_timeout| self.wait(num_timeout, self.cap_jiffies.likely);
        self.by_timer.then(|| (wait(self.num_timeout), wait(self.num_timeout + 1)))
    }

    fn run(&self, aim: Aim, allowed: u32, cap: u64) -> Option<(Span<i64>, u32)> {
        let line = Timeline {
            kernel: self.kernel,
            mono_ns: self.mono_ns,
            jiffies: self.jiffies,
            jiffies_error: 0,
            on_tick: self.by_timer,
            aim,
        };
        let mut timeouts = self.num_timeout + u32::from(self.by_timer);
        let mut firing = match self.armed_for {
            Some(expires) => {
                let delay = Span::point(self.wait(timeouts, cap));
                line.fire(Span::point(expires.max(self.jiffies)), delay, false)
            }
            None => line.arm(line.just_now(), self.wait(timeouts, cap), self.by_timer),
        };
        let mut left = 0;
        while timeouts < allowed {
            timeouts += 1;
            left += 1;
            let Firing { runs, .. } = firing;
            firing = line.arm(runs, self.wait(timeouts, cap), true);
        }
        Some((line.clock_ns(firing.runs), left))
    }
}
