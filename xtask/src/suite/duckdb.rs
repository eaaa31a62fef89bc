//! The queries of `docs/duckdb.md`, run by DuckDB on a recording.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::steps::Outcome;
use crate::workspace;

/// Tables look different in other versions.
const PACKAGE: &str = "duckdb==2.0.0";
const PAGE: &str = "docs/duckdb.md";
const RECORDING: &str = "tcpretrans/tests/recordings/night.jsonl";

/// Runs the queries and compares what they print with what the page shows.
pub(super) fn run(target_dir: &Path) -> Result<Outcome> {
    let python = match python(&target_dir.join("duckdb"))? {
        Ok(python) => python,
        Err(missing) => return Ok(Outcome::Skipped(missing)),
    };
    let root = workspace::root();
    let script = root.join("xtask/src/suite/duckdb_queries.py");
    workspace::run(Command::new(python).current_dir(root).arg(script).args([PAGE, RECORDING]))?;
    Ok(Outcome::Passed)
}

/// A Python that has the package, in an environment of its own; or why there is none.
fn python(environment: &Path) -> Result<Result<PathBuf, String>> {
    let python = environment.join("bin/python");
    if has_package(&python)? {
        return Ok(Ok(python));
    }
    let Some(system) = workspace::find_in_path("python3") else {
        return Ok(Err("needs python3 (Debian: python3-venv)".into()));
    };
    if !succeeds(Command::new(system).args(["-m", "venv", "--clear"]).arg(environment))? {
        return Ok(Err("python3 cannot make a virtual environment (Debian: python3-venv)".into()));
    }
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE];
    if !succeeds(Command::new(&python).args(install))? {
        return Ok(Err(format!("pip cannot install {PACKAGE}: no network?")));
    }
    Ok(Ok(python))
}

fn has_package(python: &Path) -> Result<bool> {
    if !python.exists() {
        return Ok(false);
    }
    let version = PACKAGE.rsplit('=').next().unwrap_or_default();
    let check = format!("import duckdb; assert duckdb.__version__ == '{version}'");
    succeeds(Command::new(python).args(["-c", &check]))
}

fn succeeds(command: &mut Command) -> Result<bool> {
    Ok(command.status().with_context(|| format!("could not run {command:?}"))?.success())
}
