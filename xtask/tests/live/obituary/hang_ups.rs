//! An end hangs up while TCP is still trying.

use std::{
    io::{Read, Write},
    net::Shutdown,
};

use serde_json::Value;
use xtask::lab::{
    Connection, Packets,
    socket::{self, Options},
    trouble::Fate,
};

use super::expected::{Ending, Scene, await_rtos, pause, this_process, wall_ns};
use crate::tracer::{number, patience};

#[test]
fn the_application_closes_in_the_middle_of_a_backoff_and_the_kernel_gives_up() {
    require_lab!();
    let scene = Scene::new();
    scene.lab.left.sysctl("net.ipv4.tcp_orphan_retries", "2").unwrap();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    scene.lab.right.unreachable().unwrap();
    (&connection.client).write_all(&[7; 1400]).unwrap();
    await_rtos(&connection.client, 2);
    let last = scene.tracer.wait_for("2nd RTO", |event| event["type"] == "rto" && event["retransmits"] == 2);
    drop(connection.client);
    let closed = scene.end_of(id);
    let by = format!("closed by the local application {} ", this_process());
    Ending {
        cause: "orphan_timeout",
        who: Some("kernel"),
        knob: Some("tcp_orphan_retries"),
        error: Some("ETIMEDOUT"),
        note: &[
            &by,
            " into an RTO backoff with 1,400 bytes unacknowledged, then the kernel gave up after ",
            "; 1,400 bytes undelivered (tcp_orphan_retries=2)",
            "; TCP itself would have tried until ",
        ],
    }
    .check(&closed);
    let hung_up = &closed["hung_up"];
    assert_eq!(hung_up["side"], "local", "{closed}");
    assert_eq!(
        (&hung_up["pid"], number(hung_up, "retransmits")),
        (&std::process::id().into(), 2),
        "{closed}"
    );
    assert_eq!(
        (number(hung_up, "unacked_bytes"), number(hung_up, "rto_ms")),
        (1400, number(&last, "next_rto_ms"))
    );
    assert!((400..2000).contains(&number(hung_up, "into_backoff_ms")), "{closed}");
    let [until_ns, forecast_ns] =
        [&hung_up["would_have_tried_until"], &last["deadline"]["expected"]].map(wall_ns);
    // Each line has its own idea of the two clocks' offset.
    assert!(until_ns.abs_diff(forecast_ns) < 1_000_000, "{closed:#}\n{last:#}");
    assert!(
        closed["predicted_at"].as_str() < hung_up["would_have_tried_until"].as_str(),
        "orphans die sooner: {closed:#}"
    );
    scene.finish();
}

#[test]
fn the_application_closes_in_the_middle_of_a_backoff_and_the_path_heals() {
    require_lab!();
    let scene = Scene::new();
    let Connection { client, mut server } = scene.warm();
    let id = client.cookie().unwrap();
    let trouble = scene.lab.right.unreachable().unwrap();
    (&client).write_all(b"last words").unwrap();
    await_rtos(&client, 1);
    drop(client);
    trouble.heal().unwrap();
    server.set_read_timeout(Some(patience())).unwrap();
    server.read_to_end(&mut Vec::new()).unwrap();
    drop(server);
    let closed = scene.end_of(id);
    let by = format!("closed by the local application {} ", this_process());
    Ending {
        cause: "closed_by_local",
        who: Some("local"),
        knob: None,
        error: None,
        note: &[
            &by,
            "into an RTO backoff with 10 bytes unacknowledged; all of it was acknowledged in the end; TCP",
        ],
    }
    .check(&closed);
    assert_eq!(number(&closed, "unacked_bytes"), 0, "{closed}");
    scene.finish();
}

#[test]
fn an_application_whose_timeout_is_shorter_than_the_rto_is_called_out() {
    require_lab!();
    let scene = Scene::new();
    scene.lab.left.sysctl("net.ipv4.tcp_orphan_retries", "1").unwrap();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    let rto_ms = u64::from(connection.client.info().unwrap().rto_us / 1000);
    scene.lab.right.unreachable().unwrap();
    (&connection.client).write_all(b"hurry up").unwrap();
    pause(80);
    drop(connection.client);
    let closed = scene.end_of(id);
    let by = format!("closed by the local application {} ", this_process());
    let figures = format!(
        " after it had last sent, with 8 bytes unacknowledged: it did not wait for the first retransmission timeout, \
         which takes {rto_ms} ms"
    );
    Ending {
        cause: "orphan_timeout",
        who: Some("kernel"),
        knob: Some("tcp_orphan_retries"),
        error: Some("ETIMEDOUT"),
        note: &[&by, &figures],
    }
    .check(&closed);
    let hung_up = &closed["hung_up"];
    assert_eq!((&hung_up["into_backoff_ms"], number(hung_up, "rto_ms")), (&Value::Null, rto_ms), "{closed}");
    assert!((72..rto_ms).contains(&number(hung_up, "waited_ms")), "{closed}");
    scene.finish();
}

#[test]
fn the_same_with_a_connection_that_had_trouble_before() {
    require_lab!();
    let scene = Scene::new();
    scene.lab.left.sysctl("net.ipv4.tcp_orphan_retries", "1").unwrap();
    let connection = scene.warm();
    let id = connection.client.cookie().unwrap();
    let trouble = scene.lab.right.unreachable().unwrap();
    (&connection.client).write_all(b"once").unwrap();
    await_rtos(&connection.client, 1);
    trouble.heal().unwrap();
    socket::await_info(&connection.client, patience(), |info| info.unacked == 0).unwrap();
    scene.lab.right.unreachable().unwrap();
    (&connection.client).write_all(b"hurry up").unwrap();
    pause(80);
    drop(connection.client);
    let closed = scene.end_of(id);
    let note = closed["note"].as_str().unwrap();
    assert!(note.contains("it did not wait for the first retransmission timeout"), "{closed:#}");
    scene.finish();
}

#[test]
fn a_close_that_waited_for_nothing_is_no_hang_up() {
    require_lab!();
    let scene = Scene::new();
    let Connection { client, mut server } = scene.warm();
    let id = client.cookie().unwrap();
    let trouble = scene.lab.right.unreachable().unwrap();
    (&client).write_all(b"goodbye").unwrap();
    drop(client);
    scene.tracer.wait_for("rto", |event| event["type"] == "rto");
    trouble.heal().unwrap();
    server.set_read_timeout(Some(patience())).unwrap();
    server.read_to_end(&mut Vec::new()).unwrap();
    drop(server);
    let closed = scene.end_of(id);
    assert_eq!(
        (&closed["cause"], &closed["hung_up"]),
        (&"closed_by_local".into(), &Value::Null),
        "{closed:#}"
    );
    scene.finish();
}

#[test]
fn the_peer_closes_while_our_data_is_being_retransmitted() {
    require_lab!();
    let scene = Scene::new();
    let Connection { client, mut server } = scene.warm();
    let id = client.cookie().unwrap();
    // What has data gets lost, ACKs do not.
    let lost = Packets::all().at_least(60);
    let trouble = scene.lab.right.on_arrival(&lost, Fate::Vanish).unwrap();
    (&client).write_all(&[7; 100]).unwrap();
    await_rtos(&client, 2);
    server.shutdown(Shutdown::Write).unwrap();
    socket::await_info(&client, patience(), |info| info.state == 8).unwrap();
    trouble.heal().unwrap();
    drop(client);
    server.set_read_timeout(Some(patience())).unwrap();
    server.read_to_end(&mut Vec::new()).unwrap();
    let closed = scene.end_of(id);
    Ending {
        cause: "closed_by_peer",
        who: Some("peer"),
        knob: None,
        error: None,
        note: &[
            "closed by the peer ",
            " into an RTO backoff with 100 bytes unacknowledged; TCP itself would have tried",
        ],
    }
    .check(&closed);
    assert_eq!(closed["hung_up"]["side"], "peer", "{closed}");
    scene.finish();
}
