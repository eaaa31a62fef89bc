//! Retransmissions that made no record. The kernel can skip a program without counting that, but it never skips its
//! own counters: if a socket's `total_retrans` or `icsk_retransmits` rose by more than its records show, the rest was
//! not seen.
//!
//! What is said must be so. Where the other end of a gap is not known (a socket that is older than the trace, a flow
//! that was forgotten), or where records are known to be lost (they are reported already), nothing is said.

use std::sync::Arc;

use tcpretrans_ebpf::{Attempt, Kind, Record};

use super::classify;
use crate::{
    event::{Event, Flow, Lost, LostWhere, SendError, Unseen, What},
    socket::{CaState, Nanos, Pending, RecordExt, SnapshotExt, TcpState},
};

/// What the kernel had counted for a flow at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    /// That moment.
    pub at: Nanos,
    /// Segments retransmitted (`total_retrans`); of a connection request, SYN-ACKs. The socket that comes of it
    /// inherits that number (`tcp_create_openreq_child`).
    segs: u32,
    /// RTOs in a row (`icsk_retransmits`); not known of a handshake here, whose SYN-ACKs count themselves afterwards
    /// or not at all (`tcp_fastopen_synack_timer`, `tcp_check_req`).
    timeouts: Option<u8>,
}

impl Counted {
    /// Just after the record.
    pub(super) fn after(record: &Record) -> Counted {
        let sock = &record.sock;
        if sock.state() == TcpState::Listen {
            // The socket is the listener; of its requests, only SYN-ACKs are known. tcp_rtx_synack counts afterwards.
            let segs = u32::from(record.num_retrans) + 1;
            return Counted { at: record.time(), segs, timeouts: Some(0) };
        }
        let timeouts = (sock.state() != TcpState::SynRecv).then_some(sock.icsk_retransmits);
        Counted { at: record.time(), segs: sock.total_retrans, timeouts }
    }

    /// A socket that was opened then.
    fn at_birth(born: Nanos) -> Counted {
        Counted { at: born, segs: 0, timeouts: Some(0) }
    }

    /// What happened between this and `record` without a record of its own.
    pub(super) fn gap_before(&self, kind: Kind, record: &Record) -> Option<Gap> {
        let now = Counted::after(record);
        // Less than before: tcp_disconnect has cleared the socket for its next connection.
        let risen = now.segs.checked_sub(self.segs)?;
        let segs = risen.saturating_sub(segs_of(kind, record, risen));
        let own = u8::from(is_timeout(kind, record));
        // Progress sets the number back to 0. Nothing forces this reading, so it is the least there was.
        let since = match (self.timeouts, now.timeouts) {
            (Some(before), Some(now)) => now.checked_sub(before).unwrap_or(now),
            _ => 0,
        };
        let timeouts = u32::from(since.saturating_sub(own));
        // Each timeout repeats one segment; what is more belongs to one other record at least.
        let records = timeouts + u32::from(segs > timeouts);
        (records > 0).then_some(Gap { segs, records })
    }
}

/// Segments by which the record's own attempt raised the count, of `risen` in all.
fn segs_of(kind: Kind, record: &Record, risen: u32) -> u32 {
    match kind.attempt() {
        None => 0,
        Some(Attempt::SynAck) => 1,
        Some(Attempt::Segment) => {
            let segs = record.segments();
            match SendError::from_kernel(record.err) {
                None => segs,
                Some(SendError::Errno(libc::EBUSY)) => 0,
                // These errors mostly stop an attempt before it is counted, but IP may return them as well.
                Some(error) if !error.is_counted() => {
                    if risen >= segs {
                        segs
                    } else {
                        0
                    }
                }
                Some(_) => segs,
            }
        }
    }
}

/// Did the retransmission timer do this, and count itself before (`tcp_update_rto_stats`)?
fn is_timeout(kind: Kind, record: &Record) -> bool {
    let sock = &record.sock;
    // tcp_ld_RTO_revert runs the timer's handler while the timer is armed.
    let reverted =
        sock.ca_state() == CaState::Loss && sock.pending() != Pending::Nothing && record.is_of_head();
    let by_timer = || classify::classify(record, None).ty.is_counted_as_timeout();
    kind.attempt() == Some(Attempt::Segment) && (reverted || by_timer())
}

/// Retransmissions between two records of a flow that made none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    /// Segments, exactly.
    segs: u32,
    /// Attempts, at least.
    records: u32,
}

/// How long a connection request may live: `tcp_synack_retries` and a repeated SYN or two.
const REQUEST_LIFE: Nanos = Nanos::from_secs(300);

/// Collects the gaps of all flows. A gap is reported once it is sure that nothing else explains it: the programs' own
/// counts of lost records are read only now and then.
#[derive(Debug)]
pub(super) struct Watch {
    maybe_failed: bool,
    /// Sockets opened since then are known whole.
    since: Nanos,
    /// Up to then records of retransmissions are known to be lost.
    explained: Option<Nanos>,
    /// Up to then connection requests were forgotten that may live.
    forgot_requests: Option<Nanos>,
    held: Vec<(Gap, Nanos, Arc<Flow>)>,
}

impl Watch {
    /// From now on. `maybe_failed`: this kernel makes no record of attempts that fail locally.
    pub(super) fn from(now: Nanos, maybe_failed: bool) -> Watch {
        Watch { maybe_failed, since: now, explained: None, forgot_requests: None, held: Vec::new() }
    }

    /// What was counted for a flow of which this is the first record; `request` is that of the connection request
    /// which it comes from, if there is one.
    pub(super) fn before_first(&self, record: &Record, request: Option<Counted>) -> Option<Counted> {
        let is_request = record.sock.state() == TcpState::Listen;
        let born = Nanos(record.born_ns);
        if is_request || born <= self.since {
            return None;
        }
        let may_be_forgotten = self.forgot_requests.is_some_and(|at| born < at + REQUEST_LIFE);
        match request {
            None if may_be_forgotten => None,
            None => Some(Counted::at_birth(born)),
            known => known,
        }
    }

    /// Keeps a gap that `record` of `flow` shows, until it is known that no lost record explains it.
    pub(super) fn hold(&mut self, gap: Gap, noticed: Nanos, flow: Arc<Flow>) {
        self.held.push((gap, noticed, flow));
    }

    /// Records of retransmissions were lost up to now, and that is reported: they explain what is held.
    pub(super) fn explained(&mut self, now: Nanos) {
        self.explained = Some(now);
        self.held.clear();
    }

    /// Do records that are known to be lost explain a gap that began then?
    pub(super) fn explains(&self, since: Nanos) -> bool {
        self.explained.is_some_and(|lost| since <= lost)
    }

    /// Flows were forgotten that may live: their sockets are no longer known whole.
    pub(super) fn forgot_flows(&mut self, now: Nanos) {
        self.since = now;
        self.held.clear();
    }

    /// Connection requests were forgotten that may live.
    pub(super) fn forgot_requests(&mut self, now: Nanos) {
        self.forgot_requests = Some(now);
    }

    /// No record was lost up to now: what is held is reported.
    pub(super) fn report(&mut self, events: &mut Vec<Event>) {
        let maybe_failed = self.maybe_failed;
        events.extend(self.held.drain(..).map(|(gap, noticed, flow)| {
            let unseen = Unseen { segs: gap.segs.into(), maybe_failed };
            let lost = Lost { records: gap.records.into(), place: LostWhere::Unseen, unseen: Some(unseen) };
            Event { mono_ns: noticed.0, flow: Some(flow), what: What::Lost(lost) }
        }));
    }
}
