//! Records lost at the default ring size in the heaviest storm that the lab can make, while the reader writes JSON
//! Lines to a file.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{
    Bench,
    table::{Row, Verdict, thousands},
    traffic,
};
use crate::{lab::Lab, tracer};

/// Sockets whose SYNs go unanswered.
const SYNS: usize = 60_000;
/// The busiest moment is looked for among spans of this length.
const MOMENT_NS: u64 = 100_000_000;

/// Both kinds at once: transfers that lose one segment in twenty, and connection requests that all time out.
pub(super) fn in_a_storm(bench: &Bench) -> Result<Vec<Row>> {
    let lab = Lab::new()?;
    let quiet = Lab::new()?;
    let mut tracer = bench.start_tracer()?;
    let syns = if bench.smoke { 500 } else { SYNS };
    let span = bench.span(Duration::from_secs(8));
    thread::scope(|scope| -> Result<()> {
        let transfers = scope.spawn(|| traffic::transfers_under_loss(&lab, 40, 0.05, span));
        let sockets = traffic::unanswered(&quiet, syns)?;
        let transferred = transfers.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload));
        // The first repetitions come a second after each SYN.
        thread::sleep(bench.span(Duration::from_secs(1)));
        drop(sockets);
        transferred
    })?;
    tracer.interrupt()?;
    let storm = Storm::read(&tracer.path(tracer::LOG))?;
    Ok(vec![Row {
        what: format!(
            "records lost at the default ring, {} records, up to {} a second",
            thousands(storm.records as f64),
            thousands(storm.busiest as f64 * 1e9 / MOMENT_NS as f64)
        ),
        ours: if storm.skipped == 0 {
            storm.lost.to_string()
        } else {
            format!("{} (and {} that the kernel skipped)", storm.lost, storm.skipped)
        },
        beside: String::new(),
        ratio: String::new(),
        target: "0".into(),
        verdict: Verdict::of(storm.lost == 0),
    }])
}

/// What the tracer's log tells of a storm.
#[derive(Debug, Default, PartialEq)]
struct Storm {
    records: u64,
    /// Found the ring or the flow table full, or could not be written.
    lost: u64,
    /// Runs of a program that the kernel left out (`recursion_misses`): no ring could hold what was never made.
    skipped: u64,
    /// Most events within [`MOMENT_NS`].
    busiest: u64,
}

impl Storm {
    fn read(log: &Path) -> Result<Storm> {
        let file = File::open(log).context("the tracer wrote no log")?;
        let mut storm = Storm::default();
        let mut times = Vec::new();
        for line in BufReader::new(file).lines() {
            let line = line?;
            // Only the last line is read whole: there may be a million.
            if let Some(time) = event_time(&line) {
                times.push(time);
            }
            if line.contains("\"event\":\"end\"") {
                storm.of_end(&serde_json::from_str(&line)?);
            }
        }
        storm.busiest = busiest(times);
        Ok(storm)
    }

    fn of_end(&mut self, end: &Value) {
        let count = |value: &Value| value.as_u64().unwrap_or(0);
        self.records = count(&end["records_sent"]);
        let places = end["lost"].as_object().into_iter().flatten();
        for (place, records) in places {
            if place == "recursion" {
                self.skipped += count(records);
            } else {
                self.lost += count(records);
            }
        }
    }
}

/// `mono_ns` of a line that came of a record.
fn event_time(line: &str) -> Option<u64> {
    let of_a_record = ["\"retransmit\"", "\"observation\""]
        .iter()
        .any(|event| line.split_once("\"event\":").is_some_and(|(_, rest)| rest.starts_with(event)));
    let (_, rest) = line.split_once("\"mono_ns\":")?;
    rest.split(',').next()?.parse().ok().filter(|_| of_a_record)
}

fn busiest(mut times: Vec<u64>) -> u64 {
    times.sort_unstable();
    let mut first = 0;
    let mut most = 0;
    for (last, &time) in times.iter().enumerate() {
        while times[first] + MOMENT_NS <= time {
            first += 1;
        }
        most = most.max(last - first + 1);
    }
    most as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_moment_is_found() {
        assert_eq!(busiest(vec![]), 0);
        assert_eq!(busiest(vec![5 * MOMENT_NS, 0, 1, 2, MOMENT_NS, MOMENT_NS + 1]), 3);
    }

    #[test]
    fn only_records_count_as_events() {
        let line = |event: &str| format!("{{\"ts\":\"x\",\"mono_ns\":77,\"event\":\"{event}\",\"segs\":1}}");
        assert_eq!(event_time(&line("retransmit")), Some(77));
        assert_eq!(event_time(&line("recovered")), None);
    }

    #[test]
    fn what_the_kernel_skipped_is_no_loss_of_the_rings() {
        let mut storm = Storm::default();
        storm.of_end(&serde_json::json!({"records_sent": 9, "lost": {"ring": 2, "map": 1, "recursion": 3}}));
        assert_eq!((storm.records, storm.lost, storm.skipped), (9, 3, 3));
    }
}
