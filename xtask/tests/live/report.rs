//! A report sums up what the tracer itself counted.

use std::fs;

use serde_json::Value;
use xtask::lab::{Connection, Family, Lab, Packets, trouble::Fate};

use crate::{
    storm::Storm,
    tracer::{Tracer, command, is_type, netns, number},
};

#[test]
fn the_report_of_a_storm_agrees_with_the_end_of_its_recording() {
    require_lab!();
    let lab = Lab::new().unwrap();
    lab.left.sysctl("net.ipv4.tcp_retries2", "3").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log.jsonl");
    let log = log.to_str().unwrap();
    let tracer = Tracer::start_quiet(&["--netns", &netns(&lab.left), "-o", log]);
    let mut lossy: Connection = lab.connect(Family::V6, 0).unwrap();
    let trouble = lab.right.on_arrival(&Packets::all().at_least(1000).chance(0.1), Fate::Vanish).unwrap();
    lossy.transfer(2_000_000, 0).unwrap();
    trouble.heal().unwrap();
    drop(lossy);
    let mut storm = Storm::gather(&lab, 40);
    storm.break_out(&lab);
    let recorded = || -> Vec<Value> {
        let text = fs::read_to_string(log).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    };
    let start = std::time::Instant::now();
    while recorded().iter().filter(|event| event["cause"] == "retransmit_timeout").count() < 40 {
        assert!(start.elapsed() < crate::tracer::patience(), "40 deaths: {}", recorded().len());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(tracer.finish().code, Some(0));

    let output = command(&["report", log, "--format", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let recorded = recorded();
    let end = recorded.last().unwrap();
    for path in [
        "/events",
        "/segs",
        "/bytes",
        "/failed",
        "/failed_segs",
        "/errors",
        "/timeouts",
        "/lost",
        "/unseen_segs",
    ] {
        assert_eq!(report.pointer(path), end.pointer(path), "{path}");
    }
    assert!(recorded.iter().filter(|event| is_type(event, "rto")).count() >= 120, "{report:#}");

    // What has no counterpart in `end` is known from the story.
    let lost = end["lost"].as_object().unwrap().values().any(|count| count != 0);
    if !lost {
        assert_eq!((number(&report, "flows"), number(&report, "deaths")), (41, 40), "{report:#}");
        assert_eq!(number(&report["forecasts"], "foretold"), 40);
        // How exact forecasts are is other tests' business; a busy machine's timers are late now and then.
        let off_us = &report["forecasts"]["first"]["off_us"];
        assert!(number(off_us, "p50") < 20_000 && number(off_us, "count") == 40, "{:#}", report["forecasts"]);
    }
    let worst = &report["worst_episodes"][0];
    assert_eq!(
        (&worst["cause"], number(worst, "more_like_it")),
        (&"retransmit_timeout".into(), 39),
        "{worst:#}"
    );
    assert!(number(worst, "deepest_backoff") >= 3, "{worst:#}");
    let remotes = report["by"]["remote"]["groups"].as_array().unwrap();
    let sums: u64 = remotes.iter().map(|remote| number(remote, "retransmissions")).sum();
    assert_eq!((remotes.len(), sums), (2, number(&report, "retransmissions")));
}
