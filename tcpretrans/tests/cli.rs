//! The command line as a user meets it: the binary, its output, its exit codes.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::{Command, Output, Stdio},
};

const BINARY: &str = env!("CARGO_BIN_EXE_tcpretrans");
const NOBODY: u32 = 65_534;

fn run(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).output().expect("runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// The last paragraph, on one line.
fn last_paragraph(text: &str) -> String {
    let paragraph = text.trim_end().rsplit("\n\n").next().unwrap_or_default();
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Checks that it failed with this code and said one line.
#[track_caller]
fn one_line(output: &Output, code: i32) -> String {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert_eq!(stdout(output), "", "nothing on standard output");
    assert_eq!(said.lines().count(), 1, "one line: {said:?}");
    said.strip_prefix("tcpretrans: ").expect("names the program").trim_end().to_owned()
}

/// Tests that need root are skipped without it, but never in CI.
fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    assert!(root || std::env::var_os("CI").is_none(), "this test needs root");
    root
}

/// A copy of the binary where nobody can run it, and nobody to run it.
fn as_nobody(arguments: &[&str]) -> Output {
    let directory = tempfile::tempdir().expect("a directory");
    let copy = directory.path().join("tcpretrans");
    fs::copy(BINARY, &copy).expect("copies");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("own directory");
    let mut command = Command::new(copy);
    command.args(arguments).current_dir("/");
    if nix::unistd::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.output().expect("runs")
}

#[test]
fn help_and_version_are_no_errors() {
    for (argument, expected) in [
        ("--help", "sudo tcpretrans -p 443,8000-8100"),
        ("-h", "Filters:"),
        ("--version", env!("CARGO_PKG_VERSION")),
    ] {
        let output = run(&[argument]);
        assert_eq!(output.status.code(), Some(0), "{argument}");
        assert!(stdout(&output).contains(expected), "{argument}: {}", stdout(&output));
        assert_eq!(stderr(&output), "");
    }
    assert!(stdout(&run(&["--help"])).contains("3  this machine cannot trace"));
}

#[test]
fn bad_usage_is_one_sentence_and_code_2() {
    let cases: &[(&[&str], &str)] = &[
        (&["--prot", "443"], "unexpected argument '--prot' found; tip: a similar argument exists: '--port' "),
        (&["-p"], "a value is required for '--port <LIST>' but none was supplied "),
        (&["-o", ""], "a value is required for '--output <FILE>' but none was supplied "),
        (&["--format", "xml"], "invalid value 'xml' for '--format <FORMAT>' [possible values: table, json] "),
        (&["frobnicate"], "unrecognized subcommand 'frobnicate' "),
        (&["-n", "1", "-n", "2"], "the argument '--count <N>' cannot be used multiple times "),
        (&["-p", "443", "doctor"], "the subcommand 'doctor' cannot be used with '--port <LIST>' "),
        (&["completions", "cobol"], "invalid value 'cobol' for '<SHELL>' [possible values: bash, "),
        (&["-p", "http"], "--port: 'http' is not a port (a number from 0 to 65535)"),
        (&["-4", "-6"], "-4 and -6 together match nothing: "),
        (&["-4", "-a", "::1"], "-4 and --addr ::1 together match nothing: "),
        (&["-t", "timeout"], "--type: there is no retransmission type 'timeout' (there are syn, synack, "),
        (&["-d", "0"], "--duration: must be more than zero"),
        (&["-n", "0"], "--count: must be at least 1"),
        (&["--rotate-size", "1M"], "--rotate-size needs a log to rotate: add -o FILE"),
        (&["--netns", "4194305"], "--netns: no process has PID 4194305; "),
        (&["--netns", "/proc/self/ns/mnt"], "--netns: /proc/self/ns/mnt is not a network namespace"),
        (&["--cgroup", "/no/such.slice"], "--cgroup: "),
        (&["-o", "/nonexistent/log"], "--output: there is no directory /nonexistent for /nonexistent/log"),
        (&["doctor", "--format", "xml"], "invalid value 'xml' for '--format <FORMAT>' "),
    ];
    for (arguments, expected) in cases {
        let said = one_line(&run(arguments), 2);
        assert!(said.starts_with(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn completions_know_the_options() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = run(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0));
        assert!(stdout(&output).contains("rotate-size"), "{shell}");
    }
}

#[test]
fn the_manual_page_is_roff_and_has_every_option() {
    let page = stdout(&run(&["man"]));
    for text in [
        ".TH tcpretrans 1",
        "\\-\\-rotate\\-size",
        "\\-\\-netns",
        "tcpretrans doctor",
        "\\-\\-since TIME",
        "\\-\\-detect\\-within TIME",
        "too: filters, output.",
        "EXIT STATUS",
        "EXAMPLES",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
}

#[test]
fn a_closed_pipe_is_the_end_and_no_error() {
    for arguments in [&["man"][..], &["completions", "bash"], &["--help"], &["doctor"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let child = Command::new(BINARY).args(arguments).stdout(writer).stderr(Stdio::piped()).spawn();
        let output = child.expect("runs").wait_with_output().expect("ends");
        assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()), "{arguments:?}");
    }
}

#[test]
fn without_rights_tracing_ends_with_3_and_the_remedy() {
    let said = one_line(&as_nobody(&[]), 3);
    assert!(
        said.starts_with("no privilege to load BPF programs (missing: CAP_BPF, CAP_PERFMON): "),
        "{said}"
    );
    assert!(said.contains("sudo setcap cap_bpf,cap_perfmon=ep /"), "{said}");
}

#[test]
fn without_rights_the_doctor_tells_what_it_can() {
    let output = as_nobody(&["doctor"]);
    let text = stdout(&output);
    assert_eq!((output.status.code(), stderr(&output)), (Some(3), String::new()), "{text}");
    for expected in ["ok        BTF", "missing   privileges", "tcp_retransmit_skb", "tcp_retries2="] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let verdict = last_paragraph(&text);
    assert!(verdict.starts_with("Cannot trace here: no privilege to load BPF programs"), "{verdict}");
    assert!(!text.contains('\x1b'), "no colour in a pipe");
}

#[test]
fn with_rights_the_doctor_proves_that_tracing_works() {
    if !is_root() {
        return;
    }
    let output = run(&["doctor", "--format", "json"]);
    let findings: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(output.status.code(), Some(0), "{findings:#}");
    assert_eq!(findings["can_trace"], true);
    let hz = findings["hz"].as_u64().expect("measured");
    assert!((24..=1200).contains(&hz), "{hz}");
    let own = &findings["namespaces"][0];
    let namespace = fs::read_link("/proc/self/ns/net").expect("/proc");
    assert_eq!(format!("net:[{}]", own["netns"]), namespace.to_str().expect("ASCII"));
    let retries2 = fs::read_to_string("/proc/sys/net/ipv4/tcp_retries2").expect("a sysctl");
    let told =
        own["sysctls"].as_array().expect("a list").iter().find(|setting| setting["name"] == "tcp_retries2");
    assert_eq!(told.expect("listed")["value"].to_string(), retries2.trim());
}

/// Runs the binary where mounts hide a part of the kernel's files.
fn behind_mounts(script: &str, arguments: &str) -> Output {
    Command::new("unshare")
        .args(["--mount", "sh", "-ec", &format!("{script}; exec '{BINARY}' {arguments}")])
        .output()
        .expect("util-linux")
}

#[test]
fn what_even_root_lacks_is_named() {
    if !is_root() {
        return;
    }
    let no_btf = "mount -t tmpfs none /sys/kernel/btf";
    let locked = "mount -t tmpfs none /sys/kernel/security; \
                  echo 'none integrity [confidentiality]' > /sys/kernel/security/lockdown";
    for (script, expected) in [
        (no_btf, "this kernel has no BTF type information (/sys/kernel/btf/vmlinux does not exist): "),
        (locked, "the kernel is locked down (confidentiality mode"),
    ] {
        let said = one_line(&behind_mounts(script, ""), 3);
        assert!(said.starts_with(expected), "{said}");
        let doctor = behind_mounts(script, "doctor");
        assert_eq!(doctor.status.code(), Some(3));
        let text = stdout(&doctor);
        let verdict = last_paragraph(&text);
        assert!(verdict.starts_with(&format!("Cannot trace here: {expected}")), "{text}");
    }
    let damaged = format!("{no_btf}; echo damaged, and long enough > /sys/kernel/btf/vmlinux");
    let doctor = behind_mounts(&damaged, "doctor");
    assert_eq!(doctor.status.code(), Some(3));
    let verdict = "Cannot trace here: /sys/kernel/btf/vmlinux is not usable BTF: it does not begin with the BTF \
                   magic number of this machine's byte order";
    assert_eq!(last_paragraph(&stdout(&doctor)), verdict);
}

#[test]
fn the_root_of_a_user_namespace_is_told_so() {
    if !is_root() {
        return;
    }
    let output =
        Command::new("unshare").args(["--user", "--map-root-user", BINARY]).output().expect("util-linux");
    let said = one_line(&output, 3);
    assert!(said.starts_with("this process runs in a user namespace, "), "{said}");
}

#[test]
fn a_root_without_capabilities_is_told_so() {
    if !is_root() {
        return;
    }
    let drop = ["--bounding-set", "-sys_admin,-bpf,-perfmon", BINARY];
    let said = one_line(&Command::new("setpriv").args(drop).output().expect("util-linux"), 3);
    assert!(said.ends_with("(--cap-add BPF --cap-add PERFMON)"), "{said}");
}

#[test]
fn the_doctor_tells_changed_settings_of_a_named_namespace() {
    if !is_root() {
        return;
    }
    let name = format!("tcpretrans-doctor-{}", std::process::id());
    let ip = |arguments: &[&str]| {
        let status = Command::new("ip").arg("netns").args(arguments).status().expect("iproute2");
        assert!(status.success(), "ip netns {arguments:?}");
    };
    ip(&["add", &name]);
    ip(&["exec", &name, "sysctl", "-qw", "net.ipv4.tcp_retries2=5"]);
    let output = run(&["doctor"]);
    ip(&["delete", &name]);
    let text = stdout(&output);
    let section = text.split_once(&format!("(ip netns {name})\n")).expect("listed").1;
    let section: Vec<&str> = section.lines().take_while(|line| !line.is_empty()).collect();
    assert_eq!(
        section,
        [
            "  changed   tcp_retries2=5  gives up at the first timer that expires 12.6 s or",
            "                            more after the first retransmission (default 15)",
        ]
    );
}
