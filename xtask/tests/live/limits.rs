//! What a kernel, or this machine, cannot show: each such limit once, with its reason. A test that meets one asks
//! [`Limit::applies`], checks the rest, and that the tracer says "unknown" where it cannot know.
//!
//! Each limit that applied is told on standard error, captured or not: `cargo xtask vm-test` collects these lines for
//! its table. Decided as the tracer itself decides, by BTF, never by a version.

use std::{env, sync::LazyLock};

use tcpretrans::internals::{Btf, Features};
use tcpretrans_ebpf::Field;
use xtask::lab::{Lab, slowness};

use crate::attempts::{LIMIT, MINE};

/// Something that cannot be seen everywhere.
pub struct Limit {
    name: &'static str,
    meaning: &'static str,
    applies: fn() -> bool,
}

/// What the tracer finds here.
pub static FEATURES: LazyLock<Features> =
    LazyLock::new(|| Features::detect(&Btf::of_running_kernel().unwrap()).unwrap());

/// Delay, reordering and duplication.
pub const NETEM: Limit = Limit {
    name: "netem",
    meaning: "this kernel has no sch_netem: the lab cannot delay, reorder or duplicate packets",
    applies: || !Lab::new().unwrap().left.can_impair(),
};

/// Attempts that failed on this machine.
pub const FAILED_ATTEMPTS: Limit = Limit {
    name: "failed attempts",
    meaning: "`tcp_retransmit_skb` has no `err` and comes only for what was sent: attempts that failed locally are not seen",
    applies: || !FEATURES.retransmit_err,
};

/// The end of a probe's episode.
pub const PROBE_ANSWERED: Limit = Limit {
    name: "answered probes",
    meaning: "there is no `tcp_cong_state_set`: that a tail loss probe was answered shows at the flow's next event",
    applies: || !FEATURES.has("tcp_cong_state_set"),
};

/// The setting that tests shorten long waits with.
pub const LONGEST_RTO: Limit = Limit {
    name: "tcp_rto_max_ms",
    meaning: "the longest RTO is 120 s and cannot be set: no forecast by another, and ends that take four minutes are not waited for",
    applies: || !FEATURES.has_field(Field::icsk_rto_max),
};

/// SYNs that do not back off.
pub const LINEAR_SYNS: Limit = Limit {
    name: "tcp_syn_linear_timeouts",
    meaning: "SYNs back off from the first one on: there is no linear phase to forecast",
    applies: || !FEATURES.has_field(Field::tcp_syn_linear_timeouts),
};

/// The setting of a whole namespace.
pub const RTO_MIN_SYSCTL: Limit = Limit {
    name: "tcp_rto_min_us",
    meaning: "RTO_MIN cannot be set for a namespace, only by routes",
    applies: || Lab::new().unwrap().left.read_sysctl("net.ipv4.tcp_rto_min_us").is_err(),
};

/// Experiments with RTOs of a twentieth of a second.
pub const STEADY_TIME: Limit = Limit {
    name: "steady time",
    meaning: "an emulated machine stands still for longer than the RTOs of 50 ms that the experiment is about",
    applies: || slowness() > 1,
};

impl Limit {
    /// Is it so here? Then it is told.
    pub fn applies(&self) -> bool {
        let applies = (self.applies)();
        if applies {
            let test = env::var(MINE).unwrap_or_default();
            eprintln!("{LIMIT}{test}: expected unknown: {}: {}", self.name, self.meaning);
        }
        applies
    }
}
