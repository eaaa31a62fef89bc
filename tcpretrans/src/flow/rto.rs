//! The retransmission timeout as events show it: which one has just expired, and which one begins. The steps are those
//! of the forecast ([`crate::deadline`]), and the figures are those of `ss` ([`Hz::displayed`]), in every event.

use crate::{
    deadline::{RequestView, TimerView},
    socket::{Hz, Jiffies},
};

/// The timeout that has just expired and the one that begins, ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ExpiredAndNext {
    pub rto_ms: u64,
    pub next_rto_ms: u64,
}

impl ExpiredAndNext {
    /// `None` unless the retransmission timer did this.
    pub(super) fn of_socket(view: &TimerView) -> Option<Self> {
        Some(Self::displayed(view.hz, view.expired_and_next_rto()?))
    }

    /// `None` unless the request's timer did this.
    pub(super) fn of_request(view: &RequestView) -> Option<Self> {
        Some(Self::displayed(view.hz, view.expired_and_next_wait()?))
    }

    fn displayed(hz: Hz, (expired, next): (Jiffies, Jiffies)) -> Self {
        Self { rto_ms: hz.displayed(expired).0, next_rto_ms: hz.displayed(next).0 }
    }
}

#[cfg(test)]
mod tests {
    use tcpretrans_ebpf::{Record, tcp_state};

    use super::*;
    use crate::{event::RetransmitType, socket::INFINITE_SSTHRESH};

    fn record(rto: u32) -> Record {
        let mut record = Record::default();
        record.sock.skc_state = tcp_state::ESTABLISHED;
        record.sock.icsk_rto = rto;
        record.sock.icsk_rto_max = u32::MAX;
        record.sock.tcp_syn_linear_timeouts = 4;
        record
    }

    fn expired_and_next(ty: RetransmitType, record: &Record) -> Option<ExpiredAndNext> {
        let view = TimerView::from_record(ty, record, Hz::new(250)).unwrap();
        ExpiredAndNext::of_socket(&view)
    }

    fn next(ty: RetransmitType, record: &Record) -> u64 {
        let timeouts = expired_and_next(ty, record).unwrap();
        assert_eq!(timeouts.rto_ms, u64::from(record.sock.icsk_rto) * 4);
        timeouts.next_rto_ms
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
            let waits: Vec<u64> = (1..=6)
                .map(|n| {
                    syn.sock.icsk_retransmits = n;
                    syn.sock.total_rto = if total_rto { u16::from(n) } else { u16::MAX };
                    syn.sock.icsk_backoff = if total_rto { n.saturating_sub(5) } else { n - 1 };
                    next(RetransmitType::Syn, &syn)
                })
                .collect();
            assert_eq!(waits, [1000, 1000, 1000, 1000, 2000, 2000]);
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
    fn only_timers_back_off() {
        let mut probe = record(51);
        probe.sock.icsk_pending = 5;
        for ty in [RetransmitType::Tlp, RetransmitType::Fast, RetransmitType::SlowStart] {
            assert_eq!(expired_and_next(ty, &probe), None);
        }
    }
}
