//! `cargo xtask verify-counts`: does the tool count what the kernel counts? Real traffic in trouble between two network
//! namespaces, and the kernel's numbers beside the tool's.

mod bulk;
mod handshakes;
mod refusals;
pub mod rules;
pub mod scenario;
mod timers;
pub mod traced;

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rules::Row;
use scenario::{Played, Scenario, Watched, matrix};
use traced::{Log, Traced};

use crate::{
    lab::{Lab, ready, witness::Witness},
    running::patience,
    tracer::build::{Profile, build},
};

/// Compare the tool's totals with the kernel's own counters, in network namespaces with real losses
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only scenarios whose names contain this; `list` names them all
    pub filter: Option<String>,
    /// The tracer's program [default: it is built]
    #[arg(long, value_name = "FILE")]
    pub program: Option<PathBuf>,
}

/// How often a scenario is played whose events the kernel hid.
const ATTEMPTS: u32 = 8;

/// Runs the command.
///
/// # Errors
/// If the lab fails. A difference gives exit code 1 instead; bad usage and no root 2.
pub fn run(args: &Args) -> Result<ExitCode> {
    let all = matrix(&congestion_controls()?);
    if args.filter.as_deref() == Some("list") {
        all.iter().for_each(|scenario| println!("{:28} {}", scenario.name, scenario.about));
        return Ok(ExitCode::SUCCESS);
    }
    let wanted =
        |scenario: &&Scenario| args.filter.as_deref().is_none_or(|part| scenario.name.contains(part));
    let chosen: Vec<&Scenario> = all.iter().filter(wanted).collect();
    if chosen.is_empty() {
        eprintln!("no scenario has that in its name; `cargo xtask verify-counts list` names them all");
        return Ok(ExitCode::from(2));
    }
    if let Err(error) = ready() {
        eprintln!("{error:#}");
        return Ok(ExitCode::from(2));
    }
    let program = match &args.program {
        Some(program) => program.clone(),
        None => build(Profile::Release)?,
    };
    let mut different = Vec::new();
    for scenario in &chosen {
        if !verify(&program, scenario)? {
            different.push(scenario.name.as_str());
        }
    }
    if different.is_empty() {
        let scenarios = if chosen.len() == 1 { "scenario" } else { "scenarios" };
        println!("The kernel agrees with every count, in {} {scenarios}.", chosen.len());
        return Ok(ExitCode::SUCCESS);
    }
    println!("DIFFERENT in {} of {} scenarios: {}", different.len(), chosen.len(), different.join(", "));
    Ok(ExitCode::FAILURE)
}

/// The congestion controls of this machine, the lab's own first.
///
/// # Errors
/// If the kernel does not say.
pub fn congestion_controls() -> Result<Vec<String>> {
    let path = "/proc/sys/net/ipv4/tcp_available_congestion_control";
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let mut controls: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    controls.sort_by_key(|name| name != "cubic");
    Ok(controls)
}

/// Plays a scenario until it can be judged, and prints it. Do they agree?
fn verify(program: &Path, scenario: &Scenario) -> Result<bool> {
    for attempt in 1.. {
        let found = play(program, scenario).with_context(|| format!("in the scenario {}", scenario.name))?;
        if found.agrees() || !found.is_excused() || attempt == ATTEMPTS {
            print!("{}", found.report(scenario));
            return Ok(found.agrees());
        }
        println!("{}: repeated: {}", scenario.name, found.excuse());
    }
    Ok(false)
}

/// One scenario's numbers.
#[derive(Debug)]
pub struct Found {
    /// The counters of both namespaces.
    pub rows: Vec<Row>,
    /// Segments and bytes of each socket, kernel and tool, where they differ.
    pub sockets_apart: Vec<String>,
    /// What the sockets add up to.
    pub sockets: Sockets,
    /// Records known to be lost, by place.
    pub lost: Vec<(String, u64)>,
    /// Events of TCP on this machine where no BPF program runs.
    pub hidden: usize,
}

/// What `ss -ti` shows, added up.
#[derive(Debug, Default)]
pub struct Sockets {
    count: usize,
    segs: u64,
    bytes: u64,
}

/// Plays a scenario once, traced.
///
/// # Errors
/// If lab or tracer fail.
pub fn play(program: &Path, scenario: &Scenario) -> Result<Found> {
    let lab = Lab::new()?;
    let witness = Witness::call();
    let tracer = Traced::start(program, &lab)?;
    let Played { sockets, untold } = scenario.play(&lab)?;
    let infos: Vec<_> =
        sockets.iter().map(|watched| Ok((watched.ends, watched.info()?))).collect::<Result<_>>()?;
    close(&lab, sockets)?;
    let (left, right) = (lab.left.counters()?, lab.right.counters()?);
    let Log { end, failures_told, sums } = tracer.finish()?;
    let rows = rules::judge(|name| left.get(name) + right.get(name), &end, &untold, failures_told);

    let mut totals = Sockets { count: infos.len(), ..Sockets::default() };
    let mut sockets_apart = Vec::new();
    for (ends, info) in infos {
        let sum = sums.get(&ends).copied().unwrap_or_default();
        let segs = (u64::from(info.total_retrans), sum.segs + sum.unseen);
        let bytes = (info.bytes_retrans, sum.bytes);
        totals.segs += segs.0;
        totals.bytes += bytes.0;
        // How many bytes an unseen retransmission carried, nobody tells; here it may just be one that failed.
        let bytes_known = failures_told || sum.unseen == 0;
        if segs.0 != segs.1 || bytes_known && bytes.0 != bytes.1 {
            sockets_apart.push(format!(
                "{} > {}: total_retrans {} and {}, bytes_retrans {} and {}",
                ends.0, ends.1, segs.0, segs.1, bytes.0, bytes.1
            ));
        }
    }
    let lost = ["ring", "recursion", "map", "output", "unseen"]
        .map(|place| (place.to_owned(), end.of("lost", &[place])))
        .into_iter()
        .filter(|(_, records)| *records > 0)
        .collect();
    let hidden = witness.map_or(0, |witness| witness.events().unwrap_or(0));
    Ok(Found { rows, sockets_apart, sockets: totals, lost, hidden })
}

/// Closes all sockets and waits until they are gone.
fn close(lab: &Lab, sockets: Vec<Watched>) -> Result<()> {
    drop(sockets);
    let start = Instant::now();
    while lab.left.sockets_in_use()? + lab.right.sockets_in_use()? > 0 {
        ensure!(start.elapsed() < patience(), "sockets of the lab do not close");
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

impl Found {
    /// Do kernel and tool agree on everything?
    pub fn agrees(&self) -> bool {
        self.rows.iter().all(Row::agrees) && self.sockets_apart.is_empty()
    }

    /// Has the kernel hidden events from BPF, or skipped a program and said so? Then it says nothing about the tool
    /// that the numbers differ.
    pub fn is_excused(&self) -> bool {
        self.hidden > 0 || self.lost.iter().any(|(place, _)| place == "recursion")
    }

    fn excuse(&self) -> String {
        let segs = self.rows.iter().find(|row| row.counter == "RetransSegs");
        format!(
            "TCP events where no BPF program runs: {}; lost as reported by the tool: {}; with that, RetransSegs {}",
            self.hidden,
            self.lost(),
            if segs.is_some_and(Row::agrees) { "agrees" } else { "differs" }
        )
    }

    fn lost(&self) -> String {
        let each: Vec<String> =
            self.lost.iter().map(|(place, records)| format!("{place} {records}")).collect();
        if each.is_empty() { "nothing".to_owned() } else { each.join(", ") }
    }

    /// The table.
    pub fn report(&self, scenario: &Scenario) -> String {
        let mut text = format!("{}: {}\n", scenario.name, scenario.about);
        // Writing to a String cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "  {:26} {:>8} {:>8}", "counter", "kernel", "tool")?;
        for row in self.rows.iter().filter(|row| !row.is_silent()) {
            let mark = if row.agrees() { "" } else { "  DIFFERENT" };
            writeln!(text, "  {:26} {:>8} {:>8}  {}{mark}", row.counter, row.kernel, row.tool, row.words)?;
        }
        let silent: Vec<_> = self.rows.iter().filter(|row| row.is_silent()).map(|row| row.counter).collect();
        if !silent.is_empty() {
            writeln!(text, "  0 on both sides: {}", silent.join(", "))?;
        }
        let Sockets { count, segs, bytes } = self.sockets;
        if count > 0 {
            let apart = self.sockets_apart.len();
            writeln!(
                text,
                "  {count} sockets, each by itself: total_retrans {segs}, bytes_retrans {bytes} in all, {apart} differ"
            )?;
        }
        for socket in &self.sockets_apart {
            writeln!(text, "    DIFFERENT {socket}")?;
        }
        writeln!(text, "  lost: {}\n", self.lost())
    }
}
