//! What made the kernel retransmit: read from the socket as it is at the end of `__tcp_retransmit_skb`.
//!
//! Each origin leaves its own marks. The timer handler zeroes `icsk_pending` before an RTO (and before a
//! zero-window RTO), but leaves it during a tail loss probe and a RACK timer; the congestion state is already
//! the new one. `docs/retransmission-types.md` has the table.

use tcpretrans_ebpf::Record;

use crate::{
    event::RetransmitType,
    socket::{CaState, Pending, RecordExt, SnapshotExt, TcpState},
};

/// A type, and whether the socket's state leaves no other reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Classified {
    /// The type.
    pub ty: RetransmitType,
    /// No other reading is possible.
    pub certain: bool,
}

fn certainly(ty: RetransmitType) -> Classified {
    Classified { ty, certain: true }
}

fn probably(ty: RetransmitType) -> Classified {
    Classified { ty, certain: false }
}

/// Types a `tcp_retransmit_skb` record. `last_retransmits` is `icsk_retransmits` at the flow's previous event,
/// `None` if this is the first that was seen of it.
pub(super) fn classify(record: &Record, last_retransmits: Option<u8>) -> Classified {
    let sock = &record.sock;
    let state = sock.state();
    if state == TcpState::SynSent {
        return certainly(RetransmitType::Syn);
    }
    if sock.pending() == Pending::Nothing {
        // With packets in flight a timer is always armed, except inside the two handlers that zero this.
        let zero_window = sock.snd_wnd == 0 && !sock.is_orphan() && state != TcpState::SynRecv;
        return certainly(if zero_window { RetransmitType::ZeroWindow } else { RetransmitType::Rto });
    }
    let head = record.is_of_head();
    match (sock.ca_state(), sock.pending()) {
        (CaState::Loss, _) => match last_retransmits {
            // tcp_ld_RTO_revert ran the timer's handler itself: the count rises outside of the timer.
            Some(last) if sock.icsk_retransmits > last && head => certainly(RetransmitType::IcmpRevert),
            None if sock.icsk_retransmits > 0 && head => probably(RetransmitType::SlowStart),
            _ if sock.undo_marker == 0 && sock.icsk_retransmits == 0 => probably(RetransmitType::Pmtu),
            _ => certainly(RetransmitType::SlowStart),
        },
        (CaState::Recovery, Pending::LossProbe) if !record.was_marked_lost() => probably(RetransmitType::Tlp),
        (CaState::Recovery, Pending::Reordering) if sock.timer_expires() <= record.now() => {
            certainly(RetransmitType::RackTimer)
        }
        (CaState::Recovery, _) => certainly(RetransmitType::Fast),
        (CaState::Open | CaState::Disorder | CaState::Cwr, Pending::LossProbe) => {
            Classified { ty: RetransmitType::Tlp, certain: !record.was_marked_lost() }
        }
        _ => probably(RetransmitType::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use RetransmitType::*;
    use proptest::prelude::*;
    use tcpretrans_ebpf::tcp_state;

    use super::*;

    /// `TCPCB_LOST`
    const LOST: u8 = 4;

    struct Row {
        origin: &'static str,
        state: u8,
        pending: u8,
        ca_state: u8,
        retransmits: u8,
        last: Option<u8>,
        sacked: u8,
        undo_marker: u32,
        snd_wnd: u32,
        dead: bool,
        head: bool,
        expires: i64,
        expected: Classified,
    }

    fn row(origin: &'static str, pending: u8, ca_state: u8, expected: Classified) -> Row {
        Row {
            origin,
            state: tcp_state::ESTABLISHED,
            pending,
            ca_state,
            retransmits: 0,
            last: Some(0),
            sacked: LOST,
            undo_marker: 1000,
            snd_wnd: 65535,
            dead: false,
            head: true,
            expires: 10,
            expected,
        }
    }

    fn record(row: &Row) -> Record {
        let mut record = Record { jiffies: 1000, seq: 1000, sacked: row.sacked, ..Record::default() };
        let sock = &mut record.sock;
        sock.skc_state = row.state;
        sock.icsk_pending = row.pending;
        sock.ca_state = row.ca_state;
        sock.icsk_retransmits = row.retransmits;
        sock.undo_marker = row.undo_marker;
        sock.snd_wnd = row.snd_wnd;
        sock.sk_flags = u64::from(row.dead);
        sock.snd_una = if row.head { 1000 } else { 900 };
        sock.timer_expires = 1000u64.wrapping_add_signed(row.expires);
        record
    }

    #[test]
    fn every_row_of_the_table() {
        let rows = [
            Row { retransmits: 1, ..row("timer RTO", 0, 4, certainly(Rto)) },
            Row { snd_wnd: 0, ..row("zero-window RTO", 0, 4, certainly(ZeroWindow)) },
            Row {
                snd_wnd: 0,
                dead: true,
                retransmits: 1,
                ..row("orphan, window closed", 0, 4, certainly(Rto))
            },
            Row { state: 2, retransmits: 1, ..row("SYN RTO", 0, 4, certainly(Syn)) },
            Row { state: 3, snd_wnd: 0, retransmits: 1, ..row("TFO child RTO", 0, 4, certainly(Rto)) },
            Row {
                state: 3,
                retransmits: 1,
                last: Some(1),
                ..row("TFO child data", 1, 4, certainly(SlowStart))
            },
            Row { retransmits: 3, last: Some(2), ..row("ICMP revert", 1, 4, certainly(IcmpRevert)) },
            Row {
                retransmits: 0,
                last: Some(2),
                ..row("CA_Loss, SND.UNA advanced", 1, 4, certainly(SlowStart))
            },
            Row { retransmits: 2, last: Some(2), ..row("CA_Loss, SACK-driven", 1, 4, certainly(SlowStart)) },
            Row {
                retransmits: 2,
                last: Some(2),
                ..row("CA_Loss, RACK timer armed", 6, 4, certainly(SlowStart))
            },
            Row { retransmits: 2, last: None, ..row("CA_Loss, first sight", 1, 4, probably(SlowStart)) },
            Row { undo_marker: 0, ..row("PMTU", 1, 4, probably(Pmtu)) },
            row("fast, RTO armed", 1, 3, certainly(Fast)),
            row("fast, probe armed", 5, 3, certainly(Fast)),
            row("fast, RACK timer armed", 6, 3, certainly(Fast)),
            Row { expires: 0, ..row("RACK timer", 6, 3, certainly(RackTimer)) },
            Row { sacked: 0, ..row("probe in recovery", 5, 3, probably(Tlp)) },
            Row { sacked: 0, expires: 0, ..row("probe, Open", 5, 0, certainly(Tlp)) },
            Row { sacked: 0, ..row("probe, Disorder", 5, 1, certainly(Tlp)) },
            Row { sacked: 0, ..row("probe, CWR", 5, 2, certainly(Tlp)) },
            row("probe of a lost skb", 5, 0, probably(Tlp)),
            row("nothing known", 1, 0, probably(Unknown)),
        ];
        for row in rows {
            assert_eq!(classify(&record(&row), row.last), row.expected, "{}", row.origin);
        }
    }

    proptest! {
        #[test]
        fn a_zero_pending_is_always_a_timer(
            state in 1u8..12, ca_state in 0u8..8, retransmits: u8, last: Option<u8>, sacked: u8, snd_wnd in 0u32..2
        ) {
            let base = row("", 0, ca_state, certainly(Rto));
            let row = Row { state, retransmits, last, sacked, snd_wnd, ..base };
            let found = classify(&record(&row), last);
            prop_assert!(found.certain);
            prop_assert!(matches!(found.ty, Rto | ZeroWindow | Syn));
        }
    }
}
