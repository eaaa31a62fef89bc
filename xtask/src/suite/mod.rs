//! `cargo xtask test`: everything that this machine can run, in one go. CI runs the same.

mod duckdb;
mod live;
mod steps;

use std::process::Command;

use anyhow::{Result, bail};
use clap::ValueEnum;
use steps::{Outcome, Suite};

use crate::{
    bench,
    ebpf::{self, check, toolchain},
    tracer::build::{Profile, build},
    vm, workspace,
};

const BUILD: &str = "build";
const OTHER_KERNELS: &str = "live tests on other kernels";

/// Run every test and check that this machine can run; CI runs the same
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Leave out the live tests, which need root
    #[arg(long)]
    no_live: bool,
    /// Leave out the virtual machines with other kernels, which take minutes
    #[arg(long)]
    no_vm: bool,
    /// Run nothing but the live tests, or those whose names contain FILTER
    #[arg(long, value_name = "FILTER", num_args = 0..=1, default_missing_value = "", conflicts_with = "no_live")]
    live: Option<String>,
    /// How many live tests run at once
    #[arg(long, value_name = "N", default_value = "2", value_parser = clap::value_parser!(u16).range(1..))]
    live_threads: u16,
}

/// Runs the suite: all of its steps, but those that need one which failed.
///
/// # Errors
/// The last line for the terminal: which steps failed, or what was skipped although this is CI.
pub fn run(args: &Args) -> Result<()> {
    let metadata = workspace::metadata()?;
    let targets = live::TestTargets::of(&metadata)?;
    let mut suite = Suite::new(workspace::is_ci());
    if args.live.is_none() {
        offline(&mut suite, &targets, &metadata);
    }
    if args.no_live {
        suite.skip("live tests", "--no-live");
    } else {
        suite.step("live tests", &[BUILD], || live::run(&targets, args));
        if args.live.is_none() {
            suite.step("benchmarks, for a moment", &[BUILD], bench_smoke);
        }
    }
    if args.no_live || args.no_vm {
        suite.skip(OTHER_KERNELS, if args.no_live { "--no-live" } else { "--no-vm" });
    } else if args.live.is_none() {
        suite.step(OTHER_KERNELS, &[BUILD], on_other_kernels);
    }
    suite.finish()
}

/// What needs no rights.
fn offline(suite: &mut Suite, targets: &live::TestTargets, metadata: &serde_json::Value) {
    let cargo = |words: &[&str]| {
        workspace::run(workspace::cargo().args(words))?;
        Ok(Outcome::Passed)
    };
    suite.step("format", &[], || cargo(&["fmt", "--all", "--check"]));
    // After the object, which under CI may be put into place anew: it is compiled in.
    suite.step("BPF object", &[], || check_object(workspace::is_ci()));
    suite.step(BUILD, &[], || cargo(&["build", "--locked", "--workspace", "--all-targets"]));
    suite.step("clippy", &[], || {
        cargo(&["clippy", "--locked", "--workspace", "--all-targets", "--", "--deny", "warnings"])?;
        ebpf::compile::lint()?;
        Ok(Outcome::Passed)
    });
    suite.step("unit and property tests", &[BUILD], || {
        let mut words = vec!["test", "--locked", "--workspace", "--lib", "--bins"];
        words.extend(targets.offline.iter().flat_map(|name| ["--test", name]));
        cargo(&words)
    });
    suite.step("doc tests", &[BUILD], || cargo(&["test", "--locked", "--workspace", "--doc"]));
    suite.step("DuckDB queries", &[], || duckdb::run(&workspace::target_dir(metadata)?));
    suite.step("documentation", &[], || {
        let mut command = workspace::cargo();
        command.env("RUSTDOCFLAGS", "--deny warnings");
        workspace::run(command.args(["doc", "--locked", "--workspace", "--no-deps"]))?;
        Ok(Outcome::Passed)
    });
}

/// Can everything be measured? No figure is judged: benchmarks are no timed tests.
fn bench_smoke() -> Result<Outcome> {
    let mut own = bench::Args { smoke: true, ..bench::Args::default() };
    if !workspace::is_root() {
        let sudo = match live::sudo()? {
            Ok(sudo) => sudo,
            Err(why) => return Ok(Outcome::Skipped(why.into())),
        };
        // Built as oneself, so that root owns nothing in the target directory.
        let tracer = build(Profile::Release)?;
        let (by_sudo, by_myself): (Vec<bench::Group>, Vec<_>) =
            bench::Group::value_variants().iter().partition(|group| group.needs_root());
        let mut command = Command::new(sudo);
        command.arg("--").arg(workspace::this_program()).args(["bench", "--smoke", "--tracer"]).arg(&tracer);
        workspace::run(command.args(by_sudo.iter().map(|group| group.name())))?;
        own.groups = by_myself;
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
