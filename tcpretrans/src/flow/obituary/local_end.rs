//! Ends without an error: orderly ones, and aborts on this side.

use tcpretrans_ebpf::{Record, tcp_state};

use super::{
    super::{
        classify::is_orphan,
        state::{FlowState, ResetSent, Side},
    },
    verdict::{How, Verdict, in_close},
};
use crate::event::{Cause, Who};

/// `SOCK_LINGER` in `sk_flags`.
const SOCK_LINGER: u64 = 1 << 4;

/// Judges an end that raised no error.
pub(super) fn without_error(
    state: &FlowState,
    record: &Record,
    reset: Option<&ResetSent>,
    reason: Option<&str>,
) -> Verdict {
    match record.old {
        tcp_state::SYN_SENT if record.sock.retrans_stamp == 0 => Verdict::unknown(How::NoSyn),
        tcp_state::SYN_SENT => Verdict::new(Cause::ConnectAbandoned, Who::Local),
        // In these states a socket also closes in good order. It did unless a reset was sent.
        tcp_state::LAST_ACK | tcp_state::CLOSING | tcp_state::FIN_WAIT2 | tcp_state::TIME_WAIT => match reset
        {
            Some(reset) => aborted(record, Some(reset), reason),
            None => in_good_order(state, record.old),
        },
        _ => aborted(record, reset, reason),
    }
}

fn in_good_order(state: &FlowState, old: u8) -> Verdict {
    let both = || Verdict { who: None, ..Verdict::new(Cause::SimultaneousClose, Who::Local) };
    match old {
        tcp_state::LAST_ACK => Verdict::new(Cause::ClosedByPeer, Who::Peer),
        tcp_state::CLOSING => both(),
        _ if state.first_fin == Some(Side::Both) => both(),
        _ => Verdict::new(Cause::ClosedByLocal, Who::Local),
    }
}

/// Gone to CLOSE from a state in which an orderly close would not lead there, or with a reset.
fn aborted(record: &Record, reset: Option<&ResetSent>, reason: Option<&str>) -> Verdict {
    let local = |how| Verdict::new(Cause::ResetByLocal, Who::Local).how(how);
    let linger2_negative = (record.sock.linger2 as i32) < 0;
    let orphan = is_orphan(record);
    match reason {
        Some("TCP_ABORT_ON_MEMORY") => return Verdict::new(Cause::OutOfMemory, Who::Kernel),
        Some("TCP_ABORT_ON_LINGER") => return local(How::NegativeLinger2),
        _ => {}
    }
    if reset.is_some_and(|reset| reset.answers_segment) {
        return local(if linger2_negative { How::NegativeLinger2 } else { How::DataAfterClose });
    }
    if orphan {
        return match (record.old, reset) {
            // tcp_keepalive_timer: the peer's FIN did not come in time.
            (tcp_state::FIN_WAIT2, Some(_)) if linger2_negative => local(How::NegativeLinger2),
            (tcp_state::FIN_WAIT2, Some(_)) => {
                Verdict::new(Cause::ResetByLocal, Who::Kernel).how(How::FinTimeout)
            }
            // tcp_out_of_resources and tcp_check_oom: no other reset comes from an orphan in these states.
            (_, Some(_)) => Verdict::new(Cause::OutOfMemory, Who::Kernel),
            (_, None) => Verdict::unknown(How::Dropped),
        };
    }
    let unread = unread_bytes(record);
    let abandons_data = reason == Some("TCP_ABORT_ON_CLOSE");
    if in_close(record) {
        // tcp_close looks at the receive queue first, then at SO_LINGER.
        let lingers_not = record.sock.sk_flags & SOCK_LINGER != 0 && record.sock.sk_lingertime == 0;
        return local(if lingers_not && unread == 0 && !abandons_data {
            How::LingerZero
        } else {
            How::Unread(unread)
        });
    }
    local(if record.inode == 0 { How::NotAccepted } else { How::Disconnected })
}

/// Bytes that arrived and that the application did not read. The peer's FIN takes one sequence number.
fn unread_bytes(record: &Record) -> u32 {
    let waiting = record.sock.rcv_nxt.wrapping_sub(record.sock.copied_seq);
    let fin_arrived = matches!(
        record.old,
        tcp_state::CLOSE_WAIT | tcp_state::LAST_ACK | tcp_state::CLOSING | tcp_state::TIME_WAIT
    );
    waiting.saturating_sub(u32::from(fin_arrived))
}
