//! What is counted alike of a flow, of a group of flows and of all.

use std::ops::AddAssign;

use crate::event::{Closed, HungUpSide, Recovered, Retransmit};

/// Sums over events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Retransmissions: attempts that were sent.
    pub sent: u64,
    /// Attempts that were not.
    pub failed: u64,
    /// Of those sent, the ones that an expired timer brought about.
    pub timeouts: u64,
    /// Segments in those sent.
    pub segs: u64,
    /// Payload bytes in those sent.
    pub bytes: u64,
    /// Episodes that were recovered from.
    pub recovered: u64,
    /// Of those, the ones that were not needed at all.
    pub spurious: u64,
    /// Of those, the ones of which that is not known.
    pub spurious_unknown: u64,
    /// Ends.
    pub closed: u64,
    /// Ends other than by FINs ([`Cause::is_death`](crate::event::Cause::is_death)).
    pub deaths: u64,
    /// Ends that this side brought about while TCP was still trying.
    pub hung_up: u64,
    /// The longest episode, ms.
    pub worst_ms: u64,
}

impl Counts {
    /// Counts a retransmission.
    pub(crate) fn retransmit(&mut self, retransmit: &Retransmit) {
        if retransmit.err.is_some() {
            self.failed += 1;
            return;
        }
        self.sent += 1;
        self.timeouts += u64::from(retransmit.rto_ms.is_some());
        self.segs += u64::from(retransmit.segs);
        self.bytes += u64::from(retransmit.bytes);
    }

    /// Counts a recovery.
    pub(crate) fn recovered(&mut self, recovered: &Recovered) {
        self.recovered += 1;
        self.spurious += u64::from(recovered.spurious == Some(true));
        self.spurious_unknown += u64::from(recovered.spurious.is_none());
        self.worst_ms = self.worst_ms.max(recovered.duration_ms);
    }

    /// Counts an end.
    pub(crate) fn closed(&mut self, closed: &Closed) {
        self.closed += 1;
        self.deaths += u64::from(closed.cause.is_death());
        let hung_up = closed.hung_up.as_ref().is_some_and(|hung_up| hung_up.side == HungUpSide::Local);
        self.hung_up += u64::from(hung_up);
    }

    /// What makes a group worth a line: the first matters most.
    pub(crate) fn weight(&self) -> (u64, u64, u64) {
        (self.sent + self.failed, self.deaths, self.worst_ms)
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.sent += other.sent;
        self.failed += other.failed;
        self.timeouts += other.timeouts;
        self.segs += other.segs;
        self.bytes += other.bytes;
        self.recovered += other.recovered;
        self.spurious += other.spurious;
        self.spurious_unknown += other.spurious_unknown;
        self.closed += other.closed;
        self.deaths += other.deaths;
        self.hung_up += other.hung_up;
        self.worst_ms = self.worst_ms.max(other.worst_ms);
    }
}
