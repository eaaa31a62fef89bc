//! What the columns cannot say: the outlook, and the lines of events other than retransmissions.

use jiff::civil::DateTime;
use unicode_width::UnicodeWidthStr;

use super::{
    cells::{duration, is_usual_state, local_time, state, time_of_day},
    layout::{Column, Layout},
};
use crate::{
    event::{
        Clock, Closed, Deadline, End, InBackoff, Lost, LostWhere, Recovered, RecoveredBy, Retransmit,
        Threshold, ThresholdName, Unseen, What,
    },
    words::{errno, escape::visible},
};

const NS_PER_MS: u64 = 1_000_000;

/// Ways to say when a flow dies, the most telling first.
fn deadline_forms(deadline: &Deadline, now_ns: u64, clock: &Clock, layout: &Layout) -> [String; 6] {
    let left_ms = deadline.expected_ns.saturating_sub(now_ns) / NS_PER_MS;
    let within = duration(left_ms);
    let (left, short) = match deadline.retransmissions_left {
        0 => ("no try left".to_owned(), "0 left".to_owned()),
        1 => ("1 try left".to_owned(), "1 left".to_owned()),
        tries => (format!("{tries} tries left"), format!("{tries} left")),
    };
    let knob = match deadline.limit {
        Some(limit) => format!("{}={limit}", deadline.knob.name()),
        None => deadline.knob.name().to_owned(),
    };
    let at = local_time(deadline.expected_ns, clock, layout.zone());
    let at = date_if_other(at, local_time(now_ns, clock, layout.zone()));
    [
        format!("dies {at} in {within}, {left} ({knob})"),
        format!("dies {at} in {within}, {left}"),
        format!("dies in {within}, {left}"),
        format!("in {within}, {left}"),
        format!("{within}, {short}"),
        within,
    ]
}

/// The time of day; with the date if it is another day's.
fn date_if_other(at: DateTime, now: DateTime) -> String {
    let time = time_of_day(at, 8);
    if at.date() == now.date() { time } else { format!("{} {time}", at.date()) }
}

/// The last column of a retransmission's line: the most telling form that fits into `room`.
pub fn outlook(retransmit: &Retransmit, now_ns: u64, clock: &Clock, layout: &Layout, room: usize) -> String {
    let failed = retransmit.err.map(|err| format!("not sent: {}", err.name()));
    let unusual = !layout.has(Column::State) && !is_usual_state(retransmit);
    let state = unusual.then(|| state(retransmit.state).into_owned());
    // A peer that answers is not dying: the countdown begins with the first timeout.
    let counts_down = retransmit.retransmits > 0 || retransmit.rto_ms.is_some();
    let deadlines: Vec<Option<String>> = match &retransmit.deadline {
        Some(deadline) if counts_down => {
            deadline_forms(deadline, now_ns, clock, layout).into_iter().map(Some).collect()
        }
        _ => vec![None],
    };
    let joined = |deadline: &Option<String>, state: &Option<String>| {
        let parts: Vec<&str> = [&failed, deadline, state].into_iter().flatten().map(String::as_str).collect();
        parts.join(", ")
    };
    let with_state = deadlines.iter().map(|deadline| joined(deadline, &state));
    let without = deadlines.iter().map(|deadline| joined(deadline, &None));
    let mut forms: Vec<String> = with_state.chain(without).collect();
    let shortest = forms.pop().unwrap_or_default();
    let best = forms.into_iter().find(|form| form.len() <= room).unwrap_or(shortest);
    if best.is_empty() { super::cells::UNKNOWN.to_owned() } else { best }
}

/// The beginning of a text that has to be readable for the text to be worth beginning.
const WORTH_CUTTING: usize = 24;

/// Joins as many of the parts as fit. The last one may be cut, if enough of it remains to make sense.
fn fitting(mut text: String, parts: impl IntoIterator<Item = (&'static str, String)>, room: usize) -> String {
    for (separator, part) in parts {
        let left = room.saturating_sub(text.width() + separator.len());
        if part.width() > left && left < WORTH_CUTTING {
            break;
        }
        text.push_str(separator);
        text.push_str(&part);
    }
    text
}

/// The sentence of an event that is no retransmission; `None`: the table does not show it.
pub fn sentence(what: &What, now_ns: u64, clock: &Clock, layout: &Layout, room: usize) -> Option<String> {
    match what {
        What::Threshold(threshold) => Some(of_threshold(threshold, now_ns, clock, layout, room)),
        What::InBackoff(flow) => Some(of_in_backoff(flow, now_ns, clock, layout, room)),
        What::Recovered(recovered) => Some(of_recovered(recovered, room)),
        What::Closed(closed) => Some(of_closed(closed, room)),
        What::Lost(lost) => Some(of_lost(*lost)),
        What::End(end) => Some(of_end(end)),
        What::Start(_) | What::Retransmit(_) | What::Observation(_) => None,
    }
}

fn of_in_backoff(flow: &InBackoff, now_ns: u64, clock: &Clock, layout: &Layout, room: usize) -> String {
    let since = flow.since_ms.map(|ms| format!(" for {}", duration(ms))).unwrap_or_default();
    let rtos = counted(flow.retransmits.into(), "RTO", "RTOs");
    let waiting = format!("in trouble{since}: {rtos} so far, waiting {}", duration(flow.rto_ms));
    let Some(deadline) = &flow.deadline else { return waiting };
    let forms = deadline_forms(deadline, now_ns, clock, layout);
    let both = forms.iter().map(|form| format!("{waiting}; {form}"));
    // Where there is no room for both, when it dies matters more.
    let either = both.chain(forms.iter().skip(2).cloned()).find(|text| text.width() <= room);
    either.unwrap_or_else(|| forms[5].clone())
}

fn of_threshold(threshold: &Threshold, now_ns: u64, clock: &Clock, layout: &Layout, room: usize) -> String {
    let note = match (threshold.note.as_str(), threshold.name) {
        ("", ThresholdName::Retries1) => "tcp_retries1 passed: the kernel doubts the route",
        ("", ThresholdName::Deadline) => "most of the time until its death is used",
        (note, _) => note,
    };
    let note = visible(note);
    let Some(deadline) = &threshold.deadline else { return note.into_owned() };
    let forms = deadline_forms(deadline, now_ns, clock, layout);
    let full = format!("{note}; {}", forms[0]);
    if full.width() <= room {
        return full;
    }
    // Where there is little room, when it dies matters more than why we say so.
    let dies = forms.iter().skip(2).find(|form| form.len() <= room).unwrap_or(&forms[5]).clone();
    fitting(dies, [("; ", note.into_owned())], room)
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn of_recovered(recovered: &Recovered, room: usize) -> String {
    let attempts = counted(recovered.retransmissions.into(), "retransmission", "retransmissions");
    let mut parts = Vec::new();
    if recovered.spurious == Some(true) {
        parts.push((", ", "all unnecessary".to_owned()));
    }
    match recovered.max_backoff {
        0 => {}
        1 => parts.push((", ", "1 RTO".to_owned())),
        rtos => parts.push((", ", format!("{rtos} RTOs in a row"))),
    }
    parts.push((", ", counted(recovered.segs.into(), "segment", "segments")));
    // Seen only afterwards, at the flow's next event: it was over by then, at the latest.
    let when = match recovered.by {
        RecoveredBy::Progress | RecoveredBy::Close => "within",
        RecoveredBy::CongState | RecoveredBy::TlpAck | RecoveredBy::Established => "after",
    };
    fitting(format!("{when} {}: {attempts}", duration(recovered.duration_ms)), parts, room)
}

fn of_closed(closed: &Closed, room: usize) -> String {
    let error = closed.error.map(|error| (" ", format!("({})", errno::name(error))));
    let note = (!closed.note.is_empty()).then(|| (": ", visible(&closed.note).into_owned()));
    fitting(closed.cause.name().to_owned(), error.into_iter().chain(note), room)
}

fn of_lost(lost: Lost) -> String {
    let why = match lost.place {
        LostWhere::Ring => "the ring buffer was full: tracing did not keep up",
        LostWhere::Recursion => "the kernel skipped a program that was already running on that CPU",
        LostWhere::Map => "a table of flows was full",
        LostWhere::Output => "the output could not be written",
        LostWhere::Unseen => return of_unseen(lost),
    };
    format!("{}: {why}", counted(lost.records, "record", "records"))
}

fn of_unseen(lost: Lost) -> String {
    let unseen = lost.unseen.unwrap_or(Unseen { segs: 0, maybe_failed: false });
    let what = if unseen.maybe_failed { "sent or failed locally" } else { "sent" };
    match unseen.segs {
        0 => format!(
            "{} unseen: only the socket's own count tells",
            counted(lost.records, "timeout", "timeouts")
        ),
        segs => format!(
            "{} {what} unseen: only the socket's own count tells",
            counted(segs, "segment", "segments")
        ),
    }
}

fn of_end(end: &End) -> String {
    // A damaged recording may have any counts.
    let sent = end.retransmits.values().fold(0_u64, |sum, total| sum.saturating_add(total.sent));
    let failed = end.retransmits.values().fold(0_u64, |sum, total| sum.saturating_add(total.failed));
    let closed = end.closed.values().fold(0_u64, |sum, &count| sum.saturating_add(count));
    let lost = end.lost.values().fold(0_u64, |sum, &count| sum.saturating_add(count));
    let mut text = format!(
        "{} in {}, {} recovered, {closed} closed",
        counted(sent, "retransmission", "retransmissions"),
        duration(end.duration_ms),
        end.recovered,
    );
    if failed > 0 {
        text.push_str(&format!(", {failed} not sent"));
    }
    if lost > 0 {
        text.push_str(&format!(", {} lost", counted(lost, "record", "records")));
    }
    text
}
