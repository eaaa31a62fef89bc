//! The deadline of an unanswered SYN-ACK (`reqsk_timer_handler`, `tcp_fastopen_synack_timer`).
//!
//! Here the kernel counts and does not time: a request is dropped at the timeout that finds
//! `num_timeout >= max_syn_ack_retries`. Its expiry leaves no trace in any tracepoint.

use tcpretrans_ebpf::Record;

use super::{
    firing::{Aim, Span, Timeline},
    view::Sysctls,
};
use crate::{
    event::{Deadline, Knob},
    socket::{Hz, Jiffies, Nanos, Pending, RecordExt, SnapshotExt, TcpState},
};

/// The backlog below which `reqsk_timer_handler` does not hurry.
const CALM_BACKLOG: u32 = 8;
/// Requests under pressure keep this many retries.
const HURRIED_RETRIES: u32 = 2;

/// A connection request at the moment when its SYN-ACK was sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestView {
    /// `CONFIG_HZ`
    pub hz: Hz,
    /// The moment, `ktime_get_ns`.
    pub time: Nanos,
    /// `jiffies64` at the moment.
    pub now: Jiffies,
    /// Did the request's timer send it? Otherwise the peer had repeated its SYN, which restarts the timer but is
    /// no timeout (`tcp_check_req`).
    pub by_timer: bool,
    /// When the timer expires that waits already: only a Fast Open child's goes on when a SYN is repeated.
    pub armed_for: Option<Jiffies>,
    /// `req->timeout`: the first wait.
    pub timeout: Jiffies,
    /// `req->num_timeout` before this one.
    pub num_timeout: u32,
    /// What `num_timeout` may reach: the listener's TCP_SYNCNT, or `tcp_synack_retries`.
    pub max_retries: u32,
    /// `max_retries` is the socket option.
    pub own_limit: bool,
    /// The longest wait.
    pub cap: WaitCap,
    /// `qlen`, `young` and `sk_max_ack_backlog` of the listener: above half full, old requests go sooner.
    pub queue: Queue,
    /// `rskq_defer_accept`: with TCP_DEFER_ACCEPT a request whose ACK came waits so many timeouts for data.
    pub defer_accept: u32,
}

/// `req->timeout << num_timeout`, capped (`tcp_reqsk_timeout`): the wait that begins after so many timeouts.
pub fn request_wait(timeout: Jiffies, num_timeout: u32, cap: Jiffies) -> Jiffies {
    (timeout * (1 << num_timeout.min(31))).min(cap).max(Jiffies(1))
}

/// The likely and the least value of a cap that the kernel's version decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitCap {
    /// Likely, and the most.
    pub likely: Jiffies,
    /// The least.
    pub least: Jiffies,
}

impl WaitCap {
    fn exactly(cap: Jiffies) -> Self {
        Self { likely: cap, least: cap }
    }
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
        // `req->num_timeout` is one byte: no request has more timeouts, and a damaged recording may say any number.
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
    ///
    /// `request_rto_max`: are requests' waits capped at the listener's `icsk_rto_max`? Mainline does so from 7.0; before,
    /// the cap was the constant 120 s. `None`: not known, the forecast then covers both.
    pub fn from_record(record: &Record, hz: Hz, request_rto_max: Option<bool>) -> Option<Self> {
        let sock = &record.sock;
        if !super::is_plausible(record) {
            return None;
        }
        let sysctls = Sysctls::from_snapshot(sock)?;
        let fast_open_child = sock.state() != TcpState::Listen;
        let (constant, own) = (hz.rto_max(), sock.rto_max(hz));
        let cap = match request_rto_max {
            Some(true) => WaitCap::exactly(own),
            _ if fast_open_child => WaitCap::exactly(own),
            Some(false) => WaitCap::exactly(constant),
            None => WaitCap { likely: constant, least: own.min(constant) },
        };
        let by_timer = if fast_open_child {
            sock.pending() == Pending::Nothing
        } else {
            // The timer's expiry is past in its own handler, and still to come when a SYN is repeated.
            record.jiffies_of(record.req_expires) <= record.now()
        };
        let own_limit = sock.own_syn_retries();
        Some(Self {
            hz,
            time: record.time(),
            now: record.now(),
            by_timer,
            armed_for: (fast_open_child && !by_timer).then_some(sock.timer_expires()),
            timeout: record.request_timeout(hz),
            num_timeout: u32::from(record.num_timeout),
            max_retries: own_limit.unwrap_or(sysctls.synack_retries + u32::from(fast_open_child)),
            own_limit: own_limit.is_some(),
            cap,
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
    pub fn forecast(&self) -> Deadline {
        // From now on this request is not young any more.
        let was_young = u32::from(self.by_timer && self.num_timeout == 0);
        let queue = Queue { young: self.queue.young.saturating_sub(was_young), ..self.queue };
        let allowed = queue.allows(self.max_retries);
        // In a crowd the queue changes by the ms: it may empty, or fill up.
        let least = if queue.crowded() { self.max_retries.min(HURRIED_RETRIES) } else { allowed };
        let most = if queue.crowded() { self.max_retries } else { allowed };
        // If the ACK came while the listener waits for data, the kernel holds on longer; the probe cannot see it.
        let most = if self.may_be_deferred() { most.max(self.defer_accept) } else { most };

        let (expected, retransmissions_left) = self.run(Aim::Likeliest, allowed, self.cap.likely);
        let (soonest, _) = self.run(Aim::Bounds, least, self.cap.least);
        let (last, _) = self.run(Aim::Bounds, most, self.cap.likely);

        let waits = self.num_timeout + u32::from(self.by_timer);
        let elapsed = (0..waits).map(|n| self.wait(n, self.cap.likely)).sum();
        let elapsed_ms = self.hz.displayed(elapsed).0;
        let ahead_ms = (expected.lo - self.time).cut_to_millis().0;
        Deadline {
            knob: if self.own_limit { Knob::TcpSyncnt } else { Knob::TcpSynackRetries },
            limit: Some(self.max_retries),
            budget_ms: None,
            elapsed_ms,
            used: elapsed_ms as f64 / (elapsed_ms + ahead_ms).max(1) as f64,
            earliest_ns: soonest.lo.min(expected.lo).0,
            expected_ns: expected.lo.0,
            latest_ns: last.hi.max(expected.lo).0,
            retransmissions_left,
        }
    }

    /// Could the peer's bare ACK have come already? Not while the timer sends: with TCP_DEFER_ACCEPT it then
    /// does not answer until the last but one timeout of the period.
    fn may_be_deferred(&self) -> bool {
        self.defer_accept != 0 && (!self.by_timer || self.num_timeout + 1 >= self.defer_accept)
    }

    fn wait(&self, num_timeout: u32, cap: Jiffies) -> Jiffies {
        request_wait(self.timeout, num_timeout, cap)
    }

    /// The wait that has just expired and the one that begins; `None` unless the request's timer did this.
    pub fn expired_and_next_wait(&self) -> Option<(Jiffies, Jiffies)> {
        let wait = |num_timeout| self.wait(num_timeout, self.cap.likely);
        self.by_timer.then(|| (wait(self.num_timeout), wait(self.num_timeout + 1)))
    }

    /// When its last timer runs, and how many SYN-ACKs are sent before.
    fn run(&self, aim: Aim, allowed: u32, cap: Jiffies) -> (Span<Nanos>, u32) {
        let line = Timeline { hz: self.hz, time: self.time, now: self.now, on_tick: self.by_timer, aim };
        let mut timeouts = self.num_timeout + u32::from(self.by_timer);
        let mut firing = match self.armed_for {
            Some(expires) => {
                let delay = Span::point(self.wait(timeouts, cap));
                line.fire(Span::point(expires.max(self.now)), delay, false)
            }
            None => line.arm(line.just_now(), self.wait(timeouts, cap), self.by_timer),
        };
        let mut left = 0;
        while timeouts < allowed {
            timeouts += 1;
            left += 1;
            firing = line.arm(firing.runs, self.wait(timeouts, cap), true);
        }
        (line.clock(firing.runs), left)
    }
}
