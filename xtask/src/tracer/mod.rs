//! The tracer: built, found, started and waited for, the same way for benchmarks, tests, counts and the demo.

pub mod build;
pub mod run;

use std::{ffi::OsStr, fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use anyhow::{Context, Result};

use crate::running::Running;

/// What it logs to in its scratch directory, by [`start_quiet`].
pub const LOG: &str = "log.jsonl";
/// Its ready file there.
pub const READY: &str = "ready";

/// Starts it; [`attached`] waits for it. The command may be a wrapper that ends in the tracer's own arguments.
///
/// # Errors
/// If there is no such program.
pub fn start(mut command: Command) -> Result<Running> {
    let scratch = tempfile::tempdir().context("no scratch space for the tracer")?;
    // The tracer may run as somebody else.
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o777))?;
    command.arg("--ready-file").arg(scratch.path().join(READY));
    Running::start(command, scratch)
}

/// Starts it as a service would run it, nothing on standard output and JSON Lines to [`LOG`], and waits until its programs
/// are attached.
///
/// # Errors
/// As [`attached`].
pub fn start_quiet<A: AsRef<OsStr>>(
    program: &Path,
    arguments: impl IntoIterator<Item = A>,
) -> Result<Running> {
    let scratch = tempfile::tempdir().context("no scratch space for the tracer")?;
    let mut command = Command::new(program);
    command.args(arguments).arg("--quiet").arg("--output").arg(scratch.path().join(LOG));
    command.arg("--ready-file").arg(scratch.path().join(READY));
    attached(Running::start(command, scratch)?)
}

/// Waits until the programs of a tracer are attached that has [`READY`] for its ready file.
///
/// # Errors
/// If it does not get ready, with what it said.
pub fn attached(mut tracer: Running) -> Result<Running> {
    let ready = tracer.path(READY);
    tracer.wait_until("ready", |_| ready.exists()).context("the tracer")?;
    Ok(tracer)
}
