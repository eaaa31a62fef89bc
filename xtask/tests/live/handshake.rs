//! Connections that never come to be: SYNs into the void, SYN-ACKs that get lost.

use std::net::{SocketAddr, TcpStream};

use nix::unistd::getpid;
use serde_json::Value;
use xtask::lab::{
    Family, LEFT, Lab, Packets, RIGHT, VOID,
    socket::{self, Options, SYN_SENT},
    trouble::Fate,
};

use crate::{
    tracer::{Tracer, is_of, is_type, netns, number, patience},
    truth::{to_ms, watch_ladders},
};

const BOTH: [Family; 2] = [Family::V4, Family::V6];

/// Sockets of both families that call where nobody is.
fn call_nobody(lab: &Lab) -> Vec<TcpStream> {
    BOTH.map(|family| {
        let socket = lab.left.run(|| socket::unconnected(family)).unwrap();
        socket::start_connect(&socket, SocketAddr::new(VOID.of(family), 9000)).unwrap();
        assert_eq!(socket.info().unwrap().state, SYN_SENT);
        socket
    })
    .into()
}

/// Compares the events of each socket's SYNs with what `TCP_INFO` said, and gives the RTOs.
fn check_syns(tracer: &Tracer, sockets: &[TcpStream], rungs: u8) -> Vec<Vec<u64>> {
    let ladders = watch_ladders(&sockets.iter().collect::<Vec<_>>(), rungs);
    let mut all = Vec::new();
    for ((socket, ladder), family) in sockets.iter().zip(ladders).zip(BOTH) {
        let cookie = socket.cookie().unwrap();
        let of_this = |event: &Value| is_type(event, "syn") && is_of(event, cookie);
        let events = tracer.wait_for_many("syn", usize::from(rungs), of_this);
        for (n, event) in (1..=rungs).zip(&events) {
            let (before, after) = (&ladder[&(n - 1)], &ladder[&n]);
            assert_eq!(number(event, "retransmits"), u64::from(n), "{event}");
            assert_eq!(number(event, "rto_ms"), to_ms(before.rto_us), "SYN {n}: {event}");
            assert_eq!(number(event, "next_rto_ms"), to_ms(after.rto_us), "SYN {n}: {event}");
            assert_eq!(number(event, "backoff"), u64::from(before.backoff), "SYN {n}: {event}");
            let counts = ["segs", "bytes", "unacked_bytes"].map(|field| number(event, field));
            assert_eq!(counts, [1, 0, 0], "a SYN carries nothing: {event}");
            assert_eq!((&event["state"], &event["certain"]), (&"SYN_SENT".into(), &true.into()), "{event}");
            assert_eq!(event["srtt_us"], Value::Null, "nothing was ever measured: {event}");
            let flow = &event["flow"];
            assert_eq!(flow["laddr"], LEFT.of(family).to_string(), "{event}");
            assert_eq!(flow["raddr"], VOID.of(family).to_string(), "{event}");
            assert_eq!(flow["lport"], socket.local_addr().unwrap().port(), "{event}");
            assert_eq!((&flow["rport"], &flow["pid"]), (&9000.into(), &getpid().as_raw().into()), "{event}");
        }
        all.push(events.iter().map(|event| number(event, "rto_ms")).collect());
    }
    all
}

#[test]
fn syns_into_the_void_end_in_a_connect_timeout() {
    require_lab!();
    let lab = Lab::new().unwrap();
    lab.left.sysctl("net.ipv4.tcp_syn_retries", "1").unwrap();
    // Linux 6.5 repeats the first ones every second; here one of them, then a doubled one.
    let linear = lab.left.sysctl("net.ipv4.tcp_syn_linear_timeouts", "1").is_ok();
    let tracer = Tracer::start(&["--netns", &netns(&lab.left)]);
    let sockets = call_nobody(&lab);
    let expected = if linear { vec![1000, 1000] } else { vec![1000] };
    for rtos in check_syns(&tracer, &sockets, expected.len() as u8) {
        assert_eq!(rtos, expected);
    }
    for (socket, family) in sockets.iter().zip(BOTH) {
        socket::await_info(socket, patience(), |info| info.state == socket::CLOSE).unwrap();
        assert_eq!(socket.pending_error().unwrap(), Some(libc::ETIMEDOUT));
        let cookie = socket.cookie().unwrap();
        let closed = tracer.wait_for("closed", |event| event["event"] == "closed" && is_of(event, cookie));
        assert_eq!(closed["cause"], "connect_timeout", "{closed}");
        assert_eq!((&closed["who"], &closed["error"]), (&"kernel".into(), &"ETIMEDOUT".into()), "{closed}");
        assert_eq!(closed["knob"], "tcp_syn_retries", "{closed}");
        assert_eq!(number(&closed, "retransmissions"), expected.len() as u64, "{closed}");
        assert_eq!(closed["flow"]["raddr"], VOID.of(family).to_string(), "{closed}");
    }
    let outcome = tracer.finish();
    outcome.assert_clean();
    let repeated = lab.left.counters().unwrap().get("TCPSynRetrans");
    assert_eq!(outcome.retransmits().len() as u64, repeated, "TCPSynRetrans");
}

#[test]
fn the_linear_phase_of_syns_is_told_as_it_is() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let linear: u64 =
        lab.left.read_sysctl("net.ipv4.tcp_syn_linear_timeouts").map_or(0, |text| text.parse().unwrap());
    let tracer = Tracer::start(&["--netns", &netns(&lab.left)]);
    let sockets = call_nobody(&lab);
    for rtos in check_syns(&tracer, &sockets, 4) {
        let expected: Vec<u64> = (0..4_u64).map(|n| 1000 << n.saturating_sub(linear)).collect();
        assert_eq!(rtos, expected, "tcp_syn_linear_timeouts = {linear}");
    }
    tracer.finish().assert_clean();
}

#[test]
fn lost_synacks_are_told_on_the_server() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let tracer = Tracer::start(&["--netns", &netns(&lab.right)]);
    let _trouble = lab.left.on_arrival(&Packets::all().syn_ack(), Fate::Vanish).unwrap();
    let listeners = BOTH.map(|family| lab.listen(family, 0).unwrap());
    let clients: Vec<TcpStream> = BOTH
        .into_iter()
        .zip(&listeners)
        .map(|(family, listener)| {
            let socket = lab.left.run(|| socket::unconnected(family)).unwrap();
            socket::start_connect(&socket, listener.local_addr().unwrap()).unwrap();
            socket
        })
        .collect();
    for (family, (listener, client)) in BOTH.into_iter().zip(listeners.iter().zip(&clients)) {
        let port = listener.local_addr().unwrap().port();
        let of_this = |event: &Value| event["event"] == "retransmit" && event["flow"]["lport"] == port;
        let events = tracer.wait_for_many("retransmit", 3, of_this);
        for event in &events {
            assert_eq!((&event["type"], &event["certain"]), (&"synack".into(), &true.into()), "{event}");
            assert_eq!((number(event, "segs"), number(event, "bytes")), (1, 0), "{event}");
            let flow = &event["flow"];
            assert_eq!(flow["laddr"], RIGHT.of(family).to_string(), "{event}");
            assert_eq!(flow["raddr"], LEFT.of(family).to_string(), "{event}");
            assert_eq!(flow["rport"], client.local_addr().unwrap().port(), "{event}");
            assert_eq!(flow["pid"], getpid().as_raw(), "the listener's owner: {event}");
        }
        // Both the request's timer and the client's repeated SYN bring one about; the timer starts at one second.
        let by_timer = events.iter().find(|event| event["rto_ms"].is_u64());
        if let Some(event) = by_timer {
            assert_eq!(number(event, "rto_ms"), 1000 << number(event, "backoff"), "{event}");
        }
    }
    let earlier = lab.right.counters().unwrap().get("RetransSegs");
    let outcome = tracer.finish();
    let later = lab.right.counters().unwrap().get("RetransSegs");
    outcome.assert_clean();
    let told = outcome.retransmits().len() as u64;
    assert!((earlier..=later).contains(&told), "{told} told, RetransSegs was {earlier}, then {later}");
}
