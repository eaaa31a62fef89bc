//! `tcpretrans report` as a user meets it, on the recording of a bad night (`tests/recordings/README.md`).

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_tcpretrans");

fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings")
}

fn night() -> PathBuf {
    recordings().join("night.jsonl")
}

/// `tcpretrans report ARGUMENTS`, where it is always UTC and nobody wants colour.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("report").args(arguments).env("TZ", "UTC").stdin(Stdio::null());
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS"] {
        command.env_remove(variable);
    }
    command
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().expect("runs")
}

fn on(file: &Path, options: &[&str]) -> Output {
    let file = file.to_str().expect("UTF-8");
    run(&[&[file], options].concat())
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

#[track_caller]
fn clean(output: &Output) -> String {
    assert_eq!((output.status.code(), stderr(output)), (Some(0), String::new()), "{}", stdout(output));
    stdout(output)
}

fn json(file: &Path, options: &[&str]) -> Value {
    let text = clean(&on(file, &[&["--format", "json"], options].concat()));
    assert_eq!(text.lines().count(), 1, "one object on one line");
    serde_json::from_str(&text).expect("JSON")
}

fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_else(|| panic!("{field} is no number in {value}"))
}

fn lines() -> Vec<String> {
    fs::read_to_string(night()).expect("committed").lines().map(str::to_owned).collect()
}

fn events(kind: &str) -> Vec<Value> {
    let parsed = lines().into_iter().map(|line| serde_json::from_str::<Value>(&line).expect("JSON"));
    parsed.filter(|event| event["event"] == kind).collect()
}

/// A recording of these lines.
fn file(lines: &[String]) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".jsonl").tempfile().expect("a file");
    lines.iter().for_each(|line| writeln!(file, "{line}").expect("writes"));
    file
}

/// Compares with what is committed; `UPDATE_SNAPSHOTS=1` commits anew.
#[track_caller]
fn is_as_committed(name: &str, text: &str) {
    let path = recordings().join(name);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, text).expect("writes");
    }
    let committed = fs::read_to_string(&path).expect("committed");
    assert_eq!(
        text, committed,
        "{name} is out of date; UPDATE_SNAPSHOTS=1 writes it anew; now it is:\n{text}"
    );
}

#[test]
fn the_overview_fits_on_a_screen_and_is_as_committed() {
    let text = clean(&on(&night(), &[]));
    is_as_committed("night.overview.txt", &text);
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert!(text.lines().count() <= 48 && widest <= Some(80), "{text}");
}

#[test]
fn the_tables_by_group_are_as_committed() {
    let groups = ["remote", "port", "process", "cgroup", "netns"];
    let tables: Vec<String> = groups
        .iter()
        .map(|group| {
            let text = clean(&on(&night(), &["--by", group]));
            let table = text.split_once("\n\n").expect("a table below the headline").1.to_owned();
            table.split("\n\n").next().expect("the table").to_owned() + "\n"
        })
        .collect();
    is_as_committed("night.by.txt", &tables.join("\n"));
}

#[test]
fn the_documentation_shows_what_is_printed() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/recordings.md");
    let page = fs::read_to_string(page).expect("committed");
    let overview = clean(&on(&night(), &[]));
    let by_process = clean(&on(&night(), &["--by", "process"]));
    for text in [overview.as_str(), by_process.split("\n\n").nth(1).expect("a table")] {
        assert!(page.contains(text), "docs/recordings.md shows something else than:\n{text}");
    }
}

/// The names of fields; those below `end`'s maps are data.
fn fields(value: &Value, names: &mut std::collections::BTreeSet<String>) {
    const MAPS: [&str; 9] =
        ["events", "segs", "bytes", "failed", "failed_segs", "errors", "timeouts", "lost", "filters"];
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                names.insert(name.clone());
                if !MAPS.contains(&name.as_str()) {
                    fields(value, names);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| fields(value, names)),
        _ => {}
    }
}

#[test]
fn every_field_is_documented() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/recordings.md");
    let page = fs::read_to_string(page).expect("committed");
    let page = page.split_once("### `--format json`").expect("a section").1;
    let mut names = std::collections::BTreeSet::new();
    fields(&json(&night(), &[]), &mut names);
    assert!(names.len() > 60, "{names:?}");
    let missing: Vec<_> = names.iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/recordings.md says nothing of {missing:?}");
}

#[test]
fn totals_are_those_of_the_recordings_own_ends() {
    let report = json(&night(), &[]);
    let ends = events("end");
    assert_eq!(ends.len(), 2);
    let sum = |path: &str| -> std::collections::BTreeMap<String, u64> {
        let mut sum = std::collections::BTreeMap::new();
        for end in &ends {
            for (name, count) in end.pointer(path).and_then(Value::as_object).expect(path) {
                *sum.entry(name.clone()).or_default() += count.as_u64().expect("a number");
            }
        }
        sum
    };
    for path in ["/events/retransmit", "/events/closed", "/segs", "/bytes", "/failed", "/timeouts", "/lost"] {
        assert_eq!(report.pointer(path), Some(&serde_json::to_value(sum(path)).expect("JSON")), "{path}");
    }
    for field in ["threshold", "recovered"] {
        let sum: u64 = ends.iter().map(|end| number(&end["events"], field)).sum();
        assert_eq!(number(&report["events"], field), sum, "{field}");
    }
}

#[test]
fn each_group_is_counted_as_jq_would() {
    let retransmits = events("retransmit");
    let sent = |event: &&Value| event["err"].is_null();
    for (by, pointer) in [
        ("remote", "/flow/raddr"),
        ("port", "/flow/rport"),
        ("process", "/flow/comm"),
        ("cgroup", "/flow/cgroup"),
        ("netns", "/flow/netns"),
    ] {
        let report = json(&night(), &["--by", by, "--top", "1000"]);
        let only: Vec<&String> = report["by"].as_object().expect("an object").keys().collect();
        assert_eq!(only, [by]);
        let mut all = 0;
        for group in report["by"][by]["groups"].as_array().expect("a list") {
            let of_group =
                retransmits.iter().filter(sent).filter(|event| event.pointer(pointer) == Some(&group[by]));
            // The one flow whose owner became known late belongs to its owner.
            if by != "process" {
                assert_eq!(number(group, "retransmissions"), of_group.count() as u64, "{by} {group}");
            }
            all += number(group, "retransmissions");
        }
        assert_eq!(all, retransmits.iter().filter(sent).count() as u64, "{by}");
        assert_eq!(number(&report["by"][by]["others"], "groups"), 0);
    }
}

#[test]
fn others_are_summed_up() {
    let report = json(&night(), &["--by", "process", "--top", "2"]);
    let process = &report["by"]["process"];
    let shown: u64 =
        process["groups"].as_array().expect("a list").iter().map(|group| number(group, "deaths")).sum();
    assert_eq!(process["groups"].as_array().expect("a list").len(), 2);
    assert_eq!(shown + number(&process["others"], "deaths"), number(&report, "deaths"));
    let text = clean(&on(&night(), &["--by", "process", "--top", "2"]));
    assert!(text.contains(" others "), "{text}");
}

#[test]
fn since_and_until_cut_the_recording_in_two() {
    let retransmits = events("retransmit");
    let middle = retransmits[retransmits.len() / 2]["ts"].as_str().expect("a time").to_owned();
    let all = number(&json(&night(), &[]), "retransmissions");
    let before = json(&night(), &["--until", &middle]);
    let after = json(&night(), &["--since", &middle]);
    assert_eq!((&before["until"], &after["since"]), (&Value::from(&*middle), &Value::from(&*middle)));
    let counts = [number(&before, "retransmissions"), number(&after, "retransmissions")];
    assert_eq!(counts[0] + counts[1], all);
    assert!(counts.iter().all(|&count| count > 0), "{counts:?}");

    // Every form of the same second.
    let second = &middle[11..19];
    let date = &middle[..10];
    let of = |since: &str| number(&json(&night(), &["--since", since]), "retransmissions");
    let by_time = of(second);
    assert_eq!(by_time, of(&format!("{date} {second}")));
    assert_eq!(by_time, of(&format!("{date}T{second}Z")));
    assert_eq!(of("30d"), all);
    assert_eq!(of("1s"), 0, "the last second was quiet");
}

#[test]
fn a_quiet_time_says_so() {
    let output = on(&night(), &["--since", "2030-01-01", "--comm", "java"]);
    let text = clean(&output);
    assert!(text.contains("Only from 2030-01-01 00:00:00, comm java\n"), "{text}");
    assert!(text.ends_with("Nothing that was asked for happened.\n"), "{text}");
    let report = json(&night(), &["--since", "2030-01-01"]);
    assert_eq!((number(&report, "flows"), &report["timeline"]["begin"]), (0, &Value::Null));
    let lines = lines();
    let (start, end) =
        (&lines[0], lines.iter().find(|line| line.contains(r#""event":"end""#)).expect("an end"));
    let quiet = file(&[start.clone(), end.clone()]);
    let text = clean(&on(quiet.path(), &[]));
    assert!(text.ends_with("Nothing happened: no retransmission, no failed connection.\n"), "{text}");
}

#[test]
fn filters_choose_flows() {
    let of = |options: &[&str]| json(&night(), options);
    let one = of(&["--comm", "orders-api"]);
    assert_eq!(one["by"]["process"]["groups"].as_array().map(Vec::len), Some(1));
    assert_eq!(one["filters"]["comm"], "orders-api");
    let syn = of(&["-t", "syn"]);
    let types: Vec<&String> = syn["events"]["retransmit"].as_object().expect("an object").keys().collect();
    assert_eq!(types, ["syn"]);
    assert!(number(&syn["events"]["closed"], "connect_timeout") > 0, "what became of them");
    let (four, six) = (of(&["-4"]), of(&["-6"]));
    let sum = number(&four, "retransmissions") + number(&six, "retransmissions");
    assert_eq!(sum, number(&of(&[]), "retransmissions"));
    assert_eq!(number(&of(&["--raddr", "10.20.0.0/24", "-p", "5432"]), "deaths"), 4);
}

#[test]
fn damaged_lines_are_told_and_skipped() {
    let mut damaged = lines();
    damaged.insert(10, "{\"ts\":\"no".to_owned());
    damaged.insert(20, "\u{0}\u{0}".to_owned());
    let file = file(&damaged);
    let output = on(file.path(), &[]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    for line in [11, 21] {
        assert!(said.contains(&format!("{}:{line}: ", file.path().display())), "{said}");
    }
    let text = stdout(&output);
    assert!(text.contains("2 damaged lines were skipped\n"), "{text}");
    let whole = clean(&on(&night(), &[]));
    assert_eq!(text.replace("2 damaged lines were skipped\n", ""), whole, "the rest is complete");
}

#[test]
fn a_recording_without_its_end_says_so() {
    let lines = lines();
    let last = lines.iter().rposition(|line| line.contains(r#""event":"end""#)).expect("an end");
    let output = on(file(&lines[..last]).path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("1 session has no end: "), "{}", stdout(&output));
}

#[test]
fn order_and_number_of_files_do_not_matter() {
    let lines = lines();
    let second = lines.iter().rposition(|line| line.contains(r#""event":"start""#)).expect("a start");
    let (one, two) = (file(&lines[..second]), file(&lines[second..]));
    let whole = clean(&on(&night(), &[]));
    for files in [[&one, &two], [&two, &one]] {
        let files = files.map(|file| file.path().to_str().expect("UTF-8"));
        assert_eq!(clean(&run(&files)), whole);
    }
    let mut child = command(&["-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("runs");
    let text = fs::read(night()).expect("committed");
    child.stdin.take().expect("a pipe").write_all(&text).expect("writes");
    let output = child.wait_with_output().expect("ends");
    assert_eq!(String::from_utf8(output.stdout).expect("UTF-8"), whole);
}

#[test]
fn bad_usage_is_one_sentence_and_code_2() {
    let night = night();
    let night = night.to_str().expect("UTF-8");
    let empty = file(&[]);
    let empty = empty.path().to_str().expect("UTF-8");
    let cases: &[(&[&str], &str)] = &[
        (&[], "the following required arguments were not provided: <FILE>... "),
        (&["/no/such.jsonl"], "cannot read /no/such.jsonl: No such file or directory"),
        (&["/"], "/ is a directory"),
        (&[empty], "/"),
        (&[BINARY], "/"),
        (&[night, "--by", "colour"], "invalid value 'colour' for '--by <GROUP>' [possible values: remote, "),
        (
            &[night, "--format", "table"],
            "invalid value 'table' for '--format <FORMAT>' [possible values: text, ",
        ),
        (&[night, "--top", "0"], "--top: must be at least 1"),
        (&[night, "--since", "yesterday"], "--since: 'yesterday' is not a time: give 03:00, "),
        (&[night, "--until", "25:00"], "--until: '25:00' is not a time: "),
        (&[night, "--since", "1h", "--until", "2h"], "--since and --until leave no time between them"),
        (&["-", "--since", "2h"], "--since: the end of standard input is not known in advance: "),
        (&[night, "-4", "-6"], "-4 and -6 together match nothing: "),
        (&[night, "-t", "timeout"], "--type: there is no retransmission type 'timeout' "),
        (&["-", "-"], "- is given twice"),
    ];
    for (arguments, expected) in cases {
        let output = run(arguments);
        let said = stderr(&output);
        assert_eq!(
            (output.status.code(), stdout(&output)),
            (Some(2), String::new()),
            "{arguments:?}: {said}"
        );
        assert_eq!(said.lines().count(), 1, "{arguments:?}: {said}");
        let said = said.strip_prefix("tcpretrans: ").expect("names the program");
        assert!(said.starts_with(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn colour_only_where_it_is_wanted_and_the_text_is_the_same() {
    let plain = clean(&on(&night(), &[]));
    assert!(!plain.contains('\x1b'));
    let night = night();
    let night = night.to_str().expect("UTF-8");
    let coloured = command(&[night]).env("CLICOLOR_FORCE", "1").output().expect("runs");
    let coloured = clean(&coloured);
    assert!(coloured.contains("\x1b[1m\x1b[31m"), "deaths are red");
    let mut text = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\x1b') {
        text.push_str(before);
        rest = after.split_once('m').expect("an escape sequence").1;
    }
    text.push_str(rest);
    let trimmed: Vec<&str> = text.lines().map(str::trim_end).collect();
    assert_eq!(trimmed, plain.lines().collect::<Vec<_>>());
    let refused = command(&[night]).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").output().expect("runs");
    assert_eq!(clean(&refused), plain);
}

#[test]
fn a_closed_pipe_is_the_end_and_no_error() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let night = night();
    let child = command(&[night.to_str().expect("UTF-8")]).stdout(writer).stderr(Stdio::piped()).spawn();
    let output = child.expect("runs").wait_with_output().expect("ends");
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
}
