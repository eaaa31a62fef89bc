//! Recordings as `tcpretrans` is given them: whole, damaged on purpose, or no recordings at all. The real lines are
//! those of `tcpretrans demo`.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Output, Stdio},
    sync::LazyLock,
};

use proptest::prelude::*;
use serde_json::Value;
use tcpretrans::{
    event::What,
    form::Decoder,
    internals::{Changes, Trace, observe_line},
    recording::{Detail, Reader},
};

static RECORDING: LazyLock<String> =
    LazyLock::new(|| String::from_utf8(tcpretrans::internals::demo_recording().unwrap()).unwrap());

fn run(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tcpretrans"))
        .args(args)
        .env_remove("COLUMNS")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // Whoever does not read it all is not to be waited for.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().unwrap()
    })
}

fn replay(args: &[&str], input: &str) -> Output {
    run(&[&["replay", "-"], args].concat(), input.as_bytes())
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn events(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_replay_is_what_was_recorded() {
    let output = replay(&["--format", "json"], &RECORDING);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    assert_eq!(text(&output.stdout), *RECORDING);
    assert_eq!(
        replay(&[], &RECORDING).stdout,
        run(&["demo", "--no-wait"], b"").stdout,
        "the demo is a replay"
    );
}

#[test]
fn what_is_not_wanted_is_left_out() {
    let checkout = replay(&["--format", "json", "--comm", "checkout"], &RECORDING);
    let events = events(&checkout);
    let of_flow = |event: &&Value| event["flow"].is_object();
    assert!(events.iter().filter(of_flow).count() > 5);
    assert!(events.iter().filter(of_flow).all(|event| event["flow"]["comm"] == "checkout"));
    assert_eq!(events.last().unwrap()["events"]["closed"], serde_json::json!({"retransmit_timeout": 1}));

    let three = replay(&["-n", "3"], &RECORDING);
    assert_eq!(text(&three.stdout).lines().count(), 4, "the header, too");
    let summary = replay(&["-q", "--summary"], &RECORDING);
    assert_eq!(text(&summary.stdout), "");
    assert!(text(&summary.stderr).contains("\nrto "), "{}", text(&summary.stderr));
}

#[test]
fn another_threshold_is_another_warning() {
    let warned = |args: &[&str]| {
        let output = replay(&[&["--format", "json"], args].concat(), &RECORDING);
        events(&output)
            .iter()
            .filter(|event| event["event"] == "threshold" && event["name"] == "deadline")
            .count()
    };
    let recorded = warned(&[]);
    assert!(recorded >= 1);
    assert_eq!(warned(&["--warn-at", "40"]), recorded, "as it was recorded");
    assert_eq!(warned(&["--warn-at", "100"]), 0);
}

#[test]
fn a_replay_can_be_recorded_and_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy.jsonl");
    let output = replay(&["-q", "-o", copy.to_str().unwrap()], &RECORDING);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(fs::read_to_string(&copy).unwrap(), *RECORDING);
}

#[test]
fn damage_is_told_and_the_exit_code_tells() {
    let mut lines: Vec<&str> = RECORDING.lines().collect();
    lines[5] = &lines[5][..100];
    let output = replay(&["--format", "json"], &(lines.join("\n") + "\n"));
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.starts_with("tcpretrans: standard input:6: not a line of a recording: EOF"), "{said}");
    assert_eq!(events(&output).last().unwrap()["event"], "end", "the rest is complete");

    let cut = &RECORDING[..RECORDING.len() - 200];
    let said = replay(&["-q", "--summary"], cut);
    assert_eq!(said.status.code(), Some(2));
    let said = text(&said.stderr);
    assert!(said.contains(": the file ends within this line\n") && said.contains("has no end"), "{said}");
}

#[test]
fn what_comes_through_a_pipe_is_shown_as_it_comes() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tcpretrans"))
        .args(["replay", "-", "--format", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for line in RECORDING.lines().take(3) {
        stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
        // The pipe stays open: nothing but the line itself can bring this about.
        let mut shown = String::new();
        stdout.read_line(&mut shown).unwrap();
        assert_eq!(shown.trim_end(), line);
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_is_no_recording_is_bad_input() {
    for (args, wrong) in [
        (&["replay", "/no/such/file"][..], "cannot read /no/such/file: No such file"),
        (&["replay", "/proc"], "/proc is a directory: name the files in it"),
        (&["replay", "-", "-"], "- is given twice, but standard input can be read only once"),
        (&["replay", "-"], "standard input is empty: nothing was recorded"),
        (&["replay", "Cargo.toml"], "Cargo.toml is not a recording of tcpretrans: line 1: "),
        (&["replay"], "required arguments were not provided"),
    ] {
        let output = run(args, b"");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(wrong) && said.lines().count() == 1, "{args:?}: {said}");
    }
    let compressed = run(&["replay", "-"], b"\x1f\x8b\x08\x00");
    assert!(text(&compressed.stderr).contains("is compressed: put `zcat |` before it"));
}

#[test]
fn the_middle_of_a_recording_cannot_be_replayed_and_says_why() {
    let (_, rest) = RECORDING.split_once('\n').unwrap();
    let output = replay(&["--format", "json"], rest);
    assert_eq!(text(&output.stdout), "");
    assert!(text(&output.stderr).contains("lines before the first `start` cannot be replayed"));
}

/// Reads a file in both ways and replays it: whatever it is, nothing panics.
fn survive(recording: &[u8]) -> (usize, u64) {
    let mut found = (0, 0);
    for detail in [Detail::WithoutKernel, Detail::Whole] {
        let Ok(mut reader) = Reader::of_memory("fuzz", recording.to_vec(), detail) else { continue };
        let mut trace: Option<Trace> = None;
        let mut latest_ns = 0;
        found.0 = 0;
        for recorded in &mut reader {
            let recorded = recorded.unwrap();
            found.0 += 1;
            if let What::Start(start) = &recorded.event.what {
                trace = Some(Trace::begin(recorded.event.clone(), Changes::default().config(start)));
            }
            latest_ns = latest_ns.max(recorded.event.mono_ns);
            if let Some(trace) = &mut trace {
                observe_line(trace, recorded.event);
            }
        }
        if let Some(mut trace) = trace {
            trace.finish(latest_ns);
        }
        found.1 = reader.damage().count();
    }
    found
}

/// What befalls files.
#[derive(Debug, Clone)]
enum Harm {
    Flip(usize, u8),
    Cut(usize, usize),
    Repeat(usize, usize),
    Insert(usize, &'static str),
    Replace(&'static str, &'static str),
}

fn harm() -> impl Strategy<Value = Harm> {
    let text = prop::sample::select(vec![
        "\0",
        "\n",
        "{",
        "}",
        "\"",
        "\\",
        "[[[[[[[[",
        "null",
        "-1",
        "1e999",
        "18446744073709551616",
        "\u{fffd}",
        ",",
        "{\"ts\":",
        "NaN",
        "\\ud800",
        "0.5",
    ]);
    let (name, value) = (
        prop::sample::select(vec![
            "\"segs\":",
            "\"mono_ns\":",
            "\"flow\":",
            "\"deadline\":",
            "\"kernel\":",
            "\"hz\":",
            "\"icsk_rto\":",
            "\"id\":",
            "\"laddr\":",
            "\"tcp_synack_retries\":",
            "\"jiffies\":",
            "\"ts\":",
            "\"used\":",
        ]),
        prop::sample::select(vec![
            "\"x\":0,\"y\":",
            "4294967295,\"z\":",
            "[],\"z\":",
            "\"\",\"z\":",
            "{\"a\":{}},\"z\":",
        ]),
    );
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Harm::Flip(at, byte)),
        (any::<usize>(), 0_usize..3000).prop_map(|(at, len)| Harm::Cut(at, len)),
        (any::<usize>(), 0_usize..3000).prop_map(|(at, len)| Harm::Repeat(at, len)),
        (any::<usize>(), text).prop_map(|(at, text)| Harm::Insert(at, text)),
        (name, value).prop_map(|(name, value)| Harm::Replace(name, value)),
    ]
}

fn harmed(mut bytes: Vec<u8>, harms: &[Harm]) -> Vec<u8> {
    for harm in harms {
        let at = |at: usize, bytes: &Vec<u8>| at % bytes.len().max(1);
        match harm {
            Harm::Flip(place, byte) => {
                let place = at(*place, &bytes);
                bytes[place] ^= byte;
            }
            Harm::Cut(place, len) => {
                let place = at(*place, &bytes);
                bytes.drain(place..(place + len).min(bytes.len() - 1));
            }
            Harm::Repeat(place, len) => {
                let place = at(*place, &bytes);
                let part = bytes[place..(place + len).min(bytes.len())].to_vec();
                bytes.splice(place..place, part);
            }
            Harm::Insert(place, text) => {
                let place = at(*place, &bytes);
                bytes.splice(place..place, text.bytes());
            }
            Harm::Replace(name, value) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                bytes = text.replacen(name, &format!("{name}{value}"), 3).into_bytes();
            }
        }
    }
    bytes
}

/// The first lines: enough kinds of them, and not too many to read often.
fn some_lines() -> Vec<u8> {
    RECORDING.lines().step_by(2).take(25).flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_befalls_a_recording_nothing_panics(harms in prop::collection::vec(harm(), 1..8)) {
        survive(&harmed(some_lines(), &harms));
    }

    #[test]
    fn whatever_befalls_a_line_it_is_read_or_named(at: usize, harms in prop::collection::vec(harm(), 1..4)) {
        let lines: Vec<&str> = RECORDING.lines().collect();
        let line = harmed(lines[at % lines.len()].as_bytes().to_vec(), &harms);
        for detail in [Detail::Whole, Detail::WithoutKernel] {
            if let Err(error) = Decoder::new(detail).decode(&line) {
                prop_assert!(!error.to_string().is_empty() && error.to_string().len() < line.len() + 200);
            }
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        survive(&bytes);
    }
}

/// Each byte of a few lines, one after the other: what `cargo fuzz` would find first.
#[test]
fn each_single_byte_may_be_wrong() {
    let lines: Vec<&str> = RECORDING.lines().collect();
    let kinds = ["start", "retransmit", "observation", "threshold", "recovered", "closed", "end"];
    for kind in kinds {
        let wanted = format!("\"event\":\"{kind}\"");
        let line = lines.iter().find(|line| line.contains(&wanted)).unwrap_or_else(|| panic!("no {kind}"));
        let mut decoder = Decoder::new(Detail::Whole);
        for at in 0..line.len() {
            for byte in [0, b'"', b'}', b'9', b'-', 0xff] {
                let mut line = line.as_bytes().to_vec();
                line[at] = byte;
                let _ = decoder.decode(&line);
            }
            assert!(decoder.decode(&line.as_bytes()[..at]).is_err(), "cut after {at} bytes: {line}");
        }
    }
}

#[test]
fn deep_nesting_is_no_stack_overflow() {
    let deep = format!("{{\"a\":{}{}}}\n", "[".repeat(400_000), "]".repeat(400_000));
    let (events, damage) = survive(&[RECORDING.as_bytes(), deep.as_bytes()].concat());
    assert_eq!((events, damage), (RECORDING.lines().count(), 1));
}

#[test]
fn files_may_come_in_any_order() {
    let dir = tempfile::tempdir().unwrap();
    let lines: Vec<&str> = RECORDING.lines().collect();
    let (start, rest) = lines.split_first().unwrap();
    let part = |number: usize| start.replace("\"part\":1", &format!("\"part\":{number}"));
    let write = |name: &str, head: &str, lines: &[&str]| {
        let path = dir.path().join(name);
        fs::write(&path, format!("{head}\n{}\n", lines.join("\n"))).unwrap();
        path
    };
    let third = rest.len() / 3;
    let paths = [
        write("log", &part(3), &rest[2 * third..]),
        write("log.1", &part(2), &rest[third..2 * third]),
        write("log.2", &part(1), &rest[..third]),
    ];
    let args: Vec<&str> =
        paths.iter().map(|path: &std::path::PathBuf| path.as_path()).filter_map(Path::to_str).collect();
    let output = run(&[&["replay", "--format", "json"], &args[..]].concat(), b"");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    assert_eq!(text(&output.stdout), *RECORDING);
}
