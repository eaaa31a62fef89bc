//! Ends by the kernel's own timers and limits.

use tcpretrans_ebpf::tcp_state::*;

use super::*;

pub(super) fn by_the_kernel() -> Vec<Row> {
    use Cause::*;
    use How::*;
    vec![
        timed_out("retries2", ESTABLISHED, in_flight, RetransmitTimeout, Knob::TcpRetries2, Plainly),
        timed_out(
            "retries2, ICMP in between",
            CLOSE_WAIT,
            |r| {
                in_flight(r);
                errno(r, libc::EHOSTUNREACH);
            },
            RetransmitTimeout,
            Knob::TcpRetries2,
            Plainly,
        ),
        timed_out(
            "user timeout",
            ESTABLISHED,
            |r| {
                in_flight(r);
                r.sock.icsk_user_timeout = 700;
            },
            UserTimeout,
            Knob::TcpUserTimeout,
            Plainly,
        ),
        timed_out(
            "orphan",
            FIN_WAIT1,
            |r| {
                in_flight(r);
                orphan(r);
            },
            OrphanTimeout,
            Knob::TcpOrphanRetries,
            Plainly,
        ),
        timed_out(
            "orphan of a closed window: it counts as any orphan",
            LAST_ACK,
            |r| {
                in_flight(r);
                orphan(r);
                r.sock.snd_wnd = 0;
            },
            OrphanTimeout,
            Knob::TcpOrphanRetries,
            Plainly,
        ),
        timed_out(
            "closed window, probes",
            ESTABLISHED,
            |r| {
                r.sock.write_seq = 9000;
                r.sock.snd_wnd = 0;
            },
            ZeroWindowTimeout,
            Knob::TcpRetries2,
            Plainly,
        ),
        timed_out(
            "a window too small for a segment is closed",
            ESTABLISHED,
            |r| {
                r.sock.write_seq = 9000;
                r.sock.snd_wnd = 100;
            },
            ZeroWindowTimeout,
            Knob::TcpRetries2,
            Plainly,
        ),
        timed_out(
            "closed window, data in flight",
            ESTABLISHED,
            |r| {
                in_flight(r);
                r.sock.snd_wnd = 0;
            },
            ZeroWindowTimeout,
            Knob::ZeroWindow,
            InFlight,
        ),
        timed_out(
            "open window, and nothing in flight: dropped here",
            ESTABLISHED,
            |r| r.sock.write_seq = 1017,
            RetransmitTimeout,
            Knob::TcpRetries2,
            NeverLeft,
        ),
        Row {
            reset_sent: Some((KEEPALIVE, false, false)),
            ..timed_out("keepalive", ESTABLISHED, |_| (), KeepaliveTimeout, Knob::Keepalive, Plainly)
        },
        Row {
            reset_sent: Some((NO_REASON, false, false)),
            ..timed_out(
                "keepalive, a kernel that gives no reason",
                ESTABLISHED,
                |r| r.sock.icsk_probes_out = 2,
                KeepaliveTimeout,
                Knob::Keepalive,
                Plainly,
            )
        },
        timed_out(
            "connect",
            SYN_SENT,
            |r| {
                in_flight(r);
                r.sock.icsk_retransmits = 10;
            },
            ConnectTimeout,
            Knob::TcpSynRetries,
            Plainly,
        ),
        timed_out(
            "connect, TCP_SYNCNT, ICMP while the socket was in use",
            SYN_SENT,
            |r| {
                in_flight(r);
                (r.sock.icsk_retransmits, r.sock.icsk_syn_retries) = (7, 3);
                errno(r, libc::EHOSTUNREACH);
            },
            ConnectTimeout,
            Knob::TcpSyncnt,
            Plainly,
        ),
        timed_out(
            "connect, the count ran out before TCP_USER_TIMEOUT",
            SYN_SENT,
            |r| {
                (r.sock.icsk_retransmits, r.sock.icsk_user_timeout) = (10, 600_000);
            },
            ConnectTimeout,
            Knob::TcpSynRetries,
            Plainly,
        ),
        timed_out(
            "Fast Open child",
            SYN_RECV,
            |r| r.inode = 0,
            ConnectTimeout,
            Knob::TcpSynackRetries,
            Plainly,
        ),
        Row {
            reset_sent: Some((ON_MEMORY, false, false)),
            ..row(
                "out of memory",
                FIN_WAIT1,
                |r| {
                    in_flight(r);
                    orphan(r);
                },
                OutOfMemory,
                Some(Who::Kernel),
                None,
                Plainly,
            )
        },
        Row {
            reset_sent: Some((NO_REASON, false, false)),
            ..row(
                "out of memory, no reason",
                LAST_ACK,
                |r| {
                    in_flight(r);
                    orphan(r);
                },
                OutOfMemory,
                Some(Who::Kernel),
                None,
                Plainly,
            )
        },
        Row {
            reset_sent: Some((STATE, false, false)),
            ..row(
                "tcp_fin_timeout beyond a minute",
                FIN_WAIT2,
                orphan,
                ResetByLocal,
                Some(Who::Kernel),
                None,
                FinTimeout,
            )
        },
        row("orphan dropped in silence", FIN_WAIT1, orphan, Unknown, None, None, Dropped),
    ]
}
