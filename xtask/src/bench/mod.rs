//! `cargo xtask bench`: what tracing costs, beside what people would use instead, in one run on one machine.
//!
//! A figure alone says more about the machine and its neighbours than about the tracer. So wherever another tool
//! answers the same question, both watch the same traffic at the same time or in turns, and the row says the ratio.

mod bpf;
mod connections;
mod document;
mod kernel_time;
mod losses;
mod memory;
mod startup;
mod statistics;
mod table;
mod tools;
mod traffic;
mod userspace;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Result, ensure};
use clap::ValueEnum;
use table::{Row, Verdict};

use crate::{
    lab,
    running::Running,
    tracer::{
        self,
        build::{Profile, build},
    },
    workspace,
};

/// Measure what tracing costs, beside bpftrace and tcpstates, and print a table
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Only these groups of rows
    #[arg(value_name = "NAME")]
    pub groups: Vec<Group>,
    /// Only check that everything can be measured: short runs, whose figures mean nothing
    #[arg(long)]
    pub smoke: bool,
    /// Measure this tracer [default: the one that is built from here]
    #[arg(long, value_name = "PATH")]
    pub tracer: Option<PathBuf>,
    /// Put the table into docs/cost.md and README.md
    #[arg(long, conflicts_with_all = ["smoke", "groups"])]
    pub write: bool,
}

/// What is measured together, in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Group {
    /// Kernel time for each retransmission
    Retransmit,
    /// Kernel time for each state change of connections without losses
    State,
    /// Connections a second, traced and not
    Connections,
    /// Events a second through decoding, correlation and JSON
    Userspace,
    /// Records lost under very many events
    Losses,
    /// Memory when idle, and with 100,000 retransmitting flows
    Memory,
    /// Time from start to attached
    Start,
}

impl Group {
    /// Does it trace?
    pub fn needs_root(self) -> bool {
        self != Group::Userspace
    }

    fn measure(self, bench: &Bench) -> Result<Vec<Row>> {
        match self {
            Group::Retransmit => kernel_time::of_retransmissions(bench),
            Group::State => kernel_time::of_state_changes(bench),
            Group::Connections => connections::rate(bench),
            Group::Userspace => userspace::rate(bench),
            Group::Losses => losses::in_a_storm(bench),
            Group::Memory => memory::peak(bench),
            Group::Start => startup::time(bench),
        }
    }

    /// As it is called on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// What the measurements share.
struct Bench {
    /// The tracer.
    tracer: PathBuf,
    smoke: bool,
}

impl Bench {
    /// The tracer, started as a service would run it.
    fn start_tracer(&self) -> Result<Running> {
        tracer::start_quiet(&self.tracer, [""; 0])
    }

    /// How long to measure: a moment in a smoke test.
    fn span(&self, whole: Duration) -> Duration {
        if self.smoke { whole.min(Duration::from_millis(300)) } else { whole }
    }

    /// How often to repeat.
    fn rounds(&self, whole: usize) -> usize {
        if self.smoke { 1 } else { whole }
    }
}

/// Runs the command.
///
/// # Errors
/// Where a measurement cannot be made.
pub fn run(args: &Args) -> Result<ExitCode> {
    let groups = if args.groups.is_empty() { Group::value_variants() } else { &args.groups };
    if groups.iter().any(|group| group.needs_root()) {
        lab::ready()?;
    }
    let tracer = match &args.tracer {
        Some(path) => path.clone(),
        None => build(Profile::Release)?,
    };
    let bench = Bench { tracer, smoke: args.smoke };
    let mut rows = Vec::new();
    for group in groups {
        eprintln!("measuring: {}", group.name());
        let measured = group.measure(&bench)?;
        ensure!(!measured.is_empty(), "{} gave no row", group.name());
        rows.extend(measured);
    }
    println!("\n{}", table::render(&rows));
    let missed = rows.iter().filter(|row| row.verdict == Verdict::Missed).count();
    match (args.smoke, missed) {
        (true, _) => println!("a smoke test: the figures mean nothing"),
        (false, 0) => println!("all targets reached"),
        (false, missed) => println!("{missed} targets not reached"),
    }
    if args.write {
        document::write(&workspace::root(), &rows)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A process that holds sockets for [`run`], which starts it.
#[derive(Debug, clap::Args)]
pub struct UnansweredArgs {
    count: usize,
    port: u16,
}

/// Runs such a process.
///
/// # Errors
/// Where a socket cannot be opened.
pub fn hold_unanswered(args: &UnansweredArgs) -> Result<ExitCode> {
    traffic::hold_unanswered(args.count, args.port)?;
    Ok(ExitCode::SUCCESS)
}
