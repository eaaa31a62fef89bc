//! A log is a recording: run through the correlation again, it gives the same events.

use std::fs;

use xtask::lab::{Connection, Family, Lab, Packets, trouble::Fate};

use crate::{
    replayed,
    storm::Storm,
    tracer::{Tracer, is_type, netns},
};

#[test]
fn run_again_it_gives_the_same_events() {
    require_lab!();
    let lab = Lab::new().unwrap();
    lab.left.sysctl("net.ipv4.tcp_retries2", "3").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log.jsonl");
    let tracer = Tracer::start(&["--netns", &netns(&lab.left), "-o", log.to_str().unwrap()]);

    // A lossy transfer that recovers, then connections that die.
    let mut lossy: Connection = lab.connect(Family::V6, 0).unwrap();
    let trouble = lab.right.on_arrival(&Packets::all().at_least(1000).chance(0.1), Fate::Vanish).unwrap();
    lossy.transfer(2_000_000, 0).unwrap();
    trouble.heal().unwrap();
    drop(lossy);
    let mut storm = Storm::gather(&lab, 5);
    storm.break_out(&lab);
    tracer.wait_for_many("rto", 15, |event| is_type(event, "rto"));
    tracer.wait_for("a death", |event| event["cause"] == "retransmit_timeout");
    let outcome = tracer.finish();
    outcome.assert_clean();
    assert!(outcome.events.len() > 30, "only {} events", outcome.events.len());
    replayed::assert_same(&fs::read_to_string(&log).unwrap(), &outcome.events, true);
}
