//! A tracer that cannot keep up loses records; every one of them is told.

use nix::sys::signal::Signal;
use xtask::lab::Lab;

use crate::{
    storm::Storm,
    tracer::{Tracer, is_type, netns, number},
};

const CONNECTIONS: usize = 300;

#[test]
fn a_full_ring_is_counted_and_told() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let mut storm = Storm::gather(&lab, CONNECTIONS);
    let tracer = Tracer::start(&["--netns", &netns(&lab.left), "--ring-size", "65536"]);
    tracer.signal(Signal::SIGSTOP);
    storm.break_out(&lab);
    // A record has some 400 bytes: no more than 170 of them fit. Each connection makes two within the first second.
    let start = std::time::Instant::now();
    let attempts = || lab.left.counters().unwrap().get("RetransSegs");
    while attempts() < 2 * CONNECTIONS as u64 {
        assert!(start.elapsed() < crate::tracer::patience(), "no storm");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    tracer.signal(Signal::SIGCONT);
    tracer.wait_for("lost", |event| event["event"] == "lost" && event["where"] == "ring");
    // It goes on as before.
    let so_far = tracer.events().iter().filter(|event| is_type(event, "rto")).count();
    tracer.wait_for_many("rto", so_far + 1, |event| is_type(event, "rto"));
    let earlier = attempts();
    let outcome = tracer.finish();
    let later = attempts();
    outcome.assert_clean();

    let end = outcome.end();
    let lost = number(&end["lost"], "ring");
    assert!(lost > 0, "{end}");
    let told: u64 = outcome
        .events
        .iter()
        .filter(|event| event["event"] == "lost" && event["where"] == "ring")
        .map(|event| number(event, "records"))
        .sum();
    assert_eq!(told, lost, "what `lost` events told adds up: {end}");
    assert_eq!(number(end, "records_sent"), number(end, "records_received"), "{end}");
    // No silent loss: each attempt was either received or is among the lost (which other kinds may be as well).
    let received = outcome.retransmits().len() as u64;
    assert!(received <= later, "{received} told of {later}");
    assert!(received + lost >= earlier, "{received} told and {lost} lost, but there were {earlier}");
}
