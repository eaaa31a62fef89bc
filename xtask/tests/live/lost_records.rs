//! A tracer that cannot keep up loses records; every one of them is told.

use std::{
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use xtask::lab::{Lab, witness::Witness};

use crate::{
    storm::Storm,
    tracer::{Outcome, Tracer, is_type, netns, number, patience},
};

const CONNECTIONS: usize = 300;

#[test]
fn a_full_ring_is_counted_and_told() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let witness = Witness::call();
    let mut storm = Storm::gather(&lab, CONNECTIONS);
    let tracer = stopped_in(&mut storm, &lab);
    await_overflow(&lab);
    tracer.signal(Signal::SIGCONT);
    tracer.wait_for("lost", |event| event["event"] == "lost" && event["where"] == "ring");
    // It goes on as before.
    let so_far = tracer.events().iter().filter(|event| is_type(event, "rto")).count();
    tracer.wait_for_many("rto", so_far + 1, |event| is_type(event, "rto"));
    let ports = storm.ports();
    storm.calm_down(&lab);
    let outcome = tracer.finish();
    outcome.assert_clean();

    let lost = check_accounts(&outcome, attempts(&lab), hidden(witness, &ports));
    assert!(lost > 0, "{}", outcome.end());
}

/// A tracer with a small ring that is stopped as the storm breaks out.
fn stopped_in(storm: &mut Storm, lab: &Lab) -> Tracer {
    let tracer = Tracer::start(&["--netns", &netns(&lab.left), "--ring-size", "65536"]);
    tracer.signal(Signal::SIGSTOP);
    storm.break_out(lab);
    tracer
}

fn attempts(lab: &Lab) -> u64 {
    lab.left.counters().unwrap().get("RetransSegs")
}

/// A record has some 500 bytes: not even 170 of them fit. Each connection makes two within the first second.
fn await_overflow(lab: &Lab) {
    let start = Instant::now();
    while attempts(lab) < 2 * CONNECTIONS as u64 {
        assert!(start.elapsed() < patience(), "no storm");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_is_found_lost_while_finishing_is_told_as_well() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let witness = Witness::call();
    let mut storm = Storm::gather(&lab, CONNECTIONS);
    let tracer = stopped_in(&mut storm, &lab);
    let ports = storm.ports();
    await_overflow(&lab);
    storm.calm_down(&lab);
    // It hears of this the moment it goes on.
    tracer.signal(Signal::SIGINT);
    tracer.signal(Signal::SIGCONT);
    let outcome = tracer.outcome();
    outcome.assert_clean();
    let lost = check_accounts(&outcome, attempts(&lab), hidden(witness, &ports));
    assert!(lost > 0, "{}", outcome.end());
}

/// Retransmissions where no program runs.
fn hidden(witness: Option<Witness>, ports: &[u16]) -> u64 {
    witness.map_or(0, |witness| witness.retransmissions(ports).unwrap())
}

/// Every record that a program made was received or is reported as lost, and every attempt made one but for the
/// hidden ones. Gives the number lost.
fn check_accounts(outcome: &Outcome, attempts: u64, hidden: u64) -> u64 {
    let end = outcome.end();
    let lost = number(&end["lost"], "ring");
    let told: u64 = outcome
        .events
        .iter()
        .filter(|event| event["event"] == "lost" && event["where"] == "ring")
        .map(|event| number(event, "records"))
        .sum();
    assert_eq!(told, lost, "what `lost` events told adds up: {end}");
    assert_eq!(number(end, "records_sent"), number(end, "records_received"), "{end}");
    for tracepoint in ["tcp_retransmit_skb", "inet_sock_set_state", "tcp_cong_state_set"] {
        let account = &end["records"][tracepoint];
        assert_eq!(number(account, "sent"), number(account, "received"), "{tracepoint}: {end}");
    }
    let ring: u64 = end["records"].as_object().unwrap().values().map(|account| number(account, "ring")).sum();
    assert_eq!(ring, lost, "by tracepoint as in all: {end}");
    // No silent loss: each attempt was received, or is among the lost, or happened where no program runs.
    let received = outcome.retransmits().len() as u64;
    assert_eq!(number(&end["records"]["tcp_retransmit_skb"], "received"), received, "{end}");
    let refused = number(&end["records"]["tcp_retransmit_skb"], "ring");
    assert_eq!(
        received + refused + hidden,
        attempts,
        "{received} received, {refused} lost, {hidden} hidden: {end}"
    );
    lost
}
