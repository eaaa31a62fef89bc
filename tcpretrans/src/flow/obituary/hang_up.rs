//! An end that hangs up while what was sent is unacknowledged and TCP is still trying.

use std::sync::Arc;

use tcpretrans_ebpf::{Record, tcp_state};

use super::words;
use crate::{
    deadline,
    event::{HungUp, HungUpSide, RetransmitType},
    flow::{
        retransmission::unacked_bytes,
        state::{ClosedEarly, FlowState},
    },
    socket::jiffies::Kernel,
};

/// What a close meant for the data that was under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// Everything was acknowledged, or had just been sent.
    None,
    /// TCP was retransmitting.
    HungUp(HungUp),
    /// A round trip had passed without an acknowledgement, and the first RTO was still to come. Whether the data
    /// was lost shows later.
    Early(HungUp),
}

/// Judges a FIN or a reset of `side`, from the record of it.
pub fn meaning(state: &FlowState, record: &Record, side: HungUpSide, hz: u32) -> Meaning {
    let unacked_bytes = unacked_bytes(record);
    if unacked_bytes == 0 {
        return Meaning::None;
    }
    let kernel = Kernel::new(hz);
    let idle_jiffies = (record.jiffies as u32).wrapping_sub(record.sock.lsndtime);
    let hung_up = HungUp {
        unacked_bytes,
        waited_ms: Some(kernel.jiffies_to_ms(u64::from(idle_jiffies))),
        ..hung_up(state, record, side, kernel)
    };
    if let Some(ms) = into_backoff_ms(state, record) {
        return Meaning::HungUp(HungUp { into_backoff_ms: Some(ms), ..hung_up });
    }
    match side {
        HungUpSide::Local if is_of_its_own_will(state) && outwaited(record, idle_jiffies, hz) => {
            Meaning::Early(HungUp { would_have_tried_until_ns: None, ..hung_up })
        }
        _ => Meaning::None,
    }
}

/// The same of a FIN that went before the flow's first retransmission, which `record` is: the programs have
/// remembered how long ago data had been sent.
pub fn before_first_retransmission(state: &FlowState, record: &Record, hz: u32) -> Option<HungUp> {
    let unacked_bytes = unacked_bytes(record);
    let fin_is_ours = matches!(record.sock.skc_state, tcp_state::FIN_WAIT1 | tcp_state::CLOSING);
    let known = record.fin_ns != 0 && record.fin_idle_jiffies != u32::MAX;
    let willing = record.fin_exit == 0;
    let only_this = record.sock.total_retrans <= u32::from(record.segs).max(1);
    if unacked_bytes == 0 || !fin_is_ours || !known || !willing || !only_this {
        return None;
    }
    let kernel = Kernel::new(hz);
    outwaited(record, record.fin_idle_jiffies, hz).then(|| HungUp {
        unacked_bytes,
        retransmits: 0,
        waited_ms: Some(kernel.jiffies_to_ms(u64::from(record.fin_idle_jiffies))),
        would_have_tried_until_ns: None,
        ..hung_up(state, record, HungUpSide::Local, kernel)
    })
}

/// A connect() that the application gave up.
pub fn of_connect(state: &FlowState, record: &Record, hz: u32) -> HungUp {
    let kernel = Kernel::new(hz);
    let since_ns = (record.born_ns != 0).then(|| record.mono_ns.saturating_sub(record.born_ns));
    // Without a retransmission there was no forecast yet. The timer that runs is as good a start for one as after a
    // retransmission that ACKs clocked out: it stands as it was.
    let until_ns = state.predicted_at_ns.or_else(|| {
        let deadline = deadline::of_record(RetransmitType::SlowStart, record, kernel)?;
        Some(deadline.expected_ns)
    });
    HungUp {
        into_backoff_ms: into_backoff_ms(state, record),
        waited_ms: since_ns.map(|ns| ns / 1_000_000),
        would_have_tried_until_ns: until_ns,
        ..hung_up(state, record, HungUpSide::Local, kernel)
    }
}

/// At a retransmission: does it send again what the application did not wait for?
pub fn confirm(early: &ClosedEarly, record: &Record) -> bool {
    early.snd_una == record.sock.snd_una
}

fn hung_up(state: &FlowState, record: &Record, side: HungUpSide, kernel: Kernel) -> HungUp {
    let (pid, comm) = match side {
        HungUpSide::Local => words::closing_process(state),
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
        rto_ms: kernel.jiffies_to_ms(u64::from(record.sock.icsk_rto)),
        would_have_tried_until_ns: state.predicted_at_ns,
    }
}

/// Since the first retransmission of what is unacknowledged, ms; `None`: there was none.
fn into_backoff_ms(state: &FlowState, record: &Record) -> Option<u64> {
    let open = state.episode.as_ref().filter(|episode| !episode.is_acknowledged(record));
    let since_ns = open.map(|episode| record.mono_ns.saturating_sub(episode.started_ns));
    since_ns.map(|ns| ns / 1_000_000)
}

/// A process that dies has not lost its patience.
fn is_of_its_own_will(state: &FlowState) -> bool {
    state.closer.is_none_or(|closer| closer.exit == 0)
}

/// Has an acknowledgement been due for longer than a round trip, and the RTO not yet run out? A server that closes as
/// soon as it has written has not waited for anything; this one has.
fn outwaited(record: &Record, idle_jiffies: u32, hz: u32) -> bool {
    // The first jiffy may have been a moment.
    let least_us = u64::from(idle_jiffies.saturating_sub(1)) * 1_000_000 / u64::from(hz.max(1));
    let srtt_us = u64::from(record.sock.srtt_us >> 3);
    srtt_us != 0 && least_us >= srtt_us && idle_jiffies < record.sock.icsk_rto
}
