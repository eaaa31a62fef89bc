//! Memory: with nothing to trace, and with very many retransmitting flows.

use std::{fs, thread, time::Duration};

use anyhow::{Context, Result};

use super::{
    Bench,
    table::{Row, Verdict},
    traffic,
};
use crate::lab::{Lab, Namespace};

/// Retransmitting flows.
const FLOWS: usize = 100_000;
const MOST_IDLE_MIB: f64 = 15.0;
const MOST_TROUBLED_MIB: f64 = 64.0;

/// Real flows: sockets in SYN_SENT, each of which repeats its SYN into the void.
pub(super) fn peak(bench: &Bench) -> Result<Vec<Row>> {
    let tracer = bench.start_tracer()?;
    thread::sleep(bench.span(Duration::from_secs(1)));
    let idle = Resident::of(tracer.pid())?;
    let lab = Lab::new()?;
    let flows = if bench.smoke { 500 } else { FLOWS };
    let sockets = traffic::unanswered(&lab, flows)?;
    // Each SYN is repeated after a second.
    await_repetitions(&lab.left, flows)?;
    thread::sleep(bench.span(Duration::from_secs(1)));
    let troubled = Resident::of(tracer.pid())?;
    drop(sockets);
    let row = |what: String, resident: Resident, most: f64| Row {
        what,
        ours: resident.to_string(),
        beside: String::new(),
        ratio: String::new(),
        target: format!("<= {most} MiB"),
        verdict: Verdict::of(resident.now_mib <= most),
    };
    Ok(vec![
        row("memory, idle (VmRSS, highest VmHWM)".into(), idle, MOST_IDLE_MIB),
        row(
            format!("memory with {} retransmitting flows", super::table::thousands(flows as f64)),
            troubled,
            MOST_TROUBLED_MIB,
        ),
    ])
}

fn await_repetitions(namespace: &Namespace, count: usize) -> Result<()> {
    for _ in 0..600 {
        if namespace.counters()?.get("TCPSynRetrans") >= count as u64 {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(50));
    }
    anyhow::bail!("the SYNs are not retransmitted")
}

/// A process's memory.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Resident {
    now_mib: f64,
    highest_mib: f64,
}

impl Resident {
    fn of(pid: u32) -> Result<Resident> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the tracer is gone")?;
        Resident::parse(&status).context("/proc shows no VmRSS")
    }

    fn parse(status: &str) -> Option<Resident> {
        let mib = |name: &str| -> Option<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
        };
        Some(Resident { now_mib: mib("VmRSS:")?, highest_mib: mib("VmHWM:")? })
    }
}

impl std::fmt::Display for Resident {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} MiB (highest {:.1})", self.now_mib, self.highest_mib)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read() {
        let status = "Name:\tx\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\n";
        assert_eq!(Resident::parse(status), Some(Resident { now_mib: 10.0, highest_mib: 20.0 }));
        assert_eq!(Resident::parse("Name: x\n"), None);
    }
}
