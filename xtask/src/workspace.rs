//! Where things are, and how commands are called from here.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// The workspace's directory.
pub fn root() -> PathBuf {
    // Cargo sets the variable for whatever it runs; the compiled-in path serves a binary that is called directly.
    let manifest_dir =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    manifest_dir.parent().map_or(manifest_dir.clone(), Path::to_path_buf)
}

/// Whether this is a CI run (`CI=true`): nothing may be skipped there.
pub fn is_ci() -> bool {
    env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// Whether this process has all of root's rights, as far as the user id tells.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// This program, to start it again. Not by its name: cargo puts another file there when it builds this package with other
/// features, as it does in a test run.
pub fn this_program() -> PathBuf {
    // As a number, for others (sudo) have another `self`.
    format!("/proc/{}/exe", std::process::id()).into()
}

/// The cargo that runs this, or the one that `PATH` finds.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    without_package_variables(&mut command);
    command
}

/// Removes what `cargo run` put into the environment for this package: cargo's children set their own.
pub fn without_package_variables(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
}

/// Where cargo puts what it builds, and the workspace's packages, by `cargo metadata`.
///
/// # Errors
/// If cargo cannot read the workspace.
pub fn metadata() -> Result<serde_json::Value> {
    let text = output(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    serde_json::from_str(&text).context("cannot read the output of `cargo metadata`")
}

/// The target directory of an answer of [`metadata`].
///
/// # Errors
/// If cargo did not name it.
pub fn target_dir(metadata: &serde_json::Value) -> Result<PathBuf> {
    let path = metadata["target_directory"].as_str().context("`cargo metadata` names no target directory")?;
    Ok(path.into())
}

/// Finds an executable on `PATH`.
pub fn find_in_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// Finds an executable on `PATH`, or where administrators' programs are, which is not on everybody's path.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let elsewhere =
        || ["/usr/sbin", "/sbin"].iter().map(|dir| Path::new(dir).join(name)).find(|path| path.is_file());
    find_in_path(name).or_else(elsewhere)
}

/// Runs a command, its output going where ours goes.
///
/// # Errors
/// If it cannot be started or fails; the message is the command line and its exit code.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start `{}`", line_of(command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", line_of(command));
    }
    Ok(())
}

/// Runs a command and gives what it wrote to standard output, trimmed.
///
/// # Errors
/// If it cannot be started, fails, or does not write UTF-8.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", line_of(command)))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed: {}\n{}", line_of(command), output.status, stderr.trim_end());
    }
    let text = String::from_utf8(output.stdout)
        .with_context(|| format!("the output of `{}` is not UTF-8", line_of(command)))?;
    Ok(text.trim().to_owned())
}

/// A command's line for messages.
pub fn line_of(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect();
    words.join(" ")
}
