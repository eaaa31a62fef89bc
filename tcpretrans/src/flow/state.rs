//! What is remembered of a flow between its records. Small: there may be 100,000 of them.

use std::sync::Arc;

use tcpretrans_ebpf::Record;

use super::{episode::Episode, identity::Ends, unseen::Counted};
use crate::{
    event::{Flow, HungUp},
    socket::{Nanos, RecordExt, SeqNum},
};

/// A flow with losses, now or before.
#[derive(Debug, Clone)]
pub(super) struct FlowState {
    /// As users see it.
    pub flow: Arc<Flow>,
    /// Its ends.
    pub ends: Ends,
    /// The socket behind it, [`Record::sk`].
    pub sk: u64,
    /// Last record.
    pub last: Nanos,
    /// `icsk_retransmits` at the last record.
    pub last_retransmits: Option<u8>,
    /// `total_retrans` at the last record.
    pub last_total_retrans: u32,
    /// What the kernel had counted for it at the last record.
    pub counted: Counted,
    /// Episodes so far.
    pub episodes: u32,
    /// The one that is not over.
    pub episode: Option<Box<Episode>>,
    /// Attempts that were sent, since the flow is known.
    pub retransmissions: u32,
    /// Segments in them.
    pub segs: u32,
    /// Whose FIN came first, as far as it was seen.
    pub first_fin: Option<Side>,
    /// Who closed the socket here.
    pub closer: Option<Closer>,
    /// An end closed while TCP was retransmitting.
    pub hung_up: Option<Box<HungUp>>,
    /// The application closed with data unacknowledged, before the first RTO: reported as `hung_up` if that data is
    /// then retransmitted.
    pub closed_early: Option<Box<ClosedEarly>>,
    /// When a reset of the peer's came.
    pub reset_received: Option<Nanos>,
    /// Last reset that this side sent.
    pub reset_sent: Option<ResetSent>,
    /// A connection request, which is no socket yet: by then it has ended one way or another.
    pub request_over: Option<Nanos>,
    /// The socket has closed; what follows within a moment belongs to its end.
    pub closing: Option<Box<Closing>>,
    /// When it will be given up: the forecast of the last event.
    pub predicted_at: Option<Nanos>,
}

/// Who closed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// This side.
    Local,
    /// The peer.
    Peer,
    /// Both FINs crossed.
    Both,
}

/// The task that closed a socket, by close(), shutdown() or its exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Closer {
    /// Its thread group id; 0 unknown.
    pub tgid: u32,
    /// Its name.
    pub comm: [u8; 16],
    /// Was it exiting? ([`tcpretrans_ebpf::owner::exit`])
    pub exit: u8,
}

/// An application that closed with data unacknowledged, before the first RTO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClosedEarly {
    /// First byte that was unacknowledged.
    pub unacknowledged: SeqNum,
    /// What will then be reported.
    pub hung_up: HungUp,
}

/// A reset that this side sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ResetSent {
    /// When.
    pub at: Nanos,
    /// `enum sk_rst_reason`; all ones: this kernel does not say.
    pub reason: u32,
    /// It answers a segment.
    pub answers_segment: bool,
}

/// A socket that has gone to CLOSE.
#[derive(Debug, Clone)]
pub(super) struct Closing {
    /// The record of it.
    pub record: Record,
}

impl FlowState {
    /// A flow's first record.
    pub(super) fn new(flow: Arc<Flow>, record: &Record) -> FlowState {
        FlowState {
            flow,
            ends: Ends::of(record),
            sk: record.sk,
            last: record.time(),
            last_retransmits: None,
            last_total_retrans: 0,
            counted: Counted::after(record),
            episodes: 0,
            episode: None,
            retransmissions: 0,
            segs: 0,
            first_fin: None,
            closer: None,
            hung_up: None,
            closed_early: None,
            reset_received: None,
            reset_sent: None,
            request_over: None,
            closing: None,
            predicted_at: None,
        }
    }

    /// Begins an episode if none is on.
    pub(super) fn episode_at(&mut self, record: &Record) -> &mut Episode {
        let number = self.episodes + 1;
        if self.episode.is_none() {
            self.episodes = number;
        }
        self.episode.get_or_insert_with(|| Box::new(Episode::begin(number, record)))
    }
}
