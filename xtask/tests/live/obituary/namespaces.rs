//! A network namespace is deleted with connections in it. Sockets hold it: it lives on without a name until the
//! last of them is gone, and they end as they would have otherwise.

use std::io::Write;

use xtask::lab::{Family, shell, socket::Options};

use super::expected::{Ending, On, Scene, end_between, pause};
use crate::process::Client;

#[test]
fn a_deleted_namespace_lives_on_until_its_connections_end() {
    require_lab!();
    let scene = Scene::new();
    scene.lab.left.sysctl("net.ipv4.tcp_retries2", "2").unwrap();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    scene.lab.left.forget_name().unwrap();
    pause(100);
    (&connection.client).write_all(b"still here").unwrap();
    scene.lab.right.unreachable().unwrap();
    (&connection.client).write_all(b"is anybody there?").unwrap();
    super::expected::await_death(&connection.client);
    Ending {
        cause: "retransmit_timeout",
        who: Some("kernel"),
        knob: Some("tcp_retries2"),
        error: Some("ETIMEDOUT"),
        note: &["17 bytes undelivered"],
    }
    .check_with(&scene.end_of(id), &connection.client);
    scene.finish();
}

#[test]
fn the_last_process_of_a_deleted_namespace_dies() {
    require_lab!();
    let scene = Scene::traced(On::Left, &[]);
    scene.lab.left.sysctl("net.ipv4.tcp_orphan_retries", "1").unwrap();
    let listener = scene.lab.listen(Family::V4, 0).unwrap();
    let server = listener.local_addr().unwrap();
    let mut client = Client::start(&scene.lab.left, "last", server);
    client.connect();
    let (_accepted, from) = listener.accept().unwrap();
    scene.lab.right.unreachable().unwrap();
    client.write();
    scene.lab.left.forget_name().unwrap();
    drop(client);
    // The orphan keeps the namespace until it is given up.
    let closed = end_between(&scene.tracer, from.port(), server.port());
    Ending {
        cause: "orphan_timeout",
        who: Some("kernel"),
        knob: Some("tcp_orphan_retries"),
        error: Some("ETIMEDOUT"),
        note: &["SIGKILL killed the local application (last, pid "],
    }
    .check(&closed);
    scene.finish();
}

#[test]
fn the_peers_namespace_is_deleted() {
    require_lab!();
    let scene = Scene::new();
    // A slow machine may take seconds to delete the device.
    let retries2 = if xtask::lab::slowness() > 1 { "6" } else { "2" };
    scene.lab.left.sysctl("net.ipv4.tcp_retries2", retries2).unwrap();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    scene.lab.right.unreachable().unwrap();
    (&connection.client).write_all(b"is anybody there?").unwrap();
    // What a deletion does to the wire once nothing holds the namespace any more: this end goes, too.
    shell::ip(&["-n", scene.lab.right.name(), "link", "del", xtask::lab::DEVICE]).unwrap();
    super::expected::await_death(&connection.client);
    Ending {
        cause: "retransmit_timeout",
        who: Some("kernel"),
        knob: Some("tcp_retries2"),
        error: Some("ENETUNREACH"),
        note: &["the network had reported ENETUNREACH"],
    }
    .check_with(&scene.end_of(id), &connection.client);
    scene.finish();
}
