//! A retransmission record becomes a `retransmit` event.

use tcpretrans_ebpf::{Record, tcp_state};

use super::{
    classify::{Classified, classify},
    rto::ExpiredAndNext,
};
use crate::{
    deadline::{RequestView, TimerView},
    event::{Retransmit, RetransmitType, SendError},
    socket::{Hz, RecordExt, SnapshotExt, TcpState},
};

/// Builds the event of a `tcp_retransmit_skb` record, but for its episode; and the view of the timer, unless ACKs
/// clocked it out and no timeout is pending: the peer is there.
pub(super) fn of_skb(
    record: &Record,
    last_retransmits: Option<u8>,
    hz: Hz,
) -> (Retransmit, Option<TimerView>) {
    let Classified { ty, certain } = classify(record, last_retransmits);
    let sock = &record.sock;
    let answered = ty.is_ack_clocked() && sock.icsk_retransmits == 0;
    let view = (!answered).then(|| TimerView::from_record(ty, record, hz)).flatten();
    let rto = view.as_ref().and_then(ExpiredAndNext::of_socket);
    let srtt = sock.srtt();
    let event = Retransmit {
        ty,
        certain,
        state: sock.skc_state,
        segs: record.segments(),
        bytes: record.skb_len,
        seq: Some(record.seq),
        err: SendError::from_kernel(record.err),
        retransmits: u32::from(sock.icsk_retransmits),
        backoff: u32::from(sock.icsk_backoff),
        rto_ms: rto.map(|rto| rto.rto_ms),
        next_rto_ms: rto.map(|rto| rto.next_rto_ms),
        srtt_us: srtt.map(|srtt| srtt.0 as u32),
        rttvar_us: srtt.map(|_| sock.rttvar_us),
        cwnd: sock.snd_cwnd,
        ssthresh: sock.ssthresh(),
        packets_out: sock.packets_out,
        unacked_bytes: unacked_bytes(record),
        episode: 0,
        deadline: view.as_ref().and_then(TimerView::forecast),
        record: *record,
    };
    (event, view)
}

/// Builds the event of a `tcp_retransmit_synack` record, but for its episode.
///
/// Either the request's timer expired, which doubles from `req->timeout` (one second where there is no such
/// field; `reqsk_timer_handler`), or the client repeated its SYN (`tcp_check_req`) while the timer still runs.
/// `request_rto_max` is that of [`RequestView::from_record`].
pub(super) fn of_synack(record: &Record, hz: Hz, request_rto_max: Option<bool>) -> Retransmit {
    let view = RequestView::from_record(record, hz, request_rto_max);
    let rto = view.as_ref().and_then(ExpiredAndNext::of_request);
    Retransmit {
        ty: RetransmitType::SynAck,
        certain: true,
        state: tcp_state::SYN_RECV,
        segs: 1,
        bytes: 0,
        seq: None,
        err: None,
        retransmits: u32::from(record.num_retrans) + 1,
        backoff: u32::from(record.num_timeout),
        rto_ms: rto.map(|rto| rto.rto_ms),
        next_rto_ms: rto.map(|rto| rto.next_rto_ms),
        srtt_us: None,
        rttvar_us: None,
        cwnd: 0,
        ssthresh: None,
        packets_out: 1,
        unacked_bytes: 0,
        episode: 0,
        deadline: view.as_ref().map(RequestView::forecast),
        record: *record,
    }
}

/// Does a SYN or FIN take one of the sequence numbers between `snd_una` and `write_seq`?
fn has_control(record: &Record) -> bool {
    use TcpState::*;
    matches!(record.sock.state(), SynSent | SynRecv | FinWait1 | LastAck | Closing)
}

/// Bytes sent and not acknowledged. A SYN or FIN takes a sequence number but is no byte of the user's.
pub(super) fn unacked_bytes(record: &Record) -> u32 {
    // A FIN is last: it is in flight only if everything is.
    let control = has_control(record) && record.sock.unsent() == 0;
    record.sock.in_flight().saturating_sub(u32::from(control))
}

/// Bytes that the application wrote and that were never sent.
pub(super) fn unsent_bytes(record: &Record) -> u32 {
    let control = has_control(record) && record.sock.unsent() != 0;
    record.sock.unsent().saturating_sub(u32::from(control))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(state: u8, una: u32, nxt: u32, write: u32) -> Record {
        let mut record = Record::default();
        record.sock.skc_state = state;
        record.sock.snd_una = una;
        record.sock.snd_nxt = nxt;
        record.sock.write_seq = write;
        record
    }

    #[test]
    fn control_sequence_numbers_are_no_bytes() {
        let syn = record(tcp_state::SYN_SENT, u32::MAX, 0, 0);
        assert_eq!((unacked_bytes(&syn), unsent_bytes(&syn)), (0, 0));
        let fin_in_flight = record(tcp_state::FIN_WAIT1, 100, 201, 201);
        assert_eq!((unacked_bytes(&fin_in_flight), unsent_bytes(&fin_in_flight)), (100, 0));
        let fin_queued = record(tcp_state::FIN_WAIT1, 100, 200, 251);
        assert_eq!((unacked_bytes(&fin_queued), unsent_bytes(&fin_queued)), (100, 50));
        let wrapped = record(tcp_state::ESTABLISHED, u32::MAX - 9, 10, 30);
        assert_eq!((unacked_bytes(&wrapped), unsent_bytes(&wrapped)), (20, 20));
    }

    #[test]
    fn synack_by_timer_or_by_repeated_syn() {
        let mut synack = Record {
            jiffies: 5000,
            req_expires: 5000,
            req_timeout: 250,
            num_timeout: 1,
            ..Record::default()
        };
        synack.sock.skc_state = tcp_state::LISTEN;
        let by_timer = of_synack(&synack, Hz::new(250), None);
        assert_eq!((by_timer.rto_ms, by_timer.next_rto_ms, by_timer.backoff), (Some(2000), Some(4000), 1));
        synack.req_expires = 5100;
        let by_syn = of_synack(&synack, Hz::new(250), None);
        assert_eq!((by_syn.rto_ms, by_syn.next_rto_ms), (None, None));
    }

    #[test]
    fn a_timeout_only_where_a_timer_expired() {
        let mut rto = record(tcp_state::ESTABLISHED, 0, 100, 100);
        rto.sock.icsk_rto = 51;
        rto.sock.icsk_rto_max = u32::MAX;
        rto.sock.snd_wnd = 1000;
        rto.sock.icsk_retransmits = 1;
        let (event, _) = of_skb(&rto, None, Hz::new(250));
        assert_eq!((event.rto_ms, event.next_rto_ms), (Some(204), Some(408)));
        rto.sock.icsk_pending = 5;
        let (probe, _) = of_skb(&rto, None, Hz::new(250));
        assert_eq!((probe.ty, probe.rto_ms), (RetransmitType::Tlp, None));
    }
}
