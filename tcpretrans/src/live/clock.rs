//! The system's clocks.

use nix::time::{ClockId, clock_gettime};

/// How often the ring is drained when nothing wakes the reader early, ms.
pub(super) const DRAIN_PERIOD_MS: u64 = 50;
/// The same, ns.
pub(super) const DRAIN_PERIOD_NS: u64 = DRAIN_PERIOD_MS * 1_000_000;

fn read_ns(clock: ClockId) -> i128 {
    // These two clocks always exist; a failure would be a broken kernel, and zero is then as good as any.
    clock_gettime(clock)
        .map(|time| i128::from(time.tv_sec()) * 1_000_000_000 + i128::from(time.tv_nsec()))
        .unwrap_or(0)
}

/// The kernel's monotonic clock, as `bpf_ktime_get_ns`.
pub(super) fn mono_ns() -> u64 {
    read_ns(ClockId::CLOCK_MONOTONIC) as u64
}

/// Wall clock less monotonic clock, ns. Asked anew at each drain: the wall clock may be set.
pub(super) fn wall_minus_mono_ns() -> i64 {
    let before = read_ns(ClockId::CLOCK_MONOTONIC);
    let wall = read_ns(ClockId::CLOCK_REALTIME);
    let after = read_ns(ClockId::CLOCK_MONOTONIC);
    (wall - (before + after) / 2) as i64
}
