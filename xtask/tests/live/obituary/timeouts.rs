//! The kernel's own timers give a connection up.

use std::{io::Write, time::Duration};

use xtask::lab::{
    Packets,
    socket::{self, Options},
    trouble::Fate,
};

use super::expected::{Ending, Scene, await_death, await_rtos, pause, this_process};
use crate::{
    limits,
    tracer::{number, patience},
};

const WORDS: &[u8] = b"is anybody there?";

#[test]
fn tcp_retries2_is_used_up() {
    require_lab!();
    let scene = Scene::new();
    scene.lab.left.sysctl("net.ipv4.tcp_retries2", "2").unwrap();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    scene.lab.right.unreachable().unwrap();
    (&connection.client).write_all(WORDS).unwrap();
    await_death(&connection.client);
    let closed = scene.end_of(id);
    Ending {
        cause: "retransmit_timeout",
        who: Some("kernel"),
        knob: Some("tcp_retries2"),
        error: Some("ETIMEDOUT"),
        note: &[
            "the kernel gave up after ",
            " retransmissions: the peer did not answer, silent for ",
            "; 17 bytes undelivered (tcp_retries2=2)",
        ],
    }
    .check_with(&closed, &connection.client);
    assert_eq!((number(&closed, "unacked_bytes"), number(&closed, "unsent_bytes")), (17, 0), "{closed}");
    assert!(closed["predicted_at"].is_string() && closed["hung_up"].is_null(), "{closed}");
    assert!(number(&closed, "silent_ms") >= 600, "{closed}");
    scene.finish();
}

#[test]
fn tcp_user_timeout_is_over() {
    require_lab!();
    let scene = Scene::new();
    let connection = scene.warm();
    let client = connection.client.user_timeout(Duration::from_millis(700)).unwrap();
    let id = client.cookie().unwrap();
    scene.lab.right.unreachable().unwrap();
    (&client).write_all(WORDS).unwrap();
    await_death(&client);
    Ending {
        cause: "user_timeout",
        who: Some("kernel"),
        knob: Some("TCP_USER_TIMEOUT"),
        error: Some("ETIMEDOUT"),
        note: &["the kernel gave up after ", "; 17 bytes undelivered (TCP_USER_TIMEOUT=700 ms)"],
    }
    .check_with(&scene.end_of(id), &client);
    scene.finish();
}

#[test]
fn keepalive_probes_are_unanswered() {
    require_lab!();
    let scene = Scene::new();
    let connection = scene.warm();
    let client = connection.client.keepalive(1, 2).unwrap();
    let id = client.cookie().unwrap();
    scene.lab.right.unreachable().unwrap();
    await_death(&client);
    let closed = scene.end_of(id);
    Ending {
        cause: "keepalive_timeout",
        who: Some("kernel"),
        knob: Some("keepalive"),
        error: Some("ETIMEDOUT"),
        note: &["did not answer 2 keepalive probes", "(keepalive: idle for 1 s, then 2 probes every 1 s)"],
    }
    .check_with(&closed, &client);
    assert_eq!((number(&closed, "retransmissions"), number(&closed, "unacked_bytes")), (0, 0), "{closed}");
    scene.finish();
}

#[test]
fn keepalive_ends_with_tcp_user_timeout() {
    require_lab!();
    let scene = Scene::new();
    let connection = scene.warm();
    let client = connection.client.keepalive(1, 9).unwrap();
    let client = client.user_timeout(Duration::from_millis(1500)).unwrap();
    let id = client.cookie().unwrap();
    scene.lab.right.unreachable().unwrap();
    await_death(&client);
    Ending {
        cause: "keepalive_timeout",
        who: Some("kernel"),
        knob: Some("TCP_USER_TIMEOUT"),
        error: Some("ETIMEDOUT"),
        note: &["did not answer 1 keepalive probe", "(TCP_USER_TIMEOUT=1500 ms)"],
    }
    .check_with(&scene.end_of(id), &client);
    scene.finish();
}

/// Fills the peer's window: afterwards nothing is in flight, and the kernel probes.
fn fill_window(client: &std::net::TcpStream) {
    client.set_nonblocking(true).unwrap();
    let block = [0; 16 * 1024];
    let mut quiet = std::time::Instant::now();
    while quiet.elapsed() < Duration::from_millis(300) {
        let client = &mut &*client;
        match client.write(&block) {
            Ok(_) => quiet = std::time::Instant::now(),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
        pause(1);
    }
    socket::await_info(client, patience(), |info| info.unacked == 0 && info.notsent_bytes > 0).unwrap();
}

#[test]
fn window_probes_are_unanswered() {
    require_lab!();
    let scene = Scene::new();
    scene.lab.left.sysctl("net.ipv4.tcp_retries2", "2").unwrap();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    fill_window(&connection.client);
    scene.lab.right.unreachable().unwrap();
    await_death(&connection.client);
    let closed = scene.end_of(id);
    Ending {
        cause: "zero_window_timeout",
        who: Some("kernel"),
        knob: Some("tcp_retries2"),
        error: Some("ETIMEDOUT"),
        note: &["the peer had closed its window and did not answer window probes", "(tcp_retries2=2)"],
    }
    .check_with(&closed, &connection.client);
    assert_eq!(number(&closed, "unacked_bytes"), 0, "{closed}");
    assert!(number(&closed, "unsent_bytes") > 0, "{closed}");
    scene.finish();
}

#[test]
fn a_window_stays_closed_longer_than_tcp_user_timeout() {
    require_lab!();
    let scene = Scene::new();
    let connection = scene.warm();
    let client = connection.client.user_timeout(Duration::from_millis(900)).unwrap();
    let id = client.cookie().unwrap();
    // The peer answers every probe all the while.
    fill_window(&client);
    await_death(&client);
    Ending {
        cause: "zero_window_timeout",
        who: Some("kernel"),
        knob: Some("TCP_USER_TIMEOUT"),
        error: Some("ETIMEDOUT"),
        note: &["kept its window closed for too long", "(TCP_USER_TIMEOUT=900 ms)"],
    }
    .check_with(&scene.end_of(id), &client);
    scene.finish();
}

#[test]
fn a_window_closes_with_data_in_flight() {
    require_lab!();
    let scene = Scene::new();
    // Such an end takes four minutes where the longest RTO cannot be set.
    if limits::LONGEST_RTO.applies() {
        return;
    }
    scene.lab.left.sysctl("net.ipv4.tcp_rto_max_ms", "1000").unwrap();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    scene.lab.right.unreachable().unwrap();
    (&connection.client).write_all(WORDS).unwrap();
    connection.client.close_peers_window().unwrap();
    await_death(&connection.client);
    let closed = scene.end_of(id);
    Ending {
        cause: "zero_window_timeout",
        who: Some("kernel"),
        knob: Some("zero_window"),
        error: Some("ETIMEDOUT"),
        note: &["the peer had closed its window with data in flight", "twice the longest RTO"],
    }
    .check_with(&closed, &connection.client);
    assert_eq!(number(&closed, "unacked_bytes"), 17, "{closed}");
    scene.finish();
}

#[test]
fn an_orphan_is_given_up() {
    require_lab!();
    let scene = Scene::new();
    scene.lab.left.sysctl("net.ipv4.tcp_orphan_retries", "1").unwrap();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    scene.lab.right.unreachable().unwrap();
    (&connection.client).write_all(WORDS).unwrap();
    drop(connection.client);
    let closed = scene.end_of(id);
    let by = format!("closed by the local application {}", this_process());
    Ending {
        cause: "orphan_timeout",
        who: Some("kernel"),
        knob: Some("tcp_orphan_retries"),
        error: Some("ETIMEDOUT"),
        note: &[&by, ", then the kernel gave up after ", "; 17 bytes undelivered (tcp_orphan_retries=1)"],
    }
    .check(&closed);
    // It closed as soon as it had written: nothing to reproach it with.
    assert!(closed["hung_up"].is_null(), "{closed}");
    assert_eq!(number(&closed, "unacked_bytes"), 17, "a FIN is no byte: {closed}");
    scene.finish();
}

#[test]
fn an_orphans_window_probes_are_unanswered() {
    require_lab!();
    let scene = Scene::new();
    scene.lab.left.sysctl("net.ipv4.tcp_orphan_retries", "1").unwrap();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    fill_window(&connection.client);
    scene.lab.right.unreachable().unwrap();
    drop(connection.client);
    Ending {
        cause: "zero_window_timeout",
        who: Some("kernel"),
        knob: Some("tcp_orphan_retries"),
        error: Some("ETIMEDOUT"),
        note: &["(tcp_orphan_retries=1)"],
    }
    .check(&scene.end_of(id));
    scene.finish();
}

#[test]
fn an_orphan_keeps_its_tcp_user_timeout() {
    require_lab!();
    let scene = Scene::new();
    let connection = scene.warm();
    let client = connection.client.user_timeout(Duration::from_millis(700)).unwrap();
    let id = client.cookie().unwrap();
    scene.lab.right.unreachable().unwrap();
    (&client).write_all(WORDS).unwrap();
    await_rtos(&client, 1);
    drop(client);
    Ending {
        cause: "user_timeout",
        who: Some("kernel"),
        knob: Some("TCP_USER_TIMEOUT"),
        error: Some("ETIMEDOUT"),
        note: &["closed by the local application", "into an RTO backoff with 17 bytes unacknowledged, then"],
    }
    .check(&scene.end_of(id));
    scene.finish();
}

#[test]
fn what_this_machine_drops_itself_never_left() {
    require_lab!();
    let scene = Scene::new();
    scene.lab.left.sysctl("net.ipv4.tcp_retries2", "2").unwrap();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    scene.lab.left.on_departure(&Packets::all(), Fate::Vanish).unwrap();
    (&connection.client).write_all(WORDS).unwrap();
    await_death(&connection.client);
    let closed = scene.end_of(id);
    Ending {
        cause: "retransmit_timeout",
        who: Some("kernel"),
        knob: Some("tcp_retries2"),
        error: Some("ETIMEDOUT"),
        note: &["nothing left this machine", "17 bytes undelivered"],
    }
    .check_with(&closed, &connection.client);
    assert_eq!(number(&closed, "unsent_bytes"), 17, "{closed}");
    scene.finish();
}
