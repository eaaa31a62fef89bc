//! Live tests: real programs in the real kernel, real traffic in network namespaces. They need root.

use std::{
    env,
    io::IsTerminal,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use super::{Args, steps::Outcome};
use crate::{
    artifacts,
    tracer::build::{PROGRAM, Profile, build},
    workspace,
};

/// Integration tests whose target's name begins so are live ones.
const LIVE_PREFIX: &str = "live";
/// The package that has them.
const PACKAGE: &str = "xtask";

/// The workspace's integration tests by name.
pub(super) struct TestTargets {
    /// Those that need no rights.
    pub(super) offline: Vec<String>,
    live: Vec<String>,
}

impl TestTargets {
    /// From the output of `cargo metadata`.
    pub(super) fn of(metadata: &serde_json::Value) -> Result<TestTargets> {
        let packages = metadata["packages"].as_array().context("`cargo metadata` names no packages")?;
        let mut targets = TestTargets { offline: Vec::new(), live: Vec::new() };
        for package in packages {
            for target in package["targets"].as_array().into_iter().flatten() {
                let is_test =
                    target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "test"));
                let Some(name) = target["name"].as_str().filter(|_| is_test) else { continue };
                let is_live = package["name"] == PACKAGE && name.starts_with(LIVE_PREFIX);
                if is_live { &mut targets.live } else { &mut targets.offline }.push(name.to_owned());
            }
        }
        Ok(targets)
    }
}

/// Runs the live tests: as they are for root, by sudo for others.
pub(super) fn run(targets: &TestTargets, args: &Args) -> Result<Outcome> {
    if targets.live.is_empty() {
        return Ok(Outcome::Skipped(format!("there is no test target {PACKAGE}/tests/{LIVE_PREFIX}*")));
    }
    let sudo = match workspace::is_root() {
        true => None,
        false => match sudo()? {
            Ok(sudo) => Some(sudo),
            Err(why) => return Ok(Outcome::Skipped(why.into())),
        },
    };
    // Built as oneself, so that root owns nothing in the target directory; then run as root. Cargo builds no other
    // package's binaries for tests.
    let tracer = build(Profile::Dev)?;
    let mut command = workspace::cargo();
    command.args(["test", "--locked", "--package", PACKAGE, "--no-run"]);
    command.args(targets.live.iter().flat_map(|name| ["--test", name]));
    command.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let built = artifacts::read(&workspace::output(&mut command)?)?;
    for target in &targets.live {
        let program = built.test(target)?;
        println!("running {}", program.display());
        // sudo passes on nothing, and under CI the tests may skip nothing either.
        let mut variable = std::ffi::OsString::from(format!("{PROGRAM}="));
        variable.push(&tracer);
        let mut command = Command::new(sudo.as_deref().unwrap_or("env".as_ref()));
        command.current_dir(workspace::root().join(PACKAGE));
        command.args(sudo.as_ref().map(|_| ["--", "env"]).into_iter().flatten()).arg(variable);
        command.args(env::var("CI").ok().map(|value| format!("CI={value}"))).arg(program);
        command.args(args.live.as_deref().filter(|filter| !filter.is_empty()));
        workspace::run(command.arg(format!("--test-threads={}", args.live_threads)))?;
    }
    Ok(Outcome::Passed)
}

/// How to become root; or why that is impossible.
pub(super) fn sudo() -> Result<Result<PathBuf, &'static str>> {
    let Some(sudo) = workspace::find_in_path("sudo") else {
        return Ok(Err("needs root, and there is no sudo"));
    };
    let without_password = Command::new(&sudo).args(["-n", "true"]).stderr(Stdio::null()).status()?.success();
    if !without_password && !std::io::stdin().is_terminal() {
        return Ok(Err("needs root, and sudo wants a password"));
    }
    Ok(Ok(sudo))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn live_targets_are_told_by_package_and_name() {
        let target = |name: &str, kind: &str| json!({"name": name, "kind": [kind]});
        let metadata = json!({"packages": [
            {"name": "xtask", "targets":
                [target("xtask", "lib"), target("live_filters", "test"), target("cli", "test")]},
            {"name": "tcpretrans", "targets": [target("live_object", "test")]},
        ]});
        let targets = TestTargets::of(&metadata).unwrap();
        assert_eq!(targets.live, ["live_filters"]);
        assert_eq!(targets.offline, ["cli", "live_object"]);
    }
}
