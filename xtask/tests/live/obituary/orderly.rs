//! Connections that are closed with FINs, in peace or in trouble, and processes that die.

use std::{io::Write, net::Shutdown};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use xtask::lab::{Packets, socket::Options, trouble::Fate};

use super::expected::{Ending, On, Scene, end_between, pause, this_process};
use crate::process::Client;

fn closed_by<'a>(cause: &'a str, who: Option<&'a str>, note: &'a [&'a str]) -> Ending<'a> {
    Ending { cause, who, knob: None, error: None, note }
}

#[test]
fn our_fin_goes_first() {
    require_lab!();
    let scene = Scene::with_all_closes();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    drop(connection.client);
    pause(50);
    drop(connection.server);
    let by = format!("closed by the local application {}", this_process());
    let closed = scene.end_of(id);
    closed_by("closed_by_local", Some("local"), &[&by]).check(&closed);
    assert_eq!(closed["note"], by, "nothing else is worth telling");
    scene.finish();
}

#[test]
fn the_peers_fin_comes_first() {
    require_lab!();
    let scene = Scene::with_all_closes();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    drop(connection.server);
    pause(50);
    drop(connection.client);
    let closed = scene.end_of(id);
    closed_by("closed_by_peer", Some("peer"), &[]).check(&closed);
    assert_eq!(closed["note"], "closed by the peer", "{closed}");
    scene.finish();
}

#[test]
fn untroubled_closes_are_told_only_if_asked() {
    require_lab!();
    let scene = Scene::new();
    let connection = scene.warm();
    drop(connection.client);
    pause(50);
    drop(connection.server);
    pause(300);
    let events = scene.finish();
    assert_eq!(events.len(), 2, "start and end: {events:#?}");
}

#[test]
fn both_fins_cross() {
    require_lab!();
    let scene = Scene::new();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    // The left's FIN gets lost, so the right does not know of it when it sends its own, which arrives.
    let trouble = scene.lab.right.unreachable().unwrap();
    drop(connection.client);
    drop(connection.server);
    trouble.heal().unwrap();
    let closed = scene.end_of(id);
    assert_eq!(closed["state"], "CLOSING", "the FIN of the peer came before the ACK: {closed:#}");
    closed_by("simultaneous_close", None, &["both ends closed at the same time"]).check(&closed);
    scene.finish();
}

#[test]
fn the_order_of_fins_is_known_although_they_went_before_the_trouble() {
    require_lab!();
    let scene = Scene::new();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    // The first copy of our FIN gets lost: only its retransmission is the first sight of the flow.
    scene.lab.right.on_arrival(&Packets::all().fin().nth(0), Fate::Vanish).unwrap();
    drop(connection.client);
    pause(600);
    drop(connection.server);
    let closed = scene.end_of(id);
    let by = format!("closed by the local application {}", this_process());
    closed_by("closed_by_local", Some("local"), &[&by]).check(&closed);
    assert_eq!(closed["hung_up"], Value::Null, "a FIN alone is no data: {closed}");
    scene.finish();
}

#[test]
fn an_accepted_connections_closer_is_its_owner() {
    require_lab!();
    let scene = Scene::traced(On::Right, &[]);
    scene.lab.right.sysctl("net.ipv4.tcp_orphan_retries", "1").unwrap();
    let connection = scene.warm();
    let id = connection.server.cookie().unwrap();
    scene.lab.left.unreachable().unwrap();
    (&connection.server).write_all(b"last words").unwrap();
    drop(connection.server);
    let closed = scene.end_of(id);
    assert_eq!(closed["flow"]["pid"], std::process::id(), "{closed:#}");
    assert!(closed["note"].as_str().unwrap().contains(&this_process()), "{closed}");
    scene.finish();
}

#[test]
fn a_killed_process_leaves_an_orphan() {
    require_lab!();
    for backoff in [false, true] {
        let scene = Scene::new();
        scene.lab.left.sysctl("net.ipv4.tcp_orphan_retries", "1").unwrap();
        let listener = scene.lab.listen(xtask::lab::Family::V4, 0).unwrap();
        let server = listener.local_addr().unwrap();
        let mut client = Client::start(&scene.lab.left, "doomed", server);
        client.connect();
        let (_accepted, from) = listener.accept().unwrap();
        scene.lab.right.unreachable().unwrap();
        client.write();
        if backoff {
            scene.tracer.wait_for_many("rto", 2, |event| event["type"] == "rto");
        }
        let pid = client.pid();
        kill(Pid::from_raw(pid as i32), Signal::SIGKILL).unwrap();
        let closed = end_between(&scene.tracer, from.port(), server.port());
        let by = format!("closed by the kernel as SIGKILL killed the local application (doomed, pid {pid})");
        let when = if backoff { "into an RTO backoff with 6 bytes unacknowledged, then " } else { ", then " };
        Ending {
            cause: "orphan_timeout",
            who: Some("kernel"),
            knob: Some("tcp_orphan_retries"),
            error: Some("ETIMEDOUT"),
            note: &[&by, when, "6 bytes undelivered"],
        }
        .check(&closed);
        assert_eq!(closed["killed_by"], "SIGKILL", "{closed}");
        assert_eq!(closed["hung_up"].is_object(), backoff, "{closed}");
        scene.finish();
    }
}

#[test]
fn a_killed_process_closes_in_peace() {
    require_lab!();
    let scene = Scene::with_all_closes();
    let listener = scene.lab.listen(xtask::lab::Family::V4, 0).unwrap();
    let server = listener.local_addr().unwrap();
    let mut client = Client::start(&scene.lab.left, "doomed", server);
    client.connect();
    let (accepted, from) = listener.accept().unwrap();
    let pid = client.pid();
    kill(Pid::from_raw(pid as i32), Signal::SIGKILL).unwrap();
    pause(100);
    drop(accepted);
    let closed = end_between(&scene.tracer, from.port(), server.port());
    let by = format!("closed by the kernel as SIGKILL killed the local application (doomed, pid {pid})");
    closed_by("closed_by_local", Some("local"), &[&by]).check(&closed);
    scene.finish();
}

#[test]
fn a_half_close_is_the_first_fin() {
    require_lab!();
    let scene = Scene::with_all_closes();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    connection.client.shutdown(Shutdown::Write).unwrap();
    pause(50);
    drop(connection.server);
    pause(50);
    drop(connection.client);
    closed_by("closed_by_local", Some("local"), &[]).check(&scene.end_of(id));
    scene.finish();
}
