//! Building the tracer, and finding it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::SystemTime,
};

use anyhow::{Context, Result, bail};

use crate::{artifacts, workspace};

/// The package, and its binary.
pub const TRACER: &str = "tcpretrans";

/// Names the tracer that the live tests run.
pub const PROGRAM: &str = "TCPRETRANS_PROGRAM";

/// How fast the tracer shall be, and how fast it shall be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// As tests run it.
    Dev,
    /// As users run it.
    Release,
}

/// Builds the tracer, and says where it is.
///
/// # Errors
/// If it does not build.
pub fn build(profile: Profile) -> Result<PathBuf> {
    let mut command = workspace::cargo();
    command.args(["build", "--locked", "--package", TRACER, "--bin", TRACER]);
    command.args((profile == Profile::Release).then_some("--release"));
    command.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    artifacts::read(&workspace::output(&mut command)?)?.binary(TRACER)
}

/// The tracer for tests: the one that the environment names, or the one of the calling program's own profile.
///
/// # Errors
/// If there is none, or if it is older than its sources: cargo does not build it for another package's tests.
pub fn for_tests() -> Result<PathBuf> {
    if let Some(program) = env::var_os(PROGRAM) {
        return Ok(program.into());
    }
    beside(&env::current_exe().context("this program has no path")?)
}

/// The tracer in the same target directory as a test program, `target/<profile>/deps/live-<hash>`.
fn beside(test: &Path) -> Result<PathBuf> {
    let program =
        test.ancestors().nth(2).context("a test program outside of a target directory")?.join(TRACER);
    if is_up_to_date(&program) {
        return Ok(program);
    }
    bail!(
        "{} is missing or older than its sources; build it (cargo build --package {TRACER}, with the tests' --release or \
         --target), or run `cargo xtask test --live`",
        program.display()
    )
}

/// Whether nothing that a program was built from is newer than it, by the list that cargo keeps beside it.
fn is_up_to_date(program: &Path) -> bool {
    let modified = |path: &Path| -> Option<SystemTime> { fs::metadata(path).ok()?.modified().ok() };
    let Some(built) = modified(program) else { return false };
    let Ok(list) = fs::read_to_string(program.with_extension("d")) else { return true };
    let sources = list.split_once(": ").map_or("", |(_, sources)| sources).replace("\\ ", "\0");
    sources
        .split_whitespace()
        .all(|source| modified(Path::new(&source.replace('\0', " "))).is_some_and(|time| time <= built))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_tracer_that_is_missing_or_old_is_told_with_what_to_run() {
        let target = tempfile::tempdir().unwrap();
        let path = |name: &str| target.path().join(name);
        let test = path("deps/live-1");
        let said = || beside(&test).unwrap_err().to_string();
        assert!(said().contains("cargo build --package tcpretrans"), "{}", said());

        fs::write(path(TRACER), "").unwrap();
        fs::write(path("a source.rs"), "").unwrap();
        let listed = path("a source.rs").display().to_string().replace(' ', "\\ ");
        fs::write(path("tcpretrans.d"), format!("{}: {listed}\n", path(TRACER).display())).unwrap();
        let at = |name: &str, second| {
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second);
            File::options().write(true).open(path(name)).unwrap().set_modified(time).unwrap();
        };
        at("a source.rs", 100);
        at(TRACER, 200);
        assert_eq!(beside(&test).unwrap(), path(TRACER));
        at("a source.rs", 300);
        assert!(said().contains("older"), "{}", said());
    }
}
