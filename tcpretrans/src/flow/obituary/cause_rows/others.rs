//! Ends by the peer, the network or an administrator.

use tcpretrans_ebpf::tcp_state::*;

use super::*;

pub(super) fn by_the_peer_or_others() -> Vec<Row> {
    use Cause::*;
    use How::*;
    let reset = |row: Row| Row { reset_received: true, ..row };
    vec![
        reset(row(
            "refused",
            SYN_SENT,
            |r| errno(r, libc::ECONNREFUSED),
            ConnectRefused,
            Some(Who::Peer),
            None,
            Plainly,
        )),
        reset(row(
            "reset in the middle of a backoff",
            ESTABLISHED,
            |r| {
                in_flight(r);
                errno(r, libc::ECONNRESET);
            },
            ResetByPeer,
            Some(Who::Peer),
            None,
            Plainly,
        )),
        row(
            "reset, the record of it lost",
            ESTABLISHED,
            |r| errno(r, libc::ECONNRESET),
            ResetByPeer,
            Some(Who::Peer),
            None,
            Plainly,
        ),
        row(
            "broken pipe, the record lost",
            CLOSE_WAIT,
            |r| errno(r, libc::EPIPE),
            ResetByPeer,
            Some(Who::Peer),
            None,
            Plainly,
        ),
        row(
            "ICMP to a SYN",
            SYN_SENT,
            |r| {
                in_flight(r);
                r.sock.icsk_retransmits = 10;
                errno(r, libc::EHOSTUNREACH);
            },
            IcmpError,
            Some(Who::Network),
            None,
            Plainly,
        ),
        Row {
            reset_sent: Some((STATE, false, false)),
            ..row(
                "ss -K",
                ESTABLISHED,
                |r| {
                    in_flight(r);
                    errno(r, libc::ECONNABORTED);
                },
                AdminKill,
                Some(Who::Admin),
                None,
                Plainly,
            )
        },
        row("peer's FIN first", LAST_ACK, |_| (), ClosedByPeer, Some(Who::Peer), None, Plainly),
        row("FINs crossed", CLOSING, |_| (), SimultaneousClose, None, None, Plainly),
        row(
            "an old ICMP error that nobody fetched (IP_RECVERR)",
            LAST_ACK,
            |r| errno(r, libc::EHOSTUNREACH),
            ClosedByPeer,
            Some(Who::Peer),
            None,
            Plainly,
        ),
    ]
}
