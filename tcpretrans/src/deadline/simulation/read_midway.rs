//! A socket that is read by `sock_diag` in the middle of its backoff.

use super::{
    properties::{connection, too_close_to_call},
    setup::{Outcome, Setup, Wait},
    tcp::run,
};
use crate::deadline::{DiagView, Kernel, Sysctls};
use proptest::prelude::*;
use tcpretrans_ebpf::tcp_state;

/// What the tracer does not see, and when it looks.
#[derive(Debug, Clone)]
struct Reading {
    /// How far into the wait, 0 to 1.
    at: f64,
    /// The tracer's idea of `jiffies` is off by so many.
    jiffies_off: i64,
    knows_recovery: bool,
    knows_user_timeout: bool,
}

prop_compose! {
    fn reading()(
        at in 0.0f64..0.999, jiffies_off in -1i64..=1, knows_recovery in any::<bool>(), knows_user_timeout in any::<bool>(),
    ) -> Reading {
        Reading { at, jiffies_off, knows_recovery, knows_user_timeout }
    }
}

fn read(set: &Setup, outcome: &Outcome, wait: &Wait, reading: &Reading) -> DiagView {
    let kernel = Kernel::new(set.hz);
    let waited = ((wait.icsk_timeout - wait.since_jiffies) as f64 * reading.at) as u64;
    let mono_ns = wait.since_ns + waited * kernel.tick_ns();
    let jiffies = wait.since_jiffies + waited;
    let expires_ms = (wait.icsk_timeout - jiffies) * 1000 / u64::from(set.hz);
    DiagView {
        kernel,
        mono_ns,
        jiffies: jiffies.saturating_add_signed(reading.jiffies_off),
        state: set.state,
        expires_ms,
        rto_us: (u64::from(wait.icsk_rto) * 1_000_000 / u64::from(set.hz)) as u32,
        rto_max_ms: Some(set.rto_max_ms as u32),
        retransmits: wait.icsk_retransmits,
        backoff: wait.icsk_backoff,
        rtt_us: set.srtt_us >> 3,
        // `mdev_us >> 2`, which `rttvar_us` is never below
        rttvar_us: set.rttvar_us / 8,
        last_sent_ms: (waited * 1000 / u64::from(set.hz)) as u32,
        last_ack_ms: ((mono_ns - outcome.sent_ns) / 1_000_000) as u32,
        snd_wnd: 1000,
        recovery_ms: reading.knows_recovery.then_some((mono_ns / 1_000_000 - wait.first_timeout_ms) as u32),
        orphan: set.orphan,
        user_timeout_ms: reading.knows_user_timeout.then_some(set.user_timeout_ms),
        syn_retries: Some(set.syncnt),
        sysctls: Sysctls {
            retries1: 3,
            retries2: set.retries2,
            syn_retries: set.syn_retries,
            syn_linear_timeouts: set.linear,
            synack_retries: 5,
            orphan_retries: set.orphan_retries,
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_not_seen_widens_the_bounds(set in connection(), reading in reading()) {
        let set = Setup { closed_window: false, thin: false, usec_ts: false, modern: true, ..set };
        let outcome = run(&set);
        let death = outcome.death_ns;
        for (n, wait) in outcome.waits.iter().enumerate() {
            let view = read(&set, &outcome, wait, &reading);
            let Some(found) = view.view().and_then(|view| view.forecast()) else {
                return Err(TestCaseError::fail("no deadline"));
            };
            // A hidden TCP_USER_TIMEOUT may also grant more than `tcp_retries2`.
            let unbounded = !reading.knows_user_timeout && set.user_timeout_ms != 0;
            prop_assert!(
                found.earliest_ns <= death && (unbounded || death <= found.latest_ns),
                "wait {n} of {}: {} .. {} .. {}, died {death}, {view:?}",
                outcome.waits.len(), found.earliest_ns, found.expected_ns, found.latest_ns
            );
            let known = reading.knows_recovery && set.state != tcp_state::SYN_SENT
                && (reading.knows_user_timeout || set.user_timeout_ms == 0) && reading.jiffies_off == 0;
            if known && !too_close_to_call(&set, &outcome) {
                let allowed = 50_000_000.max((death - view.mono_ns) / 200);
                prop_assert!(
                    found.expected_ns.abs_diff(death) <= allowed,
                    "wait {n} of {}: expected {}, died {death}, {view:?}", outcome.waits.len(), found.expected_ns
                );
            }
        }
    }

    #[test]
    fn a_socket_that_is_not_in_backoff_has_no_deadline(set in connection(), reading in reading()) {
        let set = Setup { closed_window: false, modern: true, ..set };
        let outcome = run(&set);
        let view = read(&set, &outcome, &outcome.waits[0], &reading);
        prop_assert_eq!(DiagView { retransmits: 0, ..view }.view(), None);
    }
}
