//! Events as they occur, for tests. Each event's definition has an example; here are variations of them.

use std::sync::Arc;

use proptest::prelude::*;
use tcpretrans_ebpf::{Kind, Record, tcp_state};

use super::json::Object;
use crate::event::{
    Clock, Closed, Deadline, Event, Flow, HungUp, Lost, LostWhere, Observation, Recovered, Retransmit,
    RetransmitType, Start, Threshold, What,
};

/// 2026-11-22 15:04:07.123456789 UTC is 1000 s after the machine's start.
pub(crate) const CLOCK: Clock = Clock { wall_minus_mono_ns: 1_795_359_847_123_456_789 - NOW_NS as i64 };

/// When things happen.
pub(crate) const NOW_NS: u64 = 1_000_000_000_000;

/// A second, ns.
pub(crate) const S: u64 = 1_000_000_000;

pub(crate) fn ipv4_flow() -> Flow {
    Flow::sample()
}

pub(crate) fn ipv6_flow() -> Flow {
    Flow {
        laddr: "2001:db8:85a3:8d3:1319:8a2e:370:7348".parse().unwrap(),
        lport: 443,
        raddr: "2001:db8:ac10:fe01:feed:babe:cafe:f00d".parse().unwrap(),
        rport: 51724,
        pid: Some(4_194_304),
        comm: Some("nginx: worker p".into()),
        ..ipv4_flow()
    }
}

pub(crate) fn unknown_owner() -> Flow {
    Flow { pid: None, comm: None, uid: None, cgroup: None, netns: 0, ..ipv4_flow() }
}

pub(crate) fn event(flow: Flow, what: What) -> Event {
    Event { mono_ns: NOW_NS, flow: Some(Arc::new(flow)), what }
}

pub(crate) fn deadline() -> Deadline {
    Deadline::sample()
}

/// Half a minute before the end.
pub(crate) fn nearly_dead() -> Deadline {
    Deadline {
        elapsed_ms: 895_000,
        used: 0.968,
        earliest_ns: NOW_NS + 28 * S,
        expected_ns: NOW_NS + 29 * S,
        latest_ns: NOW_NS + 32 * S,
        retransmissions_left: 0,
        ..deadline()
    }
}

/// Of the first RTO of a blackhole, as a machine with HZ=250 has it.
pub(crate) fn rto_record() -> Record {
    let mut record = Record {
        mono_ns: NOW_NS,
        jiffies: 4_295_000_000,
        sk: 70_007,
        cookie: 0x1a2b,
        cgroup_id: 4711,
        inode: 99_887,
        born_ns: NOW_NS - 60 * S,
        owner_comm: *b"java\0\0\0\0\0\0\0\0\0\0\0\0",
        laddr: std::net::Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped().octets(),
        raddr: std::net::Ipv4Addr::new(10, 0, 0, 2).to_ipv6_mapped().octets(),
        owner_tgid: 1234,
        seq: 3_000_000_000,
        end_seq: 3_000_001_448,
        skb_len: 1448,
        segs: 1,
        lport: 40000,
        rport: 9000,
        sacked: 0x82,
        kind: Kind::Retransmit as u8,
        ..Record::default()
    };
    for (name, value) in [
        ("timer_expires", 4_295_000_102),
        ("sk_flags", 0x308),
        ("bytes_retrans", 1448),
        ("bytes_acked", 700_001),
        ("netns", 4_026_531_840),
        ("sk_uid", 1000),
        ("sk_max_ack_backlog", 0),
        ("icsk_rto", 51),
        ("icsk_rto_min", 50),
        ("icsk_rto_max", 30_000),
        ("lrcvtime", 84_000),
        ("snd_una", 3_000_000_000),
        ("snd_nxt", 3_000_014_480),
        ("write_seq", 3_000_200_000),
        ("snd_wnd", 65_535),
        ("snd_cwnd", 1),
        ("snd_ssthresh", 5),
        ("mss_cache", 1448),
        ("packets_out", 10),
        ("retrans_out", 1),
        ("lost_out", 10),
        ("total_retrans", 1),
        ("retrans_stamp", 2_999_796),
        ("undo_marker", 3_000_000_000),
        ("undo_retrans", 1),
        ("high_seq", 3_000_014_480),
        ("srtt_us", 1_608),
        ("mdev_us", 60),
        ("mdev_max_us", 200_000),
        ("rttvar_us", 200_000),
        ("rcv_tstamp", 84_000),
        ("lsndtime", 84_100),
        ("tcp_retries1", 3),
        ("tcp_retries2", 15),
        ("tcp_syn_retries", 6),
        ("tcp_syn_linear_timeouts", 4),
        ("tcp_synack_retries", 5),
        ("tcp_keepalive_time", 1_800_000),
        ("tcp_keepalive_intvl", 18_750),
        ("tcp_keepalive_probes", 9),
        ("total_rto", 1),
        ("skc_family", 2),
        ("ca_state", 4),
        ("icsk_retransmits", 1),
        ("icsk_pending", 1),
        ("skc_state", 1),
        ("frto", 1),
    ] {
        assert!(record.set(name, value), "{name}");
    }
    record
}

/// The first RTO of a blackhole.
pub(crate) fn rto() -> Retransmit {
    Retransmit::sample()
}

pub(crate) fn retransmit(retransmit: Retransmit) -> What {
    What::Retransmit(Box::new(retransmit))
}

/// A fast retransmit whose type is not certain.
pub(crate) fn fast() -> Retransmit {
    Retransmit {
        ty: RetransmitType::Fast,
        certain: false,
        segs: 12,
        bytes: 17_376,
        retransmits: 0,
        rto_ms: None,
        next_rto_ms: None,
        cwnd: 24,
        deadline: None,
        ..rto()
    }
}

/// The last RTO before the end.
pub(crate) fn last_rto() -> Retransmit {
    Retransmit {
        retransmits: 15,
        backoff: 14,
        rto_ms: Some(120_000),
        next_rto_ms: Some(120_000),
        deadline: Some(nearly_dead()),
        ..rto()
    }
}

pub(crate) fn closed() -> Closed {
    Closed::sample()
}

pub(crate) fn hung_up() -> HungUp {
    HungUp::sample()
}

pub(crate) fn recovered() -> Recovered {
    Recovered::sample()
}

pub(crate) fn threshold() -> Threshold {
    Threshold::sample()
}

pub(crate) fn start() -> Start {
    Start::sample()
}

pub(crate) fn start_event() -> Event {
    Event { mono_ns: NOW_NS, flow: None, what: What::Start(Box::new(start())) }
}

pub(crate) fn lost(records: u64, place: LostWhere) -> Event {
    Event { mono_ns: NOW_NS, flow: None, what: What::Lost(Lost::counted(records, place)) }
}

pub(crate) fn observation() -> Observation {
    Observation::sample()
}

/// Of a connection that is closed.
pub(crate) fn state_record() -> Record {
    Record {
        kind: Kind::State as u8,
        old: tcp_state::ESTABLISHED,
        new: tcp_state::CLOSE,
        current_comm: *b"swapper/0\0\0\0\0\0\0\0",
        ..rto_record()
    }
}

/// Each kind there is, and some more retransmissions, in an order that could be.
pub(crate) fn one_of_each() -> Vec<Event> {
    let mut events: Vec<Event> = What::samples()
        .into_iter()
        .map(|what| match &what {
            What::Recovered(_) => event(ipv6_flow(), what),
            // What the ring lost is nobody's.
            What::Lost(_) => Event { mono_ns: NOW_NS, flow: None, what },
            _ if what.role().has_flow => event(ipv4_flow(), what),
            _ => Event { mono_ns: NOW_NS, flow: None, what },
        })
        .collect();
    let after_the_first = 2;
    let more = [event(ipv6_flow(), retransmit(fast())), event(unknown_owner(), retransmit(last_rto()))];
    events.splice(after_the_first..after_the_first, more);
    events
}

/// Any record of a kernel: only the padding is zero.
pub(crate) fn any_record() -> BoxedStrategy<Record> {
    let bytes = prop::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], Record::SIZE);
    (bytes, prop::sample::select(&Kind::ALL[..]))
        .prop_map(|(mut bytes, kind)| {
            bytes[std::mem::offset_of!(Record, kind)] = kind as u8;
            let (_, mut record) = Record::decode(&bytes).unwrap();
            record.reserved = Default::default();
            record.sock.pad = Default::default();
            record
        })
        .boxed()
}

/// Any event that there can be.
pub(crate) fn any_event() -> impl Strategy<Value = Event> {
    // Times that have a date: some 36 years of uptime.
    let mono_ns = 0..1_u64 << 60;
    let flow = prop::option::of(<Flow as Object>::any().prop_map(Arc::new));
    (mono_ns, flow, What::any()).prop_map(|(mono_ns, flow, what)| {
        let flow = flow.filter(|_| what.role().has_flow);
        Event { mono_ns, flow, what }
    })
}
