//! The command line as it was typed. Values stay text here: [`super::config`] turns them into what they mean, and
//! says in one sentence what is wrong with them.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use super::{advise_args::AdviseArgs, demo_args::DemoArgs, replay_args::ReplayArgs, report_args::ReportArgs};

/// Commands and what they show.
pub const EXAMPLES: &[(&str, &str)] = &[
    ("sudo tcpretrans", "every retransmission on this machine"),
    ("sudo tcpretrans -p 443,8000-8100", "one of these ports, at either end"),
    ("sudo tcpretrans --raddr 10.0.0.0/8 -t rto,syn", "timeouts towards the internal network"),
    ("sudo tcpretrans --netns web --summary", "one network namespace, then totals"),
    ("sudo tcpretrans -q -o tcp.jsonl --rotate-size 100M", "a log that rotates"),
    ("sudo tcpretrans --format json -d 30s | jq .flow.raddr", "JSON Lines, for half a minute"),
    ("tcpretrans replay tcp.jsonl* --raddr 10.0.0.0/8", "what the log saw, in order of time"),
    ("tcpretrans report tcp.jsonl --since 03:00", "the night on one screen"),
    ("tcpretrans advise tcp.jsonl", "what would other settings have done?"),
    ("tcpretrans demo", "a recorded incident, without root"),
    ("tcpretrans doctor", "can this machine trace?"),
];

/// Exit codes and what they mean.
pub const EXIT_CODES: &[(u8, &str)] = &[
    (0, "done (also after Ctrl-C, SIGTERM, or when the reader of a pipe left)"),
    (1, "failed while running"),
    (2, "bad usage or bad input"),
    (3, "this machine cannot trace: the message says what is missing and what to do"),
];

fn examples() -> String {
    let width = EXAMPLES.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    let lines = EXAMPLES.iter().map(|(command, meaning)| format!("\n  {command:<width$}  {meaning}"));
    format!("Examples:{}", lines.collect::<String>())
}

fn exit_codes() -> String {
    let lines = EXIT_CODES.iter().map(|(code, meaning)| format!("\n  {code}  {meaning}"));
    format!("Exit codes:{}", lines.collect::<String>())
}

/// See TCP retransmissions as the kernel makes them, and when and why a connection will die
///
/// Traces live until Ctrl-C. Needs root, or CAP_BPF and CAP_PERFMON, and Linux 5.10 or newer with BTF.
/// Filters of one kind widen (-p 80 -p 443), filters of different kinds narrow (-p 443 -4).
#[derive(Debug, Parser)]
#[command(
    name = "tcpretrans",
    version,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    after_help = examples(),
    after_long_help = format!("{}\n\n{}", examples(), exit_codes()),
)]
pub struct CommandLine {
    /// What to do; nothing: trace live.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of live tracing.
    #[command(flatten)]
    pub live: LiveArgs,
}

/// What else tcpretrans does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run recordings through the correlation again and print them as live tracing did
    Replay(Box<ReplayArgs>),
    /// Sum up recordings on one screen
    Report(Box<ReportArgs>),
    /// Say what other settings would do: RTO_MIN, timeouts of applications, tcp_retries2, from recordings
    Advise(Box<AdviseArgs>),
    /// Show a recorded incident: needs no rights, traces nothing
    Demo(DemoArgs),
    /// Say whether this machine can trace, what is degraded, and which settings decide over connections
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page (tcpretrans man | man -l -)
    Man,
}

/// Options of `tcpretrans doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// How to print the findings
    #[arg(long, value_enum, default_value_t = DoctorFormat::Text)]
    pub format: DoctorFormat,
}

/// How `doctor` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DoctorFormat {
    /// For people
    Text,
    /// One JSON object
    Json,
}

/// Options of live tracing.
#[derive(Debug, Default, Args)]
pub struct LiveArgs {
    /// Which flows.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Where to.
    #[command(flatten)]
    pub output: OutputArgs,
    /// How to trace.
    #[command(flatten)]
    pub tracing: TracingArgs,
}

/// Which flows: of live tracing and of whatever reads recordings.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Filters")]
pub struct FilterArgs {
    /// Local or remote port: 443,8000-8100
    #[arg(short, long, value_name = "LIST")]
    pub port: Vec<String>,
    /// Local port
    #[arg(long, value_name = "LIST")]
    pub lport: Vec<String>,
    /// Remote port
    #[arg(long, value_name = "LIST")]
    pub rport: Vec<String>,
    /// Local or remote address or prefix: 10.0.0.0/8,2001:db8::1
    #[arg(short, long, value_name = "LIST")]
    pub addr: Vec<String>,
    /// Local address or prefix
    #[arg(long, value_name = "LIST")]
    pub laddr: Vec<String>,
    /// Remote address or prefix
    #[arg(long, value_name = "LIST")]
    pub raddr: Vec<String>,
    /// Only IPv4 (IPv4-mapped IPv6 included)
    #[arg(short = '4', long)]
    pub ipv4: bool,
    /// Only IPv6
    #[arg(short = '6', long)]
    pub ipv6: bool,
    /// Owning process; flows whose owner is unknown are left out
    #[arg(long, value_name = "LIST")]
    pub pid: Vec<String>,
    /// Name of the owning process
    #[arg(long, value_name = "NAME")]
    pub comm: Vec<String>,
    /// Network namespace: its number, a process in it, a name of `ip netns`, or a path
    #[arg(long, value_name = "ID|PID|PATH")]
    pub netns: Vec<String>,
    /// Cgroup v2 and everything below it: /system.slice/x.service
    #[arg(long, value_name = "PATH")]
    pub cgroup: Vec<String>,
    /// Retransmission type, and what became of flows that had one: syn, synack, rto, slow_start, fast, rack_timer,
    /// tlp, zero_window, pmtu, icmp_revert, unknown
    #[arg(short = 't', long = "type", value_name = "LIST")]
    pub types: Vec<String>,
}

/// Where events go.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// What standard output looks like [default: table]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Also log JSON Lines to FILE (appended)
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Begin a new log file at this size: 100M
    #[arg(long, value_name = "SIZE")]
    pub rotate_size: Option<String>,
    /// Old log files to keep [default: 5]
    #[arg(long, value_name = "N")]
    pub rotate_keep: Option<String>,
    /// Nothing on standard output
    #[arg(short, long)]
    pub quiet: bool,
    /// Totals at the end
    #[arg(long)]
    pub summary: bool,
    /// Warn when this much of a connection's time to live without an answer is used [default: 50; replay: as recorded]
    #[arg(long, value_name = "PERCENT")]
    pub warn_at: Option<String>,
    /// Report the end of every connection, not only of those that were in trouble
    #[arg(long)]
    pub all_closes: bool,
}

/// How long and how.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Tracing")]
pub struct TracingArgs {
    /// Stop after this time: 30s, 5m, 1h30m
    #[arg(short, long, value_name = "TIME")]
    pub duration: Option<String>,
    /// Stop after N printed events
    #[arg(short = 'n', long, value_name = "N")]
    pub count: Option<String>,
    /// Create this file once all programs are attached
    #[arg(long, value_name = "PATH")]
    pub ready_file: Option<PathBuf>,
    /// Size of the buffer between kernel and tcpretrans, rounded up to a power of two [default: 4M]
    #[arg(long, value_name = "SIZE")]
    pub ring_size: Option<String>,
    /// Do not look for connections that are in trouble already when the trace begins
    #[arg(long)]
    pub no_seed: bool,
    /// Diagnostics on standard error
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}

/// What standard output looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// JSON Lines, as in a log
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::event::RetransmitType;

    #[test]
    fn the_definition_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn help_names_every_type_and_groups_the_options() {
        let help = CommandLine::command().render_long_help().to_string();
        for ty in RetransmitType::ALL {
            assert!(help.contains(ty.name()), "{}", ty.name());
        }
        let mut at = 0;
        for heading in ["Commands:", "Filters:", "Output:", "Tracing:", "Examples:", "Exit codes:"] {
            at += help[at..].find(heading).unwrap_or_else(|| panic!("{heading} after byte {at}:\n{help}"));
        }
    }

    #[test]
    fn options_and_commands_exclude_each_other() {
        assert!(CommandLine::try_parse_from(["tcpretrans", "-p", "443", "doctor"]).is_err());
        let parsed =
            CommandLine::try_parse_from(["tcpretrans", "-4", "-p", "1", "-p", "2", "-vv"]).expect("valid");
        assert!(parsed.live.filter.ipv4 && parsed.command.is_none());
        assert_eq!((parsed.live.filter.port, parsed.live.tracing.verbose), (vec!["1".into(), "2".into()], 2));
    }
}
