//! Connections that end with a RST.

use std::{io::Write, net::Shutdown};

use xtask::lab::{Connection, Packets, socket::Options, trouble::Fate};

use super::expected::{Ending, On, Scene, await_death, await_rtos, end_between, pause, this_process, trace};
use crate::tracer::{number, patience};

const BY_PEER: Ending<'static> = Ending {
    cause: "reset_by_peer",
    who: Some("peer"),
    knob: None,
    error: Some("ECONNRESET"),
    note: &["reset by the peer"],
};

fn by_local<'a>(note: &'a [&'a str]) -> Ending<'a> {
    Ending { cause: "reset_by_local", who: Some("local"), knob: None, error: None, note }
}

#[test]
fn the_peer_resets_in_the_middle_of_data() {
    require_lab!();
    let scene = Scene::new();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    (&connection.client).write_all(b"on and on").unwrap();
    drop(connection.server.linger(0).unwrap());
    await_death(&connection.client);
    let closed = scene.end_of(id);
    BY_PEER.check_with(&closed, &connection.client);
    assert!(closed["hung_up"].is_null(), "nothing was pending: {closed}");
    scene.finish();
}

#[test]
fn the_peer_resets_while_data_is_being_retransmitted() {
    require_lab!();
    let scene = Scene::new();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    scene.lab.right.unreachable().unwrap();
    (&connection.client).write_all(b"on and on").unwrap();
    await_rtos(&connection.client, 2);
    drop(connection.server.linger(0).unwrap());
    await_death(&connection.client);
    let closed = scene.end_of(id);
    Ending {
        note: &[
            "reset by the peer",
            "into an RTO backoff with 9 bytes unacknowledged; TCP itself would have tried",
        ],
        ..BY_PEER
    }
    .check_with(&closed, &connection.client);
    let hung_up = &closed["hung_up"];
    assert_eq!((&hung_up["side"], number(hung_up, "retransmits")), (&"peer".into(), 2), "{closed}");
    assert_eq!(
        (number(hung_up, "unacked_bytes"), &hung_up["pid"]),
        (9, &serde_json::Value::Null),
        "{closed}"
    );
    assert!(number(hung_up, "into_backoff_ms") >= 400, "{closed}");
    scene.finish();
}

#[test]
fn a_reset_after_the_peers_fin_is_a_broken_pipe() {
    require_lab!();
    let scene = Scene::new();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    connection.server.shutdown(Shutdown::Write).unwrap();
    pause(100);
    drop(connection.server.linger(0).unwrap());
    await_death(&connection.client);
    Ending { error: Some("EPIPE"), ..BY_PEER }.check_with(&scene.end_of(id), &connection.client);
    scene.finish();
}

#[test]
fn unread_data_makes_close_a_reset_as_both_ends_tell() {
    require_lab!();
    let scene = Scene::new();
    let peers = trace(&scene.lab.right, &[]);
    let connection = scene.warm();
    let (client, server) = connection.ends().unwrap();
    let id = connection.client.cookie().unwrap();
    (&connection.server).write_all(b"please read me").unwrap();
    connection.client.set_read_timeout(Some(patience())).unwrap();
    connection.client.peek(&mut [0]).unwrap();
    drop(connection.client);
    let by = format!("reset by the local application {}, which closed with 14 bytes unread", this_process());
    by_local(&[&by]).check(&scene.end_of(id));
    await_death(&connection.server);
    BY_PEER.check_with(&end_between(&peers, server.port(), client.port()), &connection.server);
    peers.finish().assert_clean();
    scene.finish();
}

#[test]
fn unread_data_after_the_peers_fin() {
    require_lab!();
    let scene = Scene::new();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    (&connection.server).write_all(b"please read me").unwrap();
    connection.server.shutdown(Shutdown::Write).unwrap();
    pause(100);
    drop(connection.client);
    by_local(&["which closed with 14 bytes unread"]).check(&scene.end_of(id));
    scene.finish();
}

#[test]
fn unread_data_after_our_own_fin() {
    require_lab!();
    let scene = Scene::new();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    connection.client.shutdown(Shutdown::Write).unwrap();
    (&connection.server).write_all(b"please read me").unwrap();
    pause(100);
    drop(connection.client);
    by_local(&["which closed with 14 bytes unread"]).check(&scene.end_of(id));
    scene.finish();
}

#[test]
fn so_linger_0() {
    require_lab!();
    let scene = Scene::new();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    drop(connection.client.linger(0).unwrap());
    let by = format!("reset by the local application {}, which closed with SO_LINGER 0", this_process());
    by_local(&[&by]).check(&scene.end_of(id));
    scene.finish();
}

#[test]
fn so_linger_0_in_the_middle_of_a_backoff() {
    require_lab!();
    let scene = Scene::new();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    scene.lab.right.unreachable().unwrap();
    (&connection.client).write_all(b"on and on").unwrap();
    await_rtos(&connection.client, 2);
    drop(connection.client.linger(0).unwrap());
    let closed = scene.end_of(id);
    by_local(&[
        "which closed with SO_LINGER 0",
        "into an RTO backoff with 9 bytes unacknowledged; TCP itself",
    ])
    .check(&closed);
    assert_eq!(closed["hung_up"]["side"], "local", "{closed}");
    let events = scene.finish();
    // tcp_disconnect resets the congestion state, which is no recovery.
    assert!(events.iter().all(|event| event["event"] != "recovered"), "{events:#?}");
}

#[test]
fn connect_to_nowhere_resets() {
    require_lab!();
    let scene = Scene::new();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    connection.client.disconnect().unwrap();
    by_local(&["with connect(AF_UNSPEC)"]).check(&scene.end_of(id));
    scene.finish();
}

#[test]
fn data_arrives_after_close() {
    require_lab!();
    let scene = Scene::new();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    // The FIN gets lost: the server goes on.
    let lost = scene.lab.right.on_arrival(&Packets::all(), Fate::Vanish).unwrap();
    drop(connection.client);
    (&connection.server).write_all(b"are you listening?").unwrap();
    let closed = scene.end_of(id);
    lost.heal().unwrap();
    let by = format!("closed by the local application {}", this_process());
    Ending {
        error: Some("ECONNRESET"),
        ..by_local(&[&by, "then reset by the kernel: data arrived after the application had closed"])
    }
    .check(&closed);
    scene.finish();
}

#[test]
fn the_peer_had_closed_when_our_data_arrived() {
    require_lab!();
    let scene = Scene::traced(On::Right, &[]);
    let connection = scene.warm();
    let id = connection.server.cookie().unwrap();
    // Its FIN gets lost, so that we go on; its RST arrives.
    scene.lab.right.on_arrival(&Packets::all().fin(), Fate::Vanish).unwrap();
    drop(connection.client);
    (&connection.server).write_all(b"are you listening?").unwrap();
    await_death(&connection.server);
    BY_PEER.check_with(&scene.end_of(id), &connection.server);
    scene.finish();
}

#[test]
fn data_arrives_with_the_ack_of_our_fin() {
    require_lab!();
    let scene = Scene::new();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    // The pure ACK of the FIN gets lost (a bare TCP header with timestamps has 52 bytes), the one with data does not.
    let Connection { client, server } = connection;
    let acks = scene.lab.right.on_departure(&Packets::all().at_most(52), Fate::Vanish).unwrap();
    drop(client);
    pause(50);
    (&server).write_all(b"are you listening?").unwrap();
    let closed = scene.end_of(id);
    acks.heal().unwrap();
    by_local(&["then reset by the kernel: data arrived after the application had closed"])
        .check_but_error(&closed);
    scene.finish();
}

#[test]
fn a_listener_closes_before_it_accepted() {
    require_lab!();
    let scene = Scene::traced(On::Right, &[]);
    let clients = trace(&scene.lab.left, &[]);
    let listener = scene.lab.listen(xtask::lab::Family::V4, 0).unwrap();
    let address = listener.local_addr().unwrap();
    let client = scene.lab.left.run(|| std::net::TcpStream::connect(address)).unwrap();
    let port = client.local_addr().unwrap().port();
    drop(listener);
    await_death(&client);
    let by = format!("pid {}) before the connection was accepted", std::process::id());
    by_local(&["its listener was closed by ", &by]).check(&end_between(&scene.tracer, address.port(), port));
    BY_PEER.check_with(&end_between(&clients, port, address.port()), &client);
    clients.finish().assert_clean();
    scene.finish();
}

#[test]
fn ss_kills_it() {
    require_lab!();
    let scene = Scene::new();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    let port = connection.client.local_addr().unwrap().port().to_string();
    scene.lab.left.command("ss", &["-K", "sport", "=", &port]).unwrap();
    await_death(&connection.client);
    let closed = scene.end_of(id);
    Ending {
        cause: "admin_kill",
        who: Some("admin"),
        knob: None,
        error: Some("ECONNABORTED"),
        note: &["killed by ss (pid ", "with `ss -K` or the like"],
    }
    .check_with(&closed, &connection.client);
    assert_eq!(closed["flow"]["pid"], std::process::id(), "the killer is not the owner: {closed}");
    scene.finish();
}

#[test]
fn ss_kills_a_connect() {
    require_lab!();
    let scene = Scene::new();
    let to = (xtask::lab::VOID.v4, 9000).into();
    let socket = super::expected::call(&scene.lab, to, |socket| socket);
    let id = socket.cookie().unwrap();
    scene.lab.left.command("ss", &["-K", "dport", "=", "9000"]).unwrap();
    await_death(&socket);
    Ending {
        cause: "admin_kill",
        who: Some("admin"),
        knob: None,
        error: Some("ECONNABORTED"),
        note: &["killed by ss (pid "],
    }
    .check_with(&scene.end_of(id), &socket);
    scene.finish();
}
