//! `cargo xtask run`: builds the tracer and becomes it, with sudo only where tracing needs it.

use std::{
    convert::Infallible,
    ffi::OsString,
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, anyhow, bail};

use crate::workspace;

/// What the tracer can do without rights: everything that does not load programs.
const UNPRIVILEGED: [&str; 8] =
    ["demo", "replay", "report", "advise", "doctor", "completions", "man", "help"];
const UNPRIVILEGED_FLAGS: [&str; 4] = ["-h", "--help", "-V", "--version"];

/// Capability numbers of `include/uapi/linux/capability.h`.
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// Builds the tracer and replaces this process with it.
///
/// Replacing makes the tracer the process that the terminal's Ctrl-C and the caller's wait mean: signals and the
/// exit code need no forwarding, and nothing can die before it.
///
/// # Errors
/// If it does not build, cannot be started, or needs rights that there is no way to get.
pub fn run(arguments: &[OsString]) -> Result<Infallible> {
    let binary = build()?;
    let mut command = if needs_privileges(arguments) && !has_privileges() {
        with_sudo(&binary, workspace::find_in_path("sudo"), arguments)?
    } else {
        Command::new(&binary)
    };
    workspace::without_package_variables(&mut command);
    let error = command.args(arguments).exec();
    Err(anyhow!(error).context(format!("cannot start {}", workspace::line_of(&command))))
}

/// Builds the tracer as users run it, and says where it is.
///
/// # Errors
/// If it does not build.
pub fn build() -> Result<PathBuf> {
    workspace::run(workspace::cargo().args([
        "build",
        "--release",
        "--package",
        "tcpretrans",
        "--bin",
        "tcpretrans",
    ]))?;
    Ok(workspace::target_dir(&workspace::metadata()?)?.join("release/tcpretrans"))
}

fn with_sudo(binary: &Path, sudo: Option<PathBuf>, arguments: &[OsString]) -> Result<Command> {
    let Some(sudo) = sudo else {
        let arguments: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
        bail!(
            "tracing needs root (or the capabilities CAP_BPF and CAP_PERFMON), and sudo is not installed. \
             As root, run: {} {}",
            binary.display(),
            arguments.join(" ")
        );
    };
    let mut command = Command::new(sudo);
    command.arg("--").arg(binary);
    Ok(command)
}

/// Whether these arguments ask for tracing.
fn needs_privileges(arguments: &[OsString]) -> bool {
    let is_one_of = |names: &[&str], argument: &OsString| names.iter().any(|name| argument == name);
    let asks_for_text = arguments
        .iter()
        .take_while(|argument| *argument != "--")
        .any(|argument| is_one_of(&UNPRIVILEGED_FLAGS, argument));
    !asks_for_text && !arguments.first().is_some_and(|first| is_one_of(&UNPRIVILEGED, first))
}

fn has_privileges() -> bool {
    workspace::is_root()
        || fs::read_to_string("/proc/self/status")
            .context("cannot read /proc/self/status")
            .ok()
            .and_then(|status| effective_capabilities(&status))
            .is_some_and(can_trace)
}

/// `CapEff` of `/proc/PID/status`.
fn effective_capabilities(status: &str) -> Option<u64> {
    let hex = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(hex.trim(), 16).ok()
}

fn can_trace(capabilities: u64) -> bool {
    let has = |number: u32| capabilities & (1 << number) != 0;
    // Before the split in 5.8, CAP_SYS_ADMIN was both; it still includes them.
    has(CAP_SYS_ADMIN) || (has(CAP_BPF) && has(CAP_PERFMON))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(words: &[&str]) -> bool {
        needs_privileges(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn only_tracing_needs_rights() {
        assert!(needs(&[]));
        assert!(needs(&["-p", "443", "--format", "json"]));
        assert!(needs(&["--comm", "replay"]), "a value is no subcommand");
        for words in [&["replay", "x.jsonl"][..], &["doctor"], &["man"], &["-p", "443", "--help"], &["-V"]] {
            assert!(!needs(words), "{words:?}");
        }
        assert!(needs(&["--", "--help"]));
    }

    #[test]
    fn capabilities_are_read_and_judged() {
        let status = "Name:\tx\nCapPrm:\t0000000000000000\nCapEff:\t000000c000000000\nCapBnd:\t0\n";
        let both = effective_capabilities(status).unwrap();
        assert!(can_trace(both));
        assert!(!can_trace(1 << CAP_BPF));
        assert!(!can_trace(1 << CAP_PERFMON));
        assert!(can_trace(1 << CAP_SYS_ADMIN));
        assert_eq!(effective_capabilities("Name: x\n"), None);
    }

    #[test]
    fn without_sudo_the_message_tells_what_to_run() {
        let arguments = [OsString::from("-p"), "443".into()];
        let error = with_sudo(Path::new("target/release/tcpretrans"), None, &arguments).unwrap_err();
        assert!(error.to_string().contains("As root, run: target/release/tcpretrans -p 443"), "{error}");
    }
}
