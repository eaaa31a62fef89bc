//! From what a probe saw of a retransmission to the [`TimerView`] that a forecast starts from.

use tcpretrans_ebpf::{Record, Snapshot, tcp_state};

use super::view::{Moment, Sysctls, Thin, Timer, TimerView};
use crate::{event::RetransmitType, socket::jiffies::Kernel};

/// Wire value of a field that this kernel lacks.
const ABSENT: u32 = u32::MAX;
/// `NET_XMIT_DROP`: the qdisc dropped it.
const NET_XMIT_DROP: i32 = 1;
/// Between reading the clock (`tcp_mstamp_refresh`) and the tracepoint.
const HANDLER_NS: u64 = 1_000_000;
/// `SOCK_DEAD` in `sk_flags`.
const SOCK_DEAD: u64 = 1;
/// `TCP_INFINITE_SSTHRESH`
const INFINITE_SSTHRESH: u32 = 0x7fff_ffff;
/// `TCP_THIN`: a stream of fewer packets in flight is thin.
const THIN_PACKETS: u32 = 4;

/// `icsk_pending`
mod pending {
    pub const RETRANS: u8 = 1;
    pub const LOSS_PROBE: u8 = 5;
}

impl Sysctls {
    /// The sysctls of the socket's namespace; `None` if this kernel hides an indispensable one.
    pub fn from_snapshot(sock: &Snapshot) -> Option<Self> {
        let present = |value: u32| (value != ABSENT).then_some(value);
        Some(Self {
            retries1: present(sock.tcp_retries1)?,
            retries2: present(sock.tcp_retries2)?,
            syn_retries: present(sock.tcp_syn_retries)?,
            syn_linear_timeouts: present(sock.tcp_syn_linear_timeouts),
            synack_retries: present(sock.tcp_synack_retries)?,
            orphan_retries: present(sock.tcp_orphan_retries)?,
        })
    }
}

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
    ///   such a deadline says what happens if it falls silent now.
    pub fn from_record(ty: RetransmitType, record: &Record, kernel: Kernel) -> Option<Self> {
        let sock = &record.sock;
        if !is_plausible(record) {
            return None;
        }
        let sysctls = Sysctls::from_snapshot(sock)?;
        let timed_out = match ty {
            RetransmitType::SynAck => return None,
            RetransmitType::Syn
            | RetransmitType::Rto
            | RetransmitType::ZeroWindow
            | RetransmitType::IcmpRevert => true,
            _ => false,
        };
        let usec_ts = sock.tcp_usec_ts == 1;
        let orphan = sock.sk_flags & SOCK_DEAD != 0;
        let rto_max_jiffies = match sock.icsk_rto_max {
            ABSENT | 0 => kernel.rto_max_jiffies(),
            max => max,
        };
        let modern = sock.icsk_rto_max != ABSENT || sock.total_rto != u16::MAX;
        let dropped = record.err == NET_XMIT_DROP && ty != RetransmitType::ZeroWindow;
        let timeouts = match sock.total_rto {
            // Linux 6.5 and 6.6 count by `icsk_backoff`, after the tracepoint and unless the qdisc dropped the packet.
            u16::MAX => u32::from(sock.icsk_backoff) + u32::from(!dropped),
            total => u32::from(total),
        };
        let timer = if timed_out {
            Timer::Expired { in_handler: ty != RetransmitType::IcmpRevert, dropped }
        } else {
            armed(ty, record, kernel)
        };
        Some(Self {
            kernel,
            mono_ns: record.mono_ns,
            jiffies: record.jiffies,
            jiffies_error: 0,
            on_tick: matches!(
                timer,
                Timer::Expired { in_handler: true, .. } | Timer::Armed { in_handler: true, .. }
            ),
            state: sock.skc_state,
            timer,
            rto_jiffies: sock.icsk_rto,
            rto_max_jiffies,
            retransmits: u32::from(sock.icsk_retransmits),
            timeouts,
            start: start(ty, record, kernel, usec_ts),
            usec_ts,
            user_timeout_ms: Some(sock.icsk_user_timeout),
            syn_retries: sock.icsk_syn_retries,
            orphan,
            soft_error: sock.sk_err_soft != 0,
            thin: thin(sock, kernel, rto_max_jiffies, timed_out),
            window_closed: sock.snd_wnd == 0,
            last_ack_jiffies: back_from(record.jiffies, sock.rcv_tstamp),
            modern_probe0: modern,
            sysctls,
        })
    }
}

/// Can these be a kernel's times? A damaged recording may say anything, and nothing follows from it: clocks of more
/// than a few decades, an RTO of more than hours, a timer that expires in days.
pub fn is_plausible(record: &Record) -> bool {
    const LONG_JIFFIES: u64 = 1 << 24;
    let sock = &record.sock;
    let rto_max = match sock.icsk_rto_max {
        ABSENT => 0,
        max => u64::from(max),
    };
    record.mono_ns < 1 << 60
        && record.jiffies < 1 << 48
        && u64::from(sock.icsk_rto).max(rto_max) <= LONG_JIFFIES
        && sock.timer_expires < record.jiffies + LONG_JIFFIES
}

/// A `jiffies32` of the recent past on the 64-bit scale.
pub(super) fn back_from(jiffies: u64, jiffies32: u32) -> u64 {
    let ago = (jiffies as u32).wrapping_sub(jiffies32) as i32;
    jiffies.saturating_add_signed(-i64::from(ago))
}

/// `retrans_stamp`; 0 at the first retransmission of an episode, for the kernel sets it after the tracepoint to the
/// segment's new send time, or to the old one if the segment was not sent.
fn start(ty: RetransmitType, record: &Record, kernel: Kernel, usec_ts: bool) -> Option<Moment> {
    let (unit_ns, stamp) = (if usec_ts { 1000 } else { 1_000_000 }, record.sock.retrans_stamp);
    let cut = |ns: u64| ns - ns % unit_ns;
    if stamp != 0 {
        let now = record.mono_ns / unit_ns;
        let ago = (now as u32).wrapping_sub(stamp) as i32;
        return Some(Moment::at(now.saturating_add_signed(-i64::from(ago)) * unit_ns));
    }
    match ty {
        RetransmitType::Tlp => None,
        _ if record.err == 0 => Some(Moment {
            earliest_ns: cut(record.mono_ns.saturating_sub(HANDLER_NS)),
            likely_ns: cut(record.mono_ns),
            latest_ns: cut(record.mono_ns + pacing_jiffies(record, kernel) * kernel.tick_ns()),
        }),
        _ => {
            let rto_ns = u64::from(record.sock.icsk_rto) * kernel.tick_ns();
            Some(Moment {
                earliest_ns: cut(record.mono_ns.saturating_sub(2 * rto_ns + rto_ns / 4)),
                likely_ns: cut(record.mono_ns.saturating_sub(rto_ns)),
                latest_ns: cut(record.mono_ns),
            })
        }
    }
}

/// By how much pacing may put off a send or the timer: in a timeout by nothing, else by less than a round trip.
fn pacing_jiffies(record: &Record, kernel: Kernel) -> u64 {
    match record.sock.icsk_pending {
        0 => 0,
        _ => kernel.us_to_jiffies(u64::from(record.sock.srtt_us >> 3)) + 1,
    }
}

/// The timer after a retransmission that was no timeout.
fn armed(ty: RetransmitType, record: &Record, kernel: Kernel) -> Timer {
    let now = record.jiffies;
    let rto = u64::from(record.sock.icsk_rto).max(1);
    let restarted = now + rto;
    let latest = restarted + 1 + pacing_jiffies(record, kernel);
    let pending = record.sock.icsk_pending;
    let head = record.seq == record.sock.snd_una && record.err == 0;
    // `tcp_rearm_rto` may have armed it for less, and pacing for more: what is left of an RTO that began earlier.
    let (delay, least_delay, in_handler) = (rto, 1, false);
    match ty {
        RetransmitType::Tlp if record.err == 0 => Timer::Armed {
            earliest: restarted,
            likely: restarted,
            latest,
            delay,
            least_delay: rto,
            in_handler: true,
        },
        // `tcp_xmit_retransmit_queue` restarts the timer when the head of the queue goes out again.
        _ if pending == pending::RETRANS && head => Timer::Armed {
            earliest: restarted,
            likely: restarted,
            latest,
            delay,
            least_delay: rto,
            in_handler,
        },
        _ if pending == pending::RETRANS => {
            let likely = record.sock.timer_expires.max(now + 1);
            Timer::Armed {
                earliest: likely.min(restarted),
                likely,
                latest: likely.max(latest),
                delay,
                least_delay,
                in_handler,
            }
        }
        // A loss probe or a reordering timer comes first; only then the RTO is armed, from the probe, or from
        // when the first unacknowledged segment was sent.
        _ => {
            let other = record.sock.timer_expires.max(now);
            let likely = if pending == pending::LOSS_PROBE { other + rto } else { restarted };
            let latest = latest.max(other + rto + other.saturating_sub(now) / 4 + 1);
            Timer::Armed {
                earliest: now + 1,
                likely: likely.max(now + 1),
                latest,
                delay,
                least_delay,
                in_handler,
            }
        }
    }
}

/// `tcp_stream_is_thin`, and the RTO that it then gets (`__tcp_set_rto`).
fn thin(sock: &Snapshot, kernel: Kernel, rto_max_jiffies: u32, timed_out: bool) -> Thin {
    let allowed = sock.thin_lto == 1 || !matches!(sock.tcp_thin_linear_timeouts, 0 | ABSENT);
    if !allowed || sock.skc_state != tcp_state::ESTABLISHED || sock.packets_out >= THIN_PACKETS {
        return Thin::No;
    }
    let rto_min = match sock.icsk_rto_min {
        ABSENT => 1,
        min => min,
    };
    let us = u64::from(sock.srtt_us >> 3) + u64::from(sock.rttvar_us);
    let jiffies = (kernel.us_to_jiffies(us) as u32).max(rto_min).clamp(1, rto_max_jiffies.max(1));
    match (sock.snd_ssthresh >= INFINITE_SSTHRESH, timed_out) {
        (false, _) => Thin::Yes(jiffies),
        // `tcp_enter_loss` has asked the congestion control already, and it left the initial slow start.
        (true, true) => Thin::No,
        (true, false) => Thin::Unsure(jiffies),
    }
}
