//! The first lines: when, how much of it is known, how bad.

use super::{bars::sparkline, times::Times};
use crate::{
    page::{ALARM, FAINT, HEADING, NOTICE, PLAIN, Pen, Text},
    report::{Subject, tally::Report},
    words::{
        figures::{bytes, count, counted, percent, short, thousands},
        time::millis,
    },
};

const NS_PER_MS: u64 = 1_000_000;

pub(super) fn write(pen: &mut Pen, report: &Report, subject: &Subject, times: &Times<'_>) {
    when(pen, report, times);
    asked_for(pen, subject, times);
    gaps_in_knowledge(pen, report, subject);
    if report.events == 0 {
        pen.line(if subject.window.is_everything() && subject.filters.is_empty() {
            "Nothing happened: no retransmission, no failed connection."
        } else {
            "Nothing that was asked for happened."
        });
        return;
    }
    how_bad(pen, report);
    timeline(pen, report, times);
}

fn when(pen: &mut Pen, report: &Report, times: &Times<'_>) {
    let sessions = &report.sessions;
    let Some(first_ns) = sessions.first_ns else { return };
    let mut text = format!(
        "{} to {}, {} in {}",
        times.whole(first_ns),
        times.short(sessions.last_ns),
        millis(sessions.recorded_ns / NS_PER_MS),
        count(sessions.count, "session"),
    );
    if let Some(gap) = sessions.longest_gap {
        let at = times.short(gap.from_ns);
        let length = millis(gap.ns / NS_PER_MS);
        text += &match sessions.gaps {
            1 => format!(", gap of {length} at {at}"),
            gaps => format!(", {} gaps, the longest {length} at {at}", thousands(gaps)),
        };
    }
    pen.paragraph("", 2, HEADING, &text);
}

fn asked_for(pen: &mut Pen, subject: &Subject, times: &Times<'_>) {
    let mut parts = Vec::new();
    let window = subject.window;
    if let Some(since_ns) = window.since_ns {
        parts.push(format!("from {}", times.whole(since_ns)));
    }
    if let Some(until_ns) = window.until_ns {
        parts.push(format!("until {}", times.whole(until_ns)));
    }
    parts.extend(subject.filters.iter().map(|(option, value)| format!("{option} {value}")));
    if !parts.is_empty() {
        pen.paragraph("", 2, PLAIN, format!("Only {}", parts.join(", ")));
    }
}

fn gaps_in_knowledge(pen: &mut Pen, report: &Report, subject: &Subject) {
    let lost: Vec<String> = report
        .totals
        .lost
        .iter()
        .filter(|(_, records)| **records > 0)
        .map(|(place, records)| format!("{} {}", place.name(), thousands(*records)))
        .collect();
    if !lost.is_empty() {
        let text = format!("LOST while recording, so the numbers below are too low: {}", lost.join(", "));
        pen.paragraph("", 2, ALARM, &text);
    }
    if subject.damaged_lines > 0 {
        let lines = counted(subject.damaged_lines, "damaged line was", "damaged lines were");
        pen.paragraph("", 2, ALARM, format!("{lines} skipped"));
    }
    let sessions = &report.sessions;
    if sessions.without_end > 0 {
        let have = counted(sessions.without_end, "session has", "sessions have");
        let text = format!("{have} no end: the tracer was killed or still runs, or the file is cut");
        pen.paragraph("", 2, NOTICE, &text);
    }
    if sessions.overlapping > 0 {
        let overlap = counted(sessions.overlapping, "session overlaps", "sessions overlap");
        pen.paragraph("", 2, NOTICE, format!("{overlap} in time: what two tracers saw counts twice"));
    }
    if report.flows_forgotten > 0 {
        let flows = counted(report.flows_forgotten, "connection was", "connections were");
        let text =
            format!("{flows} forgotten to limit memory; a connection that was seen again counts twice");
        pen.paragraph("", 2, NOTICE, &text);
    }
}

fn how_bad(pen: &mut Pen, report: &Report) {
    let counts = report.counts();
    let mut text = format!(
        "{}, {} of them timeouts; {}, {}",
        count(counts.sent, "retransmission"),
        thousands(counts.timeouts),
        count(counts.segs, "segment"),
        bytes(counts.bytes),
    );
    if counts.failed > 0 {
        text += &format!("; {} more could not be sent", thousands(counts.failed));
    }
    pen.paragraph("", 2, PLAIN, &text);

    let mut text = format!(
        "{}, {} retransmitted",
        count(report.all.flows, "connection"),
        match report.all.retransmitting {
            all if all == report.all.flows && all > 1 => "all".to_owned(),
            some => thousands(some),
        },
    );
    text += &match counts.deaths {
        0 => "; none died".to_owned(),
        deaths => format!("; {} died", thousands(deaths)),
    };
    if report.undelivered_bytes > 0 {
        text += &format!(" with {} undelivered", bytes(report.undelivered_bytes));
    }
    let open = report.all.flows.saturating_sub(counts.closed);
    if open > 0 {
        text += &format!(", {} left open", thousands(open));
    }
    pen.paragraph("", 2, if counts.deaths > 0 { ALARM } else { PLAIN }, &text);
    recoveries(pen, report);
}

fn recoveries(pen: &mut Pen, report: &Report) {
    let counts = report.counts();
    let mut text = counted(counts.recovered, "recovery", "recoveries");
    if let (Some(half), Some(most), Some(max)) =
        (report.recovery_ms.quantile(0.5), report.recovery_ms.quantile(0.99), report.recovery_ms.max())
    {
        text += &match report.recovery_ms.count() {
            1 => format!(" after {}", span(max)),
            2..100 => format!(": median {}, longest {}", span(half), span(max)),
            _ => format!(": median {}, p99 {}, longest {}", span(half), span(most), span(max)),
        };
    }
    let known = counts.recovered.saturating_sub(counts.spurious_unknown);
    if known > 0 {
        let percent = percent(counts.spurious, known);
        text += &format!("; {percent} spurious ({} of {}", thousands(counts.spurious), thousands(known));
        if counts.spurious_unknown > 0 {
            text += &format!(", {} unknown", thousands(counts.spurious_unknown));
        }
        text.push(')');
    }
    pen.paragraph("", 2, PLAIN, &text);
}

fn span(ms: u64) -> String {
    if ms == 0 { "less than 1 ms".to_owned() } else { millis(ms) }
}

fn timeline(pen: &mut Pen, report: &Report, times: &Times<'_>) {
    let mut most = pen.columns();
    loop {
        let timeline = report.timeline.narrowed(most);
        let Some((peak_ns, peak)) = timeline.peak() else { return };
        let bin = millis(timeline.width_s() * 1000);
        let [begin, end, at] = [timeline.begin_ns(), timeline.end_ns(), peak_ns].map(|ns| times.about(ns));
        let line = Text::from(begin + " ")
            .and(NOTICE, sparkline(timeline.bins()))
            .and(PLAIN, format!(" {end}"))
            .and(FAINT, format!("  most {} in {bin} at {at}", short(peak)));
        if line.width() <= pen.columns() || most <= 2 {
            pen.line(line);
            return;
        }
        most = timeline.bins().len() - 1;
    }
}
