//! The worst episodes, each with its timeouts and its end.

use std::net::SocketAddr;

use super::times::Times;
use crate::{
    page::{ALARM, Keep, PLAIN, Pen, Text, cut, width},
    report::tally::{
        Report,
        episode::{Ended, EpisodeOutcome, Ladder},
        worst::Worst,
    },
    sink::table::cells::{flow, process},
    words::{
        figures::counted,
        time::{millis, steps},
    },
};

const TOP: usize = 3;
/// Columns of a process, as the table has them.
const PROCESS: usize = 16;
/// The longest of the usual outcomes is `retransmit_timeout`.
const OUTCOME: usize = 18;
/// The remote end, and the local port.
const FLOW: usize = 24;

pub(super) fn write(pen: &mut Pen, report: &Report, top: Option<usize>, times: &Times<'_>) {
    let worst = &report.worst[..report.worst.len().min(top.unwrap_or(TOP))];
    if worst.is_empty() {
        return;
    }
    pen.heading("WORST EPISODES");
    let duration = |worst: &Worst| millis(worst.episode.duration_ms);
    let widest = worst.iter().map(|worst| duration(worst).len()).max().unwrap_or(0);
    for one @ Worst { episode, more } in worst {
        let begin = format!("{:>widest$}  {}  ", duration(one), times.short(episode.began_wall_ns));
        let style = if is_death(episode.outcome) { ALARM } else { PLAIN };
        let used = width(&begin) + width(outcome(episode.outcome)).max(OUTCOME) + 2;
        let line = Text::from(begin).and(style, outcome(episode.outcome)).pad(used);
        let who = match process(&episode.flow, Some(PROCESS)) {
            unknown if unknown == "-" => "unknown".to_owned(),
            who => who,
        };
        let mut story = story(episode, *more);
        let room = pen.columns().saturating_sub(used);
        // Where there is little room, the process goes below.
        pen.line(if room < PROCESS + 2 + FLOW {
            story = format!("{who}: {story}");
            line.and(PLAIN, ends(episode, room))
        } else {
            let flow = flow(&episode.flow, Some(room - PROCESS - 2));
            line.then(Text::from(who).pad(PROCESS + 2)).and(PLAIN, flow)
        });
        pen.paragraph("        ", 10, PLAIN, story);
    }
}

/// Both ends, or only the remote one where there is no room.
fn ends(episode: &Ended, room: usize) -> String {
    if room >= FLOW {
        return flow(&episode.flow, Some(room));
    }
    let remote = SocketAddr::new(episode.flow.raddr, episode.flow.rport).to_string();
    cut(&remote, room, Keep::Ends).into_owned()
}

fn is_death(outcome: EpisodeOutcome) -> bool {
    matches!(outcome, EpisodeOutcome::Closed(cause, _) if cause.is_death())
}

fn outcome(outcome: EpisodeOutcome) -> &'static str {
    match outcome {
        EpisodeOutcome::Recovered(Some(true)) => "spurious",
        EpisodeOutcome::Recovered(_) => "recovered",
        EpisodeOutcome::Closed(cause, _) => cause.name(),
        EpisodeOutcome::Open => "end not recorded",
    }
}

fn story(episode: &Ended, more: u64) -> String {
    let mut text = format!("{} sent", episode.sent);
    let timeouts = timeouts(&episode.ladder);
    if !timeouts.is_empty() {
        text += &format!(", RTO {timeouts}");
    }
    if let EpisodeOutcome::Closed(_, Some(knob)) = episode.outcome {
        text += &format!(", then {}", knob.name());
    }
    if more > 0 {
        text += &format!("; {} like it", counted(more, "shorter one", "shorter ones"));
    }
    text
}

/// The retransmission timeouts that expired and the one that was waited for.
fn timeouts(ladder: &Ladder) -> String {
    let mut times: Vec<(u64, u64)> = Vec::new();
    for &ms in ladder.expired_ms.iter().chain(&ladder.waiting_ms) {
        match times.last_mut() {
            Some((last, times)) if *last == ms => *times += 1,
            _ => times.push((ms, 1)),
        }
    }
    if let Some((_, times)) = times.last_mut() {
        *times += u64::from(ladder.more);
    }
    steps(&times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_timeouts_are_counted() {
        let of = |expired_ms: &[u64], waiting_ms, more| {
            timeouts(&Ladder { expired_ms: expired_ms.to_vec(), waiting_ms, more })
        };
        assert_eq!(of(&[204, 408, 816, 1632], Some(3264), 0), "204->408->816 ms->1.6->3.3 s");
        assert_eq!(of(&[204], Some(408), 0), "204->408 ms");
        assert_eq!(of(&[1000, 1000, 1000], Some(2000), 0), "1 (3 times)->2 s");
        assert_eq!(of(&[60_000, 120_000, 120_000], Some(120_000), 5), "60->120 s (8 times)");
        assert_eq!(of(&[], None, 0), "");
    }
}
