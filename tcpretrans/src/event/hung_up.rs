//! Who closed while TCP was still trying: `hung_up` of a `closed`.

use std::sync::Arc;

use super::json::{WallClock, names, object};
#[cfg(test)]
use super::samples::{NOW_NS, S};

names! {
    /// Which end closed.
    pub enum HungUpSide {
        /// This one.
        Local = "local",
        /// The other one.
        Peer = "peer",
    }
}

object! {
    /// An end closed while data was unacknowledged and TCP was retransmitting it, or would have.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct HungUp {
        /// Which end.
        pub side: HungUpSide = HungUpSide::Peer,
        /// The process that closed, if it is this end.
        pub pid: Option<u32> = None,
        /// Its name.
        pub comm: Option<Arc<str>> = None,
        /// Payload bytes unacknowledged then.
        pub unacked_bytes: u32 = 1448,
        /// RTOs that had expired in a row by then.
        pub retransmits: u32 = 4,
        /// Since the first retransmission of what was unanswered, ms; `None`: there had not been one yet.
        pub into_backoff_ms: Option<u64> = Some(3_200),
        /// Since data (or the SYN) was last sent, ms.
        pub waited_ms: Option<u64> = Some(140),
        /// The retransmission timeout that was waited for, ms.
        pub rto_ms: u64 = 3_264,
        /// Until when TCP would have tried: the forecast of that moment, mono ns.
        pub would_have_tried_until_ns("would_have_tried_until"): Option<u64> as Option<WallClock> = Some(NOW_NS + S),
    }
}

impl HungUp {
    /// Did it not even wait for the first retransmission?
    pub fn before_the_first_retransmission(&self) -> bool {
        self.into_backoff_ms.is_none()
    }
}
