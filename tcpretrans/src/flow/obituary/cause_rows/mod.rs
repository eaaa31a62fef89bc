//! The table of endings, by what the kernel leaves behind in each. `docs/endings.md` has it in words.

mod application;
mod kernel;
mod others;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use tcpretrans_ebpf::{Record, tcp_state::*};

use super::{cause, conclusion::How};
use crate::{
    event::{Cause, FlowId, Knob, Who},
    flow::{
        Config, Owner, identity,
        state::{Closing, FlowState, ResetSent, Side},
    },
    socket::{Nanos, RecordExt, SOCK_DEAD, SOCK_LINGER},
};

/// `enum sk_rst_reason` of Linux 6.12 to 6.18.
const ON_CLOSE: u32 = 11;
const ON_LINGER: u32 = 12;
const ON_MEMORY: u32 = 13;
const STATE: u32 = 14;
const KEEPALIVE: u32 = 15;
const ON_DATA: u32 = 30;
const NO_REASON: u32 = u32::MAX;

struct Row {
    ending: &'static str,
    record: Record,
    reset_received: bool,
    /// Reason, whether it answers a segment, whether it came after CLOSE.
    reset_sent: Option<(u32, bool, bool)>,
    first_fin: Option<Side>,
    expected: (Cause, Option<Who>, Option<Knob>, How),
}

/// Everything acknowledged, the application alive, its file open.
fn record(old: u8) -> Record {
    let mut record = Record { mono_ns: 1_000_000, old, new: CLOSE, inode: 5, ..Record::default() };
    let sock = &mut record.sock;
    sock.skc_state = old;
    (sock.snd_una, sock.snd_nxt, sock.write_seq) = (1000, 1000, 1000);
    (sock.rcv_nxt, sock.copied_seq) = (500, 500);
    sock.snd_wnd = 65535;
    sock.mss_cache = 1448;
    sock.icsk_pending = 1;
    sock.tcp_syn_retries = 6;
    sock.tcp_syn_linear_timeouts = 4;
    sock.retrans_stamp = u32::from(old == SYN_SENT);
    record
}

fn row(
    ending: &'static str,
    old: u8,
    change: impl FnOnce(&mut Record),
    cause: Cause,
    who: Option<Who>,
    knob: Option<Knob>,
    how: How,
) -> Row {
    let mut record = record(old);
    change(&mut record);
    Row {
        ending,
        record,
        reset_received: false,
        reset_sent: None,
        first_fin: None,
        expected: (cause, who, knob, how),
    }
}

/// A timeout: the timer has zeroed `icsk_pending`.
fn timed_out(
    ending: &'static str,
    old: u8,
    change: impl FnOnce(&mut Record),
    cause: Cause,
    knob: Knob,
    how: How,
) -> Row {
    let dying = |record: &mut Record| {
        record.sock.icsk_pending = 0;
        record.sock.sk_err = libc::ETIMEDOUT as u32;
        change(record);
    };
    row(ending, old, dying, cause, Some(Who::Kernel), Some(knob), how)
}

fn in_flight(record: &mut Record) {
    (record.sock.snd_nxt, record.sock.write_seq) = (1100, 1100);
}

fn closing(record: &mut Record) {
    record.sock.sk_shutdown = 3;
}

fn orphan(record: &mut Record) {
    record.sock.sk_flags |= SOCK_DEAD;
    record.sock.sk_shutdown = 3;
    record.inode = 0;
}

fn errno(record: &mut Record, errno: i32) {
    record.sock.sk_err = errno as u32;
}

fn rows() -> impl Iterator<Item = Row> {
    kernel::by_the_kernel()
        .into_iter()
        .chain(others::by_the_peer_or_others())
        .chain(application::by_the_application())
}

#[test]
fn every_cause_and_knob_has_a_row() {
    let causes: HashSet<Cause> = rows().map(|row| row.expected.0).collect();
    assert_eq!(Vec::from_iter(Cause::ALL.into_iter().filter(|cause| !causes.contains(cause))), []);
    let knobs: HashSet<Knob> = rows().filter_map(|row| row.expected.2).collect();
    assert_eq!(Vec::from_iter(Knob::ALL.into_iter().filter(|knob| !knobs.contains(knob))), []);
}

#[test]
fn every_ending_by_what_it_leaves_behind() {
    let reset_reasons = [
        (ON_CLOSE, "TCP_ABORT_ON_CLOSE"),
        (ON_LINGER, "TCP_ABORT_ON_LINGER"),
        (ON_MEMORY, "TCP_ABORT_ON_MEMORY"),
        (STATE, "TCP_STATE"),
        (KEEPALIVE, "TCP_KEEPALIVE_TIMEOUT"),
        (ON_DATA, "TCP_ABORT_ON_DATA"),
    ];
    let config = Config {
        reset_reasons: HashMap::from(reset_reasons.map(|(number, name)| (number, name.to_owned()))),
        ..crate::flow::correlator::story::config()
    };
    for row in rows() {
        let flow = identity::flow(FlowId(1), &row.record, &Owner::default());
        let mut state = FlowState::new(Arc::new(flow), &row.record);
        let (now, moment) = (row.record.time(), Nanos(1000));
        state.reset_received = row.reset_received.then(|| now - moment);
        state.reset_sent = row.reset_sent.map(|(reason, answers_segment, after)| ResetSent {
            at: if after { now + moment } else { now - moment },
            reason,
            answers_segment,
        });
        state.first_fin = row.first_fin;
        let found = cause::of(&state, &Closing { record: row.record }, &config);
        assert_eq!((found.cause, found.who, found.knob, found.how), row.expected, "{}", row.ending);
    }
}
