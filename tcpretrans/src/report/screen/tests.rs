//! The screen as a whole.

use std::{path::PathBuf, sync::Arc};

use proptest::prelude::*;

use super::*;
use crate::{
    event::{
        Closed, Event, Flow, FlowId, LostWhere, Recovered, Retransmit, RetransmitType, SendError, What,
        samples as sample,
        samples::{CLOCK, NOW_NS},
    },
    page::proof,
    recording::Recorded,
    report::{
        tally::{Bounds, Tally, groups::By},
        window::Window,
    },
};

fn subject() -> Subject {
    Subject {
        files: vec![PathBuf::from("x.jsonl")],
        window: Window::default(),
        filters: Default::default(),
        damaged_lines: 0,
        unknown_events: 0,
        top: None,
        by: None,
    }
}

fn rendered(report: &Report, subject: &Subject, columns: usize) -> String {
    render(report, subject, Page { columns, colour: false }, &TimeZone::UTC)
}

fn recorded(ms: u64, flow: Option<Flow>, what: What) -> Recorded {
    let event = Event { mono_ns: NOW_NS + ms * 1_000_000, flow: flow.map(Arc::new), what };
    Recorded { event, clock: CLOCK, session: 0, after_gap: false }
}

fn report(events: &[Recorded], bounds: Bounds) -> Report {
    let mut tally = Tally::new(bounds);
    events.iter().for_each(|recorded| tally.observe(recorded, true));
    tally.finish()
}

/// One of each kind of event, and what is odd.
fn odd_events() -> Vec<Recorded> {
    let hostile = Flow {
        comm: Some("\u{1b}[2Jevil\nname that is long".into()),
        cgroup: Some("/\u{202e}名前.slice/a\u{7}b".into()),
        ..sample::ipv6_flow()
    };
    let failed = Retransmit { err: Some(SendError::QueueDrop), ..sample::rto() };
    let mut events: Vec<Recorded> = sample::one_of_each()
        .into_iter()
        .map(|event| recorded(0, event.flow.map(|flow| (*flow).clone()), event.what))
        .collect();
    events.push(recorded(5, Some(hostile.clone()), sample::retransmit(failed)));
    events.push(recorded(9, Some(hostile), What::Closed(Box::new(sample::closed()))));
    events
}

#[test]
fn text_by_others_does_not_talk_to_the_terminal() {
    let report = report(&odd_events(), Bounds::default());
    for by in [None, Some(By::Process), Some(By::Cgroup)] {
        let text = rendered(&report, &Subject { by, ..subject() }, 100);
        let is_safe = |c: char| c == '\n' || !c.is_control() && c != '\u{202e}';
        assert!(text.chars().all(is_safe), "{text:?}");
    }
}

#[test]
fn odd_events_fit() {
    let report = report(&odd_events(), Bounds::default());
    for columns in [60, 80, 100, 200] {
        for by in [None].into_iter().chain(By::ALL.map(Some)) {
            let subject = Subject { by, damaged_lines: 7, ..subject() };
            proof::fits(&rendered(&report, &subject, columns), columns, &[]);
        }
    }
}

#[test]
fn what_the_recording_does_not_know_comes_first() {
    let mut events = odd_events();
    events.retain(|recorded| !matches!(recorded.event.what, What::End(_)));
    events.extend((1..=3).map(|id| {
        let flow = Flow { id: FlowId(id), ..sample::unknown_owner() };
        recorded(20, Some(flow), sample::retransmit(sample::rto()))
    }));
    let small = Bounds { flows: 2, groups: 1, worst: 1, bins: 2 };
    let text = rendered(&report(&events, small), &Subject { damaged_lines: 1, ..subject() }, 80);
    let whole = text.replace("\n  ", " ");
    let lines: Vec<&str> = whole.lines().collect();
    assert_eq!(
        lines[1..5],
        [
            "LOST while recording, so the numbers below are too low: ring 17",
            "1 damaged line was skipped",
            "1 session has no end: the tracer was killed or still runs, or the file is cut",
            "1 connection was forgotten to limit memory; a connection that was seen again counts twice",
        ],
        "{text}"
    );
    assert!(whole.contains("; 1 more could not be sent\n"), "{text}");
    assert!(text.contains("FAILED"), "a column for what failed: {text}");
    assert!(text.contains("unknown "), "owners: {text}");
    let tells_of_lost = sample::lost(17, LostWhere::Ring);
    let quiet = report(&[recorded(0, None, tells_of_lost.what)], Bounds::default());
    assert!(rendered(&quiet, &subject(), 80).contains("LOST"), "also where nothing else happened");
}

fn of_story(id: u64, step: u64) -> Recorded {
    let address = std::net::Ipv6Addr::from(u128::MAX / u128::from(id % 7 + 1));
    let raddr = if id.is_multiple_of(2) { address.into() } else { "10.0.0.1".parse().unwrap() };
    let comm = (!id.is_multiple_of(3))
        .then(|| Arc::from("a process with a long name ".repeat((id % 2) as usize + 1)));
    let flow = Flow { id: FlowId(id), raddr, comm, ..sample::ipv4_flow() };
    let types = RetransmitType::ALL;
    let what = match step % 5 {
        0..3 => sample::retransmit(Retransmit {
            ty: types[(id + step) as usize % types.len()],
            retransmits: step as u32,
            rto_ms: Some(100 << (step % 14)),
            bytes: u32::MAX,
            ..sample::rto()
        }),
        3 => What::Recovered(Recovered { duration_ms: 1 << (step % 33), ..sample::recovered() }),
        _ => What::Closed(Box::new(Closed { hung_up: Some(sample::hung_up()), ..sample::closed() })),
    };
    recorded(step * 1_000_000 * (1 + id % 50), Some(flow), what)
}

proptest! {
    #[test]
    fn no_line_is_wider_than_the_page(
        steps in proptest::collection::vec((0u64..30, 0u64..40), 1..120),
        columns in 40usize..140,
        by in proptest::option::of(proptest::sample::select(By::ALL.to_vec())),
        top in proptest::option::of(1usize..10),
    ) {
        let events: Vec<Recorded> = steps.iter().map(|&(id, step)| of_story(id, step)).collect();
        let report = report(&events, Bounds::default());
        let text = rendered(&report, &Subject { by, top, ..subject() }, columns);
        proof::fits(&text, columns, &[]);
    }
}
