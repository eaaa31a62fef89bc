use std::sync::Arc;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr;

use super::*;
use crate::{
    event::{
        Closed, Deadline, Flow, InBackoff, Lost, LostWhere, RetransmitType, SendError, Unseen,
        samples as sample,
    },
    page::proof,
};

fn at(width: usize) -> Layout {
    Layout::terminal(width, false, TimeZone::UTC)
}

fn rows(layout: &Layout) -> String {
    let rows = sample::one_of_each();
    rows.iter().filter_map(|event| row(event, layout, &sample::CLOCK)).map(|line| line + "\n").collect()
}

fn one(retransmit: Retransmit, width: usize) -> String {
    let event = sample::event(sample::ipv4_flow(), sample::retransmit(retransmit));
    row(&event, &at(width), &sample::CLOCK).unwrap()
}

/// Compares with what is committed; `UPDATE_SNAPSHOTS=1` writes it anew.
#[track_caller]
fn is_as_committed(name: &str, rows: &str) {
    let path = format!("{}/src/sink/table/snapshots/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, rows).unwrap();
    }
    assert_eq!(rows, std::fs::read_to_string(path).unwrap());
}

#[test]
fn at_60_columns() {
    is_as_committed("60.txt", &rows(&at(60)));
}

#[test]
fn at_80_columns() {
    is_as_committed("80.txt", &rows(&at(80)));
}

#[test]
fn at_100_columns() {
    is_as_committed("100.txt", &rows(&at(100)));
}

#[test]
fn at_200_columns() {
    is_as_committed("200.txt", &rows(&at(200)));
}

#[test]
fn every_kind_of_event_fits() {
    let berlin = TimeZone::fixed(jiff::tz::offset(1));
    for width in [60, 80, 100, 200] {
        let layout = Layout::terminal(width, true, berlin.clone());
        for event in sample::one_of_each() {
            proof::fits(&row(&event, &layout, &sample::CLOCK).unwrap_or_default(), width, &[]);
        }
    }
}

#[test]
fn in_a_pipe() {
    is_as_committed("piped.txt", &rows(&Layout::piped(false, TimeZone::UTC)));
}

#[test]
fn a_failed_attempt_says_so_wherever_there_is_room_for_anything() {
    let failed = Retransmit { err: Some(SendError::Errno(libc::ENETUNREACH)), ..sample::rto() };
    for width in [100, 120, 160, 200] {
        assert!(one(failed.clone(), width).contains("not sent: "), "{width}");
    }
    let dropped = Retransmit { err: Some(SendError::QueueDrop), ..sample::rto() };
    assert!(
        one(dropped, 200).ends_with("not sent: NET_XMIT_DROP, dies in 15 min 37 s, 15 tries left"),
        "what fits of both"
    );
}

#[test]
fn an_unusual_state_is_told_even_without_its_column() {
    let orphan = Retransmit { state: tcpretrans_ebpf::tcp_state::FIN_WAIT1, deadline: None, ..sample::rto() };
    assert!(one(orphan.clone(), 100).ends_with("FIN_WAIT1"));
    let in_column = one(orphan, 120);
    assert_eq!(in_column.matches("FIN_WAIT1").count(), 1, "{in_column}");
    let syn = Retransmit {
        ty: RetransmitType::Syn,
        state: tcpretrans_ebpf::tcp_state::SYN_SENT,
        deadline: None,
        ..sample::rto()
    };
    assert!(one(syn, 100).ends_with(" -"), "a SYN is sent in SYN_SENT");
}

#[test]
fn a_death_on_another_day_has_its_date() {
    let deadline = Deadline { expected_ns: sample::NOW_NS + 30 * 3_600_000_000_000, ..sample::deadline() };
    let line = one(Retransmit { deadline: Some(deadline), ..sample::rto() }, 250);
    assert!(line.contains("dies 2026-11-23 21:04:07 in 1 d 6 h, "), "{line}");
}

#[test]
fn a_death_that_is_overdue_is_now() {
    let deadline = Deadline { expected_ns: 5, retransmissions_left: 1, ..sample::deadline() };
    let line = one(Retransmit { deadline: Some(deadline), ..sample::rto() }, 160);
    assert!(line.contains("in 0 ms, 1 try left"), "{line}");
}

#[test]
fn a_close_without_a_note_has_its_cause() {
    let closed = Closed { note: String::new(), ..sample::closed() };
    let event = sample::event(sample::ipv4_flow(), What::Closed(Box::new(closed)));
    assert!(row(&event, &at(100), &sample::CLOCK).unwrap().ends_with(" retransmit_timeout (ETIMEDOUT)"));
}

#[test]
fn who_hung_up_on_a_connection_is_told_with_local_time() {
    let closed = Closed {
        note: "closed by the peer 3.2 s into an RTO backoff with 1,448 bytes unacknowledged".to_owned(),
        hung_up: Some(sample::hung_up()),
        ..sample::closed()
    };
    let event = sample::event(sample::ipv4_flow(), What::Closed(Box::new(closed)));
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let line = row(&event, &Layout::piped(false, berlin), &sample::CLOCK).unwrap();
    assert!(
        line.ends_with("1,448 bytes unacknowledged; TCP itself would have tried until 16:04:08"),
        "{line}"
    );
}

#[test]
fn colour_wraps_the_line_and_changes_nothing_in_it() {
    let layout = Layout::terminal(100, true, TimeZone::UTC);
    for event in sample::one_of_each() {
        let (Some(plain), Some(coloured)) =
            (row(&event, &at(100), &sample::CLOCK), row(&event, &layout, &sample::CLOCK))
        else {
            continue;
        };
        for (plain, coloured) in plain.lines().zip(coloured.lines()) {
            assert!(coloured.contains(plain), "{coloured:?}");
            assert!(!plain.contains('\u{1b}'));
        }
    }
    let dying = sample::event(sample::ipv4_flow(), sample::retransmit(sample::last_rto()));
    let line = row(&dying, &layout, &sample::CLOCK).unwrap();
    assert!(line.starts_with("\u{1b}[1m\u{1b}[31m") && line.ends_with("\u{1b}[0m"), "{line:?}");
}

#[test]
fn a_flow_that_was_in_trouble_before_the_trace_began() {
    let flow = InBackoff {
        state: tcpretrans_ebpf::tcp_state::ESTABLISHED,
        retransmits: 6,
        backoff: 6,
        rto_ms: 13_056,
        since_ms: Some(12_852),
        total_retrans: 7,
        unacked_bytes: 14_480,
        deadline: Some(sample::deadline()),
        episode: 1,
    };
    let event = sample::event(sample::ipv4_flow(), What::InBackoff(Box::new(flow)));
    let line = |width| row(&event, &at(width), &sample::CLOCK).unwrap();
    assert!(line(100).ends_with("java/1234 dies in 15 min 37 s, 15 tries left"), "{}", line(100));
    assert!(
        line(160).ends_with("6 RTOs in 12.9 s, now waiting 13.1 s; dies in 15 min 37 s, 15 tries left"),
        "{}",
        line(160)
    );
}

#[test]
fn the_end_in_one_line() {
    let mut totals = crate::sink::Totals::default();
    for event in sample::one_of_each() {
        totals.count(&event);
    }
    let end = What::End(Box::new(totals.into_end(30_200)));
    let event = Event { mono_ns: sample::NOW_NS, flow: None, what: end };
    assert_eq!(
        row(&event, &at(100), &sample::CLOCK).unwrap(),
        "15:04:07.123 end        3 retransmissions in 30.2 s, 1 recovered, 1 closed, 17 records lost"
    );
}

#[test]
fn what_nobody_saw_is_told_with_whose_it_was() {
    let shown = |segs, maybe_failed| {
        let unseen = Some(Unseen { segs, maybe_failed });
        let lost = Lost { records: 2, place: LostWhere::Unseen, unseen };
        row(&sample::event(sample::ipv4_flow(), What::Lost(lost)), &at(160), &sample::CLOCK).unwrap()
    };
    let told = shown(3, false);
    assert!(told.contains(":9000"), "{told}");
    assert!(
        told.ends_with("3 segments sent without an event: known only from the socket's counters"),
        "{told}"
    );
    assert!(shown(1, true).ends_with(
        "1 segment sent or failed locally without an event: known only from the socket's counters"
    ));
    assert!(shown(0, false).ends_with("2 timeouts without an event: known only from the socket's counters"));
}

#[test]
fn what_is_not_for_people_is_not_shown() {
    let observation = What::Observation(Box::new(sample::observation()));
    assert_eq!(row(&sample::event(sample::ipv4_flow(), observation), &at(100), &sample::CLOCK), None);
    assert_eq!(row(&sample::start_event(), &at(100), &sample::CLOCK), None);
}

proptest! {
    #[test]
    fn no_event_there_is_makes_a_line_that_is_wider_or_unsafe(event in sample::any_event(), width in 0_usize..300) {
        let lines = row(&event, &at(width), &sample::CLOCK);
        prop_assert_eq!(lines.is_some(), event.what.role().printed);
        for line in lines.iter().flat_map(|lines| lines.split('\n')) {
            prop_assert!(line.width() <= width, "{} columns: {}", width, line);
            prop_assert!(!line.contains(char::is_control));
        }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_or_unsafe(
        width in 0_usize..300,
        comm: String,
        cgroup: String,
        note: String,
        mono_ns: u64,
        retransmits: u32,
        backoff in any::<Option<u64>>(),
        addrs in any::<[std::net::IpAddr; 2]>(),
    ) {
        let flow = Flow {
            laddr: addrs[0],
            raddr: addrs[1],
            comm: Some(comm.into()),
            cgroup: Some(cgroup.into()),
            ..sample::ipv4_flow()
        };
        let flow = Some(Arc::new(flow));
        let retransmit = Retransmit { retransmits, rto_ms: backoff, next_rto_ms: backoff, ..sample::rto() };
        let closed = Closed { note: note.clone(), ..sample::closed() };
        let threshold = crate::event::Threshold { note, ..sample::threshold() };
        for what in [
            sample::retransmit(retransmit),
            What::Closed(Box::new(closed)),
            What::Threshold(threshold),
            What::Recovered(sample::recovered()),
            What::End(Box::default()),
        ] {
            let event = Event { mono_ns, flow: flow.clone(), what };
            let lines = row(&event, &at(width), &sample::CLOCK).unwrap();
            for line in lines.split('\n') {
                prop_assert!(line.width() <= width, "{} columns: {}", width, line);
                prop_assert!(!line.contains(char::is_control));
            }
            let piped = row(&event, &Layout::piped(false, TimeZone::UTC), &sample::CLOCK).unwrap();
            prop_assert!(!piped.contains(char::is_control));
            prop_assert!(!piped.contains('…') || lines.contains('…'), "a pipe gets everything");
        }
    }
}
