//! Kernel time for each run of a program, by the kernel's own accounts (`kernel.bpf_stats_enabled`).
//!
//! Taking the time costs some 50 ns itself, which is in every figure. So a program that does nothing sits on the same
//! tracepoint, and the rows say both: the kernel's figure, and what is left of it beyond that floor.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};

use super::{
    Bench,
    bpf::{self, EmptyProgram, RunTime, Statistics},
    table::{Row, Verdict, ratio, thousands},
    tools::{self, NOT_INSTALLED},
    traffic,
};
use crate::{lab::Lab, running::Running};

/// `BPF_OBJ_NAME_LEN`, less the zero.
const NAME_LEN: usize = 15;

/// The programs' own times, by tool.
struct Times {
    ours: RunTime,
    theirs: Option<RunTime>,
    floor: RunTime,
}

/// Has traffic timed: all watch the same events.
fn time(
    bench: &Bench,
    tracepoint: &str,
    beside: impl FnOnce() -> Result<Option<Running>>,
    traffic: impl FnOnce() -> Result<()>,
) -> Result<Times> {
    let empty = EmptyProgram::attach(tracepoint)?;
    let tracer = bench.start_tracer()?;
    let other = beside()?;
    let _statistics = Statistics::enable()?;
    let look = || -> Result<_> {
        let theirs = other.as_ref().map(|tool| bpf::programs_of(tool.pid())).transpose()?;
        Ok((bpf::programs_of(tracer.pid())?, theirs, empty.used()?))
    };
    let before = look()?;
    traffic()?;
    let after = look()?;
    let name: String = tracepoint.chars().take(NAME_LEN).collect();
    // Two tracepoints' names begin alike; the one with more runs is meant.
    let used = |after: &BTreeMap<u32, bpf::Program>, before: &BTreeMap<u32, bpf::Program>, name: &str| {
        after
            .iter()
            .filter(|(_, program)| program.name.starts_with(name))
            .map(|(id, program)| {
                program.used.since(before.get(id).map_or_else(RunTime::default, |program| program.used))
            })
            .max_by_key(|used| used.runs)
    };
    Ok(Times {
        ours: used(&after.0, &before.0, &name).context("the tracer has no such program")?,
        // Whatever it calls it: it is the one that ran.
        theirs: after.1.as_ref().zip(before.1.as_ref()).and_then(|(after, before)| used(after, before, "")),
        floor: after.2.since(before.2),
    })
}

/// A row for the kernel's figures, and one for what is beyond the floor.
fn rows(what: &str, times: &Times, beside: &str, most_ns: f64, least_times: f64) -> Result<Vec<Row>> {
    let ours = times.ours.mean_ns().context("the traffic had no such event")?;
    let floor = times.floor.mean_ns().context("the traffic had no such event")?;
    let theirs = times.theirs.and_then(RunTime::mean_ns);
    let fast = ours < most_ns;
    let relation = theirs.is_none_or(|theirs| ours * least_times <= theirs);
    let row = |what: String, ours: f64, theirs: Option<f64>, target: String, verdict: Verdict| Row {
        what,
        ours: format!("{} ns", thousands(ours)),
        beside: theirs.map_or(format!("{beside}: {NOT_INSTALLED}"), |theirs| {
            format!("{beside}: {} ns", thousands(theirs))
        }),
        ratio: theirs.map_or(String::new(), |theirs| ratio(ours, theirs)),
        target,
        verdict,
    };
    Ok(vec![
        row(
            format!("{what}, {} events", thousands(times.ours.runs as f64)),
            ours,
            theirs,
            format!("< {most_ns} ns and <= 1/{least_times}"),
            Verdict::of(fast && relation),
        ),
        row(
            format!("the same, beyond an empty program's {} ns", thousands(floor)),
            (ours - floor).max(0.0),
            theirs.map(|theirs| (theirs - floor).max(0.0)),
            String::new(),
            Verdict::NoTarget,
        ),
    ])
}

/// `tcp_retransmit_skb`: every event makes a full record.
pub(super) fn of_retransmissions(bench: &Bench) -> Result<Vec<Row>> {
    let lab = Lab::new()?;
    let span = bench.span(Duration::from_secs(6));
    let times = time(bench, "tcp_retransmit_skb", tools::bpftrace, || {
        traffic::transfers_under_loss(&lab, 20, 0.03, span)
    })?;
    rows("kernel time per `tcp_retransmit_skb`, bulk transfers, 3 % loss", &times, "bpftrace", 250.0, 10.0)
}

/// `inet_sock_set_state` of connections without losses: no event makes a record.
pub(super) fn of_state_changes(bench: &Bench) -> Result<Vec<Row>> {
    let lab = Lab::new()?;
    let span = bench.span(Duration::from_secs(4));
    let times = time(bench, "inet_sock_set_state", tools::tcpstates, || {
        traffic::connections_a_second(&lab.left, span).map(drop)
    })?;
    rows("kernel time per `inet_sock_set_state`, connections without losses", &times, "tcpstates", 80.0, 15.0)
}
