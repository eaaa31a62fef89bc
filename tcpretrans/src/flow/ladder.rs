//! The RTO ladder as events show it: which wait has just expired, and which one begins. The steps themselves are
//! those of the forecast ([`crate::deadline`]), so that the two cannot disagree.

use tcpretrans_ebpf::Record;

use crate::{
    deadline::{RequestView, TimerView},
    event::RetransmitType,
    socket::jiffies::Kernel,
};

/// Converts jiffies to milliseconds for people, to the nearest; exact where HZ divides 1000. (The kernel's own
/// `jiffies_to_msecs` rounds up; budgets are built on that one, [`Kernel::jiffies_to_ms`].)
pub fn jiffies_to_ms(jiffies: u64, hz: u32) -> u64 {
    let hz = u64::from(hz.max(1));
    (jiffies.saturating_mul(1000) + hz / 2) / hz
}

/// The wait that has just expired and the one that begins, ms; `None` unless a timer did this that climbs a ladder.
pub fn expired_and_next_ms(ty: RetransmitType, record: &Record, kernel: Kernel) -> Option<(u64, u64)> {
    let (expired, next) = match ty {
        RetransmitType::SynAck => RequestView::from_record(record, kernel)?.expired_and_next_jiffies()?,
        _ => TimerView::from_record(ty, record, kernel)?.expired_and_next_jiffies()?,
    };
    Some((jiffies_to_ms(expired, kernel.hz), jiffies_to_ms(next, kernel.hz)))
}

#[cfg(test)]
mod tests {
    use tcpretrans_ebpf::tcp_state;

    use super::*;

    const INFINITE_SSTHRESH: u32 = 0x7fff_ffff;

    fn record(rto: u32) -> Record {
        let mut record = Record::default();
        record.sock.skc_state = tcp_state::ESTABLISHED;
        record.sock.icsk_rto = rto;
        record.sock.icsk_rto_max = u32::MAX;
        record.sock.tcp_syn_linear_timeouts = 4;
        record
    }

    fn next(ty: RetransmitType, record: &Record) -> u64 {
        let (expired, next) = expired_and_next_ms(ty, record, Kernel::new(250)).unwrap();
        assert_eq!(expired, u64::from(record.sock.icsk_rto) * 4);
        next
    }

    #[test]
    fn doubles_up_to_the_maximum() {
        assert_eq!(next(RetransmitType::Rto, &record(51)), 408);
        assert_eq!(next(RetransmitType::Rto, &record(20_000)), 120_000);
        let mut capped = record(400);
        capped.sock.icsk_rto_max = 500;
        assert_eq!(next(RetransmitType::IcmpRevert, &capped), 2000);
    }

    #[test]
    fn syn_is_linear_first() {
        let mut syn = record(250);
        syn.sock.skc_state = tcp_state::SYN_SENT;
        // 6.7 counts in `total_rto`, raised before the tracepoint; 6.5 in `icsk_backoff`, raised after it.
        for total_rto in [true, false] {
            let ladder: Vec<u64> = (1..=6)
                .map(|n| {
                    syn.sock.icsk_retransmits = n;
                    syn.sock.total_rto = if total_rto { u16::from(n) } else { u16::MAX };
                    syn.sock.icsk_backoff = if total_rto { n.saturating_sub(5) } else { n - 1 };
                    next(RetransmitType::Syn, &syn)
                })
                .collect();
            assert_eq!(ladder, [1000, 1000, 1000, 1000, 2000, 2000]);
        }
        syn.sock.tcp_syn_linear_timeouts = u32::MAX;
        syn.sock.icsk_retransmits = 1;
        assert_eq!(next(RetransmitType::Syn, &syn), 2000, "kernels without the sysctl double at once");
    }

    #[test]
    fn thin_streams_do_not_double() {
        let mut thin = record(400);
        thin.sock.thin_lto = 1;
        thin.sock.packets_out = 3;
        thin.sock.snd_ssthresh = 10;
        thin.sock.srtt_us = 8 * 20_000;
        thin.sock.rttvar_us = 200_000;
        thin.sock.icsk_rto_min = 50;
        assert_eq!(next(RetransmitType::Rto, &thin), 220);
        thin.sock.snd_ssthresh = INFINITE_SSTHRESH;
        assert_eq!(next(RetransmitType::Rto, &thin), 3200, "not in the initial slow start");
    }

    #[test]
    fn local_congestion_retries_in_half_a_second() {
        let mut dropped = record(51);
        dropped.err = 1;
        assert_eq!(next(RetransmitType::Rto, &dropped), 500);
        // A window probe does not look at what became of it (`tcp_retransmit_timer`).
        assert_eq!(next(RetransmitType::ZeroWindow, &dropped), 408);
    }

    #[test]
    fn only_timers_climb() {
        let mut probe = record(51);
        probe.sock.icsk_pending = 5;
        for ty in [RetransmitType::Tlp, RetransmitType::Fast, RetransmitType::SlowStart] {
            assert_eq!(expired_and_next_ms(ty, &probe, Kernel::new(250)), None);
        }
    }

    #[test]
    fn milliseconds_are_exact_where_hz_allows() {
        assert_eq!(jiffies_to_ms(51, 250), 204);
        assert_eq!(jiffies_to_ms(201, 1000), 201);
        assert_eq!(jiffies_to_ms(21, 100), 210);
        assert_eq!(jiffies_to_ms(61, 300), 203);
    }
}
