//! Retransmissions that never left: the local firewall refuses them, and the event's `err` says so.

use std::io::Write;

use xtask::lab::{
    Family, Lab, Packets,
    socket::{self, Options},
    trouble::Fate,
};

use crate::{
    limits,
    tracer::{Tracer, is_of, netns, number, patience},
};

#[test]
fn attempts_that_the_firewall_refuses_carry_their_errno() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let tracer = Tracer::start(&["--netns", &netns(&lab.left)]);
    let mut connection = lab.connect(Family::V4, 0).unwrap();
    connection.warm_up().unwrap();
    let cookie = connection.client.cookie().unwrap();
    // The first transmission gets away and is lost on the wire; the later ones do not leave the host.
    let _wire = lab.right.unreachable().unwrap();
    connection.client.write_all(b"hello").unwrap();
    let _firewall = lab.left.on_departure(&Packets::all(), Fate::Vanish).unwrap();

    if limits::FAILED_ATTEMPTS.applies() {
        socket::await_info(&connection.client, patience(), |info| info.retransmits >= 2).unwrap();
        let outcome = tracer.finish();
        outcome.assert_clean();
        assert_eq!(outcome.events[0]["features"]["retransmit_err"], false, "the log says so itself");
        let of_this = outcome.retransmits().into_iter().filter(|event| is_of(event, cookie));
        let errors: Vec<_> = of_this.map(|event| &event["err"]).collect();
        assert!(errors.iter().all(|err| err.is_null()), "nothing is made up: {errors:?}");
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
