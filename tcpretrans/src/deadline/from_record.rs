//! From what a probe saw of a retransmission to the [`TimerView`] that a forecast starts from.

use tcpretrans_ebpf::{Attempt, Record};

use super::view::{Estimate, Sysctls, Thin, Timer, TimerView};
use crate::{
    event::RetransmitType,
    socket::{Hz, Jiffies, Millis, Nanos, Pending, RecordExt, SnapshotExt, TcpState, present},
};

/// Between reading the clock (`tcp_mstamp_refresh`) and the tracepoint.
const HANDLER: Nanos = Millis(1).to_nanos();
/// `TCP_THIN`: a stream of fewer packets in flight is thin.
const THIN_PACKETS: u32 = 4;

impl TimerView {
    /// The socket's timer at a retransmission of `tcp_retransmit_skb`. `None` for a SYN-ACK, which has
    /// a [`RequestView`](super::RequestView), and where the kernel hides a sysctl.
    ///
    /// * A timeout (`Syn`, `Rto`, `ZeroWindow`, `IcmpRevert`): the tracepoint lies before the backoff, so the next
    ///   timeout is after `2 * icsk_rto`.
    /// * A tail loss probe: the kernel restarts the RTO from now (`tcp_rearm_rto`), and the budget begins with
    ///   that RTO if nothing was retransmitted yet.
    /// * Retransmissions that ACKs clock out (`Fast`, `SlowStart`, ...): the timer is restarted if the first
    ///   unacknowledged segment is sent again; otherwise it stands as it was. The peer was heard a moment ago, so
    ///   such a deadline says what happens if no more ACKs come.
    pub fn from_record(ty: RetransmitType, record: &Record, hz: Hz) -> Option<Self> {
        let sock = &record.sock;
        if !is_plausible(record) {
            return None;
        }
        let sysctls = Sysctls::from_snapshot(sock)?;
        if ty.attempt() == Attempt::SynAck {
            return None;
        }
        let timed_out = ty.is_timeout();
        let dropped = record.was_dropped_here() && ty != RetransmitType::ZeroWindow;
        // Linux 6.5 and 6.6 count by `icsk_backoff`, after the tracepoint and unless the qdisc dropped the packet.
        let by_backoff = || u32::from(sock.icsk_backoff) + u32::from(!dropped);
        let timer = if timed_out {
            Timer::Expired { in_handler: ty != RetransmitType::IcmpRevert, dropped }
        } else {
            armed(ty, record, hz)
        };
        Some(Self {
            hz,
            time: record.time(),
            now: record.now(),
            on_tick: matches!(
                timer,
                Timer::Expired { in_handler: true, .. } | Timer::Armed { in_handler: true, .. }
            ),
            state: sock.state(),
            timer,
            rto: sock.rto(),
            rto_max: sock.rto_max(hz),
            retransmits: u32::from(sock.icsk_retransmits),
            timeouts: sock.total_rto().unwrap_or_else(by_backoff),
            start: start(ty, record, hz),
            stamp_clock: sock.stamp_clock(),
            user_timeout: sock.user_timeout(),
            own_syn_retries: sock.own_syn_retries(),
            orphan: sock.is_orphan(),
            soft_error: sock.sk_err_soft != 0,
            thin: thin(record, hz, timed_out),
            window_closed: sock.snd_wnd == 0,
            last_ack: record.jiffies_of(sock.rcv_tstamp),
            modern_probe0: present(sock.icsk_rto_max).is_some() || sock.total_rto().is_some(),
            sysctls,
        })
    }
}

/// Can these be a kernel's times? A damaged recording may say anything, and nothing follows from it: clocks of more
/// than a few decades, an RTO of more than hours, a timer that expires in days.
pub fn is_plausible(record: &Record) -> bool {
    const LONG: Jiffies = Jiffies(1 << 24);
    let sock = &record.sock;
    record.mono_ns < 1 << 60
        && record.jiffies < 1 << 48
        && sock.rto().max(sock.own_rto_max().unwrap_or_default()) <= LONG
        && sock.timer_expires() < record.now() + LONG
}

/// `retrans_stamp`; 0 at the first retransmission of an episode, for the kernel sets it after the tracepoint to the
/// segment's new send time, or to the old one if the segment was not sent.
fn start(ty: RetransmitType, record: &Record, hz: Hz) -> Option<Estimate<Nanos>> {
    if let Some(start) = record.stamped_at() {
        return Some(Estimate::exactly(start));
    }
    let clock = record.sock.stamp_clock();
    let time = record.time();
    let cut = |earliest, likely, latest| {
        Some(Estimate { earliest: clock.cut(earliest), likely: clock.cut(likely), latest: clock.cut(latest) })
    };
    match ty {
        RetransmitType::Tlp => None,
        _ if record.err == 0 => cut(time - HANDLER, time, time + hz.jiffies_to_nanos(pacing(record, hz))),
        _ => {
            let rto = hz.jiffies_to_nanos(record.sock.rto());
            cut(time - rto * 2 - rto / 4, time - rto, time)
        }
    }
}

/// By how much pacing may put off a send or the timer: in a timeout by nothing, else by less than a round trip.
fn pacing(record: &Record, hz: Hz) -> Jiffies {
    match record.sock.pending() {
        Pending::Nothing => Jiffies(0),
        _ => hz.usecs_to_jiffies(record.sock.srtt().unwrap_or_default()) + Jiffies(1),
    }
}

/// The timer after a retransmission that was no timeout.
fn armed(ty: RetransmitType, record: &Record, hz: Hz) -> Timer {
    let now = record.now();
    let one = Jiffies(1);
    let rto = record.sock.rto().max(one);
    let restarted = now + rto;
    let latest = restarted + one + pacing(record, hz);
    let pending = record.sock.pending();
    let restart = |in_handler| Timer::Armed {
        expires: Estimate { earliest: restarted, likely: restarted, latest },
        delay: rto,
        least_delay: rto,
        in_handler,
    };
    // `tcp_rearm_rto` may have armed it for less, and pacing for more: what is left of an RTO that began earlier.
    let waits = |expires| Timer::Armed { expires, delay: rto, least_delay: one, in_handler: false };
    match ty {
        RetransmitType::Tlp if record.err == 0 => restart(true),
        // `tcp_xmit_retransmit_queue` restarts the timer when the head of the queue goes out again.
        _ if pending == Pending::Retransmission && record.is_of_head() && record.err == 0 => restart(false),
        _ if pending == Pending::Retransmission => {
            let likely = record.sock.timer_expires().max(now + one);
            waits(Estimate { earliest: likely.min(restarted), likely, latest: likely.max(latest) })
        }
        // A loss probe or a reordering timer comes first; only then the RTO is armed, from the probe, or from
        // when the first unacknowledged segment was sent.
        _ => {
            let other = record.sock.timer_expires().max(now);
            let likely = if pending == Pending::LossProbe { other + rto } else { restarted };
            waits(Estimate {
                earliest: now + one,
                likely: likely.max(now + one),
                latest: latest.max(other + rto + (other - now) / 4 + one),
            })
        }
    }
}

/// `tcp_stream_is_thin`, and the RTO that it then gets (`__tcp_set_rto`).
fn thin(record: &Record, hz: Hz, timed_out: bool) -> Thin {
    let sock = &record.sock;
    let allowed = sock.thin_lto == 1 || present(sock.tcp_thin_linear_timeouts).is_some_and(|on| on != 0);
    if !allowed || sock.state() != TcpState::Established || sock.packets_out >= THIN_PACKETS {
        return Thin::No;
    }
    let measured = hz.usecs_to_jiffies(sock.srtt().unwrap_or_default() + sock.rttvar_us.into());
    let least = sock.rto_min().unwrap_or(Jiffies(1));
    let rto = measured.max(least).min(sock.rto_max(hz)).max(Jiffies(1));
    match (sock.ssthresh(), timed_out) {
        (Some(_), _) => Thin::Yes(rto),
        // `tcp_enter_loss` has asked the congestion control already, and it left the initial slow start.
        (None, true) => Thin::No,
        (None, false) => Thin::Unsure(rto),
    }
}
