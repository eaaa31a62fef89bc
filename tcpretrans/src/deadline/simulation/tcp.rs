//! A TCP socket that nobody answers: `tcp_retransmit_timer` and what it calls, to the end.

use tcpretrans_ebpf::{Record, tcp_state};

use super::{
    buckets::TimerBase,
    setup::{Outcome, Setup, Wait},
};
use crate::event::RetransmitType;

const RTO_TIMER: u32 = 1;
const TLP_TIMER: u32 = 2;
const NOISE_TIMER: u32 = 3;

struct Sock<'a> {
    set: &'a Setup,
    base: TimerBase,
    jiffies: u64,
    now_ns: u64,
    /// What the handler read (`tcp_mstamp_refresh`).
    mstamp_us: u64,
    icsk_rto: u32,
    icsk_backoff: u8,
    icsk_retransmits: u8,
    icsk_timeout: u64,
    total_rto: u16,
    retrans_stamp: u32,
    skb_sent_us: u64,
    ssthresh: u32,
    rcv_tstamp: u32,
    lsndtime: u32,
    latency: usize,
    out: Outcome,
}

impl Sock<'_> {
    fn tick_ns(&self) -> u64 {
        (1_000_000_000 + u64::from(self.set.hz) / 2) / u64::from(self.set.hz)
    }
    fn msecs_to_jiffies(&self, ms: u64) -> u32 {
        (ms * u64::from(self.set.hz)).div_ceil(1000) as u32
    }
    fn jiffies_to_msecs(&self, jiffies: u32) -> u32 {
        (u64::from(jiffies) * 1000).div_ceil(u64::from(self.set.hz)) as u32
    }
    fn rto_max(&self) -> u32 {
        self.msecs_to_jiffies(self.set.rto_max_ms)
    }
    fn handshake(&self) -> bool {
        matches!(self.set.state, tcp_state::SYN_SENT | tcp_state::SYN_RECV)
    }
    fn time_stamp_ts(&self) -> u32 {
        if self.set.usec_ts { self.mstamp_us as u32 } else { (self.mstamp_us / 1000) as u32 }
    }
    fn skb_timestamp_ts(&self) -> u32 {
        if self.set.usec_ts { self.skb_sent_us as u32 } else { (self.skb_sent_us / 1000) as u32 }
    }

    /// The tick that begins jiffy `phase`: an hour after boot, anywhere within a ms.
    fn origin_ns(&self) -> u64 {
        3_600_000_000_000 + self.set.phase % 997 * 1003
    }

    fn wait_until(&mut self, jiffies: u64) {
        let latency = self.set.latencies_ns[self.latency % self.set.latencies_ns.len()];
        self.latency += 1;
        let tick = self.tick_ns();
        let at = self.origin_ns() + (jiffies - self.set.phase) * tick + latency;
        self.now_ns = self.now_ns.max(at);
        self.jiffies = jiffies + latency / tick;
        self.mstamp_us = self.now_ns / 1000;
    }

    fn reset_xmit_timer(&mut self, when: u32) {
        self.icsk_timeout = self.jiffies + u64::from(when.min(self.rto_max()));
        self.base.mod_timer(RTO_TIMER, self.icsk_timeout, self.jiffies);
        // Cut to TCP_USER_TIMEOUT it hangs on a ms, and so on a latency, in which bucket the timer comes.
        let bucket = |expires| self.base.bucket_expiry(expires);
        let edge = bucket(self.icsk_timeout + 1) - bucket(self.icsk_timeout - 1) > 2;
        if when < self.icsk_rto && self.set.user_timeout_ms != 0 && edge {
            self.near(0);
        }
    }

    fn clamp_rto_to_user_timeout(&self) -> u32 {
        let user_timeout = self.set.user_timeout_ms;
        if user_timeout == 0 {
            return self.icsk_rto;
        }
        let mut elapsed = self.time_stamp_ts().wrapping_sub(self.retrans_stamp);
        if self.set.usec_ts {
            elapsed /= 1000;
        }
        let remaining = user_timeout.wrapping_sub(elapsed) as i32;
        if remaining <= 0 {
            return 1;
        }
        self.icsk_rto.min(self.msecs_to_jiffies(remaining as u64))
    }

    fn model_timeout(&self, boundary: u32, rto_base: u32) -> u32 {
        let thresh = (self.rto_max() / rto_base).ilog2();
        let timeout = if boundary <= thresh {
            ((2u32 << boundary) - 1) * rto_base
        } else {
            ((2u32 << thresh) - 1) * rto_base + (boundary - thresh) * self.rto_max()
        };
        self.jiffies_to_msecs(timeout)
    }

    fn near(&mut self, over_ns: i64) {
        self.out.closest_call_ns = self.out.closest_call_ns.min(over_ns.unsigned_abs());
    }

    fn retransmits_timed_out(&mut self, boundary: u32, timeout: u32) -> bool {
        if self.icsk_retransmits == 0 {
            return false;
        }
        let mut timeout = timeout;
        if timeout == 0 {
            let base = if self.handshake() { self.set.hz } else { self.set.hz / 5 };
            timeout = self.model_timeout(boundary, base);
        }
        if self.set.usec_ts {
            let jiffy_us = (1_000_000 / self.set.hz).max(1);
            let delta = self.time_stamp_ts().wrapping_sub(self.retrans_stamp).wrapping_add(jiffy_us);
            let over = delta.wrapping_sub(timeout.wrapping_mul(1000)) as i32;
            self.near(i64::from(over) * 1000);
            return over >= 0;
        }
        let over = self.time_stamp_ts().wrapping_sub(self.retrans_stamp).wrapping_sub(timeout) as i32;
        self.near(i64::from(over) * 1_000_000);
        over >= 0
    }

    fn write_timeout(&mut self) -> bool {
        let mut expired = false;
        let retry_until;
        if self.handshake() {
            retry_until =
                if self.set.syncnt != 0 { u32::from(self.set.syncnt) } else { self.set.syn_retries };
            let mut max_retransmits = retry_until;
            if self.set.state == tcp_state::SYN_SENT {
                max_retransmits += self.set.linear.unwrap_or(0);
            }
            expired = u32::from(self.icsk_retransmits) >= max_retransmits;
        } else if self.set.orphan {
            let alive = self.icsk_rto < self.rto_max();
            let retries = self.set.orphan_retries;
            retry_until = if retries == 0 && alive { 8 } else { retries };
        } else {
            retry_until = self.set.retries2;
        }
        if !expired {
            expired = self.retransmits_timed_out(retry_until, self.set.user_timeout_ms);
        }
        expired
    }

    fn rtx_probe0_timed_out(&mut self) -> bool {
        if !self.set.modern {
            let silent = (self.jiffies as u32).wrapping_sub(self.rcv_tstamp);
            return silent > 120 * self.set.hz;
        }
        let stamp = if self.retrans_stamp != 0 { self.retrans_stamp } else { self.skb_timestamp_ts() };
        let mut rtx_delta = self.time_stamp_ts().wrapping_sub(stamp);
        if self.set.usec_ts {
            rtx_delta /= 1000;
        }
        let user_timeout = self.set.user_timeout_ms;
        let mut timeout = 2 * self.rto_max() as i32;
        if user_timeout != 0 {
            self.near((i64::from(rtx_delta) - i64::from(user_timeout)) * 1_000_000);
            if rtx_delta > user_timeout {
                return true;
            }
            timeout = timeout.min(self.msecs_to_jiffies(u64::from(user_timeout)) as i32);
        }
        let rcv_delta = (self.icsk_timeout as u32).wrapping_sub(self.rcv_tstamp) as i32;
        let rtx = self.msecs_to_jiffies(u64::from(rtx_delta)) as i32;
        self.near(i64::from(rcv_delta - timeout) * self.tick_ns() as i64);
        self.near(i64::from(rtx - timeout) * self.tick_ns() as i64);
        if rcv_delta <= timeout {
            return false;
        }
        rtx > timeout
    }

    fn stream_is_thin(&self) -> bool {
        self.ssthresh < 0x7fff_ffff
    }

    fn set_rto(&self) -> u32 {
        let us = u64::from(self.set.srtt_us >> 3) + u64::from(self.set.rttvar_us);
        (us * u64::from(self.set.hz)).div_ceil(1_000_000) as u32
    }

    /// The end of `__tcp_retransmit_skb`: what the probe sees.
    fn report(&mut self, ty: RetransmitType, pending: u8, err: i32) {
        let record = self.record(pending, err);
        self.out.events.push((ty, record));
    }

    /// What a program sees that looks at the socket now.
    fn record(&self, pending: u8, err: i32) -> Record {
        let mut record =
            Record { mono_ns: self.now_ns + 8_000, jiffies: self.jiffies, err, seq: 77, ..Record::default() };
        let sock = &mut record.sock;
        sock.snd_una = 77;
        sock.timer_expires = self.icsk_timeout;
        sock.sk_flags = u64::from(self.set.orphan);
        sock.skc_state = self.set.state;
        sock.icsk_rto = self.icsk_rto;
        sock.icsk_rto_min = self.set.hz / 5;
        sock.icsk_rto_max = if self.set.modern { self.rto_max() } else { u32::MAX };
        sock.icsk_user_timeout = self.set.user_timeout_ms;
        sock.icsk_retransmits = self.icsk_retransmits;
        sock.icsk_backoff = self.icsk_backoff;
        sock.icsk_pending = pending;
        sock.icsk_syn_retries = self.set.syncnt;
        sock.total_rto = if self.set.modern { self.total_rto } else { u16::MAX };
        sock.retrans_stamp = self.retrans_stamp;
        sock.snd_wnd = if self.set.closed_window { 0 } else { 65_536 };
        sock.packets_out = 1;
        sock.snd_ssthresh = self.ssthresh;
        sock.srtt_us = self.set.srtt_us;
        sock.rttvar_us = self.set.rttvar_us;
        sock.rcv_tstamp = self.rcv_tstamp;
        sock.lsndtime = self.lsndtime;
        sock.tcp_usec_ts = u8::from(self.set.usec_ts);
        sock.tcp_retries1 = 3;
        sock.tcp_retries2 = self.set.retries2;
        sock.tcp_syn_retries = self.set.syn_retries;
        sock.tcp_syn_linear_timeouts = self.set.linear.unwrap_or(u32::MAX);
        sock.tcp_synack_retries = 5;
        sock.tcp_orphan_retries = self.set.orphan_retries;
        sock.tcp_thin_linear_timeouts = u32::from(self.set.thin);
        record
    }

    /// `tcp_retransmit_skb` from the timer.
    fn retransmit(&mut self, ty: RetransmitType) -> i32 {
        let err = i32::from(self.set.dropped_at == Some(self.out.timeouts));
        if err == 0 {
            self.skb_sent_us = self.mstamp_us;
        }
        // tcp_event_data_sent, whatever then becomes of the packet
        if !self.handshake() {
            self.lsndtime = self.jiffies as u32;
        }
        self.report(ty, 0, err);
        if self.retrans_stamp == 0 {
            self.retrans_stamp = self.skb_timestamp_ts();
        }
        err
    }

    /// False: the connection is gone.
    fn retransmit_timer(&mut self) -> bool {
        self.out.timeouts += 1;
        if self.set.closed_window && !self.set.orphan && !self.handshake() {
            if self.rtx_probe0_timed_out() {
                return false;
            }
            self.retransmit(RetransmitType::ZeroWindow);
        } else {
            if self.write_timeout() {
                return false;
            }
            self.ssthresh = 2;
            self.icsk_retransmits += 1;
            self.total_rto += 1;
            let ty =
                if self.set.state == tcp_state::SYN_SENT { RetransmitType::Syn } else { RetransmitType::Rto };
            if self.retransmit(ty) > 0 {
                self.reset_xmit_timer(self.set.hz / 2);
                return true;
            }
        }
        if self.set.state == tcp_state::ESTABLISHED
            && self.set.thin
            && self.stream_is_thin()
            && self.icsk_retransmits <= 6
        {
            self.icsk_backoff = 0;
            self.icsk_rto = self.set_rto().max(self.set.hz / 5).min(self.rto_max());
        } else if self.set.modern {
            let linear = self.set.linear.unwrap_or(0);
            if self.set.state != tcp_state::SYN_SENT || u32::from(self.total_rto) > linear {
                self.icsk_backoff = self.icsk_backoff.wrapping_add(1);
                self.icsk_rto = (self.icsk_rto << 1).min(self.rto_max());
            }
        } else {
            // Linux 6.5, 6.6: the backoff counts every timeout.
            self.icsk_backoff = self.icsk_backoff.wrapping_add(1);
            let linear = self.set.linear.unwrap_or(0);
            if self.set.state != tcp_state::SYN_SENT || u32::from(self.icsk_backoff) > linear {
                self.icsk_rto = (self.icsk_rto << 1).min(self.rto_max());
            }
        }
        self.reset_xmit_timer(self.clamp_rto_to_user_timeout());
        true
    }

    fn wait(&mut self) {
        const RETRANS: u8 = 1;
        let since_tick_ns = self.origin_ns() + (self.jiffies - self.set.phase) * self.tick_ns();
        self.out.waits.push(Wait { since_tick_ns, record: self.record(RETRANS, 0) });
    }

    /// `tcp_send_loss_probe`
    fn send_loss_probe(&mut self) {
        self.icsk_timeout = self.jiffies;
        self.skb_sent_us = self.mstamp_us;
        self.report(RetransmitType::Tlp, 5, 0);
        self.reset_xmit_timer(self.icsk_rto);
    }
}

/// Sends a segment into the void and runs the kernel until it gives up.
pub(super) fn run(set: &Setup) -> Outcome {
    let mut sock = Sock {
        set,
        base: TimerBase::new(set.hz, set.phase),
        jiffies: set.phase,
        now_ns: 0,
        mstamp_us: 0,
        icsk_rto: 0,
        icsk_backoff: 0,
        icsk_retransmits: 0,
        icsk_timeout: 0,
        total_rto: 0,
        retrans_stamp: 0,
        skb_sent_us: 0,
        ssthresh: 0x7fff_ffff,
        rcv_tstamp: set.phase as u32,
        lsndtime: 0,
        latency: 0,
        out: Outcome {
            waits: Vec::new(),
            events: Vec::new(),
            death_ns: 0,
            death_jiffies: 0,
            sent_ns: 0,
            closest_call_ns: u64::MAX,
            timeouts: 0,
        },
    };
    sock.now_ns = sock.origin_ns() + set.sub_jiffy_ns % sock.tick_ns();
    sock.mstamp_us = sock.now_ns / 1000;
    sock.skb_sent_us = sock.mstamp_us;
    sock.out.sent_ns = sock.now_ns;
    sock.icsk_rto = if sock.handshake() { set.hz } else { sock.set_rto().min(sock.rto_max()) };
    if sock.handshake() {
        sock.retrans_stamp = sock.time_stamp_ts();
    }
    if let Some(us) = set.fast_after_us {
        // An ACK clocks it out at any moment of a jiffy, and is the last that comes.
        let tick = sock.tick_ns();
        sock.now_ns += us * 1000;
        sock.jiffies = set.phase + (sock.now_ns - sock.origin_ns()) / tick;
        sock.mstamp_us = sock.now_ns / 1000;
        sock.skb_sent_us = sock.mstamp_us;
        sock.rcv_tstamp = sock.jiffies as u32;
        sock.ssthresh = 5;
        sock.reset_xmit_timer(sock.icsk_rto);
        sock.report(RetransmitType::Fast, 1, 0);
        sock.retrans_stamp = sock.skb_timestamp_ts();
    }
    match set.tlp_after_ms {
        Some(ms) => {
            let expires = sock.jiffies + u64::from(sock.msecs_to_jiffies(ms));
            sock.base.mod_timer(TLP_TIMER, expires, sock.jiffies);
        }
        None => sock.reset_xmit_timer(sock.icsk_rto),
    }
    sock.base.mod_timer(NOISE_TIMER, sock.jiffies + set.noise_jiffies, sock.jiffies);
    loop {
        // Nothing happens in the jiffies up to the next bucket that is due.
        sock.wait_until(sock.base.next_expiry().max(sock.jiffies));
        for timer in sock.base.run_next(sock.jiffies) {
            match timer {
                NOISE_TIMER => {
                    sock.base.mod_timer(NOISE_TIMER, sock.jiffies + set.noise_jiffies, sock.jiffies);
                }
                TLP_TIMER => sock.send_loss_probe(),
                _ => {
                    if !sock.retransmit_timer() {
                        sock.out.death_ns = sock.now_ns;
                        sock.out.death_jiffies = sock.jiffies;
                        return sock.out;
                    }
                    sock.wait();
                }
            }
        }
    }
}
