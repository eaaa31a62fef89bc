//! The tracer's sums against the kernel's.

use std::net::TcpStream;

use xtask::lab::{
    Namespace,
    socket::{self, Options},
};

use crate::tracer::{Outcome, is_of, number, patience};

/// Waits until everything that was sent is acknowledged: no retransmission can follow.
pub fn settle(socket: &TcpStream) {
    socket::await_info(socket, patience(), |info| info.unacked == 0 && info.notsent_bytes == 0).unwrap();
}

/// Segments and bytes of the events equal the socket's `total_retrans` and `bytes_retrans` and the namespace's
/// `RetransSegs`. The socket must be settled, and the only one of its namespace that ever retransmitted.
///
/// The kernel counts before it hands a segment to IP, so it counts what IP then refuses (`TCPRetransFail`) as well;
/// the events tell those by `err`.
pub fn check(outcome: &Outcome, namespace: &Namespace, socket: &TcpStream) {
    let (info, counters) = (socket.info().unwrap(), namespace.counters().unwrap());
    let cookie = socket.cookie().unwrap();
    let events = outcome.retransmits();
    assert!(events.iter().all(|event| is_of(event, cookie)), "only this socket retransmitted");
    let sent: Vec<_> = events.iter().filter(|event| event["err"].is_null()).collect();
    let sum = |field: &str| sent.iter().map(|event| number(event, field)).sum::<u64>();
    let refused = counters.get("TCPRetransFail");
    assert_eq!(sum("segs") + refused, u64::from(info.total_retrans), "total_retrans");
    assert_eq!(sum("segs") + refused, counters.get("RetransSegs"), "RetransSegs");
    if refused == 0 {
        assert_eq!(sum("bytes"), info.bytes_retrans, "bytes_retrans");
    }
    let end = outcome.end();
    let lost = end["lost"].as_object().unwrap_or_else(|| panic!("`lost` is no object in {end}"));
    assert!(lost.values().all(|count| count == 0), "nothing was lost: {end}");
}
