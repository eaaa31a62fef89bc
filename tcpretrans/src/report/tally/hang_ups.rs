//! Who closed while TCP was retransmitting.

use super::spread::Spread;
use crate::event::{Cause, Closed, HungUpSide};

/// Ends that an application brought about while what was sent stayed unacknowledged.
#[derive(Debug, Clone, Default)]
pub(crate) struct HangUps {
    /// By this side.
    pub local: u64,
    /// By the peer.
    pub peer: u64,
    /// By this side, while it was connecting.
    pub connecting: u64,
    /// By this side, before TCP had retransmitted even once.
    pub before_first_retransmission: u64,
    /// By this side, because a signal ended the process.
    pub killed: u64,
    /// By this side: how long the application had waited, ms; for a connect() since its first SYN, for others since the
    /// first retransmission.
    pub patience_ms: Spread,
}

impl HangUps {
    /// A connection ended.
    pub(crate) fn closed(&mut self, closed: &Closed) {
        let Some(hung_up) = &closed.hung_up else { return };
        if hung_up.side == HungUpSide::Peer {
            self.peer += 1;
            return;
        }
        self.local += 1;
        self.killed += u64::from(closed.killed_by.is_some());
        self.before_first_retransmission += u64::from(hung_up.before_the_first_retransmission());
        let patience_ms = if closed.cause == Cause::ConnectAbandoned {
            self.connecting += 1;
            hung_up.waited_ms
        } else {
            hung_up.into_backoff_ms.or(hung_up.waited_ms)
        };
        if let Some(patience_ms) = patience_ms {
            self.patience_ms.record(patience_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{HungUp, samples as sample};

    #[test]
    fn this_sides_impatience_is_told_apart() {
        let local = HungUp { side: HungUpSide::Local, ..sample::hung_up() };
        let at_once = HungUp { into_backoff_ms: None, waited_ms: Some(150), ..local.clone() };
        let mut hang_ups = HangUps::default();
        for (cause, hung_up, killed_by) in [
            (Cause::ClosedByPeer, Some(sample::hung_up()), None),
            (Cause::ConnectAbandoned, Some(HungUp { waited_ms: Some(2000), ..local.clone() }), None),
            (Cause::ClosedByLocal, Some(at_once), None),
            (Cause::ClosedByLocal, Some(local), Some(9)),
            (Cause::RetransmitTimeout, None, None),
        ] {
            hang_ups.closed(&Closed { cause, hung_up, killed_by, ..sample::closed() });
        }
        assert_eq!((hang_ups.local, hang_ups.peer, hang_ups.connecting, hang_ups.killed), (3, 1, 1, 1));
        assert_eq!(hang_ups.before_first_retransmission, 1);
        let patience = (hang_ups.patience_ms.min(), hang_ups.patience_ms.max());
        assert_eq!((patience, hang_ups.patience_ms.count()), ((Some(150), Some(3200)), 3));
    }
}
