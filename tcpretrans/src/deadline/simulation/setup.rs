//! What goes into a simulated connection, and what comes out.

use tcpretrans_ebpf::{Record, tcp_state};

use crate::event::RetransmitType;

/// Everything that may differ from one simulated connection to the next.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    pub hz: u32,
    /// `jiffies64` when the segment (or SYN) is sent.
    pub phase: u64,
    /// ns within the jiffy.
    pub sub_jiffy_ns: u64,
    pub state: u8,
    pub srtt_us: u32,
    pub rttvar_us: u32,
    pub rto_max_ms: u64,
    pub retries2: u32,
    pub user_timeout_ms: u32,
    pub syn_retries: u32,
    pub syncnt: u8,
    pub linear: Option<u32>,
    pub orphan: bool,
    pub orphan_retries: u32,
    pub thin: bool,
    pub usec_ts: bool,
    pub closed_window: bool,
    pub modern: bool,
    /// A tail loss probe goes first, after so many ms.
    pub tlp_after_ms: Option<u64>,
    /// A fast retransmission goes first, after so many us, clocked out by the last ACK that ever comes.
    pub fast_after_us: Option<u64>,
    /// The n-th timeout's packet is dropped by the local qdisc.
    pub dropped_at: Option<u32>,
    /// Softirq latencies, ns, in turn.
    pub latencies_ns: Vec<u64>,
    /// Another timer of the CPU fires every so many jiffies.
    pub noise_jiffies: u64,
}

impl Setup {
    /// A plain established connection on a LAN.
    pub(super) fn plain(hz: u32, phase: u64) -> Self {
        Self {
            hz,
            phase,
            sub_jiffy_ns: 0,
            state: tcp_state::ESTABLISHED,
            srtt_us: 8 * 100,
            rttvar_us: 200_000,
            rto_max_ms: 120_000,
            retries2: 15,
            user_timeout_ms: 0,
            syn_retries: 6,
            syncnt: 0,
            linear: Some(4),
            orphan: false,
            orphan_retries: 0,
            thin: false,
            usec_ts: false,
            closed_window: false,
            modern: true,
            tlp_after_ms: None,
            fast_after_us: None,
            dropped_at: None,
            latencies_ns: vec![20_000],
            noise_jiffies: 1000,
        }
    }
}

/// The socket while its timer waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wait {
    /// The tick that began the jiffy in which the timer was armed, ns.
    pub since_tick_ns: u64,
    /// As an iterator would have shown it right after the timer was armed.
    pub record: Record,
}

/// What happened.
pub(super) struct Outcome {
    pub waits: Vec<Wait>,
    /// Each retransmission as the probe would have reported it.
    pub events: Vec<(RetransmitType, Record)>,
    pub death_ns: u64,
    pub death_jiffies: u64,
    /// Of the first sending.
    pub sent_ns: u64,
    /// How near any timeout was to deciding otherwise.
    pub closest_call_ns: u64,
    pub timeouts: u32,
}
