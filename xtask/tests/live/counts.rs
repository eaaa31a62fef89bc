//! The kernel agrees with every count: rows of `cargo xtask verify-counts`' matrix, which has them all.

use xtask::verify_counts::{self, scenario::matrix};

use crate::tracer::PROGRAM;

fn check(name: &str) {
    let all = matrix(&verify_counts::congestion_controls().unwrap());
    let scenario = all.iter().find(|scenario| scenario.name == name).expect("a row of the matrix");
    let found = verify_counts::play(&PROGRAM, scenario).unwrap();
    let report = found.report(scenario);
    assert!(found.agrees(), "\n{report}");
    eprintln!("{report}");
}

macro_rules! agree {
    ($($test:ident: $name:literal,)*) => {$(
        #[test]
        fn $test() {
            require_lab!();
            check($name);
        }
    )*};
}

agree! {
    under_random_loss: "cubic-2-no-tso-ipv6",
    of_many_segments_at_once: "cubic-10-tso-ipv6",
    of_lost_synacks: "synack-loss",
    of_requests_that_ran_out: "request-expiry",
    of_what_the_firewall_refused: "firewall",
    without_a_route: "no-route",
    of_what_still_waits_in_a_queue: "slow-queue-probes",
    of_a_full_queue: "full-queue",
    of_probes_with_new_data: "new-data-probes",
    of_a_closed_window: "zero-window",
    of_timers_that_gave_up: "user-timeout",
}
