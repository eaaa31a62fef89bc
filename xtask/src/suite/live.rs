//! Live tests: real programs in the real kernel, real traffic in network namespaces. They need root.

use std::{
    io::IsTerminal,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use super::{Selection, steps::Outcome};
use crate::workspace;

/// Integration tests whose target's name begins so are live ones.
const LIVE_PREFIX: &str = "live";
/// The package that has them.
const PACKAGE: &str = "tcpretrans";

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
pub(super) fn run(targets: &TestTargets, selection: &Selection) -> Result<Outcome> {
    if targets.live.is_empty() {
        return Ok(Outcome::Skipped(format!("there is no test target {PACKAGE}/tests/{LIVE_PREFIX}*")));
    }
    let threads = format!("--test-threads={}", selection.live_threads);
    let harness: Vec<&str> =
        selection.live_filter.iter().map(String::as_str).chain([threads.as_str()]).collect();
    let mut build = workspace::cargo();
    build.args(["test", "--locked", "--package", PACKAGE]);
    build.args(targets.live.iter().flat_map(|name| ["--test", name]));
    if workspace::is_root() {
        workspace::run(build.arg("--").args(harness))?;
        return Ok(Outcome::Passed);
    }

    let sudo = match sudo()? {
        Ok(sudo) => sudo,
        Err(why) => return Ok(Outcome::Skipped(why.into())),
    };
    // Built as oneself, so that root owns nothing in the target directory; then run as root.
    let executables = executables(&workspace::output(
        build.args(["--no-run", "--message-format=json-render-diagnostics"]).stderr(Stdio::inherit()),
    )?)?;
    for executable in executables {
        println!("running {} by sudo", executable.display());
        let mut command = Command::new(&sudo);
        command.current_dir(workspace::root().join(PACKAGE)).args(["--", "env"]);
        // sudo passes on nothing, and under CI the tests may skip nothing either.
        command.args(workspace::is_ci().then_some("CI=true")).arg(executable).args(&harness);
        workspace::run(&mut command)?;
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

/// The test executables that cargo's JSON messages name.
fn executables(messages: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for line in messages.lines() {
        let message: serde_json::Value =
            serde_json::from_str(line).context("cannot read cargo's messages")?;
        if message["profile"]["test"] == true
            && let Some(path) = message["executable"].as_str()
        {
            found.push(path.into());
        }
    }
    if found.is_empty() {
        bail!("cargo built no live test");
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn live_targets_are_told_by_package_and_name() {
        let target = |name: &str, kind: &str| json!({"name": name, "kind": [kind]});
        let metadata = json!({"packages": [
            {"name": "tcpretrans", "targets":
                [target("tcpretrans", "lib"), target("live_filters", "test"), target("cli", "test")]},
            {"name": "xtask", "targets": [target("live_object", "test")]},
        ]});
        let targets = TestTargets::of(&metadata).unwrap();
        assert_eq!(targets.live, ["live_filters"]);
        assert_eq!(targets.offline, ["cli", "live_object"]);
    }

    #[test]
    fn only_test_executables_are_run() {
        let messages = [
            json!({"reason": "compiler-artifact", "profile": {"test": false}, "executable": "/t/tcpretrans"}),
            json!({"reason": "compiler-artifact", "profile": {"test": true}, "executable": "/t/live-1"}),
            json!({"reason": "build-finished", "success": true}),
        ];
        let text: String = messages.iter().map(|message| format!("{message}\n")).collect();
        assert_eq!(executables(&text).unwrap(), [PathBuf::from("/t/live-1")]);
        assert!(executables("").is_err());
    }
}
