//! Loss episodes that end well: how long, how deep, and whether they were needed.

use std::io::{Read, Write};

use serde_json::Value;
use xtask::lab::{
    Connection, Packets,
    socket::{self, Options},
    trouble::Fate,
};

use super::expected::{Scene, await_rtos, pause};
use crate::{
    limits,
    tracer::{is_of, number, patience},
};

fn recovery_of(scene: &Scene, id: u64) -> Value {
    scene.tracer.wait_for("recovered", |event| event["event"] == "recovered" && is_of(event, id))
}

fn settle(client: &std::net::TcpStream) {
    socket::await_info(client, patience(), |info| info.unacked == 0).unwrap();
}

#[test]
fn data_that_was_lost_was_retransmitted_for_a_reason() {
    require_lab!();
    let scene = Scene::new();
    let Connection { client, mut server } = scene.warm();
    let id = client.cookie().unwrap();
    let trouble = scene.lab.right.unreachable().unwrap();
    (&client).write_all(b"lost at first").unwrap();
    await_rtos(&client, 2);
    trouble.heal().unwrap();
    server.set_read_timeout(Some(patience())).unwrap();
    server.read_exact(&mut [0; 13]).unwrap();
    settle(&client);
    let recovered = recovery_of(&scene, id);
    assert_eq!(
        (&recovered["spurious"], &recovered["by"]),
        (&false.into(), &"cong_state".into()),
        "{recovered}"
    );
    let retransmissions = number(&recovered, "retransmissions");
    assert!(number(&recovered, "max_backoff") >= 2 && retransmissions >= 3, "{recovered}");
    // The first RTO is not part of it, those between the first and the last retransmission are.
    assert!((600..3000).contains(&number(&recovered, "duration_ms")), "{recovered}");
    drop((client, server));
    scene.finish();
}

#[test]
fn where_only_an_ack_was_lost_nothing_needed_to_be_retransmitted() {
    require_lab!();
    let scene = Scene::new();
    scene.lab.left.sysctl("net.ipv4.tcp_early_retrans", "0").unwrap();
    let Connection { client, mut server } = scene.warm();
    let id = client.cookie().unwrap();
    // The data arrives, its ACK does not.
    scene.lab.left.on_arrival(&Packets::all().nth(0), Fate::Vanish).unwrap();
    (&client).write_all(b"arrives at once").unwrap();
    server.set_read_timeout(Some(patience())).unwrap();
    server.read_exact(&mut [0; 15]).unwrap();
    let recovered = recovery_of(&scene, id);
    assert_eq!(
        (&recovered["spurious"], &recovered["by"]),
        (&true.into(), &"cong_state".into()),
        "{recovered}"
    );
    assert_eq!(
        (number(&recovered, "retransmissions"), number(&recovered, "max_backoff")),
        (1, 1),
        "{recovered}"
    );
    let undone = ["TCPLossUndo", "TCPFullUndo", "TCPSpuriousRTOs", "TCPDSACKUndo", "TCPPartialUndo"];
    let counters = scene.lab.left.counters().unwrap();
    assert!(undone.iter().any(|name| counters.get(name) > 0), "the kernel agrees: {counters:?}");
    drop((client, server));
    scene.finish();
}

#[test]
fn where_dsacks_were_lost_as_well_it_cannot_be_told() {
    require_lab!();
    let scene = Scene::new();
    let Connection { client, mut server } = scene.warm();
    let id = client.cookie().unwrap();
    // Everything arrives; its ACKs do not, and neither do the first DSACKs.
    let trouble = scene.lab.left.unreachable().unwrap();
    (&client).write_all(b"arrives at once").unwrap();
    server.set_read_timeout(Some(patience())).unwrap();
    server.read_exact(&mut [0; 15]).unwrap();
    await_rtos(&client, 2);
    trouble.heal().unwrap();
    settle(&client);
    let recovered = recovery_of(&scene, id);
    assert_eq!(
        (&recovered["spurious"], &recovered["by"]),
        (&Value::Null, &"cong_state".into()),
        "{recovered}"
    );
    drop((client, server));
    scene.finish();
}

#[test]
fn a_probe_for_a_lost_ack_was_unnecessary() {
    require_lab!();
    let scene = Scene::new();
    let Connection { client, mut server } = scene.warm();
    let id = client.cookie().unwrap();
    server.set_read_timeout(Some(patience())).unwrap();
    scene.lab.left.on_arrival(&Packets::all().nth(0), Fate::Vanish).unwrap();
    (&client).write_all(b"arrives at once").unwrap();
    server.read_exact(&mut [0; 15]).unwrap();
    scene.tracer.wait_for("tlp", |event| event["type"] == "tlp");
    settle(&client);
    drop(client);
    pause(100);
    drop(server);
    // Nothing announces the answer to a needless probe: it shows at the flow's next event, its end.
    let recovered = recovery_of(&scene, id);
    assert_eq!((&recovered["spurious"], &recovered["by"]), (&true.into(), &"close".into()), "{recovered}");
    scene.finish();
}

#[test]
fn a_probe_for_a_lost_tail_was_needed() {
    require_lab!();
    let scene = Scene::new();
    let Connection { client, mut server } = scene.warm();
    let id = client.cookie().unwrap();
    server.set_read_timeout(Some(patience())).unwrap();
    let tail = Packets::all().at_least(60).nth(0);
    scene.lab.right.on_arrival(&tail, Fate::Vanish).unwrap();
    for word in [b"lost at first", b"and told now."] {
        (&client).write_all(word).unwrap();
        server.read_exact(&mut [0; 13]).unwrap();
        settle(&client);
    }
    if limits::PROBE_ANSWERED.applies() {
        drop((client, server));
        let recovered = recovery_of(&scene, id);
        assert_eq!(
            (&recovered["spurious"], &recovered["by"]),
            (&Value::Null, &"close".into()),
            "{recovered}"
        );
        scene.finish();
        return;
    }
    // tcp_process_tlp_ack believes in a loss once something newer is acknowledged and no DSACK came.
    let recovered = recovery_of(&scene, id);
    assert_eq!((&recovered["spurious"], &recovered["by"]), (&false.into(), &"tlp_ack".into()), "{recovered}");
    drop((client, server));
    scene.finish();
}
