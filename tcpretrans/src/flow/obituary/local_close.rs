//! Ends without an error: orderly ones, and aborts on this side.

use tcpretrans_ebpf::Record;

use super::{
    super::state::{FlowState, ResetSent, Side},
    conclusion::{Conclusion, How},
};
use crate::{
    event::{Cause, Who},
    socket::{RecordExt, SeqNum, SnapshotExt, TcpState},
};

/// Why a socket ended that raised no error.
pub(super) fn without_error(
    state: &FlowState,
    record: &Record,
    reset: Option<&ResetSent>,
    reason: Option<&str>,
) -> Conclusion {
    match record.old_state() {
        TcpState::SynSent if !record.sock.is_stamped() => Conclusion::unknown(How::NoSyn),
        TcpState::SynSent => Conclusion::new(Cause::ConnectAbandoned, Who::Local),
        // In these states a socket also closes in good order. It did unless a reset was sent.
        TcpState::LastAck | TcpState::Closing | TcpState::FinWait2 | TcpState::TimeWait => match reset {
            Some(reset) => aborted(record, Some(reset), reason),
            None => in_good_order(state, record.old_state()),
        },
        _ => aborted(record, reset, reason),
    }
}

fn in_good_order(state: &FlowState, old: TcpState) -> Conclusion {
    let both = || Conclusion { who: None, ..Conclusion::new(Cause::SimultaneousClose, Who::Local) };
    match old {
        TcpState::LastAck => Conclusion::new(Cause::ClosedByPeer, Who::Peer),
        TcpState::Closing => both(),
        _ if state.first_fin == Some(Side::Both) => both(),
        _ => Conclusion::new(Cause::ClosedByLocal, Who::Local),
    }
}

/// Gone to CLOSE from a state in which an orderly close would not lead there, or with a reset.
fn aborted(record: &Record, reset: Option<&ResetSent>, reason: Option<&str>) -> Conclusion {
    let local = |how| Conclusion::new(Cause::ResetByLocal, Who::Local).how(how);
    let linger2_negative = (record.sock.linger2 as i32) < 0;
    let orphan = record.sock.is_orphan();
    match reason {
        Some("TCP_ABORT_ON_MEMORY") => return Conclusion::new(Cause::OutOfMemory, Who::Kernel),
        Some("TCP_ABORT_ON_LINGER") => return local(How::NegativeLinger2),
        _ => {}
    }
    if reset.is_some_and(|reset| reset.answers_segment) {
        return local(if linger2_negative { How::NegativeLinger2 } else { How::DataAfterClose });
    }
    if orphan {
        return match (record.old_state(), reset) {
            // tcp_keepalive_timer: the peer's FIN did not come in time.
            (TcpState::FinWait2, Some(_)) if linger2_negative => local(How::NegativeLinger2),
            (TcpState::FinWait2, Some(_)) => {
                Conclusion::new(Cause::ResetByLocal, Who::Kernel).how(How::FinTimeout)
            }
            // tcp_out_of_resources and tcp_check_oom: no other reset comes from an orphan in these states.
            (_, Some(_)) => Conclusion::new(Cause::OutOfMemory, Who::Kernel),
            (_, None) => Conclusion::unknown(How::Dropped),
        };
    }
    let unread = unread_bytes(record);
    let abandons_data = reason == Some("TCP_ABORT_ON_CLOSE");
    if is_in_close(record) {
        // tcp_close looks at the receive queue first, then at SO_LINGER.
        return local(if record.sock.lingers_zero() && unread == 0 && !abandons_data {
            How::LingerZero
        } else {
            How::Unread(unread)
        });
    }
    local(if record.inode == 0 { How::NotAccepted } else { How::Disconnected })
}

/// Is the application inside close(), which shuts both directions down before it resets? In the FIN states this is
/// so after an ordinary shutdown(), too.
pub(super) fn is_in_close(record: &Record) -> bool {
    record.sock.is_shut_down() && !record.sock.is_orphan()
}

/// Bytes that arrived and that the application did not read. The peer's FIN takes one sequence number.
fn unread_bytes(record: &Record) -> u32 {
    let waiting = SeqNum(record.sock.rcv_nxt).bytes_since(SeqNum(record.sock.copied_seq));
    let fin_arrived = matches!(
        record.old_state(),
        TcpState::CloseWait | TcpState::LastAck | TcpState::Closing | TcpState::TimeWait
    );
    waiting.saturating_sub(u32::from(fin_arrived))
}
