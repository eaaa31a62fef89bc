//! A socket that the iterator finds in the middle of its backoff: what `tcpretrans_ebpf::Kind::Seed` carries.

use proptest::prelude::*;
use tcpretrans_ebpf::{Kind, Record, tcp_state};

use super::{
    properties::{connection, too_close_to_call},
    setup::{Outcome, Setup},
    tcp::run,
};
use crate::{deadline::TimerView, socket::Hz};

/// When the tracer looks: how far into a wait, and into a jiffy, 0 to 1.
#[derive(Debug, Clone, Copy)]
struct Glance {
    wait: f64,
    jiffy: f64,
}

prop_compose! {
    fn glance()(wait in 0.0f64..1.0, jiffy in 0.0f64..1.0) -> Glance {
        Glance { wait, jiffy }
    }
}

/// The socket as the iterator shows it in each of its waits, up to the jiffy before the handler runs: a coarse bucket
/// keeps the timer long after it has expired.
fn seeds(set: &Setup, outcome: &Outcome, glance: Glance) -> Vec<Record> {
    let tick_ns = Hz::new(set.hz).tick().0;
    let armed: Vec<u64> = outcome.waits.iter().map(|wait| wait.record.jiffies).collect();
    let ends = armed.iter().skip(1).copied().chain([outcome.death_jiffies]);
    outcome
        .waits
        .iter()
        .zip(ends)
        .map(|(wait, end)| {
            let waited = ((end - 1 - wait.record.jiffies) as f64 * glance.wait) as u64;
            let into_jiffy_ns = (tick_ns as f64 * glance.jiffy) as u64;
            let mono_ns = wait.since_tick_ns + waited * tick_ns + into_jiffy_ns;
            Record {
                kind: Kind::Seed as u8,
                mono_ns: mono_ns.max(wait.record.mono_ns),
                jiffies: wait.record.jiffies + waited,
                ..wait.record
            }
        })
        .collect()
}

fn check(set: &Setup, outcome: &Outcome, glance: Glance, precise: bool) -> Result<(), TestCaseError> {
    let tick_ns = 1_000_000_000 / u64::from(set.hz);
    let death = outcome.death_ns;
    let seeds = seeds(set, outcome, glance);
    let last = seeds.len().saturating_sub(1);
    for (n, record) in seeds.iter().enumerate() {
        let Some(found) = TimerView::from_seed(record, Hz::new(set.hz)).and_then(|view| view.forecast())
        else {
            return Err(TestCaseError::fail(format!("no deadline in wait {n}")));
        };
        let error_ms = (found.expected_ns as i64 - death as i64) / 1_000_000;
        prop_assert!(
            found.earliest_ns <= death && death <= found.latest_ns,
            "wait {n} of {last}: {} .. {} .. {}, died {death}, expected off by {error_ms} ms",
            found.earliest_ns,
            found.expected_ns,
            found.latest_ns
        );
        if !precise || too_close_to_call(set, outcome) {
            continue;
        }
        let allowed = if n == last { 2 * tick_ns } else { 50_000_000.max((death - record.mono_ns) / 200) };
        prop_assert!(
            found.expected_ns.abs_diff(death) <= allowed,
            "wait {n} of {last}: expected off by {error_ms} ms"
        );
        prop_assert_eq!(found.retransmissions_left as usize, last - n, "wait {}", n);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_socket_found_in_backoff_has_its_deadline(set in connection(), glance in glance()) {
        // Window probes do not count as unanswered timeouts, so a socket that sends them is not found.
        let set = Setup { closed_window: false, ..set };
        // For how long a SYN's timer was armed that TCP_USER_TIMEOUT has cut, nothing tells.
        let precise = set.state != tcp_state::SYN_SENT || set.user_timeout_ms == 0;
        check(&set, &run(&set), glance, precise)?;
    }

    #[test]
    fn late_softirqs_stay_within_the_bounds(
        set in connection(),
        glance in glance(),
        latencies_ns in prop::collection::vec(1_000u64..8_000_000, 1..6),
    ) {
        let set = Setup { closed_window: false, latencies_ns, ..set };
        check(&set, &run(&set), glance, false)?;
    }

    #[test]
    fn a_packet_dropped_by_the_qdisc(set in connection(), glance in glance(), at in 1u32..5) {
        let set = Setup { dropped_at: Some(at), closed_window: false, ..set };
        let mut outcome = run(&set);
        // Before it happens nobody can know.
        outcome.waits.drain(..outcome.waits.len().min(at as usize - 1));
        check(&set, &outcome, glance, false)?;
    }

    #[test]
    fn a_socket_that_is_not_in_backoff_has_no_deadline(set in connection(), glance in glance()) {
        let set = Setup { closed_window: false, ..set };
        let outcome = run(&set);
        for mut record in seeds(&set, &outcome, glance) {
            record.sock.icsk_retransmits = 0;
            prop_assert_eq!(TimerView::from_seed(&record, Hz::new(set.hz)), None);
        }
    }
}
