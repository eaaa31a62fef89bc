//! Connections a second with and without a tracer, in turns.

use std::time::Duration;

use anyhow::{Context, Result};

use super::{
    Bench,
    statistics::{median, range},
    table::{Row, Verdict, thousands},
    tools::{self, NOT_INSTALLED},
    traffic,
};
use crate::lab::Lab;

/// The least share that the tracer must leave.
const LEAST: f64 = 0.97;

/// A machine's speed wanders, so each traced span stands between two untraced ones, and what counts is its share of
/// their mean.
pub(super) fn rate(bench: &Bench) -> Result<Vec<Row>> {
    let lab = Lab::new()?;
    let span = bench.span(Duration::from_millis(800));
    let run = || traffic::connections_a_second(&lab.left, span);
    run()?;
    let (mut ours, mut theirs, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    let mut installed = true;
    let mut before = run()?;
    for _ in 0..bench.rounds(9) {
        let mut tracer = bench.start_tracer()?;
        let traced = run()?;
        tracer.interrupt()?;
        let between = run()?;
        ours.push(traced / ((before + between) / 2.0));
        rates.push(between);
        before = between;
        if let Some(mut tcpstates) = installed.then(tools::tcpstates).transpose()?.flatten() {
            let traced = run()?;
            tcpstates.interrupt()?;
            let after = run()?;
            theirs.push(traced / ((before + after) / 2.0));
            before = after;
        } else {
            installed = false;
        }
    }
    let (low, high) = range(&ours);
    let share = median(ours).context("no rounds")?;
    let beside = match median(theirs) {
        Some(theirs) => format!("tcpstates: {theirs:.2}"),
        None => format!("tcpstates: {NOT_INSTALLED}"),
    };
    Ok(vec![Row {
        what: format!(
            "connections a second over loopback, traced / untraced ({} untraced)",
            thousands(median(rates).context("no rounds")?)
        ),
        ours: format!("{share:.3} ({low:.2} to {high:.2})"),
        beside,
        ratio: String::new(),
        target: format!(">= {LEAST}"),
        verdict: Verdict::of(share >= LEAST),
    }])
}
