//! A retransmission attempt.

use std::borrow::Cow;

#[cfg(test)]
use proptest::prelude::{BoxedStrategy, Just, Strategy, prop_oneof};
use serde::Deserializer;
use tcpretrans_ebpf::Attempt;
#[cfg(test)]
use tcpretrans_ebpf::tcp_state;

use super::{
    Deadline,
    json::{Key, Reading, State, Value, Writing, names, object},
};
use crate::words::errno;

names! {
    /// What made the kernel retransmit, in the order in which totals are shown.
    pub enum RetransmitType {
        /// A SYN: connect() is waiting.
        Syn = "syn",
        /// A SYN-ACK: the handshake's second step.
        SynAck = "synack",
        /// The retransmission timer expired (RFC 6298).
        Rto = "rto",
        /// After an RTO, clocked out by ACKs (CA_Loss).
        SlowStart = "slow_start",
        /// Fast retransmit in recovery, RACK (RFC 8985) included.
        Fast = "fast",
        /// RACK's reordering timer expired.
        RackTimer = "rack_timer",
        /// Tail loss probe (RFC 8985 section 7).
        Tlp = "tlp",
        /// The RTO of a peer that closed its window with data in flight.
        ZeroWindow = "zero_window",
        /// The path's MTU shrank (`tcp_simple_retransmit`), or another loss that is no congestion.
        Pmtu = "pmtu",
        /// An ICMP error undid a backoff whose time had already passed (RFC 6069).
        IcmpRevert = "icmp_revert",
        /// None of the known patterns.
        Unknown = "unknown",
    }
}

impl RetransmitType {
    /// Did an ACK bring it about, and not a timer of ours?
    pub fn is_ack_clocked(self) -> bool {
        match self {
            Self::SlowStart | Self::Fast | Self::RackTimer | Self::Pmtu => true,
            Self::Syn
            | Self::SynAck
            | Self::Rto
            | Self::Tlp
            | Self::ZeroWindow
            | Self::IcmpRevert
            | Self::Unknown => false,
        }
    }

    /// Is it of a connection that is not established yet?
    pub fn is_handshake(self) -> bool {
        match self {
            Self::Syn | Self::SynAck => true,
            Self::Rto
            | Self::SlowStart
            | Self::Fast
            | Self::RackTimer
            | Self::Tlp
            | Self::ZeroWindow
            | Self::Pmtu
            | Self::IcmpRevert
            | Self::Unknown => false,
        }
    }

    /// Was it the retransmission timer of a connection, or what stands for it? The tracepoint then lies before the
    /// backoff: the next timeout is twice `icsk_rto` away.
    pub fn is_timeout(self) -> bool {
        match self {
            Self::Syn | Self::Rto | Self::ZeroWindow | Self::IcmpRevert => true,
            // The timer of a SYN-ACK is its request's.
            Self::SynAck
            | Self::SlowStart
            | Self::Fast
            | Self::RackTimer
            | Self::Tlp
            | Self::Pmtu
            | Self::Unknown => false,
        }
    }

    /// Has `tcp_retransmit_timer` counted it in `icsk_retransmits` before it sent the segment (`tcp_update_rto_stats`)?
    /// The timer's branch for a closed window counts nothing.
    pub fn is_counted_as_timeout(self) -> bool {
        match self {
            Self::Syn | Self::Rto => true,
            Self::SynAck
            | Self::SlowStart
            | Self::Fast
            | Self::RackTimer
            | Self::Tlp
            | Self::ZeroWindow
            | Self::Pmtu
            | Self::IcmpRevert
            | Self::Unknown => false,
        }
    }

    /// What is retransmitted.
    pub fn attempt(self) -> Attempt {
        match self {
            Self::SynAck => Attempt::SynAck,
            Self::Syn
            | Self::Rto
            | Self::SlowStart
            | Self::Fast
            | Self::RackTimer
            | Self::Tlp
            | Self::ZeroWindow
            | Self::Pmtu
            | Self::IcmpRevert
            | Self::Unknown => Attempt::Segment,
        }
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

    /// An errno's name, or `NET_XMIT_DROP`.
    pub fn name(self) -> Cow<'static, str> {
        match self {
            SendError::Errno(number) => errno::name(number),
            SendError::QueueDrop => Cow::Borrowed(QUEUE_DROP),
        }
    }

    /// The error that [`SendError::name`] has made that text of.
    pub fn from_name(name: &str) -> Option<SendError> {
        match name {
            QUEUE_DROP => Some(SendError::QueueDrop),
            name => errno::number(name).map(SendError::Errno),
        }
    }
}

/// What `tcp_retransmit_skb` says when the queueing discipline dropped the packet (`include/linux/netdevice.h`).
const QUEUE_DROP: &str = "NET_XMIT_DROP";

impl Value for SendError {
    fn write(&self, out: &mut Writing<'_>) {
        out.name(&self.name());
    }

    fn read<'de, D: Deserializer<'de>>(value: D, line: &Reading) -> Result<Self, D::Error> {
        line.text(value, SendError::from_name)
    }

    #[cfg(test)]
    fn any() -> BoxedStrategy<Self> {
        prop_oneof![Just(SendError::QueueDrop), (1..600).prop_map(SendError::Errno)].boxed()
    }
}

impl Key for SendError {
    fn text(&self) -> Cow<'_, str> {
        self.name()
    }

    fn known(text: &str) -> Option<Self> {
        SendError::from_name(text)
    }

    #[cfg(test)]
    fn any() -> BoxedStrategy<Self> {
        <SendError as Value>::any()
    }
}

object! {
    /// A retransmission attempt.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Retransmit {
        /// What made the kernel do it.
        pub ty("type"): RetransmitType = RetransmitType::Rto,
        /// Does the kernel's state leave no other reading?
        pub certain: bool = true,
        /// TCP state (`tcpretrans_ebpf::tcp_state`).
        pub state: u8 as State = tcp_state::ESTABLISHED,
        /// Segments in the skb.
        pub segs: u32 = 1,
        /// Payload bytes.
        pub bytes: u32 = 1448,
        /// First sequence number, absolute; `None` for a SYN-ACK, whose tracepoint does not show it.
        pub seq: Option<u32> = Some(3_000_000_000),
        /// Why the attempt was not sent; `None`: sent.
        pub err: Option<SendError> = None,
        /// RTOs that expired without an answer, this one included (`icsk_retransmits`; a request's timeouts).
        pub retransmits: u32 = 1,
        /// Exponent of the backoff before this one (`icsk_backoff`).
        pub backoff: u32 = 0,
        /// The RTO that has just expired, ms; `None` unless a timer did this.
        pub rto_ms: Option<u64> = Some(204),
        /// The RTO that is now being waited for, ms; `None` unless a timer did this.
        pub next_rto_ms: Option<u64> = Some(408),
        /// Smoothed round-trip time, us; `None`: never measured.
        pub srtt_us: Option<u32> = Some(201),
        /// The RTO's allowance for variance, us; `None`: never measured.
        pub rttvar_us: Option<u32> = Some(200_000),
        /// Congestion window, segments.
        pub cwnd: u32 = 1,
        /// Slow start threshold, segments; `None`: infinite.
        pub ssthresh: Option<u32> = Some(5),
        /// Segments in flight.
        pub packets_out: u32 = 10,
        /// Bytes sent and not acknowledged.
        pub unacked_bytes: u32 = 14_480,
        /// Ordinal of the loss episode within the flow, from 1.
        pub episode: u32 = 1,
        /// When the kernel will give up; `None`: it would not.
        pub deadline: Option<Deadline> = Some(Deadline::sample()),
        raw record = super::samples::rto_record();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_packet_has_no_errno() {
        for error in [SendError::QueueDrop, SendError::Errno(libc::ENETUNREACH)] {
            assert_eq!(SendError::from_name(&error.name()), Some(error));
        }
        assert_eq!(SendError::QueueDrop.name(), "NET_XMIT_DROP");
    }
}
