//! `threshold` events: each once an episode, at the first timeout past it, with that timeout's deadline.

use std::io::Write;

use serde_json::Value;
use xtask::lab::{Family, Lab, socket::Options};

use crate::tracer::{Tracer, is_of, is_type, netns, number};

/// `(name, ms of silence from which on it is told)` with the sysctls and the `--warn-at` below.
const THRESHOLDS: [(&str, u64); 2] = [("retries1", 600), ("deadline", 1890)];

#[test]
fn each_is_told_once_an_episode_with_the_deadline() {
    require_lab!();
    let lab = Lab::new().unwrap();
    // tcp_model_timeout: one retry stands for 0.6 s, five for 12.6 s.
    lab.left.sysctl("net.ipv4.tcp_retries1", "1").unwrap();
    lab.left.sysctl("net.ipv4.tcp_retries2", "5").unwrap();
    let mut connection = lab.connect(Family::V4, 0).unwrap();
    connection.warm_up().unwrap();
    let cookie = connection.client.cookie().unwrap();
    let tracer = Tracer::start(&["--netns", &netns(&lab.left), "--warn-at", "15"]);

    for episode in [1, 2] {
        let trouble = lab.right.unreachable().unwrap();
        (&connection.client).write_all(b"is anybody there?").unwrap();
        tracer.wait_for("fourth rto", |event| {
            is_type(event, "rto")
                && is_of(event, cookie)
                && event["episode"] == episode
                && event["retransmits"] == 4
        });
        trouble.heal().unwrap();
        tracer.wait_for("recovered", |event| {
            event["event"] == "recovered" && is_of(event, cookie) && event["episode"] == episode
        });
    }
    let outcome = tracer.finish();
    outcome.assert_clean();
    let of_flow: Vec<&Value> = outcome.events.iter().filter(|event| is_of(event, cookie)).collect();
    let of_episode = |event: &&&Value, episode: u64| event["episode"] == episode;
    for (name, from_ms) in THRESHOLDS {
        let told: Vec<&&Value> = of_flow.iter().filter(|event| event["name"] == name).collect();
        assert_eq!(told.len(), 2, "{name}: {told:?}");
        for (threshold, episode) in told.into_iter().zip([1, 2]) {
            let timeouts: Vec<&&Value> = of_flow
                .iter()
                .filter(|event| is_type(event, "rto"))
                .filter(|event| of_episode(event, episode))
                .collect();
            let past = |event: &&&&Value| number(&event["deadline"], "elapsed_ms") >= from_ms;
            let first = timeouts.iter().find(past).unwrap_or_else(|| panic!("{name}: {timeouts:?}"));
            assert_eq!(threshold["mono_ns"], first["mono_ns"], "{name}, episode {episode}: {threshold}");
            assert_eq!(threshold["deadline"], first["deadline"], "{name}, episode {episode}");
        }
    }
    let warning = of_flow.iter().find(|event| event["name"] == "deadline").unwrap();
    assert!(warning["deadline"]["used"].as_f64().unwrap() >= 0.15, "{warning}");
    assert_eq!(number(outcome.end(), "records_sent"), number(outcome.end(), "records_received"));
    assert_eq!(outcome.end()["events"]["threshold"], 4, "{}", outcome.end());
}
