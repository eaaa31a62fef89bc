//! Connections that never come to be.

use std::{
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;
use xtask::lab::{
    Family, RIGHT, VOID,
    socket::{Options, start_connect},
    trouble::{Fate, Packets},
};

use super::expected::{Ending, Scene, await_death, await_rtos, call, pause, this_process};
use crate::tracer::number;

const BOTH: [Family; 2] = [Family::V4, Family::V6];

fn nobody(family: Family) -> SocketAddr {
    SocketAddr::new(VOID.of(family), 9000)
}

/// Calls into the void, in both families, until the kernel gives up.
fn into_the_void(prepare: impl Fn(TcpStream) -> TcpStream + Sync, ending: &Ending<'_>) {
    let scene = Scene::new();
    scene.lab.left.sysctl("net.ipv4.tcp_syn_retries", "1").unwrap();
    // Only since Linux 6.5; before, there is no linear phase.
    let _ = scene.lab.left.sysctl("net.ipv4.tcp_syn_linear_timeouts", "0");
    let sockets = BOTH.map(|family| call(&scene.lab, nobody(family), &prepare));
    for socket in &sockets {
        let id = socket.cookie().unwrap();
        await_death(socket);
        let closed = scene.end_of(id);
        ending.check_with(&closed, socket);
        // One second, and two more.
        let knobs_of_tries = ["tcp_syn_retries", "TCP_SYNCNT"];
        if ending.knob.is_some_and(|knob| knobs_of_tries.contains(&knob)) {
            assert_eq!(closed["lifetime_ms"].as_u64().map(|ms| ms / 1000), Some(3), "{closed:#}");
        }
    }
    scene.finish();
}

#[test]
fn tcp_syn_retries_is_used_up() {
    require_lab!();
    into_the_void(
        |socket| socket,
        &Ending {
            cause: "connect_timeout",
            who: Some("kernel"),
            knob: Some("tcp_syn_retries"),
            error: Some("ETIMEDOUT"),
            note: &["no answer to 2 SYNs in 3", " s (tcp_syn_retries=1)"],
        },
    );
}

#[test]
fn tcp_syncnt_is_used_up() {
    require_lab!();
    into_the_void(
        |socket| socket.syn_count(1).unwrap(),
        &Ending {
            cause: "connect_timeout",
            who: Some("kernel"),
            knob: Some("TCP_SYNCNT"),
            error: Some("ETIMEDOUT"),
            note: &["no answer to 2 SYNs in 3", " s (TCP_SYNCNT=1)"],
        },
    );
}

#[test]
fn connect_ends_with_tcp_user_timeout() {
    require_lab!();
    into_the_void(
        |socket| socket.syn_count(6).unwrap().user_timeout(Duration::from_millis(1200)).unwrap(),
        &Ending {
            cause: "connect_timeout",
            who: Some("kernel"),
            knob: Some("TCP_USER_TIMEOUT"),
            error: Some("ETIMEDOUT"),
            note: &["no answer to 2 SYNs", "(TCP_USER_TIMEOUT=1200 ms)"],
        },
    );
}

#[test]
fn nobody_listens() {
    require_lab!();
    let scene = Scene::new();
    for family in BOTH {
        let socket = call(&scene.lab, SocketAddr::new(RIGHT.of(family), 9), |socket| socket);
        let id = socket.cookie().unwrap();
        await_death(&socket);
        Ending {
            cause: "connect_refused",
            who: Some("peer"),
            knob: None,
            error: Some("ECONNREFUSED"),
            note: &["refused", "RST"],
        }
        .check_with(&scene.end_of(id), &socket);
    }
    scene.finish();
}

fn abandoned(note: &[&str], wait: impl FnOnce(&TcpStream)) -> Value {
    let scene = Scene::new();
    let socket = call(&scene.lab, nobody(Family::V4), |socket| socket);
    let id = socket.cookie().unwrap();
    wait(&socket);
    drop(socket);
    let closed = scene.end_of(id);
    Ending { cause: "connect_abandoned", who: Some("local"), knob: None, error: None, note }.check(&closed);
    scene.finish();
    let hung_up = &closed["hung_up"];
    assert_eq!(
        (&hung_up["side"], &hung_up["pid"]),
        (&"local".into(), &std::process::id().into()),
        "{closed}"
    );
    assert!(hung_up["would_have_tried_until"].as_str() > closed["ts"].as_str(), "{closed:#}");
    closed
}

#[test]
fn an_application_gives_up_before_the_first_retransmission_of_its_syn() {
    require_lab!();
    let who = format!("the application {} gave up connecting after 3", this_process());
    let closed = abandoned(
        &[
            &who,
            "with 1 SYN unanswered: it did not wait for the first retransmission, which comes after 1 s",
            "; TCP itself would have tried until ",
            " UTC",
        ],
        |_| pause(300),
    );
    let hung_up = &closed["hung_up"];
    assert_eq!((&hung_up["into_backoff_ms"], number(hung_up, "rto_ms")), (&Value::Null, 1000), "{closed}");
    assert_eq!(number(hung_up, "waited_ms"), number(&closed, "lifetime_ms"), "{closed}");
}

#[test]
fn an_application_gives_up_after_a_retransmission_of_its_syn() {
    require_lab!();
    let closed = abandoned(&["with 2 SYNs unanswered; TCP itself would have tried until "], |socket| {
        await_rtos(socket, 1);
        pause(200);
    });
    let hung_up = &closed["hung_up"];
    assert_eq!(number(hung_up, "retransmits"), 1, "{closed}");
    assert!((200..900).contains(&number(hung_up, "into_backoff_ms")), "{closed}");
    assert_eq!(hung_up["would_have_tried_until"], closed["predicted_at"], "{closed}");
}

/// What ICMP says to a SYN ends connect() at once.
fn refused_by_the_network(fate: Fate, errors: [&str; 2]) {
    let scene = Scene::new();
    scene.lab.right.on_arrival(&Packets::all(), fate).unwrap();
    for (family, error) in BOTH.into_iter().zip(errors) {
        let socket = call(&scene.lab, SocketAddr::new(RIGHT.of(family), 9), |socket| socket);
        let id = socket.cookie().unwrap();
        await_death(&socket);
        Ending {
            cause: "icmp_error",
            who: Some("network"),
            knob: None,
            error: Some(error),
            note: &["the network refused the connection: ", error],
        }
        .check_with(&scene.end_of(id), &socket);
    }
    scene.finish();
}

#[test]
fn host_unreachable() {
    require_lab!();
    refused_by_the_network(Fate::HostUnreachable, ["EHOSTUNREACH", "EHOSTUNREACH"]);
}

#[test]
fn port_unreachable() {
    require_lab!();
    refused_by_the_network(Fate::PortUnreachable, ["ECONNREFUSED", "ECONNREFUSED"]);
}

#[test]
fn administratively_prohibited() {
    require_lab!();
    refused_by_the_network(Fate::Prohibited, ["EHOSTUNREACH", "EACCES"]);
}

#[test]
fn network_unreachable() {
    require_lab!();
    refused_by_the_network(Fate::NetUnreachable, ["ENETUNREACH", "ENETUNREACH"]);
}

#[test]
fn icmp_after_all_syns_were_sent_is_no_timeout() {
    require_lab!();
    let scene = Scene::new();
    scene.lab.left.sysctl("net.ipv4.tcp_syn_retries", "1").unwrap();
    let _ = scene.lab.left.sysctl("net.ipv4.tcp_syn_linear_timeouts", "0");
    let to = SocketAddr::new(RIGHT.of(Family::V4), 9);
    // The first SYN vanishes, the second and last one is answered with an error.
    let second = Packets::all().family(Family::V4).nth(1);
    scene.lab.right.on_arrival(&second, Fate::HostUnreachable).unwrap();
    scene.lab.right.on_arrival(&Packets::all(), Fate::Vanish).unwrap();
    let socket = call(&scene.lab, to, |socket| socket);
    let id = socket.cookie().unwrap();
    await_death(&socket);
    Ending {
        cause: "icmp_error",
        who: Some("network"),
        knob: None,
        error: Some("EHOSTUNREACH"),
        note: &["EHOSTUNREACH (No route to host)"],
    }
    .check_with(&scene.end_of(id), &socket);
    scene.finish();
}

#[test]
fn a_socket_that_calls_again_has_another_life() {
    require_lab!();
    let scene = Scene::new();
    let socket = call(&scene.lab, SocketAddr::new(RIGHT.of(Family::V4), 9), |socket| socket);
    await_death(&socket);
    assert_eq!(socket.pending_error().unwrap(), Some(libc::ECONNREFUSED));
    // The first call after a failure only says that there was one (inet_stream_connect).
    start_connect(&socket, nobody(Family::V4)).unwrap_err();
    start_connect(&socket, nobody(Family::V4)).unwrap();
    let id = format!("{:x}", socket.cookie().unwrap());
    drop(socket);
    let of_this = |event: &Value| event["event"] == "closed" && event["flow"]["id"] == *id;
    let causes: Vec<_> =
        scene.tracer.wait_for_many("closed", 2, of_this).iter().map(|event| event["cause"].clone()).collect();
    assert_eq!(causes, ["connect_refused", "connect_abandoned"]);
    assert_eq!(scene.tracer.finish().end()["flows_left"], 0);
}

#[test]
fn a_host_that_answers_no_arp() {
    require_lab!();
    let scene = Scene::new();
    // In the lab's net, and without the permanent neighbour entry that the void has.
    let to = SocketAddr::new("10.77.0.77".parse().unwrap(), 9000);
    let socket = call(&scene.lab, to, |socket| socket);
    let id = socket.cookie().unwrap();
    await_death(&socket);
    Ending {
        cause: "icmp_error",
        who: Some("network"),
        knob: None,
        error: Some("EHOSTUNREACH"),
        note: &["nobody answered to ARP"],
    }
    .check_with(&scene.end_of(id), &socket);
    scene.finish();
}
