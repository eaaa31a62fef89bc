//! Connections without trouble cost nothing: the programs make no record of them.

use xtask::lab::{Family, Lab};

use crate::tracer::{Outcome, Tracer, netns, number};

fn records(outcome: &Outcome) -> u64 {
    outcome.assert_clean();
    number(outcome.end(), "records_sent")
}

#[test]
fn two_hundred_ordinary_lives_make_no_record() {
    require_lab!();
    let lab = Lab::new().unwrap();
    // A probe comes after a few milliseconds, which a slow machine may take for an answer.
    for side in [&lab.left, &lab.right] {
        side.sysctl("net.ipv4.tcp_early_retrans", "0").unwrap();
    }
    let idle = records(&Tracer::start(&["--netns", &netns(&lab.left)]).finish());
    let tracer = Tracer::start(&["--netns", &netns(&lab.left)]);
    for n in 0..200 {
        let mut connection = lab.connect(if n % 2 == 0 { Family::V4 } else { Family::V6 }, 0).unwrap();
        connection.warm_up().unwrap();
        connection.transfer(10_000, 10_000).unwrap();
        // Either side closes first, now and then.
        if n % 3 == 0 {
            drop(connection.server);
        } else {
            drop(connection.client);
        }
    }
    assert_eq!(lab.left.counters().unwrap().get("RetransSegs"), 0, "nothing went wrong");
    let busy = tracer.finish();
    assert_eq!(records(&busy), idle, "records for connections that nobody asks about");
    assert_eq!(busy.events.len(), 2, "`start` and `end`: {:?}", busy.events);
}
