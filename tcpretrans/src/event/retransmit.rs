//! A retransmission attempt.

use tcpretrans_ebpf::Record;

use super::Deadline;

/// What made the kernel retransmit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RetransmitType {
    /// A SYN: connect() is waiting.
    Syn,
    /// A SYN-ACK: the handshake's second step.
    SynAck,
    /// The retransmission timer expired (RFC 6298).
    Rto,
    /// After an RTO, clocked out by ACKs (CA_Loss).
    SlowStart,
    /// Fast retransmit in recovery, RACK (RFC 8985) included.
    Fast,
    /// RACK's reordering timer expired.
    RackTimer,
    /// Tail loss probe (RFC 8985 section 7).
    Tlp,
    /// The RTO of a peer that closed its window with data in flight.
    ZeroWindow,
    /// The path's MTU shrank (`tcp_simple_retransmit`), or another loss that is no congestion.
    Pmtu,
    /// An ICMP error undid a backoff whose time had already passed (RFC 6069).
    IcmpRevert,
    /// None of the known patterns.
    Unknown,
}

impl RetransmitType {
    /// All types, in the order in which totals are shown.
    pub const ALL: [RetransmitType; 11] = [
        Self::Syn,
        Self::SynAck,
        Self::Rto,
        Self::SlowStart,
        Self::Fast,
        Self::RackTimer,
        Self::Tlp,
        Self::ZeroWindow,
        Self::Pmtu,
        Self::IcmpRevert,
        Self::Unknown,
    ];

    /// The name in JSON, in `--type` and in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Syn => "syn",
            Self::SynAck => "synack",
            Self::Rto => "rto",
            Self::SlowStart => "slow_start",
            Self::Fast => "fast",
            Self::RackTimer => "rack_timer",
            Self::Tlp => "tlp",
            Self::ZeroWindow => "zero_window",
            Self::Pmtu => "pmtu",
            Self::IcmpRevert => "icmp_revert",
            Self::Unknown => "unknown",
        }
    }

    /// Did an ACK bring it about, and not a timer of ours?
    pub fn is_ack_clocked(self) -> bool {
        matches!(self, Self::SlowStart | Self::Fast | Self::RackTimer | Self::Pmtu)
    }

    /// The type of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ty| ty.name() == name)
    }
}

/// Why a retransmission attempt did not leave the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SendError {
    /// A positive errno.
    Errno(i32),
    /// The queueing discipline dropped it (NET_XMIT_DROP).
    QueueDrop,
}

impl SendError {
    /// Reads `err` as `tcp_retransmit_skb` gives it: 0 sent, negative errno, positive NET_XMIT code.
    pub fn from_kernel(err: i32) -> Option<SendError> {
        match err {
            0 => None,
            1.. => Some(SendError::QueueDrop),
            _ => Some(SendError::Errno(err.saturating_neg())),
        }
    }

    /// Has the kernel counted the attempt as a retransmission all the same (`RetransSegs`, `total_retrans`,
    /// `bytes_retrans`)?
    ///
    /// `__tcp_retransmit_skb` counts just before it hands the segment to IP. What stops it before that is not
    /// counted: the segment is still in a queue of this host (EBUSY), it lies beyond a window that the peer has
    /// shrunk (EAGAIN), there is no route (EHOSTUNREACH), no memory (ENOMEM), or it makes no sense (EINVAL). What IP,
    /// a firewall (EPERM) or a queueing discipline refuses comes after.
    pub fn is_counted(self) -> bool {
        match self {
            SendError::Errno(errno) => !matches!(
                errno,
                libc::EBUSY | libc::EAGAIN | libc::EHOSTUNREACH | libc::ENOMEM | libc::EINVAL
            ),
            SendError::QueueDrop => true,
        }
    }
}

/// A retransmission attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Retransmit {
    /// What made the kernel do it.
    pub ty: RetransmitType,
    /// Does the kernel's state leave no other reading?
    pub certain: bool,
    /// TCP state (`tcpretrans_ebpf::tcp_state`).
    pub state: u8,
    /// Segments in the skb.
    pub segs: u32,
    /// Payload bytes.
    pub bytes: u32,
    /// First sequence number, absolute; `None` for a SYN-ACK, whose tracepoint does not show it.
    pub seq: Option<u32>,
    /// Why the attempt was not sent; `None`: sent.
    pub err: Option<SendError>,
    /// RTOs that expired without an answer, this one included (`icsk_retransmits`; a request's timeouts).
    pub retransmits: u32,
    /// Exponent of the backoff before this one (`icsk_backoff`).
    pub backoff: u32,
    /// The RTO that has just expired, ms; `None` unless a timer did this.
    pub rto_ms: Option<u64>,
    /// The RTO that is now being waited for, ms; `None` unless a timer did this.
    pub next_rto_ms: Option<u64>,
    /// Smoothed round-trip time, us; `None`: never measured.
    pub srtt_us: Option<u32>,
    /// The RTO's allowance for variance, us; `None`: never measured.
    pub rttvar_us: Option<u32>,
    /// Congestion window, segments.
    pub cwnd: u32,
    /// Slow start threshold, segments; `None`: infinite.
    pub ssthresh: Option<u32>,
    /// Segments in flight.
    pub packets_out: u32,
    /// Bytes sent and not acknowledged.
    pub unacked_bytes: u32,
    /// Ordinal of the loss episode within the flow, from 1.
    pub episode: u32,
    /// When the kernel will give up; `None`: no death is pending.
    pub deadline: Option<Deadline>,
    /// What the kernel said, whole.
    pub record: Record,
}
