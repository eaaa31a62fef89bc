//! `cargo xtask vm-test`: the live tests on other kernels, each in a virtual machine of its own.
//!
//! `kernels` says which there are; `packages` gets them from Debian; `modules` picks what the lab needs of their
//! modules; `userland` is what runs around the tests; `initramfs` packs it all (`cpio`); `boot` runs QEMU and
//! watches it; `report` reads what the guest said; `table` shows it, kernel by test.
//!
//! "Could not be run" is never "failed": see [`Verdict`].

mod boot;
mod cpio;
mod docs;
mod initramfs;
mod kernels;
mod machine;
mod modules;
mod packages;
mod report;
mod table;
mod userland;

use std::{process::Command, time::Instant};

use anyhow::{Context, Result, bail};
pub use kernels::Kernel;
use machine::Machine;
use packages::KernelFiles;
pub use report::{Report, Verdict};

use crate::{
    static_build::{self, LiveTests},
    target::Target,
    workspace,
};

/// What depends on the kernel's tracepoints, structures, timers and order of writes; not what the tracer does with its
/// output, nor what is a matter of many connections or of exact times.
const WHERE_KERNELS_DIFFER: [&str; 15] = [
    "already_troubled::",
    "death_clock::changes::",
    "death_clock::seeding::",
    "failed_send::",
    "filters::",
    "handshake::",
    "netem::",
    "obituary::recoveries::",
    "obituary::resets::",
    "obituary::timeouts::",
    "privileges::",
    "recovery::",
    "rto_ladder::",
    "tail_loss::",
    "verifier::",
];

/// They wait much and compute little.
const THREADS: u16 = 4;

/// Run the live tests on other kernels, in virtual machines
///
/// Kernels are Debian's, downloaded by apt; nothing is installed. Needs qemu-system-x86_64, busybox-static and kmod.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which kernels, by the names that --list shows [default: all of them]
    #[arg(value_name = "KERNEL", value_parser = kernels::parse)]
    pub kernels: Vec<&'static Kernel>,
    /// Only live tests whose names contain FILTER; may be repeated
    #[arg(long = "test", value_name = "FILTER")]
    pub tests: Vec<String>,
    /// Only the live tests in which kernels differ, as `cargo xtask test` does
    #[arg(long, conflicts_with = "tests")]
    pub differing: bool,
    /// How many tests run at once in a guest
    #[arg(long, value_name = "N", default_value_t = THREADS, value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: u16,
    /// Run this shell command in the guest instead of the tests
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["tests", "write_docs"])]
    pub run: Option<String>,
    /// Put the table into docs/kernels.md
    #[arg(long, conflicts_with = "tests")]
    pub write_docs: bool,
    /// Keep the guest's files and logs, and say where they are
    #[arg(long)]
    pub keep: bool,
    /// List the kernels and exit
    #[arg(long, conflicts_with_all = ["kernels", "tests", "run", "write_docs", "keep"])]
    pub list: bool,
}

/// Runs the command.
///
/// # Errors
/// Where a test failed on a kernel, or a kernel could not be tested.
pub fn command(args: &Args) -> Result<()> {
    if args.list {
        for kernel in kernels::ALL {
            println!("{:8} {}", kernel.name, kernel.origin());
        }
        return Ok(());
    }
    let kernels: Vec<&'static Kernel> =
        if args.kernels.is_empty() { kernels::ALL.iter().collect() } else { args.kernels.clone() };
    if let Some(missing) = missing_tools() {
        bail!("UNAVAILABLE: {missing}");
    }
    let reports = run(&kernels, &Job::of(args), args.keep)?;
    if args.run.is_some() {
        return Ok(());
    }
    show(&reports);
    if args.write_docs {
        docs::write(&reports)?;
    }
    match judge(&reports)? {
        Some(untested) => bail!(untested),
        None => Ok(()),
    }
}

/// Prints the table of kernels and tests.
pub fn show(reports: &[Report]) {
    println!("\n{}", table::Table::of(reports));
}

/// The oldest that is supported and the newest that there is: what every run of all tests includes.
pub fn outermost() -> Vec<&'static Kernel> {
    kernels::ALL.first().into_iter().chain(kernels::ALL.last()).collect()
}

/// What a guest shall do.
#[derive(Debug, Clone)]
pub enum Job {
    /// Run live tests.
    Tests {
        /// Only those whose names contain one of these; empty: all.
        filters: Vec<String>,
        /// How many at once.
        threads: u16,
    },
    /// Run a shell command.
    Shell(String),
}

impl Job {
    /// The live tests in which kernels differ: some minutes a kernel where it is emulated.
    pub fn where_kernels_differ() -> Job {
        Job::Tests { filters: WHERE_KERNELS_DIFFER.map(str::to_owned).into(), threads: THREADS }
    }

    fn of(args: &Args) -> Job {
        match &args.run {
            Some(command) => Job::Shell(command.clone()),
            None if args.differing => Job::where_kernels_differ(),
            None => Job::Tests { filters: args.tests.clone(), threads: args.threads },
        }
    }
}

/// What this machine lacks to run guests at all; `None`: nothing.
pub fn missing_tools() -> Option<String> {
    if std::env::consts::ARCH != "x86_64" {
        return Some(format!(
            "guests were only ever made for x86_64, and this is {}",
            std::env::consts::ARCH
        ));
    }
    let tools = [
        ("qemu-system-x86_64", "qemu-system-x86"),
        ("apt-get", "apt"),
        ("dpkg-deb", "dpkg"),
        ("xz", "xz-utils"),
        ("ldd", "libc-bin"),
    ];
    let tools = tools.iter().chain(userland::PROGRAMS);
    let missing: Vec<_> = tools.filter(|(tool, _)| workspace::find_program(tool).is_none()).collect();
    if missing.is_empty() {
        return None;
    }
    let names: Vec<&str> = missing.iter().map(|(tool, _)| *tool).collect();
    let mut packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    packages.sort_unstable();
    packages.dedup();
    Some(format!(
        "there is no {}: apt-get install --no-install-recommends {}",
        names.join(", no "),
        packages.join(" ")
    ))
}

/// Builds what the guests need, and runs them one after the other.
///
/// # Errors
/// If the tests do not build. What goes wrong with a kernel is in its report.
pub fn run(kernels: &[&'static Kernel], job: &Job, keep: bool) -> Result<Vec<Report>> {
    let live = static_build::static_live_tests(&Target::host()?)?;
    let wanted = wanted_tests(&live, job)?;
    let directory = workspace::target_dir(&workspace::metadata()?)?.join("vm");
    let machine = Machine::of_this_host();
    println!("guests run by {machine}");
    let mut reports = Vec::new();
    for kernel in kernels {
        println!("\n==> {} ({})", kernel.name, kernel.origin());
        let started = Instant::now();
        let mut report = match packages::get(kernel, &directory) {
            Ok(files) => {
                println!("{}: Linux {}", kernel.name, files.release);
                let report = one(kernel, &files, &live, job, &machine, &wanted, keep)?;
                Report { release: Some(files.release), ..report }
            }
            Err(error) => {
                println!("UNAVAILABLE: {error:#}");
                Report::unavailable(kernel, format!("{error:#}"))
            }
        };
        report.duration = started.elapsed();
        println!("==> {}: {} ({:.0} s)", kernel.name, report.verdict, report.duration.as_secs_f64());
        reports.push(report);
    }
    Ok(reports)
}

fn one(
    kernel: &'static Kernel,
    files: &KernelFiles,
    live: &LiveTests,
    job: &Job,
    machine: &Machine,
    wanted: &[String],
    keep: bool,
) -> Result<Report> {
    let scratch = tempfile::Builder::new().prefix("tcpretrans-vm-").tempdir().context("no scratch space")?;
    let guest = initramfs::pack(scratch.path(), files, live, job, machine)?;
    let report = Report::of(kernel, boot::boot(files, &guest, scratch.path(), machine)?, wanted);
    if keep {
        println!("kept: {}", scratch.keep().display());
    }
    Ok(report)
}

/// The names of the tests that a guest is expected to report.
fn wanted_tests(live: &LiveTests, job: &Job) -> Result<Vec<String>> {
    let Job::Tests { filters, .. } = job else { return Ok(Vec::new()) };
    let listed = workspace::output(Command::new(&live.tests).args(["--list", "--format=terse"]))?;
    let tests = listed.lines().filter_map(|line| line.strip_suffix(": test"));
    let suits = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter));
    let wanted: Vec<String> = tests.filter(|name| suits(name)).map(str::to_owned).collect();
    if wanted.is_empty() {
        bail!("no live test has a name with {}", filters.join(" or "));
    }
    Ok(wanted)
}

/// What could not be tested, if nothing failed that was.
///
/// # Errors
/// The line that names the kernels on which tests failed.
pub fn judge(reports: &[Report]) -> Result<Option<String>> {
    let named = |words: &str, verdict: fn(&Verdict) -> bool| {
        let those = reports.iter().filter(|report| verdict(&report.verdict));
        let names: Vec<&str> = those.map(|report| report.kernel.name).collect();
        (!names.is_empty()).then(|| format!("{words} {}", names.join(", ")))
    };
    if let Some(failed) = named("FAILED on", |verdict| matches!(verdict, Verdict::Failed(_))) {
        bail!(failed);
    }
    let untested = [
        named("no usable guest with", |verdict| matches!(verdict, Verdict::Broken(_))),
        named("UNAVAILABLE:", |verdict| matches!(verdict, Verdict::Unavailable(_))),
    ];
    let untested: Vec<String> = untested.into_iter().flatten().collect();
    Ok((!untested.is_empty()).then(|| untested.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verdict: Verdict) -> Report {
        Report { verdict, ..Report::unavailable(&kernels::ALL[0], String::new()) }
    }

    #[test]
    fn unavailable_is_not_failed() {
        let passed = || report(Verdict::Passed);
        assert_eq!(judge(&[passed()]).unwrap(), None);
        let untested = judge(&[passed(), report(Verdict::Unavailable("no network".into()))]).unwrap();
        assert_eq!(untested.as_deref(), Some("UNAVAILABLE: 5.10"));
        let failed = judge(&[report(Verdict::Broken(String::new())), report(Verdict::Failed("x".into()))]);
        assert_eq!(failed.unwrap_err().to_string(), "FAILED on 5.10");
    }
}
