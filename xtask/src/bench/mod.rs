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
use table::{Row, Verdict};

use crate::{lab, workspace};

/// Measures what tracing costs, beside bpftrace and tcpstates, and prints a table
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only these groups of rows
    #[arg(value_name = "NAME", value_parser = names())]
    pub names: Vec<String>,
    /// Only see that everything can be measured: short runs, whose figures mean nothing
    #[arg(long)]
    pub smoke: bool,
    /// Measure this tracer [default: the one that is built from here]
    #[arg(long, value_name = "PATH")]
    pub tracer: Option<PathBuf>,
    /// Put the table into docs/cost.md and README.md
    #[arg(long, conflicts_with_all = ["smoke", "names"])]
    pub write: bool,
}

impl Args {
    /// A smoke test of everything.
    pub fn smoke() -> Args {
        Args { names: Vec::new(), smoke: true, tracer: None, write: false }
    }
}

/// What is measured together.
struct Group {
    name: &'static str,
    needs_root: bool,
    about: &'static str,
    measure: fn(&Bench) -> Result<Vec<Row>>,
}

/// In the order of the table.
const GROUPS: [Group; 7] = [
    Group {
        name: "retransmit",
        needs_root: true,
        about: "kernel time for each retransmission",
        measure: kernel_time::of_retransmissions,
    },
    Group {
        name: "state",
        needs_root: true,
        about: "kernel time for each state change of untroubled connections",
        measure: kernel_time::of_state_changes,
    },
    Group {
        name: "connections",
        needs_root: true,
        about: "connections a second, traced and not",
        measure: connections::rate,
    },
    Group {
        name: "userspace",
        needs_root: false,
        about: "events a second through decoding, correlation and JSON",
        measure: userspace::rate,
    },
    Group { name: "losses", needs_root: true, about: "records lost in a storm", measure: losses::in_a_storm },
    Group {
        name: "memory",
        needs_root: true,
        about: "idle, and with 100,000 troubled flows",
        measure: memory::peak,
    },
    Group { name: "start", needs_root: true, about: "from start to attached", measure: startup::time },
];

/// The names of those that need root, or of those that do not.
pub fn groups(needing_root: bool) -> impl Iterator<Item = &'static str> {
    GROUPS.iter().filter(move |group| group.needs_root == needing_root).map(|group| group.name)
}

fn names() -> clap::builder::PossibleValuesParser {
    GROUPS.iter().map(|group| clap::builder::PossibleValue::new(group.name).help(group.about)).into()
}

/// What the measurements share.
struct Bench {
    /// The tracer.
    tracer: PathBuf,
    smoke: bool,
}

impl Bench {
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
    let wanted = |group: &&Group| args.names.is_empty() || args.names.iter().any(|name| name == group.name);
    let groups: Vec<_> = GROUPS.iter().filter(wanted).collect();
    if groups.iter().any(|group| group.needs_root) {
        lab::ready()?;
    }
    let tracer = match &args.tracer {
        Some(path) => path.clone(),
        None => tools::build_tracer()?,
    };
    let bench = Bench { tracer, smoke: args.smoke };
    let mut rows = Vec::new();
    for group in groups {
        eprintln!("measuring: {}", group.about);
        let measured = (group.measure)(&bench)?;
        ensure!(!measured.is_empty(), "{} gave no row", group.name);
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
