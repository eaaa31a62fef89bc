//! The death clock against connections that really die, many kinds of them side by side.
//!
//! What the tracer foretold is held against the kernel's moment of CLOSE, and that moment against what the socket's
//! owner was told and when. `--nocapture` shows the table of forecast and fact.

mod blackhole;
mod changes;
mod fact;
mod forecast;
mod kinds;
mod seeding;
mod table;
mod thresholds;

use std::{thread, time::Duration};

use blackhole::Blackhole;
use fact::Fact;
use kinds::{KINDS, Kind};
use table::Row;
use xtask::lab::Lab;

use crate::tracer::{Tracer, netns};

/// How often a kind is tried anew whose timers the kernel itself served too late.
const ATTEMPTS: usize = 3;

/// From a socket's end to its `closed` event, generously.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why a comparison failed.
enum Failure {
    /// The kernel or this machine was late, or the kernel did not run a tracepoint; says nothing about the forecast.
    Late(String),
    /// The forecast was wrong.
    Wrong(String),
}

/// Lets each kind of connection die, and compares. All at once: most of the time is the kernel's waiting.
fn round(kinds: &[&'static Kind]) -> Vec<(&'static Kind, Result<Row, Failure>)> {
    let prepared: Vec<(&'static Kind, Lab)> = thread::scope(|scope| {
        let labs: Vec<_> =
            kinds.iter().map(|&kind| scope.spawn(move || Some((kind, blackhole::prepare(kind)?)))).collect();
        labs.into_iter().filter_map(|lab| lab.join().unwrap()).collect()
    });
    let early: Vec<Option<Blackhole>> = thread::scope(|scope| {
        let dying: Vec<_> = prepared
            .iter()
            .map(|(kind, lab)| {
                kind.before_the_trace.then(|| scope.spawn(|| Blackhole::in_backoff(kind, lab)))
            })
            .collect();
        dying.into_iter().map(|dying| dying.map(|dying| dying.join().unwrap())).collect()
    });
    let spaces: Vec<String> = prepared.iter().map(|(kind, lab)| netns(kind.side(lab))).collect();
    let args: Vec<&str> = spaces.iter().flat_map(|space| ["--netns", space.as_str()]).collect();
    let tracer = Tracer::start(&args);

    let ends: Vec<(Blackhole, Fact)> = thread::scope(|scope| {
        let dying: Vec<_> = prepared
            .iter()
            .zip(early)
            .map(|((kind, lab), early)| {
                scope.spawn(|| {
                    let mut blackhole = early.unwrap_or_else(|| Blackhole::begin(kind, lab));
                    let fact = blackhole.await_end(lab);
                    (blackhole, fact)
                })
            })
            .collect();
        dying.into_iter().map(|dying| dying.join().unwrap()).collect()
    });
    thread::sleep(LAST_WORDS);
    let outcome = tracer.finish();
    outcome.assert_clean();
    let tick_ms = 1000.0 / outcome.events[0]["hz"].as_f64().unwrap();
    prepared
        .iter()
        .zip(&ends)
        .map(|((kind, _), (blackhole, fact))| {
            let events = outcome.events.iter().filter(|event| blackhole.owns(event)).collect::<Vec<_>>();
            (*kind, forecast::compare(kind, &events, fact, tick_ms))
        })
        .collect()
}

#[test]
fn forecasts_against_facts() {
    require_lab!();
    let mut left: Vec<&'static Kind> = KINDS.iter().collect();
    let mut rows = Vec::new();
    let mut wrong = Vec::new();
    for attempt in 1..=ATTEMPTS {
        let mut late = Vec::new();
        for (kind, result) in round(&left) {
            match result {
                Ok(row) => rows.push(row),
                Err(Failure::Late(why)) if attempt < ATTEMPTS => {
                    println!("{}: once more, {why}", kind.name);
                    late.push(kind);
                }
                Err(Failure::Late(why) | Failure::Wrong(why)) => wrong.push(format!("{}: {why}", kind.name)),
            }
        }
        left = late;
        if left.is_empty() {
            break;
        }
    }
    rows.sort_by_key(|row| KINDS.iter().position(|kind| kind.name == row.name));
    table::show(&rows);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows.len() >= 12, "only {} kinds can be had on this kernel", rows.len());
}
