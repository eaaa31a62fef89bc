//! The network tells of trouble, or a link goes away, while a connection has data under way. That alone ends no
//! connection: the kernel goes on trying, and reports the error in place of ETIMEDOUT when it gives up.

use std::io::Write;

use xtask::lab::{
    Connection, Family, shell,
    socket::Options,
    trouble::{Fate, Packets},
};

use super::expected::{Ending, Scene, await_death};
use crate::tracer::number;

fn gave_up<'a>(error: &'a str, note: &'a [&'a str]) -> Ending<'a> {
    Ending {
        cause: "retransmit_timeout",
        who: Some("kernel"),
        knob: Some("tcp_retries2"),
        error: Some(error),
        note,
    }
}

fn reported(fate: Fate, errors: [&str; 2]) {
    for (family, error) in [Family::V4, Family::V6].into_iter().zip(errors) {
        let scene = Scene::new();
        scene.lab.left.sysctl("net.ipv4.tcp_retries2", "2").unwrap();
        let mut connection = scene.lab.connect(family, 0).unwrap();
        connection.warm_up().unwrap();
        let id = connection.client.cookie().unwrap();
        scene.lab.right.on_arrival(&Packets::all(), fate).unwrap();
        connection.client.write_all(b"is anybody there?").unwrap();
        await_death(&connection.client);
        let closed = scene.end_of(id);
        let told = format!("(tcp_retries2=2); the network had reported {error}");
        gave_up(error, &[&told]).check_with(&closed, &connection.client);
        scene.finish();
    }
}

#[test]
fn host_unreachable() {
    require_lab!();
    reported(Fate::HostUnreachable, ["EHOSTUNREACH", "EHOSTUNREACH"]);
}

#[test]
fn port_unreachable() {
    require_lab!();
    reported(Fate::PortUnreachable, ["ECONNREFUSED", "ECONNREFUSED"]);
}

#[test]
fn administratively_prohibited() {
    require_lab!();
    reported(Fate::Prohibited, ["EHOSTUNREACH", "EACCES"]);
}

#[test]
fn the_own_interface_goes_down() {
    require_lab!();
    let scene = Scene::new();
    scene.lab.left.sysctl("net.ipv4.tcp_retries2", "2").unwrap();
    let Connection { client, server: _server } = scene.warm();
    let id = client.cookie().unwrap();
    scene.lab.right.unreachable().unwrap();
    (&client).write_all(b"is anybody there?").unwrap();
    scene.lab.left.unplug().unwrap();
    await_death(&client);
    let closed = scene.end_of(id);
    gave_up("ENETUNREACH", &["; the network had reported ENETUNREACH (Network is unreachable)"])
        .check_with(&closed, &client);
    assert_eq!(number(&closed, "unacked_bytes"), 17, "{closed}");
    scene.finish();
}

#[test]
fn the_own_interface_was_down_before_anything_was_sent() {
    require_lab!();
    let scene = Scene::new();
    scene.lab.left.sysctl("net.ipv4.tcp_retries2", "2").unwrap();
    let Connection { client, server: _server } = scene.warm();
    let id = client.cookie().unwrap();
    scene.lab.left.unplug().unwrap();
    (&client).write_all(b"is anybody there?").unwrap();
    await_death(&client);
    let closed = scene.end_of(id);
    // What the sender's own IP layer refuses is not in flight: TCP probes for it, and forgets the errors.
    gave_up("ETIMEDOUT", &["nothing left this machine: it has no route", "17 bytes undelivered"])
        .check_with(&closed, &client);
    assert_eq!(number(&closed, "unsent_bytes"), 17, "{closed}");
    scene.finish();
}

#[test]
fn the_peers_interface_goes_down() {
    require_lab!();
    let scene = Scene::new();
    scene.lab.left.sysctl("net.ipv4.tcp_retries2", "2").unwrap();
    let Connection { client, server: _server } = scene.warm();
    let id = client.cookie().unwrap();
    scene.lab.right.unplug().unwrap();
    (&client).write_all(b"is anybody there?").unwrap();
    await_death(&client);
    // The carrier is gone, the route is not: a blackhole.
    gave_up("ETIMEDOUT", &["; 17 bytes undelivered (tcp_retries2=2)"]).check_with(&scene.end_of(id), &client);
    scene.finish();
}

#[test]
fn an_address_that_goes_away_ends_nothing() {
    require_lab!();
    let scene = Scene::new();
    scene.lab.left.sysctl("net.ipv4.tcp_retries2", "2").unwrap();
    let Connection { client, server: _server } = scene.warm();
    let id = client.cookie().unwrap();
    shell::ip(&["-n", scene.lab.left.name(), "addr", "del", "10.77.0.1/24", "dev", xtask::lab::DEVICE])
        .unwrap();
    (&client).write_all(b"is anybody there?").unwrap();
    await_death(&client);
    let closed = scene.end_of(id);
    assert_eq!(closed["cause"], "retransmit_timeout", "{closed:#}");
    assert_eq!(closed["knob"], "tcp_retries2", "{closed:#}");
    scene.finish();
}
