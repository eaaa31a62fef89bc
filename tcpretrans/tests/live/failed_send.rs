//! Retransmissions that never left: the local firewall refuses them, and the event's `err` says so.

use std::io::Write;

use xtask::lab::{Family, Lab, Packets, socket::Options, trouble::Fate};

use crate::tracer::{Tracer, is_of, netns, number};

#[test]
fn attempts_that_the_firewall_refuses_carry_their_errno() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let tracer = Tracer::start(&["--netns", &netns(&lab.left)]);
    let start = tracer.wait_for("start", |event| event["event"] == "start");
    let failures_are_told = start["features"]["retransmit_err"].as_bool().unwrap();
    let mut connection = lab.connect(Family::V4, 0).unwrap();
    connection.warm_up().unwrap();
    let cookie = connection.client.cookie().unwrap();
    // The first transmission gets away and is lost on the wire; the later ones do not leave the host.
    let _wire = lab.right.unreachable().unwrap();
    connection.client.write_all(b"hello").unwrap();
    let _firewall = lab.left.on_departure(&Packets::all(), Fate::Vanish).unwrap();

    if !failures_are_told {
        // Before 6.17 the tracepoint is silent about those.
        tracer.finish().assert_clean();
        return;
    }
    let of_this = |event: &serde_json::Value| event["event"] == "retransmit" && is_of(event, cookie);
    let events =
        tracer.wait_for_many("failed retransmit", 2, |event| of_this(event) && !event["err"].is_null());
    for event in &events {
        assert_eq!(event["err"], "EPERM", "{event}");
        assert_eq!((number(event, "segs"), number(event, "bytes")), (1, 5), "{event}");
    }
    let earlier = lab.left.counters().unwrap().get("TCPRetransFail");
    let outcome = tracer.finish();
    let later = lab.left.counters().unwrap().get("TCPRetransFail");
    outcome.assert_clean();
    let failed = outcome.retransmits().iter().filter(|event| !event["err"].is_null()).count() as u64;
    assert!((earlier..=later).contains(&failed), "{failed} told, TCPRetransFail was {earlier}, then {later}");
}
