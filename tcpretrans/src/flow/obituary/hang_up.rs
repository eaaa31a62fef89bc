//! An end that closes while data is unacknowledged and TCP retransmits it, or would (`hung_up`).

use std::sync::Arc;

use tcpretrans_ebpf::Record;

use super::process;
use crate::{
    deadline,
    event::{HungUp, HungUpSide, RetransmitType},
    flow::{
        retransmission::unacked_bytes,
        state::{ClosedEarly, FlowState},
    },
    socket::{Hz, Jiffies, Millis, Nanos, RecordExt, SnapshotExt, TcpState},
};

/// What a close meant for the data that was under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::flow) enum Meaning {
    /// Everything was acknowledged, or had just been sent.
    None,
    /// TCP was retransmitting.
    HungUp(HungUp),
    /// A round trip had passed without an acknowledgement, and the first RTO was still to come. Whether the data
    /// was lost shows later.
    Early(HungUp),
}

/// What a FIN or a reset of `side` meant, from the record of it.
pub(in crate::flow) fn meaning(state: &FlowState, record: &Record, side: HungUpSide, hz: Hz) -> Meaning {
    let unacked_bytes = unacked_bytes(record);
    if unacked_bytes == 0 {
        return Meaning::None;
    }
    let idle = record.jiffies_since(record.sock.lsndtime);
    let hung_up =
        HungUp { unacked_bytes, waited_ms: Some(hz.displayed(idle).0), ..hung_up(state, record, side, hz) };
    if let Some(elapsed) = into_backoff(state, record) {
        return Meaning::HungUp(HungUp { into_backoff_ms: Some(elapsed.0), ..hung_up });
    }
    match side {
        HungUpSide::Local if is_of_its_own_will(state) && outwaited(record, idle, hz) => {
            Meaning::Early(HungUp { would_have_tried_until_ns: None, ..hung_up })
        }
        _ => Meaning::None,
    }
}

/// The same of a FIN that went before the flow's first retransmission, which `record` is: the programs have
/// remembered how long ago data had been sent.
pub(in crate::flow) fn before_first_retransmission(
    state: &FlowState,
    record: &Record,
    hz: Hz,
) -> Option<HungUp> {
    let unacked_bytes = unacked_bytes(record);
    let idle = record.idle_at_fin()?;
    let fin_is_ours = matches!(record.sock.state(), TcpState::FinWait1 | TcpState::Closing);
    let willing = record.fin_exit == 0;
    let only_this = record.sock.total_retrans <= record.segments();
    let early = unacked_bytes > 0 && fin_is_ours && willing && only_this && outwaited(record, idle, hz);
    early.then(|| HungUp {
        unacked_bytes,
        retransmits: 0,
        waited_ms: Some(hz.displayed(idle).0),
        would_have_tried_until_ns: None,
        ..hung_up(state, record, HungUpSide::Local, hz)
    })
}

/// A connect() that the application gave up.
pub(in crate::flow) fn of_connect(state: &FlowState, record: &Record, hz: Hz) -> HungUp {
    // Without a retransmission there was no forecast yet. The timer that runs is as good a start for one as after a
    // retransmission that ACKs clocked out: it stands as it was.
    let until = state.predicted_at.or_else(|| {
        let deadline = deadline::of_record(RetransmitType::SlowStart, record, hz)?;
        Some(Nanos(deadline.expected_ns))
    });
    HungUp {
        into_backoff_ms: into_backoff(state, record).map(|elapsed| elapsed.0),
        waited_ms: record.lifetime().map(|lifetime| lifetime.cut_to_millis().0),
        would_have_tried_until_ns: until.map(|until| until.0),
        ..hung_up(state, record, HungUpSide::Local, hz)
    }
}

/// At a retransmission: does it send again what the application did not wait for?
pub(in crate::flow) fn confirm(early: &ClosedEarly, record: &Record) -> bool {
    early.unacknowledged == record.sock.unacknowledged()
}

fn hung_up(state: &FlowState, record: &Record, side: HungUpSide, hz: Hz) -> HungUp {
    let (pid, comm) = match side {
        HungUpSide::Local => process::closing(state),
        HungUpSide::Peer => (None, None),
    };
    HungUp {
        side,
        pid,
        comm: comm.map(Arc::from),
        unacked_bytes: 0,
        retransmits: u32::from(record.sock.icsk_retransmits),
        into_backoff_ms: None,
        waited_ms: None,
        rto_ms: hz.displayed(record.sock.rto()).0,
        would_have_tried_until_ns: state.predicted_at.map(|at| at.0),
    }
}

/// Since the first retransmission of what is unacknowledged; `None`: there was none.
fn into_backoff(state: &FlowState, record: &Record) -> Option<Millis> {
    let open = state.episode.as_ref().filter(|episode| !episode.is_acknowledged(record))?;
    Some((record.time() - open.started).cut_to_millis())
}

/// A process that exits did not decide to stop waiting.
fn is_of_its_own_will(state: &FlowState) -> bool {
    state.closer.is_none_or(|closer| closer.exit == 0)
}

/// Has an acknowledgement been due for longer than a round trip, and the RTO not yet run out? A server that closes as
/// soon as it has written has not waited for anything; this one has.
fn outwaited(record: &Record, idle: Jiffies, hz: Hz) -> bool {
    // The first jiffy may have been a moment.
    let least = hz.jiffies_to_usecs(idle - Jiffies(1));
    record.sock.srtt().is_some_and(|srtt| srtt.0 != 0 && least >= srtt) && idle < record.sock.rto()
}
