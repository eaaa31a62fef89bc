//! The worst episodes, each with its ladder and its end.

use std::net::SocketAddr;

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use super::{
    BAD, HEADING,
    figures::{Times, counted, ladder},
    pen::Pen,
};
use crate::{
    report::tally::{
        Report,
        episode::{Ended, Outcome},
        worst::Worst,
    },
    sink::table::cells::{duration, flow, process},
    words::escape::cut_middle,
};

const TOP: usize = 3;
/// Columns of a process, as the table has them.
const PROCESS: usize = 16;
/// The longest of the usual outcomes is `retransmit_timeout`.
const OUTCOME: usize = 18;
/// Where there is less room than for two addresses, the remote one has it all.
const BOTH_ENDS: usize = 22;

pub(super) fn write(pen: &mut Pen, report: &Report, top: Option<usize>, times: &Times<'_>) {
    let mut worst = report.worst.iter().take(top.unwrap_or(TOP)).peekable();
    if worst.peek().is_none() {
        return;
    }
    pen.gap();
    pen.styled_line(HEADING, "WORST EPISODES");
    for Worst { episode, more } in worst {
        let at = times.short(episode.began_wall_ns);
        let who = match process(&episode.flow, Some(PROCESS)) {
            unknown if unknown == "-" => "unknown".to_owned(),
            who => who,
        };
        let style = if is_death(episode.outcome) { BAD } else { Style::new() };
        let outcome = padded(outcome(episode.outcome), OUTCOME);
        let begin = format!("{:>6}  {at}  ", duration(episode.duration_ms));
        let rest = format!("  {}  ", padded(&who, PROCESS));
        let room = pen.columns().saturating_sub(begin.width() + outcome.width() + rest.width());
        let flow = if room < BOTH_ENDS {
            let remote = SocketAddr::new(episode.flow.raddr, episode.flow.rport).to_string();
            cut_middle(&remote, room).into_owned()
        } else {
            flow(&episode.flow, Some(room))
        };
        let line = format!("{begin}{}{rest}{flow}", pen.styled(style, &outcome));
        pen.line(&line);
        pen.sentence(Style::new(), "        ", 10, &story(episode, *more));
    }
}

fn padded(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(text.width())))
}

fn is_death(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Closed(cause, _) if cause.is_death())
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Recovered(Some(true)) => "needless",
        Outcome::Recovered(_) => "recovered",
        Outcome::Closed(cause, _) => cause.name(),
        Outcome::Open => "end not recorded",
    }
}

fn story(episode: &Ended, more: u64) -> String {
    let mut text = format!("{} sent", episode.sent);
    let rungs = ladder(&episode.ladder);
    if !rungs.is_empty() {
        text += &format!(", RTO {rungs}");
    }
    if let Outcome::Closed(_, Some(knob)) = episode.outcome {
        text += &format!(", then {}", knob.name());
    }
    if more > 0 {
        text += &format!("; {} like it", counted(more, "shorter one", "shorter ones"));
    }
    text
}
