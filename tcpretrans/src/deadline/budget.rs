//! How much time the kernel grants (`net/ipv4/tcp_timer.c`).
//!
//! `tcp_retries2` is no count. The kernel computes how long that many exponentially backed-off
//! retransmissions *would* take from an RTO of 200 ms (1 s in a handshake), and gives up at the first RTO that
//! expires after that time. A slower connection gets fewer retransmissions in the same time.

use crate::socket::{Hz, Jiffies, Millis};

/// `tcp_orphan_retries`: a live orphan gets eight where the sysctl says zero (`> 100 s` in the kernel's words).
const ORPHAN_RETRIES_IF_ALIVE: u32 = 8;

/// `tcp_model_timeout(sk, boundary, rto_base)`; `None` where it overflows the kernel's 32 bits.
pub fn model_timeout(hz: Hz, boundary: u32, base: Jiffies, rto_max: Jiffies) -> Option<Millis> {
    let base = base.max(Jiffies(1));
    // ilog2(0) is undefined; a base above the maximum needs BPF_SOCK_OPS_TIMEOUT_INIT.
    let threshold = (rto_max.0 / base.0).max(1).ilog2();
    let doubled = |steps: u32| base * ((2u64 << steps) - 1);
    let sum = if boundary <= threshold {
        doubled(boundary)
    } else {
        doubled(threshold) + rto_max * u64::from(boundary - threshold)
    };
    let budget = hz.jiffies_to_msecs(sum);
    // `(s32)(now - start - timeout) >= 0`: more than half of 32 bits would read as the past.
    i32::try_from(budget.0).is_ok().then_some(budget)
}

/// `tcp_orphan_retries(sk, alive)`: how many retries a closed socket gets.
pub(super) fn orphan_retries(sysctl: u32, alive: bool, soft_error: bool) -> u32 {
    match (sysctl, alive) {
        (_, false) if soft_error => 0,
        (0, true) => ORPHAN_RETRIES_IF_ALIVE,
        (retries, _) => retries,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn established(hz: u32, retries: u32, rto_max_ms: u64) -> u64 {
        let hz = Hz::new(hz);
        model_timeout(hz, retries, hz.rto_min(), hz.msecs_to_jiffies(Millis(rto_max_ms))).unwrap().0
    }

    #[test]
    fn the_kernels_budgets() {
        for hz in [100, 250, 300, 1000] {
            for (retries, ms) in [
                (0, 200),
                (1, 600),
                (3, 3000),
                (4, 6200),
                (5, 12_600),
                (6, 25_400),
                (8, 102_200),
                (10, 324_600),
                (15, 924_600),
            ] {
                assert_eq!(established(hz, retries, 120_000), ms, "HZ {hz}, retries {retries}");
            }
        }
    }

    #[test]
    fn a_lower_rto_max_means_a_lower_budget() {
        for (rto_max_ms, ms) in [(1000, 14_400), (5000, 61_200), (10_000, 112_600), (30_000, 291_000)] {
            assert_eq!(established(1000, 15, rto_max_ms), ms);
        }
        // Observed: retries2=8, tcp_rto_max_ms=1000
        assert_eq!(established(250, 8, 1000), 7400);
    }

    #[test]
    fn handshakes_count_from_one_second() {
        let hz = Hz::new(250);
        let syn = |retries| model_timeout(hz, retries, hz.timeout_init(), hz.rto_max()).unwrap().0;
        assert_eq!([1, 2, 3, 5, 6].map(syn), [3000, 7000, 15_000, 63_000, 127_000]);
    }

    #[test]
    fn an_absurd_limit_is_no_forecast() {
        let of = |boundary, base| model_timeout(Hz::new(1000), boundary, Jiffies(base), Jiffies(120_000));
        assert_eq!(of(1_000_000, 200), None);
        assert!(of(1, 500_000).is_some());
    }

    #[test]
    fn orphans() {
        assert_eq!(orphan_retries(0, true, false), 8);
        assert_eq!(orphan_retries(0, false, false), 0);
        assert_eq!(orphan_retries(3, false, false), 3);
        assert_eq!(orphan_retries(3, false, true), 0);
        assert_eq!(orphan_retries(3, true, true), 3);
        assert_eq!(orphan_retries(0, true, true), 8);
    }
}
