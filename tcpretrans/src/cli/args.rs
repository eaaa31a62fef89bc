//! The command line as it was typed: what there is to do. Each command has its own options.

use clap::{CommandFactory, Parser, Subcommand};

use crate::{
    advise::args::AdviseArgs,
    demo::args::DemoArgs,
    doctor::args::DoctorArgs,
    live::args::LiveArgs,
    page::{PLAIN, Page, Pen},
    replay::args::ReplayArgs,
    report::args::ReportArgs,
};

/// Commands and what they show.
pub(super) const EXAMPLES: &[(&str, &str)] = &[
    ("sudo tcpretrans", "every retransmission on this machine"),
    ("sudo tcpretrans -p 443,8000-8100", "one of these ports, at either end"),
    ("sudo tcpretrans --raddr 10.0.0.0/8 -t rto,syn", "timeouts towards the internal network"),
    ("sudo tcpretrans --netns web --summary", "one network namespace, then totals"),
    ("sudo tcpretrans -q -o tcp.jsonl --rotate-size 100M", "a log that rotates"),
    ("sudo tcpretrans --format json -d 30s | jq .flow.raddr", "JSON Lines, for half a minute"),
    ("tcpretrans replay tcp.jsonl* --raddr 10.0.0.0/8", "print a log again, in order of time"),
    ("tcpretrans report tcp.jsonl --since 03:00", "a summary on one screen"),
    ("tcpretrans advise tcp.jsonl", "what would other settings have done?"),
    ("tcpretrans demo", "a recorded incident, without root"),
    ("tcpretrans doctor", "can this machine trace?"),
];

/// Exit codes and what they mean.
pub(super) const EXIT_CODES: &[(u8, &str)] = &[
    (0, "done (also after Ctrl-C, SIGTERM, or when the output pipe was closed)"),
    (1, "failed while running"),
    (2, "bad usage or bad input"),
    (3, "this machine cannot trace: the message says what is missing and what to do"),
];

/// Longer lines are hard to read.
const WIDEST_HELP: usize = 100;

/// The definition of the command line, with its help for that page.
pub(super) fn command(page: Page) -> clap::Command {
    let colour = if page.colour { clap::ColorChoice::Always } else { clap::ColorChoice::Never };
    let page = Page { colour: false, ..page.at_most(WIDEST_HELP) };
    let examples = examples(page);
    CommandLine::command()
        .color(colour)
        .term_width(page.columns)
        .after_long_help(format!("{examples}\n\n{}", exit_codes(page)))
        .after_help(examples)
}

/// Commands beside their meanings; where there is no room for that, alone on their lines.
fn examples(page: Page) -> String {
    let widest = |text: fn(&(&str, &str)) -> usize| EXAMPLES.iter().map(text).max().unwrap_or(0);
    let (command, meaning) = (widest(|(command, _)| command.len()), widest(|(_, meaning)| meaning.len()));
    let beside = 2 + command + 2 + meaning <= page.columns;
    let mut pen = Pen::new(page);
    pen.line("Examples:");
    for (example, text) in EXAMPLES {
        if beside {
            pen.line(format!("  {example:<command$}  {text}"));
        } else {
            pen.command(2, example);
            pen.paragraph("      ", 6, PLAIN, text);
        }
    }
    pen.finish().trim_end().to_owned()
}

fn exit_codes(page: Page) -> String {
    let mut pen = Pen::new(page);
    pen.line("Exit codes:");
    for (code, meaning) in EXIT_CODES {
        pen.paragraph(format!("  {code}  "), 5, PLAIN, meaning);
    }
    pen.finish().trim_end().to_owned()
}

/// Trace TCP retransmissions, and show when and why connections time out
///
/// Traces live until Ctrl-C. Needs root, or CAP_BPF and CAP_PERFMON, and Linux 5.10 or newer with BTF.
/// A flow has to match every option that is given (-p 443 -4), and one value of each (-p 80 -p 443).
#[derive(Debug, Parser)]
#[command(
    name = "tcpretrans",
    version,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
pub(super) struct CommandLine {
    /// What to do; nothing: trace live.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of live tracing.
    #[command(flatten)]
    pub live: LiveArgs,
}

/// What else tcpretrans does.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print recordings as live tracing did, with any filter
    Replay(Box<ReplayArgs>),
    /// Summarise recordings on one screen
    Report(Box<ReportArgs>),
    /// Compute from recordings what other settings would have done: RTO_MIN, timeouts of applications, tcp_retries2
    Advise(Box<AdviseArgs>),
    /// Show a recorded incident: needs no privileges, traces nothing
    Demo(DemoArgs),
    /// Check whether this machine can trace and what is degraded, and explain its TCP settings
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page (tcpretrans man | man -l -)
    Man,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::event::RetransmitType;

    #[test]
    fn the_definition_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn help_names_every_type_and_groups_the_options() {
        let help = command(Page { columns: 80, colour: false }).render_long_help().to_string();
        for ty in RetransmitType::ALL {
            assert!(help.contains(ty.name()), "{}", ty.name());
        }
        let mut at = 0;
        for heading in ["Commands:", "Filters:", "Output:", "Tracing:", "Examples:", "Exit codes:"] {
            at += help[at..].find(heading).unwrap_or_else(|| panic!("{heading} after byte {at}:\n{help}"));
        }
    }

    #[test]
    fn every_option_and_command_stands_in_the_documentation() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let docs =
            std::fs::read_dir(root.join("docs")).expect("docs").map(|entry| entry.expect("an entry").path());
        let pages: String = docs
            .chain([root.join("README.md")])
            .map(|page| std::fs::read_to_string(page).expect("readable"))
            .collect();
        let names_option = |option: &str| {
            pages.match_indices(option).any(|(at, _)| {
                let next = pages[at + option.len()..].chars().next();
                next.is_none_or(|next| !next.is_alphanumeric() && next != '-')
            })
        };
        let mut missing = BTreeSet::new();
        let live = CommandLine::command();
        for command in live.get_subcommands().chain([&live]) {
            let options = command.get_arguments().filter_map(clap::Arg::get_long);
            missing
                .extend(options.map(|option| format!("--{option}")).filter(|option| !names_option(option)));
        }
        let commands = live.get_subcommands().map(|command| format!("tcpretrans {}", command.get_name()));
        missing.extend(commands.filter(|command| !pages.contains(command)));
        assert!(missing.is_empty(), "neither README.md nor docs/ names {missing:?}");
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
