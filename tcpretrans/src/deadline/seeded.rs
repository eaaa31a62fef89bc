//! A socket that was in backoff before the trace began, as a TCP iterator sees it.

use tcpretrans_ebpf::{Record, tcp_state};

use super::{
    from_record::back_from,
    view::{Timer, TimerView},
};
use crate::{event::RetransmitType, socket::jiffies::Kernel};

impl TimerView {
    /// The socket's timer between two timeouts: it waits, and `expires` is the kernel's own. `icsk_rto` and
    /// `icsk_backoff` are already those of the wait that runs. `None` unless the socket is in backoff.
    pub fn from_seed(record: &Record, kernel: Kernel) -> Option<Self> {
        const RETRANS: u8 = 1;
        let sock = &record.sock;
        if sock.icsk_retransmits == 0 || sock.icsk_pending != RETRANS {
            return None;
        }
        // As at an ACK-clocked retransmission: no timeout at this very moment.
        let view = Self::from_record(RetransmitType::SlowStart, record, kernel)?;
        let timeouts = match sock.total_rto {
            u16::MAX => u32::from(sock.icsk_backoff),
            total => u32::from(total),
        };
        let expires = sock.timer_expires;
        let Wait { delay, least_delay } = Wait::of(&view, record);
        let timer = Timer::Armed {
            earliest: expires,
            likely: expires,
            latest: expires,
            delay,
            least_delay,
            in_handler: true,
        };
        Some(Self { timer, timeouts, ..view })
    }
}

/// For how long the timer was armed, jiffies: nothing tells, but the wheel's rounding hangs on it.
struct Wait {
    delay: u64,
    least_delay: u64,
}

impl Wait {
    fn of(view: &TimerView, record: &Record) -> Self {
        let sock = &record.sock;
        let left = sock.timer_expires.saturating_sub(record.jiffies).max(1);
        let rto = u64::from(sock.icsk_rto).max(left);
        let unclear = Self { delay: rto, least_delay: left };
        if view.state == tcp_state::SYN_SENT {
            // A SYN is no data and leaves no `lsndtime`. If every timeout has backed off, the RTO is the wait.
            // (Linux 6.5 and 6.6 count the linear timeouts in `icsk_backoff`, too.)
            let backoff = u32::from(sock.icsk_backoff);
            let uncounted =
                if sock.total_rto == u16::MAX { Some(0) } else { view.sysctls.syn_linear_timeouts };
            let backed_off = backoff > 0 && backoff + uncounted.unwrap_or(0) >= view.retransmits;
            let regular = backed_off && sock.icsk_user_timeout == 0;
            return if regular { Self { delay: rto, least_delay: rto } } else { unclear };
        }
        // The handler that armed it had just sent the segment again. TCP_USER_TIMEOUT may have cut the wait, and it is
        // half a second if the qdisc dropped the packet.
        let since_sent = sock.timer_expires.saturating_sub(back_from(record.jiffies, sock.lsndtime));
        let longest = rto.max(u64::from(view.kernel.hz / 2)) + 1;
        if !(left..=longest).contains(&since_sent) {
            return unclear;
        }
        // If not every timeout has backed off, an ICMP error may have armed it anew for the rest of an RTO (RFC 6069).
        let reverted = u32::from(sock.icsk_backoff) < view.retransmits;
        let least_delay = if reverted { left } else { (since_sent - 1).max(left) };
        Self { delay: since_sent, least_delay }
    }
}
