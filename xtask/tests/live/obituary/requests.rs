//! Handshakes that a listener has answered and that are never completed. They are no sockets: no tracepoint tells of
//! their end.

use std::time::Duration;

use xtask::lab::{Family, Packets, trouble::Fate};

use super::expected::{Ending, On, Scene, await_death, call, closed_events, end_between, pause, trace};
use crate::tracer::{is_type, number};

#[test]
fn a_listener_closes_under_a_half_open_connection() {
    require_lab!();
    let scene = Scene::traced(On::Right, &[]);
    let clients = trace(&scene.lab.left, &[]);
    let listener = scene.lab.listen(Family::V4, 0).unwrap();
    let server = listener.local_addr().unwrap();
    scene.lab.left.on_arrival(&Packets::all().syn_ack(), Fate::Vanish).unwrap();
    let client = call(&scene.lab, server, |socket| socket);
    let port = client.local_addr().unwrap().port();
    scene.tracer.wait_for("synack", |event| is_type(event, "synack"));
    drop(listener);
    let closed = end_between(&scene.tracer, server.port(), port);
    let by = format!("pid {}) before the handshake was complete: ", std::process::id());
    Ending {
        cause: "reset_by_local",
        who: Some("local"),
        knob: None,
        error: None,
        note: &["the listener was closed by ", &by, "SYN-ACKs unanswered"],
    }
    .check(&closed);
    assert_eq!(closed["state"], "SYN_RECV", "{closed}");
    // The client's next SYN is answered with a RST.
    await_death(&client);
    Ending {
        cause: "connect_refused",
        who: Some("peer"),
        knob: None,
        error: Some("ECONNREFUSED"),
        note: &["refused"],
    }
    .check_with(&end_between(&clients, port, server.port()), &client);
    clients.finish().assert_clean();
    scene.finish();
}

#[test]
fn a_request_that_runs_out_has_an_unknown_end() {
    require_lab!();
    let scene = Scene::traced(On::Right, &[]);
    scene.lab.right.sysctl("net.ipv4.tcp_synack_retries", "1").unwrap();
    let listener = scene.lab.listen(Family::V4, 0).unwrap();
    let server = listener.local_addr().unwrap();
    scene.lab.left.on_arrival(&Packets::all().syn_ack(), Fate::Vanish).unwrap();
    let client = call(&scene.lab, server, |socket| socket);
    let port = client.local_addr().unwrap().port();
    scene.tracer.wait_for("synack", |event| is_type(event, "synack"));
    // No further SYN of it may come.
    drop(client);
    let closed = end_between(&scene.tracer, server.port(), port);
    Ending {
        cause: "unknown",
        who: None,
        knob: None,
        error: None,
        note: &["the handshake was not completed", "SYN-ACKs unanswered", "the kernel does not report which"],
    }
    .check(&closed);
    assert!(number(&closed, "retransmissions") >= 1, "{closed}");
    scene.finish();
}

#[test]
fn a_request_that_is_completed_has_no_end_of_its_own() {
    require_lab!();
    let scene = Scene::traced(On::Right, &[]);
    let listener = scene.lab.listen(Family::V4, 0).unwrap();
    let trouble = scene.lab.left.on_arrival(&Packets::all().syn_ack(), Fate::Vanish).unwrap();
    let client = call(&scene.lab, listener.local_addr().unwrap(), |socket| socket);
    scene.tracer.wait_for("synack", |event| is_type(event, "synack"));
    trouble.heal().unwrap();
    let (accepted, _) = listener.accept().unwrap();
    let recovered = scene.tracer.wait_for("recovered", |event| event["event"] == "recovered");
    assert_eq!(recovered["by"], "established", "{recovered}");
    drop(client);
    pause(100);
    drop(accepted);
    std::thread::sleep(Duration::from_millis(500));
    let events = scene.finish();
    let causes: Vec<_> = closed_events(&events).map(|event| event["cause"].as_str().unwrap()).collect();
    assert_eq!(causes, ["closed_by_peer"], "{events:#?}");
}
