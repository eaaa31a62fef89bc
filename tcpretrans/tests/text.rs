//! What all commands have in common when they write for people: how wide, and in which colours.

#[path = "shared/fits.rs"]
mod fits;

use std::{
    fs::File,
    io::Read,
    process::{Command, Stdio},
    sync::LazyLock,
    thread,
};

use nix::pty::{OpenptyResult, Winsize, openpty};

const WIDTHS: [u16; 4] = [60, 80, 100, 200];
const NIGHT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings/night.jsonl");
const ADVISE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/advise/recording.jsonl");

/// The recording of `tcpretrans demo`, which has the kernel's records in it.
static DEMO: LazyLock<tempfile::NamedTempFile> = LazyLock::new(|| {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), tcpretrans::internals::demo_recording().expect("unpacks")).expect("writes");
    file
});

/// Commands that write for people, and do not need root.
fn commands() -> Vec<Vec<String>> {
    let demo = DEMO.path().to_str().expect("UTF-8");
    let mut commands: Vec<Vec<&str>> = vec![
        vec!["doctor"],
        vec!["demo", "--no-wait"],
        vec!["-h"],
        vec!["--help"],
        vec!["replay", demo, "-q", "--summary"],
        vec!["advise", ADVISE, "--rto-min", "30", "--detect-within", "10s"],
    ];
    for command in ["replay", "report", "advise", "demo", "doctor", "completions", "man"] {
        commands.push(vec![command, "--help"]);
    }
    for recording in [demo, NIGHT, ADVISE] {
        commands.extend(["replay", "report", "advise"].map(|command| vec![command, recording]));
        let groups = ["remote", "port", "process", "cgroup", "netns"];
        commands.extend(groups.map(|by| vec!["report", recording, "--by", by]));
    }
    commands.into_iter().map(|command| command.into_iter().map(str::to_owned).collect()).collect()
}

type Environment<'a> = &'a [(&'a str, &'a str)];

fn command(arguments: &[String], environment: Environment<'_>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcpretrans"));
    for variable in ["COLUMNS", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
        command.env_remove(variable);
    }
    command.env("TERM", "xterm-256color").envs(environment.iter().copied());
    command.args(arguments).stdin(Stdio::null());
    command
}

fn in_a_pipe(arguments: &[String], environment: Environment<'_>) -> String {
    let output = command(arguments, environment).output().expect("runs");
    String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8")
}

/// What a terminal shows of both outputs.
fn on_a_terminal(columns: u16, arguments: &[String], environment: Environment<'_>) -> String {
    let size = Winsize { ws_row: 30, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let OpenptyResult { master, slave } = openpty(&size, None).expect("a terminal");
    let mut command = command(arguments, environment);
    command.stdout(slave.try_clone().expect("a descriptor")).stderr(slave);
    let mut child = command.spawn().expect("runs");
    // Its copies of the terminal's other end would keep the reader waiting.
    drop(command);
    let reader = thread::spawn(move || {
        let (mut terminal, mut all, mut buffer) = (File::from(master), Vec::new(), [0; 4096]);
        // The end is told by EIO.
        while let Ok(len @ 1..) = terminal.read(&mut buffer) {
            all.extend_from_slice(&buffer[..len]);
        }
        String::from_utf8(all).expect("UTF-8")
    });
    child.wait().expect("ends");
    reader.join().expect("reads")
}

#[test]
fn no_line_is_wider_than_the_terminal_or_than_columns_says() {
    for arguments in commands() {
        for columns in WIDTHS {
            let asked = columns.to_string();
            for text in [
                on_a_terminal(columns, &arguments, &[]),
                on_a_terminal(333, &arguments, &[("COLUMNS", &asked)]),
                in_a_pipe(&arguments, &[("COLUMNS", &asked)]),
            ] {
                assert!(!text.is_empty(), "{arguments:?}");
                println!("{arguments:?}");
                fits::fits(&text, columns.into(), &fits::COMMANDS);
            }
        }
    }
}

#[test]
fn without_a_terminal_and_without_columns_it_is_80_and_the_table_in_full() {
    for arguments in commands() {
        let text = in_a_pipe(&arguments, &[]);
        let in_full =
            ["replay", "demo"].contains(&arguments[0].as_str()) && !arguments.contains(&"-q".into());
        if !in_full || arguments.contains(&"--help".into()) {
            fits::fits(&text, 80, &fits::COMMANDS);
        } else if !arguments.contains(&ADVISE.into()) && !arguments.contains(&NIGHT.into()) {
            assert!(!fits::too_wide(&text, 200, &fits::COMMANDS).is_empty(), "{text}");
            assert!(!text.contains('…'), "{text}");
        }
        if arguments[0] != "doctor" {
            for nonsense in ["", "0", "-3", "wide"] {
                assert_eq!(in_a_pipe(&arguments, &[("COLUMNS", nonsense)]), text, "COLUMNS={nonsense}");
            }
        }
    }
}

#[test]
fn columns_are_used() {
    let widest = |columns: &str, arguments: &[&str]| {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let text = in_a_pipe(&arguments, &[("COLUMNS", columns)]);
        text.lines().map(|line| line.chars().count()).max().expect("lines")
    };
    for arguments in [&["report", NIGHT][..], &["doctor"], &["--help"], &["replay", NIGHT]] {
        assert!(widest("60", arguments) < widest("100", arguments), "{arguments:?}");
    }
}

#[test]
fn colour_by_the_same_conventions_in_all_commands() {
    let cases: [(bool, Environment<'_>, bool); 11] = [
        (true, &[], true),
        (false, &[], false),
        (true, &[("NO_COLOR", "1")], false),
        (true, &[("NO_COLOR", "")], true),
        (false, &[("CLICOLOR_FORCE", "1")], true),
        (false, &[("CLICOLOR_FORCE", "0")], false),
        (false, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
        (true, &[("CLICOLOR", "0")], false),
        (false, &[("CLICOLOR", "1")], false),
        (true, &[("TERM", "dumb")], false),
        (false, &[("TERM", "dumb"), ("CLICOLOR_FORCE", "1")], true),
    ];
    let demo = DEMO.path().to_str().expect("UTF-8");
    for arguments in [
        &["doctor"][..],
        &["demo", "--no-wait"],
        &["replay", demo],
        &["replay", demo, "-q", "--summary"],
        &["report", NIGHT],
        &["report", NIGHT, "--by", "process"],
        &["advise", ADVISE],
        &["--help"],
    ] {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        for (terminal, environment, expected) in cases {
            let text = match terminal {
                true => on_a_terminal(80, &arguments, environment),
                false => in_a_pipe(&arguments, environment),
            };
            let coloured = text.contains('\x1b');
            assert_eq!(coloured, expected, "{arguments:?}, terminal: {terminal}, {environment:?}:\n{text}");
        }
    }
}

#[test]
fn json_has_neither_colour_nor_width() {
    let forced = [("CLICOLOR_FORCE", "1"), ("COLUMNS", "60")];
    let demo = DEMO.path().to_str().expect("UTF-8");
    for arguments in [&["report", NIGHT][..], &["advise", ADVISE], &["replay", demo]] {
        let arguments: Vec<String> =
            arguments.iter().chain(&["--format", "json"]).map(|&argument| argument.to_owned()).collect();
        assert_eq!(in_a_pipe(&arguments, &forced), in_a_pipe(&arguments, &[]), "{arguments:?}");
    }
}
