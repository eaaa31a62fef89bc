//! Retransmissions that the kernel hides from every program: the sockets' own counts tell of them.

use std::{thread, time::Duration};

use xtask::lab::{Lab, witness::Witness};

use crate::{
    storm::Storm,
    tracer::{Tracer, netns, number, patience},
};

/// Enough that some are hidden, on a machine that hides some.
const ATTEMPTS: u64 = 1500;

#[test]
fn in_a_storm_every_segment_is_told_or_missed() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let witness = Witness::call();
    let tracer = Tracer::start(&["--netns", &netns(&lab.left)]);
    let mut storm = Storm::gather(&lab, 300);
    storm.break_out_slowly(&lab, Duration::from_millis(3));
    let start = std::time::Instant::now();
    let counter = |name: &str| lab.left.counters().unwrap().get(name);
    while counter("RetransSegs") < ATTEMPTS {
        assert!(start.elapsed() < patience(), "no storm");
        thread::sleep(Duration::from_millis(20));
    }
    let ports = storm.ports();
    storm.calm_down(&lab);
    let outcome = tracer.finish();
    outcome.assert_clean();
    let end = outcome.end();
    let told: u64 = end["segs"].as_object().unwrap().values().map(|segs| segs.as_u64().unwrap()).sum();
    let unseen = number(end, "unseen_segs");
    assert_eq!(told + unseen, counter("RetransSegs"), "{told} told, {unseen} missed: {end}");
    let hidden = witness.map_or(0, |witness| witness.retransmissions(&ports).unwrap());
    assert_eq!(unseen, hidden, "what was missed is what ftrace saw where no program runs: {end}");
    eprintln!("{told} segments reported, {unseen} missed, of {} retransmitted", told + unseen);
    let lost: Vec<_> = outcome.events.iter().filter(|event| event["where"] == "unseen").collect();
    assert_eq!(lost.iter().map(|event| number(event, "segs")).sum::<u64>(), unseen);
    for event in lost {
        assert!(ports.contains(&(number(&event["flow"], "lport") as u16)), "{event}");
        assert_eq!(event["maybe_failed"], !failures_are_told(&outcome.events), "{event}");
    }
}

/// Does this kernel show attempts that failed?
fn failures_are_told(events: &[serde_json::Value]) -> bool {
    events[0]["features"]["retransmit_err"].as_bool().unwrap()
}
