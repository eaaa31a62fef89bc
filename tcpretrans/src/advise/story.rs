//! For tests: events of one flow as a kernel with HZ 250 would make them. Times are ms since the story began.

use std::sync::Arc;

use tcpretrans_ebpf::{Record, tcp_state};

use crate::{
    event::{
        Cause, Closed, Event, Flow, FlowId, HungUp, HungUpSide, Knob, Recovered, RecoveredBy, Retransmit,
        RetransmitType, What,
    },
    socket::Hz,
};

pub(super) const TICKS: u32 = 250;
const TICK_MS: u64 = 4;
/// When the story begins: whole jiffies on both scales.
const BEGIN_MS: u64 = 1_000_000;
const BEGIN_JIFFIES: u64 = 4_300_000_000;

pub(super) fn hz() -> Hz {
    Hz::new(TICKS)
}

pub(super) fn ns(ms: u64) -> u64 {
    (BEGIN_MS + ms) * 1_000_000
}

/// A calm connection at that time: round trips of 300 us, the usual floor, 64 bytes in flight.
pub(super) fn record(ms: u64) -> Record {
    let mut record =
        Record { mono_ns: ns(ms), jiffies: BEGIN_JIFFIES + ms / TICK_MS, segs: 1, ..Record::default() };
    let sock = &mut record.sock;
    sock.skc_state = tcp_state::ESTABLISHED;
    (sock.srtt_us, sock.rttvar_us, sock.mdev_us, sock.mdev_max_us) = (300 << 3, 200_000, 100, 200_000);
    (sock.icsk_rto, sock.icsk_rto_min, sock.icsk_rto_max) = (51, 50, 120 * TICKS);
    (sock.snd_una, sock.snd_nxt, sock.snd_wnd, sock.packets_out) = (1000, 1064, 65_535, 1);
    (sock.tcp_retries1, sock.tcp_retries2, sock.tcp_syn_retries) = (3, 15, 6);
    (sock.tcp_syn_linear_timeouts, sock.tcp_synack_retries) = (4, 5);
    record
}

pub(super) fn of_record(ty: RetransmitType, record: Record) -> Event {
    let sock = &record.sock;
    let retransmit = Retransmit {
        ty,
        certain: true,
        state: sock.skc_state,
        segs: 1,
        bytes: 64,
        seq: Some(sock.snd_una),
        err: crate::event::SendError::from_kernel(record.err),
        retransmits: sock.icsk_retransmits.into(),
        backoff: sock.icsk_backoff.into(),
        rto_ms: (ty == RetransmitType::Rto).then(|| u64::from(sock.icsk_rto) * TICK_MS),
        next_rto_ms: None,
        srtt_us: Some(sock.srtt_us >> 3),
        rttvar_us: Some(sock.rttvar_us),
        cwnd: 10,
        ssthresh: None,
        packets_out: sock.packets_out,
        unacked_bytes: 64,
        episode: 1,
        deadline: None,
        record,
    };
    event(record.mono_ns, What::Retransmit(Box::new(retransmit)))
}

pub(super) fn event(mono_ns: u64, what: What) -> Event {
    Event { mono_ns, flow: Some(Arc::new(flow("10.1.2.3"))), what }
}

pub(super) fn flow(raddr: &str) -> Flow {
    Flow {
        laddr: "10.0.0.1".parse().unwrap(),
        lport: 40_000,
        raddr: raddr.parse().unwrap(),
        rport: 443,
        netns: 4_026_531_840,
        id: FlowId(7),
        pid: None,
        comm: None,
        uid: None,
        cgroup: None,
    }
}

/// The `n`-th RTO in a row, at its time if data was sent at 0 (in the middle of a jiffy's course).
pub(super) fn rto(ms: u64, n: u8) -> Event {
    let mut record = record(ms);
    record.sock.icsk_retransmits = n;
    record.sock.icsk_backoff = n - 1;
    record.sock.icsk_rto = 51 << (n - 1);
    record.sock.total_rto = n.into();
    if n > 1 {
        // The first came after 52 jiffies.
        record.sock.retrans_stamp = (BEGIN_MS + 208) as u32;
    }
    of_record(RetransmitType::Rto, record)
}

pub(super) fn tlp(ms: u64) -> Event {
    let mut record = record(ms);
    record.sock.icsk_pending = 5;
    of_record(RetransmitType::Tlp, record)
}

/// Clocked out by an ACK, so that everything before is answered.
pub(super) fn slow_start(ms: u64) -> Event {
    let mut record = record(ms);
    (record.sock.icsk_pending, record.sock.snd_una) = (1, 1032);
    of_record(RetransmitType::SlowStart, record)
}

pub(super) fn syn(ms: u64, born_ms: Option<u64>) -> Event {
    let mut record = record(ms);
    record.sock.skc_state = tcp_state::SYN_SENT;
    record.sock.srtt_us = 0;
    record.sock.icsk_rto = TICKS;
    record.born_ns = born_ms.map_or(0, ns);
    record.sock.retrans_stamp = BEGIN_MS as u32;
    of_record(RetransmitType::Syn, record)
}

pub(super) fn recovered(ms: u64, by: RecoveredBy, spurious: Option<bool>) -> Event {
    let recovered =
        Recovered { duration_ms: 0, retransmissions: 1, segs: 1, max_backoff: 1, spurious, by, episode: 1 };
    event(ns(ms), What::Recovered(recovered))
}

pub(super) fn closed(ms: u64, cause: Cause, knob: Option<Knob>) -> Event {
    event(ns(ms), What::Closed(Box::new(closing(cause, knob))))
}

/// The application closed so long after the first retransmission; the socket itself at `ms`.
pub(super) fn hung_up(ms: u64, into_backoff_ms: u64) -> Event {
    let hung_up = HungUp {
        side: HungUpSide::Local,
        pid: Some(1),
        comm: None,
        unacked_bytes: 64,
        retransmits: 1,
        into_backoff_ms: Some(into_backoff_ms),
        waited_ms: Some(3),
        rto_ms: 408,
        would_have_tried_until_ns: None,
    };
    let closed = Closed { hung_up: Some(hung_up), ..closing(Cause::OrphanTimeout, None) };
    event(ns(ms), What::Closed(Box::new(closed)))
}

fn closing(cause: Cause, knob: Option<Knob>) -> Closed {
    Closed {
        cause,
        who: None,
        error: None,
        knob,
        state: tcp_state::ESTABLISHED,
        retransmissions: 1,
        segs: 1,
        unacked_bytes: 64,
        unsent_bytes: 0,
        lifetime_ms: None,
        silent_ms: None,
        predicted_at_ns: None,
        hung_up: None,
        killed_by: None,
        note: String::new(),
    }
}

/// As if something changed the record of a retransmission.
pub(super) fn changed(mut event: Event, change: impl FnOnce(&mut Record)) -> Event {
    if let What::Retransmit(retransmit) = &event.what {
        let (ty, mut record) = (retransmit.ty, retransmit.record);
        change(&mut record);
        event = of_record(ty, record);
    }
    event
}
