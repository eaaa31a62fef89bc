//! The way of a record through userspace, by the library's own benchmark (`cargo bench --bench userspace`).

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{
    Bench,
    table::{Row, Verdict, thousands},
};
use crate::workspace;

/// Each: the benchmark's name, what it is, and the events a second to reach.
const RATES: [(&str, &str, f64); 2] = [
    ("decode_correlate", "events a second, one core: decode and correlate", 1_000_000.0),
    ("decode_correlate_json", "events a second, one core: decode, correlate and write JSON Lines", 500_000.0),
];

/// Runs the benchmark, and reads what it found.
pub(super) fn rate(bench: &Bench) -> Result<Vec<Row>> {
    let mut command = workspace::cargo();
    command.args(["bench", "--package", "tcpretrans", "--bench", "userspace", "--"]);
    command.args(["--noplot", "--quiet"]);
    if bench.smoke {
        command.args(["--warm-up-time", "0.1", "--measurement-time", "0.2", "--sample-size", "10"]);
    }
    // Anchored at its end: one name begins as the other.
    command.arg("decode_correlate(_json)?$");
    workspace::output(&mut command)?;
    let target = workspace::target_dir(&workspace::metadata()?)?;
    RATES
        .iter()
        .map(|&(name, what, least)| {
            let rate = events_a_second(&target.join("criterion/userspace").join(name).join("new"))?;
            Ok(Row {
                what: what.into(),
                ours: thousands(rate),
                beside: String::new(),
                ratio: String::new(),
                target: format!(">= {}", thousands(least)),
                verdict: Verdict::of(rate >= least),
            })
        })
        .collect()
}

fn events_a_second(directory: &Path) -> Result<f64> {
    let read = |file: &str| -> Result<Value> {
        let path = directory.join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(serde_json::from_str(&text)?)
    };
    let ns = read("estimates.json")?["median"]["point_estimate"].as_f64();
    let events = read("benchmark.json")?["throughput"]["Elements"].as_f64();
    let (ns, events) = ns.zip(events).context("the benchmark's results are of another form")?;
    Ok(events * 1e9 / ns)
}
