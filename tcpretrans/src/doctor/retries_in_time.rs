//! What retry counts mean in time: the kernel's limits are counts that it turns into time budgets.

use crate::{
    deadline::{model_timeout, request_wait},
    socket::{Hz, Jiffies},
};

/// A jiffy is a millisecond: settings are explained without the roundings of one kernel's timers.
const MS_TICKS: Hz = Hz::new(1000);

/// [`model_timeout`] of settings as /proc shows them. Beyond what the kernel computes with, for ever.
pub(super) fn model_ms(retries: u32, base_ms: u32, rto_max_ms: u32) -> u64 {
    model_timeout(MS_TICKS, retries, base_ms.into(), rto_max_ms.into()).map_or(u64::MAX, |budget| budget.0)
}

/// TCP_RTO_MIN: the model's base whatever the real minimum is.
pub(super) const DATA_BASE_MS: u32 = 200;
/// TCP_TIMEOUT_INIT: the base before a connection is established.
pub(super) const SYN_BASE_MS: u32 = 1000;

/// When an unanswered connect() fails, ms, and after how many retransmissions of the SYN. `tcp_write_timeout`:
/// given up at the first expiry at which the count is exhausted (linear timeouts included) or the modelled time
/// of the retries alone has passed.
pub(super) fn connect_ms(retries: u32, linear: u32, rto_max_ms: u32) -> (u64, u32) {
    let model = model_ms(retries, SYN_BASE_MS, rto_max_ms);
    let (mut now, mut rto, mut sent) = (0, u64::from(SYN_BASE_MS), 0);
    loop {
        now += rto;
        if sent >= retries + linear || sent > 0 && now >= model {
            return (now, sent);
        }
        sent += 1;
        if sent > linear {
            rto = (2 * rto).min(u64::from(rto_max_ms));
        }
    }
}

/// When an unanswered SYN-ACK is given up, ms (`reqsk_timer_handler`).
pub(super) fn synack_ms(retries: u32) -> u64 {
    (0..=retries).map(|n| request_wait(SYN_BASE_MS.into(), n, MS_TICKS.rto_max())).sum::<Jiffies>().0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_kernels_model() {
        // tcp_model_timeout by hand, base 200 ms, cap 120 s.
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
            assert_eq!(model_ms(retries, DATA_BASE_MS, 120_000), ms, "{retries}");
        }
        for (rto_max_ms, ms) in
            [(1000, 14_400), (5000, 61_200), (10_000, 112_600), (30_000, 291_000), (60_000, 522_000)]
        {
            assert!(model_ms(15, DATA_BASE_MS, rto_max_ms).abs_diff(ms) <= 400, "{rto_max_ms}");
        }
    }

    #[test]
    fn connect_knows_linear_timeouts() {
        // (retries, linear): (seconds until ETIMEDOUT, SYNs sent again), observed on real kernels.
        for ((retries, linear), expected) in [
            ((6, 0), (127, 6)),
            ((5, 0), (63, 5)),
            ((3, 0), (15, 3)),
            ((2, 0), (7, 2)),
            ((1, 0), (3, 1)),
            ((6, 4), (131, 10)),
            ((5, 4), (67, 9)),
            ((3, 4), (19, 7)),
            ((2, 4), (7, 5)),
            ((1, 4), (3, 2)),
            ((1, 1), (4, 2)),
        ] {
            let (ms, sent) = connect_ms(retries, linear, 120_000);
            assert_eq!((ms / 1000, sent), expected, "tcp_syn_retries={retries}, linear {linear}");
        }
    }

    #[test]
    fn synack_doubles() {
        assert_eq!(synack_ms(5), 63_000);
        assert_eq!(synack_ms(0), 1000);
        assert_eq!(synack_ms(255), 127_000 + 249 * 120_000);
    }
}
