//! Every live test's recording, replayed: what comes out must be what the live trace printed.

use std::{fmt::Write as _, fs, process::Output};

use serde_json::Value;

use crate::tracer::command;

/// `tcpretrans replay ARGS` over a recording.
pub fn replay(recording: &str, args: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("recording.jsonl");
    fs::write(&path, recording).unwrap();
    command(&[&["replay", path.to_str().unwrap()], args].concat()).output().unwrap()
}

/// Compares event by event. `whole`: the trace came to its end.
pub fn assert_same(recording: &str, printed: &[Value], whole: bool) {
    let Some(start) = printed.first().filter(|event| event["event"] == "start" && whole) else { return };
    let mut args = vec!["--format", "json"];
    let command: Vec<&str> = start["command"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let count = command.windows(2).find(|pair| ["-n", "--count"].contains(&pair[0]));
    args.extend(count.map(|pair| ["-n", pair[1]]).into_iter().flatten());
    let output = replay(recording, &args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "replay: {stderr}");
    let again: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    if start["filters"].get("type").is_some() {
        // The hidden retransmissions are not in the recording, and replay says so.
        assert!(stderr.contains("--type"), "{stderr}");
        return;
    }
    let comparable = |events: &[Value]| -> Vec<Value> {
        let told =
            |event: &&Value| count.is_none() || event["flow"].is_object() && event["event"] != "observation";
        events.iter().filter(told).cloned().collect()
    };
    let by_owner = ["pid", "comm", "cgroup"].iter().any(|option| start["filters"].get(option).is_some());
    let (mut printed, mut again) = (comparable(printed), comparable(&again));
    if by_owner {
        // What the live trace remembered of flows that it did not show is not in the recording.
        for end in [printed.last_mut(), again.last_mut()].into_iter().flatten() {
            end["flows_left"] = Value::Null;
        }
    }
    if printed != again {
        panic!("replay differs from live: {}", first_difference(&printed, &again));
    }
}

/// Short enough to read in a failure.
fn first_difference(live: &[Value], replay: &[Value]) -> String {
    let mut text = format!("{} events live, {} replayed", live.len(), replay.len());
    let at = live.iter().zip(replay).position(|(live, replay)| live != replay);
    let at = at.unwrap_or(live.len().min(replay.len()));
    let show = |event: Option<&Value>| event.map_or("nothing".to_owned(), Value::to_string);
    let _ = write!(
        text,
        "; event {at} is, live:\n{}\nand replayed:\n{}",
        show(live.get(at)),
        show(replay.get(at))
    );
    if let (Some(Value::Object(live)), Some(Value::Object(replay))) = (live.get(at), replay.get(at)) {
        for (name, value) in live.iter().filter(|(name, value)| replay.get(*name) != Some(value)) {
            let _ = write!(text, "\n{name}: {value}, replayed {}", replay.get(name).unwrap_or(&Value::Null));
        }
    }
    text
}
