//! The table for people: one line a retransmission, as wide as the terminal, plain text where there is none.

use std::{
    fs::File,
    io::Read,
    os::fd::{FromRawFd, OwnedFd},
    process::{Command, Stdio},
    ptr,
    thread::{self, JoinHandle},
    time::Instant,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use xtask::lab::{LEFT, Lab, RIGHT};

use crate::{
    replayed,
    storm::Storm,
    tracer::{command, netns, patience},
};

/// Traces a probe and two RTOs of one connection, and leaves with Ctrl-C.
fn trace(lab: &Lab, mut command: Command, output: JoinHandle<String>) -> String {
    let dir = tempfile::tempdir().unwrap();
    let ready = dir.path().join("ready");
    command.arg("--ready-file").arg(&ready);
    let mut storm = Storm::gather(lab, 1);
    let mut child = command.spawn().unwrap();
    // Its copies of the output's other end would keep the reader waiting.
    drop(command);
    let wait = |so: &dyn Fn() -> bool| {
        let start = Instant::now();
        while !so() {
            assert!(start.elapsed() < patience());
            thread::sleep(std::time::Duration::from_millis(10));
        }
    };
    wait(&|| ready.exists());
    // On a loaded machine the connection may have been probed already.
    let before = lab.left.counters().unwrap().get("RetransSegs");
    storm.break_out(lab);
    wait(&|| lab.left.counters().unwrap().get("RetransSegs") >= before + 3);
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    output.join().unwrap()
}

/// Collects what comes out until the other end is closed, which a terminal tells by EIO.
fn collect(from: OwnedFd) -> JoinHandle<String> {
    thread::spawn(move || {
        let (mut from, mut all, mut buffer) = (File::from(from), Vec::new(), [0; 4096]);
        while let Ok(len @ 1..) = from.read(&mut buffer) {
            all.extend_from_slice(&buffer[..len]);
        }
        String::from_utf8(all).unwrap()
    })
}

/// A terminal: the side that shows, and the side that programs write to.
fn terminal(columns: u16) -> (OwnedFd, OwnedFd) {
    let size = libc::winsize { ws_row: 30, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let (mut shown, mut written) = (-1, -1);
    // SAFETY: both descriptors are written before they are used, and owned by nobody else.
    unsafe {
        let made = libc::openpty(&raw mut shown, &raw mut written, ptr::null_mut(), ptr::null(), &size);
        assert_eq!(made, 0, "openpty: {}", std::io::Error::last_os_error());
        (OwnedFd::from_raw_fd(shown), OwnedFd::from_raw_fd(written))
    }
}

fn trace_on_terminal(lab: &Lab, no_color: bool) -> String {
    let (shown, written) = terminal(100);
    let mut command = command(&["--netns", &netns(&lab.left)]);
    command.env("TERM", "xterm-256color").env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    if no_color {
        command.env("NO_COLOR", "1");
    }
    command.stdout(Stdio::from(written));
    trace(lab, command, collect(shown))
}

/// Without `ESC [ ... letter`.
fn plain(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| {
        plain + part.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest)
    })
}

fn check_lines(text: &str) {
    // A narrow table leaves the local address out.
    let right = format!("> {}:", RIGHT.v4);
    let of_flow: Vec<&str> = text.lines().filter(|line| line.contains(&right)).collect();
    assert!(of_flow.len() >= 3, "{text}");
    let types: Vec<bool> =
        [("tlp", 0), ("rto", 1), ("rto", 2)].map(|(ty, at)| of_flow[at].contains(ty)).into();
    assert_eq!(types, [true; 3], "one line each: {text}");
}

#[test]
fn plain_text_into_a_pipe() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let (read, written) = nix::unistd::pipe().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log.jsonl");
    let mut command = command(&["--netns", &netns(&lab.left), "-o", log.to_str().unwrap()]);
    command.stdout(Stdio::from(written));
    let text = trace(&lab, command, collect(read));
    check_lines(&text);
    let replayed = replayed::replay(&std::fs::read_to_string(&log).unwrap(), &[]);
    assert_eq!(String::from_utf8(replayed.stdout).unwrap(), text, "replay prints the same table");
    assert!(text.contains(&format!("{}:", LEFT.v4)), "both ends, where width is no matter: {text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn colours_within_the_width_of_a_terminal() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let text = trace_on_terminal(&lab, false);
    assert!(text.contains('\u{1b}'), "{text:?}");
    let text = plain(&text);
    check_lines(&text);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "fits 100 columns: {text}");
}

#[test]
fn no_colours_where_they_are_not_wanted() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let text = trace_on_terminal(&lab, true);
    assert!(!text.contains('\u{1b}'), "{text:?}");
    check_lines(&text);
}
