//! Ends by the application on this side.

use tcpretrans_ebpf::tcp_state::*;

use super::*;

pub(super) fn by_the_application() -> Vec<Row> {
    use Cause::*;
    use How::*;
    let local = |ending, old, change: fn(&mut Record), how| {
        row(ending, old, change, ResetByLocal, Some(Who::Local), None, how)
    };
    let linger = |r: &mut Record| {
        closing(r);
        r.sock.sk_flags = SOCK_LINGER;
    };
    let unread = |r: &mut Record| {
        closing(r);
        r.sock.rcv_nxt = 514;
    };
    vec![
        row("FIN first", FIN_WAIT2, orphan, ClosedByLocal, Some(Who::Local), None, Plainly),
        Row {
            first_fin: Some(Side::Both),
            ..row("FINs crossed, seen before", FIN_WAIT2, |_| (), SimultaneousClose, None, None, Plainly)
        },
        Row {
            reset_sent: Some((STATE, false, true)),
            ..local("SO_LINGER 0", ESTABLISHED, linger, LingerZero)
        },
        local("SO_LINGER 0, the reset's record lost", CLOSE_WAIT, linger, LingerZero),
        Row {
            reset_sent: Some((ON_CLOSE, false, true)),
            ..local("unread data", ESTABLISHED, unread, Unread(14))
        },
        local("unread data, no reason", ESTABLISHED, unread, Unread(14)),
        local(
            "unread data goes before SO_LINGER 0",
            ESTABLISHED,
            |r| {
                closing(r);
                r.sock.sk_flags = SOCK_LINGER;
                r.sock.rcv_nxt = 514;
            },
            Unread(14),
        ),
        local(
            "the peer's FIN is no unread byte",
            CLOSE_WAIT,
            |r| {
                closing(r);
                r.sock.rcv_nxt = 515;
            },
            Unread(14),
        ),
        Row {
            reset_sent: Some((ON_CLOSE, false, true)),
            ..local("unread data after shutdown()", FIN_WAIT2, unread, Unread(14))
        },
        local(
            "an old error that nobody fetched",
            ESTABLISHED,
            |r| {
                in_flight(r);
                closing(r);
                r.sock.sk_flags = SOCK_LINGER;
                errno(r, libc::EHOSTUNREACH);
            },
            LingerZero,
        ),
        local("connect(AF_UNSPEC)", ESTABLISHED, |_| (), Disconnected),
        local("not accepted", ESTABLISHED, |r| r.inode = 0, NotAccepted),
        Row {
            reset_received: true,
            reset_sent: Some((ON_DATA, true, true)),
            ..local(
                "data after close",
                FIN_WAIT1,
                |r| {
                    orphan(r);
                    errno(r, libc::ECONNRESET);
                },
                DataAfterClose,
            )
        },
        Row {
            reset_sent: Some((ON_DATA, true, true)),
            ..local("data with the ACK of our FIN", FIN_WAIT2, orphan, DataAfterClose)
        },
        Row {
            reset_sent: Some((ON_LINGER, false, true)),
            ..local("negative TCP_LINGER2", FIN_WAIT2, orphan, NegativeLinger2)
        },
        Row {
            reset_sent: Some((NO_REASON, false, true)),
            ..local(
                "negative TCP_LINGER2, no reason",
                FIN_WAIT2,
                |r| {
                    orphan(r);
                    r.sock.linger2 = u32::MAX;
                },
                NegativeLinger2,
            )
        },
        row("connect given up", SYN_SENT, in_flight, ConnectAbandoned, Some(Who::Local), None, Plainly),
        Row {
            reset_sent: Some((1, true, false)),
            ..row(
                "connect given up after a stray SYN-ACK was reset",
                SYN_SENT,
                in_flight,
                ConnectAbandoned,
                Some(Who::Local),
                None,
                Plainly,
            )
        },
        row("no SYN was sent", SYN_SENT, |r| r.sock.retrans_stamp = 0, Unknown, None, None, NoSyn),
    ]
}
