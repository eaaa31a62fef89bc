//! Whose FIN came first, who closed, and whether TCP was retransmitting then.

use tcpretrans_ebpf::{Attempt, Record};

use crate::{
    event::HungUpSide,
    flow::{
        obituary::hang_up::{self, Meaning},
        state::{ClosedEarly, Closer, FlowState, Side},
    },
    socket::{Hz, RecordExt, SnapshotExt, TcpState},
};

/// From a state change that is no CLOSE.
pub(super) fn learn_from_transition(state: &mut FlowState, record: &Record, hz: Hz) {
    let (first, closer_side) = match (record.old_state(), record.new_state()) {
        (TcpState::Established | TcpState::SynRecv, TcpState::FinWait1) => {
            (Some(Side::Local), Some(HungUpSide::Local))
        }
        (TcpState::Established | TcpState::SynRecv, TcpState::CloseWait) => {
            (Some(Side::Peer), Some(HungUpSide::Peer))
        }
        (TcpState::FinWait1, TcpState::Closing) => (Some(Side::Both), None),
        (TcpState::CloseWait, TcpState::LastAck) => (None, Some(HungUpSide::Local)),
        _ => (None, None),
    };
    match first {
        Some(Side::Both) => state.first_fin = first,
        Some(_) if state.first_fin.is_none() => state.first_fin = first,
        _ => learn_from_state(state, record),
    }
    let Some(side) = closer_side else { return };
    if side == HungUpSide::Local {
        state.closer = Some(current(record));
    }
    if state.hung_up.is_some() {
        return;
    }
    match hang_up::meaning(state, record, side, hz) {
        Meaning::HungUp(hung_up) => state.hung_up = Some(Box::new(hung_up)),
        Meaning::Early(hung_up) => {
            let early = ClosedEarly { unacknowledged: record.sock.unacknowledged(), hung_up };
            state.closed_early = Some(Box::new(early));
        }
        Meaning::None => {}
    }
}

/// From the state that the socket is in: the FIN was sent before the flow was traced.
pub(super) fn learn_from_state(state: &mut FlowState, record: &Record) {
    let (side, local_fin_went) = match record.sock.state() {
        TcpState::FinWait1 | TcpState::FinWait2 => (Side::Local, true),
        TcpState::Closing => (Side::Both, true),
        TcpState::CloseWait => (Side::Peer, false),
        TcpState::LastAck => (Side::Peer, true),
        _ => return,
    };
    if local_fin_went && state.closer.is_none() {
        // The programs have remembered who it was, if not as the closer then as the owner.
        state.closer = Some(Closer { tgid: 0, comm: [0; 16], exit: record.fin_exit });
    }
    state.first_fin.get_or_insert(side);
}

/// From a retransmission: it may be of what an application did not wait for.
pub(super) fn learn_from_retransmission(state: &mut FlowState, attempt: Attempt, record: &Record, hz: Hz) {
    match attempt {
        Attempt::Segment => {}
        // The record's socket is mostly the listener, and says nothing of this connection.
        Attempt::SynAck => return,
    }
    let unseen = state.first_fin.is_none();
    learn_from_state(state, record);
    if state.hung_up.is_some() {
        return;
    }
    let early = state.closed_early.take().filter(|early| hang_up::confirm(early, record));
    state.hung_up = match early {
        Some(early) => Some(Box::new(early.hung_up)),
        None if unseen => hang_up::before_first_retransmission(state, record, hz).map(Box::new),
        None => None,
    };
}

/// The current task, where it is known to be the one that closes.
pub(super) fn current(record: &Record) -> Closer {
    Closer { tgid: record.current_tgid, comm: record.current_comm, exit: record.current_exit }
}
