//! A socket that was in backoff before the trace began, as a TCP iterator sees it.

use tcpretrans_ebpf::Record;

use super::view::{Estimate, Timer, TimerView};
use crate::{
    event::RetransmitType,
    socket::{Hz, Jiffies, Pending, RecordExt, SnapshotExt, TcpState},
};

impl TimerView {
    /// The socket's timer between two timeouts: it waits, and `expires` is the kernel's own. `icsk_rto` and
    /// `icsk_backoff` are already those of the wait that runs. `None` unless the socket is in backoff.
    pub fn from_seed(record: &Record, hz: Hz) -> Option<Self> {
        let sock = &record.sock;
        if sock.icsk_retransmits == 0 || sock.pending() != Pending::Retransmission {
            return None;
        }
        // As at an ACK-clocked retransmission: no timeout at this very moment.
        let view = Self::from_record(RetransmitType::SlowStart, record, hz)?;
        let timeouts = sock.total_rto().unwrap_or(u32::from(sock.icsk_backoff));
        let Wait { delay, least_delay } = Wait::of(&view, record);
        let expires = Estimate::exactly(sock.timer_expires());
        Some(Self { timer: Timer::Armed { expires, delay, least_delay, in_handler: true }, timeouts, ..view })
    }
}

/// For how long the timer was armed: no field shows it, but the rounding of the timer wheel depends on it.
struct Wait {
    delay: Jiffies,
    least_delay: Jiffies,
}

impl Wait {
    fn of(view: &TimerView, record: &Record) -> Self {
        let sock = &record.sock;
        let one = Jiffies(1);
        let left = (sock.timer_expires() - record.now()).max(one);
        let rto = sock.rto().max(left);
        let unclear = Self { delay: rto, least_delay: left };
        if view.state == TcpState::SynSent {
            // A SYN is no data and leaves no `lsndtime`. If every timeout has backed off, the RTO is the wait.
            // (Linux 6.5 and 6.6 count the linear timeouts in `icsk_backoff`, too.)
            let backoff = u32::from(sock.icsk_backoff);
            let uncounted = sock.total_rto().and(view.sysctls.syn_linear_timeouts).unwrap_or(0);
            let backed_off = backoff > 0 && backoff + uncounted >= view.retransmits;
            let regular = backed_off && view.user_timeout.is_none();
            return if regular { Self { delay: rto, least_delay: rto } } else { unclear };
        }
        // The handler that armed it had just sent the segment again. TCP_USER_TIMEOUT may have cut the wait, and it is
        // half a second if the qdisc dropped the packet.
        let since_sent = sock.timer_expires() - record.jiffies_of(sock.lsndtime);
        let longest = rto.max(view.hz.resource_probe_interval()) + one;
        if !(left..=longest).contains(&since_sent) {
            return unclear;
        }
        // If not every timeout has backed off, an ICMP error may have armed it anew for the rest of an RTO (RFC 6069).
        let reverted = u32::from(sock.icsk_backoff) < view.retransmits;
        let least_delay = if reverted { left } else { (since_sent - one).max(left) };
        Self { delay: since_sent, least_delay }
    }
}
