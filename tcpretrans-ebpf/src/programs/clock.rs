//! The kernel's clocks.

use aya_ebpf::helpers::generated::{bpf_jiffies64, bpf_ktime_get_ns};

/// `ktime_get_ns()`
#[inline(always)]
pub fn now_ns() -> u64 {
    // SAFETY: the helper takes nothing and reads a clock.
    unsafe { bpf_ktime_get_ns() }
}

/// `get_jiffies_64()`; timers run on these.
#[inline(always)]
pub fn jiffies() -> u64 {
    // SAFETY: as above.
    unsafe { bpf_jiffies64() }
}
