//! `cargo xtask test`: everything that this machine can run, in one go. CI runs the same.

mod duckdb;
mod live;
mod steps;

use std::process::Command;

use anyhow::{Result, bail};
use steps::{Outcome, Suite};

use crate::{
    bench,
    ebpf::{check, toolchain},
    tracer_run, vm, workspace,
};

const OTHER_KERNELS: &str = "live tests on other kernels";

/// Which parts are wanted.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Leave the live tests out.
    pub without_live: bool,
    /// Leave out what runs in virtual machines.
    pub without_vm: bool,
    /// Nothing but the live tests.
    pub only_live: bool,
    /// Only live tests whose names contain this.
    pub live_filter: Option<String>,
    /// Live tests at once.
    pub live_threads: usize,
}

/// Runs the suite, step by step, and stops at the first failure.
///
/// # Errors
/// The last line for the terminal: which step failed, or what was skipped although this is CI.
pub fn run(selection: &Selection) -> Result<()> {
    let ci = workspace::is_ci();
    let metadata = workspace::metadata()?;
    let targets = live::TestTargets::of(&metadata)?;
    let mut suite = Suite::new(ci);
    if !selection.only_live {
        suite.step("format", || {
            workspace::run(workspace::cargo().args(["fmt", "--all", "--check"]))?;
            Ok(Outcome::Passed)
        })?;
        suite.step("clippy", || {
            let clippy = ["clippy", "--locked", "--workspace", "--all-targets", "--", "--deny", "warnings"];
            workspace::run(workspace::cargo().args(clippy))?;
            Ok(Outcome::Passed)
        })?;
        suite.step("BPF object", || check_object(ci))?;
        suite.step("unit and property tests", || {
            let mut command = workspace::cargo();
            command.args(["test", "--locked", "--workspace", "--lib", "--bins"]);
            command.args(targets.offline.iter().flat_map(|name| ["--test", name]));
            workspace::run(&mut command)?;
            Ok(Outcome::Passed)
        })?;
        suite.step("doc tests", || {
            workspace::run(workspace::cargo().args(["test", "--locked", "--workspace", "--doc"]))?;
            Ok(Outcome::Passed)
        })?;
        suite.step("DuckDB queries", || duckdb::run(&workspace::target_dir(&metadata)?))?;
        suite.step("documentation", || {
            let mut command = workspace::cargo();
            command.env("RUSTDOCFLAGS", "--deny warnings");
            workspace::run(command.args(["doc", "--locked", "--workspace", "--no-deps"]))?;
            Ok(Outcome::Passed)
        })?;
    }
    if selection.without_live {
        suite.skip("live tests", "--no-live");
    } else {
        suite.step("live tests", || live::run(&targets, selection))?;
        if !selection.only_live {
            suite.step("benchmarks, for a moment", bench_smoke)?;
        }
    }
    if selection.without_live || selection.without_vm {
        suite.skip(OTHER_KERNELS, if selection.without_live { "--no-live" } else { "--no-vm" });
    } else if !selection.only_live {
        suite.step(OTHER_KERNELS, on_other_kernels)?;
    }
    suite.finish()
}

/// Can everything be measured? No figure is judged: benchmarks are no timed tests.
fn bench_smoke() -> Result<Outcome> {
    let mut own = bench::Args::smoke();
    if !workspace::is_root() {
        let sudo = match live::sudo()? {
            Ok(sudo) => sudo,
            Err(why) => return Ok(Outcome::Skipped(why.into())),
        };
        // Built as oneself, so that root owns nothing in the target directory.
        let tracer = tracer_run::build()?;
        let mut command = Command::new(sudo);
        command.arg("--").arg(workspace::this_program()).args(["bench", "--smoke", "--tracer"]).arg(&tracer);
        workspace::run(command.args(bench::groups(true)))?;
        own.names = bench::groups(false).map(str::to_owned).collect();
        own.tracer = Some(tracer);
    }
    bench::run(&own)?;
    Ok(Outcome::Passed)
}

/// The tests in which kernels differ on the oldest and the newest one; `cargo xtask vm-test` runs all on all.
fn on_other_kernels() -> Result<Outcome> {
    if let Some(missing) = vm::missing_tools() {
        return Ok(Outcome::Skipped(missing));
    }
    let reports = vm::run(&vm::outermost(), &vm::Job::where_kernels_differ(), false)?;
    vm::show(&reports);
    Ok(match vm::judge(&reports)? {
        Some(untested) => Outcome::Partly(untested),
        None => Outcome::Passed,
    })
}

fn check_object(ci: bool) -> Result<Outcome> {
    let toolchain = match toolchain::find(None) {
        Ok(toolchain) => Some(toolchain),
        Err(missing) if ci => bail!(missing),
        Err(missing) => {
            println!("{missing:#}");
            None
        }
    };
    // CI runs its live tests on what was built from source just now; elsewhere the working tree is left alone.
    Ok(match check::check(toolchain.as_ref(), ci)? {
        check::Verdict::HashesOnly => {
            Outcome::Partly("hashes only, nothing rebuilt: no BPF toolchain".into())
        }
        check::Verdict::SameBytes => Outcome::Passed,
        check::Verdict::OtherTools { replaced: true } => {
            Outcome::Note("rebuilt with other tools and put into place".into())
        }
        check::Verdict::OtherTools { replaced: false } => {
            Outcome::Note("other tools than the manifest's: equal but for the code".into())
        }
    })
}
