//! From start to attached.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::{
    Bench,
    statistics::median,
    table::{Row, Verdict, ratio, thousands},
    tools::{self, NOT_INSTALLED},
};

const MOST_MS: f64 = 100.0;

/// Both in turns.
pub(super) fn time(bench: &Bench) -> Result<Vec<Row>> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let bpftrace = tools::find("bpftrace");
    for _ in 0..bench.rounds(9) {
        let start = Instant::now();
        let mut tracer = bench.start_tracer()?;
        ours.push(start.elapsed().as_secs_f64() * 1e3);
        tracer.interrupt()?;
        if let Some(program) = &bpftrace {
            theirs.push(of_bpftrace(program)?.as_secs_f64() * 1e3);
        }
    }
    let ours = median(ours).context("no rounds")?;
    let theirs = median(theirs);
    Ok(vec![Row {
        what: "start to attached".into(),
        ours: format!("{} ms", thousands(ours)),
        beside: theirs.map_or(format!("bpftrace: {NOT_INSTALLED}"), |theirs| {
            format!("bpftrace: {} ms", thousands(theirs))
        }),
        ratio: theirs.map_or(String::new(), |theirs| ratio(ours, theirs)),
        target: format!("<= {MOST_MS} ms"),
        verdict: Verdict::of(ours <= MOST_MS),
    }])
}

/// bpftrace has no ready file. A timer's probe prints a line as soon as all are attached, a millisecond late at most.
fn of_bpftrace(program: &std::path::Path) -> Result<Duration> {
    let script = format!("{} interval:ms:1 {{ printf(\"attached\\n\"); exit(); }}", tools::BPFTRACE_SCRIPT);
    let start = Instant::now();
    let mut child = Command::new(program)
        .args(["-e", &script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start bpftrace")?;
    let stdout = child.stdout.take().context("no standard output")?;
    let mut attached = None;
    for line in BufReader::new(stdout).lines() {
        if line?.starts_with("attached") {
            attached.get_or_insert_with(|| start.elapsed());
        }
    }
    child.wait()?;
    attached.context("bpftrace did not attach")
}
