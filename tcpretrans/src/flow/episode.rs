//! A loss episode: from the first retransmission until the data that was lost is acknowledged.

use tcpretrans_ebpf::Record;

use crate::{
    event::{Recovered, RecoveredBy, RetransmitType},
    socket::{Nanos, RecordExt, SeqNum, SnapshotExt},
};

/// An episode that is not over.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Episode {
    /// Ordinal within the flow, from 1.
    pub number: u32,
    /// First retransmission.
    pub started: Nanos,
    /// Attempts that were sent.
    pub retransmissions: u32,
    /// Segments in them.
    pub segs: u32,
    /// Most RTOs in a row.
    pub max_backoff: u32,
    /// Only tail loss probes so far: the congestion state does not show its end.
    pub only_tlp: bool,
    /// Past everything that was retransmitted.
    pub high_seq: SeqNum,
    /// `undo_marker` was set at some time: its absence at the end means that the kernel undid the reduction.
    pub undo_marked: bool,
    /// `dsack_dups` when it began.
    pub dsack_dups: u32,
    /// `tcp_retries1` was announced.
    pub announced_retries1: bool,
    /// `--warn-at` was announced.
    pub announced_deadline: bool,
}

impl Episode {
    /// Begins with `record`'s retransmission.
    pub(super) fn begin(number: u32, record: &Record) -> Episode {
        Episode {
            number,
            started: record.time(),
            retransmissions: 0,
            segs: 0,
            max_backoff: 0,
            only_tlp: true,
            high_seq: record.sock.unacknowledged(),
            undo_marked: false,
            dsack_dups: record.sock.dsack_dups,
            announced_retries1: false,
            announced_deadline: false,
        }
    }

    /// Takes over an episode that was on before the trace began.
    pub(super) fn resume(&mut self, record: &Record) {
        let sock = &record.sock;
        let unanswered = u32::from(sock.icsk_retransmits);
        self.only_tlp = false;
        self.retransmissions = self.retransmissions.saturating_add(unanswered);
        self.segs = self.segs.saturating_add(unanswered);
        self.max_backoff = self.max_backoff.max(unanswered);
        self.high_seq = SeqNum(sock.snd_nxt);
        self.undo_marked |= sock.undo_marker != 0;
        self.started = record.stamped_at().unwrap_or(self.started);
    }

    /// Adds a retransmission attempt.
    pub(super) fn add(&mut self, ty: RetransmitType, record: &Record, segs: u32, retransmits: u32) {
        if record.err == 0 {
            self.retransmissions += 1;
            self.segs += segs;
        }
        self.max_backoff = self.max_backoff.max(retransmits);
        self.only_tlp &= ty == RetransmitType::Tlp;
        self.undo_marked |= record.sock.undo_marker != 0;
        let end = SeqNum(record.end_seq);
        if end.after(self.high_seq) {
            self.high_seq = end;
        }
    }

    /// Has the peer acknowledged everything that was retransmitted?
    pub(super) fn is_acknowledged(&self, record: &Record) -> bool {
        !self.high_seq.after(record.sock.unacknowledged())
    }

    /// Ends it.
    pub(super) fn recovered(&self, by: RecoveredBy, now: Nanos, spurious: Option<bool>) -> Recovered {
        Recovered {
            duration_ms: (now - self.started).cut_to_millis().0,
            retransmissions: self.retransmissions,
            segs: self.segs,
            max_backoff: self.max_backoff,
            spurious,
            by,
            episode: self.number,
        }
    }

    /// Was the whole episode spurious, as seen when the congestion state leaves Recovery or Loss? A successful
    /// undo (Eifel, DSACK, F-RTO) has called `tcp_undo_cwnd_reduction`, which clears `undo_marker`; but losses that
    /// are no congestion never set it.
    ///
    /// That nothing was undone is a reason to call it necessary only as long as this connection has shown no DSACK and
    /// no reordering. A DSACK for a part of the retransmissions leaves it open: perhaps the others' were lost. And on a
    /// path that reorders, late originals end the episode, and the DSACKs for what was sent twice come afterwards.
    pub(super) fn spurious_at_exit(&self, record: &Record) -> Option<bool> {
        let undone = record.sock.undo_marker == 0;
        let doubtful = record.sock.dsack_dups != 0 || record.sock.reord_seen != 0;
        (self.undo_marked && (undone || !doubtful)).then_some(undone)
    }

    /// The same, of probes: a DSACK since then says that the probe was a duplicate.
    pub(super) fn spurious_by_dsack(&self, record: &Record) -> Option<bool> {
        (record.sock.dsack_dups != self.dsack_dups).then_some(true)
    }
}
