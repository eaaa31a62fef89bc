//! A socket that was in backoff before the trace began, as a TCP iterator sees it.

use super::{
    kernel_clock::Kernel,
    view::{Timer, TimerView},
};
use crate::event::RetransmitType;
use tcpretrans_ebpf::Record;

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
        let expires = sock.timer_expires.max(record.jiffies);
        let timeouts = match sock.total_rto {
            u16::MAX => u32::from(sock.icsk_backoff),
            total => u32::from(total),
        };
        // It was armed for the RTO, or for what was left of TCP_USER_TIMEOUT: then for no less than is left now.
        let left = expires - record.jiffies;
        let delay = u64::from(sock.icsk_rto).max(left);
        let least_delay = if sock.icsk_user_timeout == 0 { delay } else { left.max(1) };
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
