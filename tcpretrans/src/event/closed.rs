//! How a connection ended, and who hung up while TCP was still trying.

use std::sync::Arc;

use super::{Cause, Knob, Who};

/// A traced flow left.
#[derive(Debug, Clone, PartialEq)]
pub struct Closed {
    /// Why.
    pub cause: Cause,
    /// Who ended it; `None` if unknown.
    pub who: Option<Who>,
    /// errno that the application gets; `None`: none.
    pub error: Option<i32>,
    /// What ended it, if a knob did.
    pub knob: Option<Knob>,
    /// State that it left.
    pub state: u8,
    /// Successful retransmission attempts in its life, as far as they were traced; those of an episode that was on
    /// when the trace began included.
    pub retransmissions: u32,
    /// Segments in them.
    pub segs: u32,
    /// Bytes sent and never acknowledged.
    pub unacked_bytes: u32,
    /// Bytes that the application wrote and that were never sent.
    pub unsent_bytes: u32,
    /// Since it was opened, ms; `None`: it is older than the trace.
    pub lifetime_ms: Option<u64>,
    /// Since anything last arrived from the peer, ms; `None`: nothing ever did.
    pub silent_ms: Option<u64>,
    /// The last forecast of its death, mono ns.
    pub predicted_at_ns: Option<u64>,
    /// The end that hung up while TCP was still trying.
    pub hung_up: Option<HungUp>,
    /// The signal that killed the process whose socket it was, if that is why it closed.
    pub killed_by: Option<u8>,
    /// One sentence for people; [`Closed::sentence`] has the whole of it.
    pub note: String,
}

impl Closed {
    /// Did the retransmission timer give up (`tcp_retransmit_timer`)? Not so the timers of probes: without data in
    /// flight (`tcp_probe_timer`, `tcp_keepalive_timer`), or into a closed window.
    pub fn by_retransmission_timer(&self) -> bool {
        let limit_of_tries = matches!(
            self.cause,
            Cause::RetransmitTimeout | Cause::UserTimeout | Cause::ConnectTimeout | Cause::OrphanTimeout
        );
        // A FIN in flight is no byte, but then nothing is left to send.
        let in_flight = self.unacked_bytes > 0 || self.unsent_bytes == 0;
        limit_of_tries && in_flight
    }

    /// The whole sentence for people. `time` tells a monotonic time (ns) as a wall-clock time: the note itself has
    /// none, for it is made where there is no clock.
    pub fn sentence(&self, time: impl FnOnce(u64) -> String) -> String {
        let until_ns = self.hung_up.as_ref().and_then(|hung_up| hung_up.would_have_tried_until_ns);
        match until_ns {
            Some(until_ns) => format!("{}{TRIED_UNTIL}{}", self.note, time(until_ns)),
            None => self.note.clone(),
        }
    }
}

/// What stands between the note and the time until which TCP would have tried.
const TRIED_UNTIL: &str = "; TCP itself would have tried until ";

/// Which end hung up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HungUpSide {
    /// This one.
    Local,
    /// The other one.
    Peer,
}

impl HungUpSide {
    /// Both.
    pub const ALL: [HungUpSide; 2] = [Self::Local, Self::Peer];

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Peer => "peer",
        }
    }
}

/// An end hung up while what was sent stayed unacknowledged and TCP was still trying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HungUp {
    /// Which end.
    pub side: HungUpSide,
    /// The process that closed, if it is this end.
    pub pid: Option<u32>,
    /// Its name.
    pub comm: Option<Arc<str>>,
    /// Payload bytes unacknowledged then.
    pub unacked_bytes: u32,
    /// RTOs that had expired in a row by then.
    pub retransmits: u32,
    /// Since the first retransmission of what was unanswered, ms; `None`: there had not been one yet.
    pub into_backoff_ms: Option<u64>,
    /// Since data (or the SYN) was last sent, ms.
    pub waited_ms: Option<u64>,
    /// The retransmission timeout that was waited for, ms.
    pub rto_ms: u64,
    /// Until when TCP would have tried: the forecast of that moment, mono ns.
    pub would_have_tried_until_ns: Option<u64>,
}

impl HungUp {
    /// Did it not even wait for the first retransmission?
    pub fn before_the_first_retransmission(&self) -> bool {
        self.into_backoff_ms.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::samples;

    #[test]
    fn only_the_retransmission_timer_gives_up_data_in_flight() {
        let by_timer = |cause, unacked_bytes, unsent_bytes| {
            let closed = Closed { cause, unacked_bytes, unsent_bytes, ..samples::closed() };
            closed.by_retransmission_timer()
        };
        assert!(by_timer(Cause::RetransmitTimeout, 1448, 0));
        assert!(by_timer(Cause::UserTimeout, 1448, 9000));
        assert!(by_timer(Cause::ConnectTimeout, 0, 0), "a SYN is no byte");
        assert!(by_timer(Cause::OrphanTimeout, 0, 0), "nor is a FIN");
        assert!(!by_timer(Cause::RetransmitTimeout, 0, 500), "never left: a probe timer's");
        assert!(!by_timer(Cause::ZeroWindowTimeout, 1448, 0));
        assert!(!by_timer(Cause::ResetByPeer, 1448, 0));
    }
}
