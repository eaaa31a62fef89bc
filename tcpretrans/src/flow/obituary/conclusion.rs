//! The cause of an end, who brought it about, and how.

use crate::event::{Cause, Knob, Who};

/// How a connection ended, as far as its cause is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conclusion {
    /// Why.
    pub cause: Cause,
    /// Who.
    pub who: Option<Who>,
    /// The knob that ended it.
    pub knob: Option<Knob>,
    /// How, where the cause alone does not say it.
    pub how: How,
    /// `sk_err` is this end's, and not an older one that nobody fetched.
    pub by_error: bool,
}

/// How, within a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// As the cause says.
    Plainly,
    /// `SO_LINGER` with zero seconds.
    LingerZero,
    /// So many bytes in the receive buffer were not read.
    Unread(u32),
    /// `connect(AF_UNSPEC)`.
    Disconnected,
    /// The listener closed before accept().
    NotAccepted,
    /// Data arrived after the application had closed.
    DataAfterClose,
    /// `TCP_LINGER2` is negative.
    NegativeLinger2,
    /// An orphan timed out in FIN_WAIT2: the peer sent no FIN (`tcp_fin_timeout`, `TCP_LINGER2`).
    FinTimeout,
    /// Nothing ever left this machine: its firewall or queueing discipline dropped it.
    NeverLeft,
    /// The zero window had data in flight.
    InFlight,
    /// connect() failed before a SYN was sent.
    NoSyn,
    /// The kernel dropped it without a record of why.
    Dropped,
    /// The record of the end was lost.
    RecordLost,
}

impl Conclusion {
    pub(super) fn new(cause: Cause, who: Who) -> Conclusion {
        Conclusion { cause, who: Some(who), knob: None, how: How::Plainly, by_error: false }
    }

    pub(super) fn how(self, how: How) -> Conclusion {
        Conclusion { how, ..self }
    }

    pub(super) fn unknown(how: How) -> Conclusion {
        Conclusion { who: None, ..Conclusion::new(Cause::Unknown, Who::Kernel).how(how) }
    }

    pub(super) fn knob(self, knob: Knob) -> Conclusion {
        Conclusion { knob: Some(knob), ..self }
    }

    pub(super) fn error(self) -> Conclusion {
        Conclusion { by_error: true, ..self }
    }
}
