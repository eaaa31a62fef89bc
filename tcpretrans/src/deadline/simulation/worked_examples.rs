//! Known outcomes: worked examples, and connections observed on a Linux 6.18 machine with HZ 250.

use tcpretrans_ebpf::tcp_state;

use super::{
    setup::{Outcome, Setup},
    tcp::run,
};
use crate::{
    deadline::of_record,
    event::{Deadline, Knob},
    socket::Hz,
};

/// A connection whose first RTO is that long.
fn with_rto(hz: u32, rto_ms: u32) -> Setup {
    let variance_ms = if rto_ms < 204 { rto_ms } else { rto_ms - 4 };
    Setup {
        srtt_us: 8 * 1000 * (rto_ms - variance_ms),
        rttvar_us: variance_ms * 1000,
        ..Setup::plain(hz, 1 << 30)
    }
}

fn seconds_after_sending(outcome: &Outcome, ns: u64) -> f64 {
    (ns - outcome.sent_ns) as f64 / 1e9
}

fn first_forecast(set: &Setup, outcome: &Outcome) -> Deadline {
    let (ty, record) = &outcome.events[0];
    of_record(*ty, record, Hz::new(set.hz)).expect("a deadline")
}

/// Retransmissions, and the timeout in seconds since the original transmission: by simulation, and as predicted at the
/// first RTO.
fn assert_ends(set: Setup, retransmissions: usize, from: f64, to: f64) {
    for phase in 0..40u64 {
        let set = Setup { phase: (1 << 30) + phase * 1021, ..set.clone() };
        let outcome = run(&set);
        assert_eq!(outcome.events.len(), retransmissions, "{set:?}");
        let forecast = first_forecast(&set, &outcome);
        assert_eq!(forecast.retransmissions_left as usize, retransmissions - 1);
        for ns in [outcome.death_ns, forecast.expected_ns] {
            let end = seconds_after_sending(&outcome, ns);
            assert!((from - 0.01..=to + 0.01).contains(&end), "{end} s, not {from}..{to}: {set:?}");
        }
    }
}

#[test]
fn retries2_is_a_time_and_the_wheel_decides() {
    let ends = |hz, rto_ms, retries2, n, from, to| {
        assert_ends(Setup { retries2, ..with_rto(hz, rto_ms) }, n, from, to);
    };
    ends(1000, 201, 3, 4, 6.35, 6.41);
    ends(250, 204, 3, 4, 6.41, 6.66);
    ends(1000, 300, 3, 3, 4.56, 4.62);
    ends(1000, 1000, 3, 2, 7.08, 7.14);
    ends(1000, 3000, 3, 1, 9.0, 9.53);
    ends(1000, 201, 5, 5, 12.81, 13.32);
    ends(250, 204, 5, 5, 13.07, 13.32);
    ends(1000, 1000, 5, 3, 15.15, 15.67);
    ends(1000, 200, 8, 8, 103.95, 108.04);
    ends(250, 204, 8, 8, 106.0, 108.04);
    ends(1000, 3000, 8, 5, 191.8, 195.9);
    ends(1000, 201, 15, 15, 947.7, 951.8);
    ends(250, 204, 15, 15, 937.4, 939.6);
    ends(1000, 1000, 15, 13, 988.4, 992.6);
    ends(1000, 3000, 15, 11, 929.0, 933.2);
}

#[test]
fn a_lower_rto_max() {
    let ends = |rto_max_ms, n, from, to| {
        assert_ends(Setup { rto_max_ms, ..with_rto(1000, 201) }, n, from, to);
    };
    ends(1000, 15, 14.73, 14.80);
    ends(5000, 15, 62.60, 63.12);
    ends(10_000, 15, 115.2, 115.8);
    ends(30_000, 15, 293.8, 294.5);
    ends(60_000, 15, 534.0, 538.2);
}

#[test]
fn a_user_timeout_replaces_retries2() {
    let ends = |user_timeout_ms, n, from, to| {
        assert_ends(Setup { user_timeout_ms, ..with_rto(1000, 201) }, n, from, to);
    };
    ends(1000, 2, 1.20, 1.27);
    ends(5000, 4, 5.20, 5.28);
    ends(10_000, 5, 10.20, 10.28);
    ends(30_000, 7, 30.20, 30.28);
    ends(120_000, 9, 120.2, 120.8);
    // Observed: 1500 ms: died 1504 ms after the first retransmission
    assert_ends(Setup { user_timeout_ms: 1500, ..with_rto(250, 204) }, 3, 1.70, 1.75);
}

#[test]
fn handshakes() {
    let syn = |syn_retries, linear, n, from, to| {
        let set = Setup { state: tcp_state::SYN_SENT, syn_retries, linear, ..Setup::plain(250, 1 << 30) };
        assert_ends(set, n, from, to);
    };
    // without linear timeouts: Linux before 6.5, or 0
    syn(6, None, 6, 127.0, 132.0);
    syn(5, Some(0), 5, 63.0, 66.0);
    syn(2, None, 2, 7.0, 7.35);
    syn(1, None, 1, 3.0, 3.15);
    // the count wins, or the time does
    syn(6, Some(4), 10, 131.0, 135.4);
    syn(5, Some(4), 9, 67.0, 70.0);
    syn(3, Some(4), 7, 19.0, 19.8);
    syn(2, Some(4), 5, 7.0, 7.6);
    syn(1, Some(4), 2, 3.0, 3.2);
    // Observed: r = 1, one linear timeout: two retransmissions
    syn(1, Some(1), 2, 4.0, 4.2);
}

#[test]
fn orphans() {
    let orphan = |rto_ms, orphan_retries, n, from, to| {
        let set =
            Setup { orphan: true, orphan_retries, state: tcp_state::FIN_WAIT1, ..with_rto(1000, rto_ms) };
        assert_ends(set, n, from, to);
    };
    orphan(201, 0, 8, 103.9, 108.1);
    orphan(1000, 0, 6, 128.3, 132.4);
    orphan(3000, 0, 5, 191.8, 195.9);
    orphan(201, 3, 4, 6.35, 6.41);
}

#[test]
fn what_a_deadline_says() {
    let set = with_rto(250, 204);
    let outcome = run(&set);
    let (ty, record) = &outcome.events[9];
    let deadline = of_record(*ty, record, Hz::new(250)).unwrap();
    assert_eq!((deadline.knob, deadline.limit), (Knob::TcpRetries2, Some(15)));
    assert_eq!(deadline.budget_ms, Some(924_600));
    // nine waits of 0.4 to 104 s since the first retransmission
    assert!((209_000..216_000).contains(&deadline.elapsed_ms), "{}", deadline.elapsed_ms);
    assert!((deadline.used - deadline.elapsed_ms as f64 / 924_600.0).abs() < 1e-9);
    assert_eq!(deadline.retransmissions_left, 5);

    let set = Setup { state: tcp_state::SYN_SENT, syncnt: 3, ..Setup::plain(250, 1 << 30) };
    let deadline = first_forecast(&set, &run(&set));
    assert_eq!((deadline.knob, deadline.limit), (Knob::TcpSyncnt, Some(3)));
    assert_eq!(deadline.budget_ms, Some(15_000));
    assert!((1000..1040).contains(&deadline.elapsed_ms), "a SYN's clock starts when it is sent");

    let set = Setup { closed_window: true, ..with_rto(250, 204) };
    let deadline = first_forecast(&set, &run(&set));
    assert_eq!((deadline.knob, deadline.limit), (Knob::ZeroWindow, None));
    assert_eq!(deadline.budget_ms, Some(240_000));

    let set = Setup { orphan: true, ..with_rto(250, 204) };
    let deadline = first_forecast(&set, &run(&set));
    assert_eq!((deadline.knob, deadline.limit), (Knob::TcpOrphanRetries, Some(8)));

    let set = Setup { user_timeout_ms: 3000, ..with_rto(250, 204) };
    let deadline = first_forecast(&set, &run(&set));
    assert_eq!((deadline.knob, deadline.limit), (Knob::TcpUserTimeout, Some(3000)));
}

#[test]
fn past_retries1() {
    use crate::deadline::TimerView;
    let set = with_rto(250, 204);
    let passed: Vec<bool> = run(&set)
        .events
        .iter()
        .take(6)
        .map(|(ty, record)| TimerView::from_record(*ty, record, Hz::new(250)).unwrap().past_retries1())
        .collect();
    // 3.0 s: after waits of 0.4, 0.8 and 1.6 s not yet... 2.9 s, then 6.2 s
    assert_eq!(passed, [false, false, false, false, true, true]);
}
