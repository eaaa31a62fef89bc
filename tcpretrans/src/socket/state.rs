//! The states that a record has numbers for: TCP's own, the congestion control's, and which timer is armed.

use tcpretrans_ebpf::tcp_state;

/// A TCP state (`include/net/tcp_states.h`; RFC 9293 section 3.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are RFC 9293's")]
pub enum TcpState {
    Established,
    SynSent,
    SynRecv,
    FinWait1,
    FinWait2,
    TimeWait,
    Close,
    CloseWait,
    LastAck,
    Listen,
    Closing,
    /// A request socket.
    NewSynRecv,
    /// Not a state of Linux: only a damaged recording says so.
    Unknown,
}

impl From<u8> for TcpState {
    fn from(number: u8) -> Self {
        match number {
            tcp_state::ESTABLISHED => Self::Established,
            tcp_state::SYN_SENT => Self::SynSent,
            tcp_state::SYN_RECV => Self::SynRecv,
            tcp_state::FIN_WAIT1 => Self::FinWait1,
            tcp_state::FIN_WAIT2 => Self::FinWait2,
            tcp_state::TIME_WAIT => Self::TimeWait,
            tcp_state::CLOSE => Self::Close,
            tcp_state::CLOSE_WAIT => Self::CloseWait,
            tcp_state::LAST_ACK => Self::LastAck,
            tcp_state::LISTEN => Self::Listen,
            tcp_state::CLOSING => Self::Closing,
            tcp_state::NEW_SYN_RECV => Self::NewSynRecv,
            _ => Self::Unknown,
        }
    }
}

impl TcpState {
    /// The connection is not established yet: `tcp_write_timeout` has other limits, and another base for them.
    pub fn in_handshake(self) -> bool {
        matches!(self, Self::SynSent | Self::SynRecv)
    }
}

/// `enum tcp_ca_state` (`include/uapi/linux/tcp.h`), in the kernel's order: from `Recovery` on, the socket is in a loss
/// episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CaState {
    Open,
    /// Data was lost or reordered, nothing decided yet.
    Disorder,
    /// Window reduced: ECN, or a tail loss probe that was answered.
    Cwr,
    /// Fast recovery.
    Recovery,
    /// After an RTO.
    Loss,
    /// None of the kernel's.
    Unknown,
}

impl From<u8> for CaState {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::Open,
            1 => Self::Disorder,
            2 => Self::Cwr,
            3 => Self::Recovery,
            4 => Self::Loss,
            _ => Self::Unknown,
        }
    }
}

/// `icsk_pending`: for what `icsk_retransmit_timer` is armed (`include/net/inet_connection_sock.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pending {
    /// Nothing. With packets in flight only inside the handlers of an RTO, which zero it first.
    Nothing,
    /// `ICSK_TIME_RETRANS`: the RTO.
    Retransmission,
    /// `ICSK_TIME_LOSS_PROBE`: the tail loss probe.
    LossProbe,
    /// `ICSK_TIME_REO_TIMEOUT`: RACK's reordering timer.
    Reordering,
    /// `ICSK_TIME_PROBE0`, or something that this does not know.
    Other,
}

impl From<u8> for Pending {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::Nothing,
            1 => Self::Retransmission,
            5 => Self::LossProbe,
            6 => Self::Reordering,
            _ => Self::Other,
        }
    }
}
