//! `cargo xtask`: see `cargo xtask --help`.

use std::{ffi::OsString, process::ExitCode};

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use xtask::{
    bench, demo, dist,
    ebpf::{
        self, check, install,
        toolchain::{self, Route, Toolchain},
    },
    lab, suite, tracer, verify_counts, vm, workspace,
};

/// The project's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the tracer and run it, with sudo only if needed: `cargo xtask run -- --port 443`
    Run {
        /// The tracer's own options
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    Test(suite::Args),
    VmTest(vm::Args),
    Lab(lab::command::Args),
    Bench(bench::Args),
    /// A part of `bench`
    #[command(hide = true)]
    BenchUnanswered(bench::UnansweredArgs),
    RecordDemo(demo::Args),
    VerifyCounts(verify_counts::Args),
    /// Build an archive for other machines: a static program, its manual page, completions and a checksum
    Dist {
        /// For this kind of machine [default: this one's]: x86_64-unknown-linux-musl, aarch64-unknown-linux-musl
        #[arg(long, value_name = "TRIPLE")]
        target: Option<String>,
    },
    /// Build the BPF object from source, and put it and its manifest where they are committed
    BuildEbpf {
        #[command(flatten)]
        toolchain: ToolchainOptions,
    },
    /// Fail if the committed BPF object does not come from the sources beside it
    CheckEbpf {
        #[command(flatten)]
        toolchain: ToolchainOptions,
        /// Where other tools gave other bytes, put the rebuilt object in place of the committed one
        #[arg(long)]
        replace: bool,
    },
    /// Show which BPF toolchain this machine has, or how to get one
    BpfToolchain {
        #[command(flatten)]
        toolchain: ToolchainOptions,
    },
}

#[derive(clap::Args)]
struct ToolchainOptions {
    /// Only this toolchain [default: Debian's, else rustup's]
    #[arg(long)]
    toolchain: Option<Route>,
    /// Install Debian's packages and bpf-linker where they are missing
    #[arg(long)]
    install: bool,
}

impl ToolchainOptions {
    fn find(&self) -> Result<Toolchain> {
        if self.install { install::find_or_install(self.toolchain) } else { toolchain::find(self.toolchain) }
    }
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Run { arguments } => match tracer::run::run(&arguments)? {},
        Command::RecordDemo(arguments) => demo::record(&arguments)?,
        Command::Lab(arguments) => return lab::command::run(&arguments),
        Command::Bench(arguments) => return bench::run(&arguments),
        Command::BenchUnanswered(arguments) => return bench::hold_unanswered(&arguments),
        Command::VerifyCounts(arguments) => return verify_counts::run(&arguments),
        Command::VmTest(arguments) => vm::command(&arguments)?,
        Command::Test(arguments) => suite::run(&arguments)?,
        Command::Dist { target } => drop(dist::dist(target.as_deref())?),
        Command::BuildEbpf { toolchain } => ebpf::build(&toolchain.find()?)?,
        Command::CheckEbpf { toolchain, replace } => check_ebpf(&toolchain, replace)?,
        Command::BpfToolchain { toolchain } => println!("{}", toolchain.find()?),
    }
    Ok(ExitCode::SUCCESS)
}

fn check_ebpf(options: &ToolchainOptions, replace: bool) -> Result<()> {
    match options.find() {
        Ok(toolchain) => check::check(Some(&toolchain), replace).map(drop),
        Err(missing) if workspace::is_ci() => bail!(missing),
        Err(missing) => {
            check::check(None, replace)?;
            println!("nothing was rebuilt: {missing:#}");
            Ok(())
        }
    }
}
