//! `tcpretrans advise` on a recording that was made in the lab (`xtask/tests/live/advise/fixture.rs`), its lines other than
//! observations.
//!
//! `UPDATE_SNAPSHOTS=1` writes the expected texts anew: look at the difference before you commit it.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tcpretrans::{
    event::{RetransmitType, What},
    internals::{Estimator, Past},
    recording::{Detail, Reader},
    socket::Hz,
};

const RECORDING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/advise/recording.jsonl");

fn run(columns: usize, args: &[&str]) -> Output {
    command(columns, args).output().expect("runs")
}

fn command(columns: usize, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcpretrans"));
    command.arg("advise").args(args).env("COLUMNS", columns.to_string()).env("TZ", "UTC");
    command.env_remove("CLICOLOR_FORCE").stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    text(&output.stdout)
}

fn json(args: &[&str]) -> Value {
    let output = succeeded(&run(80, &[args, &["--format", "json", RECORDING]].concat()));
    serde_json::from_str(&output).expect("one JSON object")
}

#[track_caller]
fn check_expected(name: &str, found: &str) {
    let path: PathBuf = Path::new(RECORDING).with_file_name(name);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, found).expect("writes");
    }
    let expected = fs::read_to_string(&path).expect("the expected text");
    assert!(found == expected, "{name} differs; found:\n{found}");
}

#[test]
fn the_text_for_80_columns() {
    let found = succeeded(&run(80, &[RECORDING]));
    check_expected("80.txt", &found);
    let too_long: Vec<&str> =
        found.lines().filter(|line| line.chars().count() > 80 && !line.starts_with("      ")).collect();
    assert!(too_long.is_empty(), "only commands may be longer: {too_long:#?}");
}

#[test]
fn the_text_for_100_columns_and_other_questions() {
    let found = succeeded(&run(100, &["--rto-min", "30", "--detect-within", "10s", RECORDING]));
    check_expected("100.txt", &found);
}

#[test]
fn the_json_form() {
    let found = json(&[]);
    check_expected("advice.json", &format!("{found:#}\n"));
}

#[test]
fn every_field_is_documented() {
    fn names<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| {
                found.push(name);
                names(value, found);
            }),
            Value::Array(values) => values.iter().for_each(|value| names(value, found)),
            _ => {}
        }
    }
    let page =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/advise.md")).expect("the page");
    let advice = json(&[]);
    let mut found = Vec::new();
    names(&advice, &mut found);
    let missing: Vec<&&str> = found.iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "not in docs/advise.md: {missing:?}");
}

#[test]
fn colour_only_where_it_is_wanted() {
    let plain = succeeded(&run(80, &[RECORDING]));
    assert!(!plain.contains('\x1b'));
    let coloured = command(80, &[RECORDING]).env("CLICOLOR_FORCE", "1").output().expect("runs");
    let coloured = succeeded(&coloured);
    assert!(coloured.contains("\x1b["));
    let mut bare = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\x1b') {
        bare.push_str(before);
        rest = after.split_once('m').expect("an escape sequence").1;
    }
    bare.push_str(rest);
    assert_eq!(bare, plain, "colour changes nothing else");
    let without = command(80, &[RECORDING]).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").output();
    assert_eq!(succeeded(&without.expect("runs")), plain);
}

/// What the advice rests on: on a real kernel's records, the arithmetic gives the very RTO that the kernel had.
#[test]
fn the_estimator_agrees_with_the_kernel_to_a_jiffy() {
    let reader = Reader::open(&[RECORDING.into()], Detail::Whole).expect("a recording");
    let (mut hz, mut checked) = (None, 0);
    for recorded in reader {
        match recorded.expect("readable").event.what {
            What::Start(start) => hz = Some(Hz::new(start.hz)),
            What::Retransmit(it) if it.ty == RetransmitType::Rto && it.backoff == 0 => {
                let (hz, sock) = (hz.expect("start comes first"), &it.record.sock);
                let mut past = Past::default();
                past.learn(sock, hz);
                let estimator = Estimator::of(sock, &past, hz).expect("measured");
                let rto = estimator.rto(estimator.floor);
                assert_eq!(rto, sock.icsk_rto.into(), "{estimator:?}");
                let rto_ms = it.rto_ms.expect("a timer's");
                assert_eq!(hz.jiffies_to_msecs(rto).0, rto_ms);
                checked += 1;
            }
            _ => {}
        }
    }
    assert!(checked >= 5, "only {checked}");
}

#[test]
fn filters_narrow_the_evidence() {
    let losses = |args: &[&str]| json(args)["rto_min"]["evidence"]["losses"].clone();
    let all = losses(&[]);
    assert_eq!(all, 20);
    assert_eq!(losses(&["--raddr", "10.77.0.0/24"]), all);
    assert_eq!(losses(&["--raddr", "10.88.0.0/24"]), 0);
    assert_eq!(losses(&["-t", "syn"]), 0);
    assert_eq!(json(&["-t", "syn"])["connect_timeout"]["succeeded"]["count"], 4);
}

#[test]
fn no_evidence_is_no_advice() {
    let said = succeeded(&run(80, &["--raddr", "10.88.0.0/24", RECORDING]));
    let unwrapped = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(unwrapped.matches("too few to say anything").count(), 4, "{said}");
    assert!(!said.contains("sysctl -w"), "{said}");
}

#[test]
fn standard_input_is_a_recording_too() {
    let mut child = command(80, &["-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("runs");
    let recording = fs::read(RECORDING).expect("readable");
    child.stdin.take().expect("piped").write_all(&recording).expect("writes");
    let output = child.wait_with_output().expect("ends");
    assert_eq!(text(&output.stdout), succeeded(&run(80, &[RECORDING])));
}

#[test]
fn damage_is_told_and_the_rest_is_used() {
    let dir = tempfile::tempdir().expect("a directory");
    let damaged = dir.path().join("damaged.jsonl");
    let recording = fs::read_to_string(RECORDING).expect("readable");
    let (first, rest) = recording.split_once('\n').expect("lines");
    fs::write(&damaged, format!("{first}\n{{\"broken\n{rest}")).expect("writes");
    let output = run(80, &[damaged.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout), succeeded(&run(80, &[RECORDING])));
    let said = text(&output.stderr);
    assert!(said.starts_with("tcpretrans: ") && said.contains("damaged.jsonl:2: "), "{said}");
}

#[test]
fn bad_usage_is_one_sentence() {
    for (args, sentence) in [
        (&["--rto-min", "x", RECORDING][..], "--rto-min: 'x' is not a number of milliseconds (10,20,50)"),
        (&["--detect-within", "0", RECORDING], "--detect-within: must be more than zero"),
        (&["-4", "-6", RECORDING], "-4 and -6 together match nothing: leave both out to see both"),
    ] {
        let output = run(80, args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert_eq!(text(&output.stderr), format!("tcpretrans: {sentence}\n"));
    }
    let output = run(80, &["/no/such/file"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr).lines().count(), 1);
}
