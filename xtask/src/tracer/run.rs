//! `cargo xtask run`: builds the tracer and becomes it, with sudo only where tracing needs it.

use std::{
    convert::Infallible,
    ffi::OsString,
    iter,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, anyhow, bail};
use tcpretrans::{cli, internals::Standing};

use super::build::{Profile, build};
use crate::workspace;

/// Builds the tracer and replaces this process with it.
///
/// Replacing makes the tracer the process that the terminal's Ctrl-C and the caller's wait mean: signals and the
/// exit code need no forwarding, and nothing can die before it.
///
/// # Errors
/// If it does not build, cannot be started, or needs rights that there is no way to get.
pub fn run(arguments: &[OsString]) -> Result<Infallible> {
    let binary = build(Profile::Release)?;
    let mut command = if needs_privileges(arguments) && !has_privileges() {
        with_sudo(&binary, workspace::find_in_path("sudo"), arguments)?
    } else {
        Command::new(&binary)
    };
    workspace::without_package_variables(&mut command);
    let error = command.args(arguments).exec();
    Err(anyhow!(error).context(format!("cannot start {}", workspace::line_of(&command))))
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

/// Whether these arguments ask for tracing: neither help nor any command needs rights.
fn needs_privileges(arguments: &[OsString]) -> bool {
    let command = cli::command();
    let names_command = arguments
        .first()
        .is_some_and(|first| command.get_subcommands().any(|other| first == other.get_name()));
    let line = iter::once("tcpretrans".into()).chain(arguments.iter().cloned());
    // Help and the version are no errors; others are for the tracer to tell.
    let asks_for_text = command.try_get_matches_from(line).is_err_and(|answer| !answer.use_stderr());
    !names_command && !asks_for_text
}

fn has_privileges() -> bool {
    workspace::is_root() || Standing::read().missing_capabilities().is_empty()
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
    fn without_sudo_the_message_tells_what_to_run() {
        let arguments = [OsString::from("-p"), "443".into()];
        let error = with_sudo(Path::new("target/release/tcpretrans"), None, &arguments).unwrap_err();
        assert!(error.to_string().contains("As root, run: target/release/tcpretrans -p 443"), "{error}");
    }
}
