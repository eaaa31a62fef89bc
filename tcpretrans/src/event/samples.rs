//! Events as they occur, for the sinks' tests.

use std::sync::Arc;

use tcpretrans_ebpf::{Kind, Record, tcp_state};

use crate::event::{
    Cause, Clock, Closed, Deadline, Event, Flow, FlowId, HungUp, HungUpSide, Knob, Lost, LostWhere,
    Observation, Recovered, RecoveredBy, Retransmit, RetransmitType, Start, Threshold, ThresholdName, What,
    Who,
};

/// 2026-11-22 15:04:07.123456789 UTC is 1000 s after the machine's start.
pub const CLOCK: Clock = Clock { wall_minus_mono_ns: 1_795_359_847_123_456_789 - NOW_NS as i64 };

/// When things happen.
pub const NOW_NS: u64 = 1_000_000_000_000;

const S: u64 = 1_000_000_000;

pub fn ipv4_flow() -> Flow {
    Flow {
        laddr: "10.0.0.1".parse().unwrap(),
        lport: 40000,
        raddr: "10.0.0.2".parse().unwrap(),
        rport: 9000,
        netns: 4_026_531_840,
        id: FlowId(0x1a2b),
        pid: Some(1234),
        comm: Some("java".into()),
        uid: Some(1000),
        cgroup: Some("/system.slice/x.service".into()),
    }
}

pub fn ipv6_flow() -> Flow {
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

pub fn unknown_owner() -> Flow {
    Flow { pid: None, comm: None, uid: None, cgroup: None, netns: 0, ..ipv4_flow() }
}

pub fn event(flow: Flow, what: What) -> Event {
    Event { mono_ns: NOW_NS, flow: Some(Arc::new(flow)), what }
}

pub fn deadline() -> Deadline {
    Deadline {
        knob: Knob::TcpRetries2,
        limit: Some(15),
        budget_ms: Some(924_600),
        elapsed_ms: 204,
        used: 0.00022,
        earliest_ns: NOW_NS + 936 * S,
        expected_ns: NOW_NS + 937 * S,
        latest_ns: NOW_NS + 940 * S,
        retransmissions_left: 15,
    }
}

/// Half a minute before the end.
pub fn nearly_dead() -> Deadline {
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

/// The first RTO of a blackhole, as a machine with HZ=250 has it.
pub fn rto() -> Retransmit {
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
    Retransmit {
        ty: RetransmitType::Rto,
        certain: true,
        state: tcp_state::ESTABLISHED,
        segs: 1,
        bytes: 1448,
        seq: Some(3_000_000_000),
        err: None,
        retransmits: 1,
        backoff: 0,
        rto_ms: Some(204),
        next_rto_ms: Some(408),
        srtt_us: Some(201),
        rttvar_us: Some(200_000),
        cwnd: 1,
        ssthresh: Some(5),
        packets_out: 10,
        unacked_bytes: 14_480,
        episode: 1,
        deadline: Some(deadline()),
        record,
    }
}

pub fn retransmit(retransmit: Retransmit) -> What {
    What::Retransmit(Box::new(retransmit))
}

/// A fast retransmit whose type is not certain.
pub fn fast() -> Retransmit {
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
pub fn last_rto() -> Retransmit {
    Retransmit {
        retransmits: 15,
        backoff: 14,
        rto_ms: Some(120_000),
        next_rto_ms: Some(120_000),
        deadline: Some(nearly_dead()),
        ..rto()
    }
}

pub fn closed() -> Closed {
    Closed {
        cause: Cause::RetransmitTimeout,
        who: Some(Who::Kernel),
        error: Some(libc::ETIMEDOUT),
        knob: Some(Knob::TcpRetries2),
        state: tcp_state::ESTABLISHED,
        retransmissions: 16,
        segs: 16,
        unacked_bytes: 14_480,
        unsent_bytes: 185_520,
        lifetime_ms: Some(998_000),
        silent_ms: Some(938_100),
        predicted_at_ns: Some(NOW_NS + S),
        hung_up: None,
        killed_by: None,
        note: "the peer was silent for 15m38s; the kernel gave up after 15 retransmissions (tcp_retries2)"
            .to_owned(),
    }
}

pub fn hung_up() -> HungUp {
    HungUp {
        side: HungUpSide::Peer,
        pid: None,
        comm: None,
        unacked_bytes: 1448,
        retransmits: 4,
        into_backoff_ms: Some(3_200),
        waited_ms: Some(140),
        rto_ms: 3_264,
        would_have_tried_until_ns: Some(NOW_NS + S),
    }
}

pub fn recovered() -> Recovered {
    Recovered {
        duration_ms: 1_428,
        retransmissions: 4,
        segs: 5,
        max_backoff: 3,
        spurious: Some(false),
        by: RecoveredBy::CongState,
        episode: 2,
    }
}

pub fn threshold() -> Threshold {
    Threshold {
        name: ThresholdName::Retries1,
        deadline: Some(deadline()),
        note: "3 RTOs in a row: the kernel doubts route and MTU".to_owned(),
    }
}

pub fn start() -> Start {
    Start {
        version: "0.1.0".to_owned(),
        kernel: "6.18.0".to_owned(),
        hz: 250,
        command: vec!["tcpretrans".to_owned(), "-p".to_owned(), "9000".to_owned()],
        filters: [("port".to_owned(), "9000".to_owned())].into(),
        clock_ns: CLOCK.wall_minus_mono_ns,
        features: [("retransmit_err".into(), true), ("cong_state".into(), false)].into(),
        reset_reasons: [(15, "TCP_KEEPALIVE_TIMEOUT".to_owned())].into(),
        warn_at_percent: Some(50),
        all_closes: Some(false),
        part: Some(1),
    }
}

pub fn start_event() -> Event {
    Event { mono_ns: NOW_NS, flow: None, what: What::Start(Box::new(start())) }
}

pub fn lost(records: u64, place: LostWhere) -> Event {
    Event { mono_ns: NOW_NS, flow: None, what: What::Lost(Lost::counted(records, place)) }
}

pub fn observation() -> Observation {
    let record = Record {
        kind: Kind::State as u8,
        old: tcp_state::ESTABLISHED,
        new: tcp_state::CLOSE,
        current_comm: *b"swapper/0\0\0\0\0\0\0\0",
        ..rto().record
    };
    Observation { kind: Kind::State, record }
}

/// One of each kind, in an order that could be.
pub fn one_of_each() -> Vec<Event> {
    vec![
        start_event(),
        event(ipv4_flow(), retransmit(rto())),
        event(ipv6_flow(), retransmit(fast())),
        event(unknown_owner(), retransmit(last_rto())),
        event(ipv4_flow(), What::Threshold(threshold())),
        event(ipv6_flow(), What::Recovered(recovered())),
        event(ipv4_flow(), What::Observation(Box::new(observation()))),
        event(ipv4_flow(), What::Closed(Box::new(closed()))),
        lost(17, LostWhere::Ring),
    ]
}
