//! The last line: the totals.

use std::{collections::BTreeMap, ops::AddAssign};

use tcpretrans_ebpf::Kind;

use super::{
    Cause, LostWhere, RetransmitType, SendError,
    json::{OrEmpty, in_lines_as, object},
};

/// Last line: the totals.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct End {
    /// Length of the trace, ms.
    pub duration_ms: u64,
    /// By retransmission type.
    pub retransmits: BTreeMap<RetransmitType, TypeTotal>,
    /// Thresholds passed.
    pub thresholds: u64,
    /// Loss episodes recovered.
    pub recovered: u64,
    /// Flows that left, by cause.
    pub closed: BTreeMap<Cause, u64>,
    /// Records lost, by place.
    pub lost: BTreeMap<LostWhere, u64>,
    /// Segments retransmitted without a record, as far as the sockets' counters show.
    pub unseen_segs: u64,
    /// Attempts that failed, by what stopped them.
    pub errors: BTreeMap<SendError, u64>,
    /// Retransmission timers that expired.
    pub timeouts: Timeouts,
    /// Records by kind; empty where the kernel side was not asked.
    pub records: Vec<(Kind, Account)>,
    /// Records that the programs submitted to the ring.
    pub records_sent: u64,
    /// Records that were read from it.
    pub records_received: u64,
    /// Flows still remembered: open connections that retransmitted, and handshakes in progress.
    pub flows_left: u64,
}

/// Totals of one retransmission type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TypeTotal {
    /// Attempts that were sent.
    pub sent: u64,
    /// Attempts that failed locally.
    pub failed: u64,
    /// Segments in those sent.
    pub segs: u64,
    /// Payload bytes in those sent.
    pub bytes: u64,
    /// Segments in those that failed after the kernel had counted them as retransmitted
    /// ([`SendError::is_counted`]).
    pub failed_segs: u64,
}

impl AddAssign<&TypeTotal> for TypeTotal {
    fn add_assign(&mut self, more: &TypeTotal) {
        let &TypeTotal { sent, failed, segs, bytes, failed_segs } = more;
        self.sent += sent;
        self.failed += failed;
        self.segs += segs;
        self.bytes += bytes;
        self.failed_segs += failed_segs;
    }
}

object! {
    /// Retransmission timers that expired, by what came of it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Timeouts {
        /// A socket's timer: it retransmitted, or tried to.
        pub retransmitted: u64 = 3,
        /// A connection request's timer: the SYN-ACK was sent again.
        pub synack: u64 = 0,
        /// A socket's timer: the kernel gave the connection up.
        pub gave_up: u64 = 1,
    }
}

impl AddAssign<&Timeouts> for Timeouts {
    fn add_assign(&mut self, more: &Timeouts) {
        let &Timeouts { retransmitted, synack, gave_up } = more;
        self.retransmitted += retransmitted;
        self.synack += synack;
        self.gave_up += gave_up;
    }
}

object! {
    /// What became of the records of one kind.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Account {
        /// Submitted by the program.
        pub sent: u64 = 4,
        /// Read by the tracer.
        pub received: u64 = 4,
        /// Found the ring full.
        pub ring: u64 = 0,
    }
}

type ByType = BTreeMap<RetransmitType, u64>;

object! {
    /// How many of each event there were.
    #[derive(Debug)]
    struct Events {
        /// Attempts, sent or not.
        pub retransmit: ByType = [(RetransmitType::Rto, 3), (RetransmitType::Tlp, 1)].into(),
        pub threshold: u64 = 1,
        pub recovered: u64 = 0,
        pub closed: BTreeMap<Cause, u64> = [(Cause::RetransmitTimeout, 1)].into(),
    }
}

object! {
    /// As it stands in the line: there, each total of the attempts is an object of its own.
    #[derive(Debug)]
    struct Line {
        pub events: Events = Events::sample(),
        pub segs: ByType = [(RetransmitType::Rto, 3), (RetransmitType::Tlp, 1)].into(),
        pub bytes: ByType = [(RetransmitType::Rto, 4344), (RetransmitType::Tlp, 1448)].into(),
        pub failed: ByType = [(RetransmitType::Rto, 0), (RetransmitType::Tlp, 0)].into(),
        pub failed_segs: ByType as OrEmpty = [(RetransmitType::Rto, 0), (RetransmitType::Tlp, 0)].into(),
        pub errors: BTreeMap<SendError, u64> as OrEmpty = [(SendError::QueueDrop, 1)].into(),
        pub timeouts: Timeouts as OrEmpty = Timeouts::sample(),
        pub lost: BTreeMap<LostWhere, u64> = LostWhere::ALL.map(|place| (place, 0)).into(),
        pub unseen_segs: u64 as OrEmpty = 0,
        pub duration_ms: u64 = 30_200,
        pub records_sent: u64 = 4,
        pub records_received: u64 = 4,
        /// By tracepoint. Text, so that tracepoints of a newer version are skipped.
        pub records: BTreeMap<String, Account> as OrEmpty =
            [(Kind::Retransmit.name().to_owned(), Account::sample())].into(),
        pub flows_left: u64 as OrEmpty = 0,
    }
}

impl From<&End> for Line {
    fn from(end: &End) -> Line {
        let End {
            duration_ms,
            retransmits,
            thresholds,
            recovered,
            closed,
            lost,
            unseen_segs,
            errors,
            timeouts,
            records,
            records_sent,
            records_received,
            flows_left,
        } = end;
        let by_type = |count: fn(&TypeTotal) -> u64| -> ByType {
            retransmits.iter().map(|(&ty, total)| (ty, count(total))).collect()
        };
        Line {
            events: Events {
                retransmit: by_type(|total| total.sent + total.failed),
                threshold: *thresholds,
                recovered: *recovered,
                closed: closed.clone(),
            },
            segs: by_type(|total| total.segs),
            bytes: by_type(|total| total.bytes),
            failed: by_type(|total| total.failed),
            failed_segs: by_type(|total| total.failed_segs),
            errors: errors.clone(),
            timeouts: *timeouts,
            lost: lost.clone(),
            unseen_segs: *unseen_segs,
            duration_ms: *duration_ms,
            records_sent: *records_sent,
            records_received: *records_received,
            records: records.iter().map(|&(kind, account)| (kind.name().to_owned(), account)).collect(),
            flows_left: *flows_left,
        }
    }
}

impl From<Line> for End {
    fn from(line: Line) -> End {
        let Line {
            events: Events { retransmit, threshold, recovered, closed },
            segs,
            bytes,
            failed,
            failed_segs,
            errors,
            timeouts,
            lost,
            unseen_segs,
            duration_ms,
            records_sent,
            records_received,
            records,
            flows_left,
        } = line;
        let retransmits = retransmit.into_iter().map(|(ty, attempts)| {
            let of = |totals: &ByType| totals.get(&ty).copied().unwrap_or(0);
            let total = TypeTotal {
                sent: attempts.saturating_sub(of(&failed)),
                failed: of(&failed),
                segs: of(&segs),
                bytes: of(&bytes),
                failed_segs: of(&failed_segs),
            };
            (ty, total)
        });
        // In the order of the kinds, which is that of the wire.
        let accounts = Kind::ALL.into_iter().filter_map(|kind| Some((kind, *records.get(kind.name())?)));
        End {
            duration_ms,
            retransmits: retransmits.collect(),
            thresholds: threshold,
            recovered,
            closed,
            lost,
            unseen_segs,
            errors,
            timeouts,
            records: accounts.collect(),
            records_sent,
            records_received,
            flows_left,
        }
    }
}

in_lines_as!(End, Line);
