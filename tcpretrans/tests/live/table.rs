//! The table for people: one line a retransmission, plain text where it is no terminal.

use std::process::{Command, Stdio};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use xtask::lab::{LEFT, Lab, RIGHT};

use crate::{
    storm::Storm,
    tracer::{PATIENCE, command, netns},
};

fn run(mut command: Command, lab: &Lab) -> String {
    let dir = tempfile::tempdir().unwrap();
    let ready = dir.path().join("ready");
    command.arg("--ready-file").arg(&ready).stdout(Stdio::piped());
    let mut storm = Storm::gather(lab, 1);
    let child = command.spawn().unwrap();
    let wait = |so: &dyn Fn() -> bool| {
        let start = std::time::Instant::now();
        while !so() {
            assert!(start.elapsed() < PATIENCE);
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    };
    wait(&|| ready.exists());
    storm.break_out(lab);
    wait(&|| lab.left.counters().unwrap().get("RetransSegs") >= 3);
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_line_tells_type_and_both_ends() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let text = run(command(&["--netns", &netns(&lab.left)]), &lab);
    let (left, right) = (LEFT.v4.to_string(), RIGHT.v4.to_string());
    let of_flow: Vec<&str> =
        text.lines().filter(|line| line.contains(&left) && line.contains(&right)).collect();
    assert!(of_flow.len() >= 3, "{text}");
    let lowered = text.to_lowercase();
    assert!(lowered.contains("tlp") && lowered.contains("rto"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours into a pipe: {text:?}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "fits 100 columns: {text}");
}
