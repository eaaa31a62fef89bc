//! What the columns cannot say: the outlook, and the lines of events other than retransmissions.

use jiff::civil::DateTime;

use super::{
    cells::{UNKNOWN, is_usual_state, local_time, state},
    layout::{Column, Layout},
};
use crate::{
    event::{
        Clock, Closed, Deadline, End, InBackoff, Lost, LostWhere, Recovered, RecoveredBy, Retransmit,
        Threshold, ThresholdName, Unseen, What,
    },
    page,
    words::{
        errno,
        escape::visible,
        figures::count,
        time::{date_and_time, largest_unit, millis, time_of_day},
    },
};

const NS_PER_MS: u64 = 1_000_000;

/// What is said in an event's last cell, and what that cell has no room for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sentence {
    /// On the event's own line.
    pub line: String,
    /// Below it. Why a connection ended is the answer that the user came for: where it does not fit, it gets lines
    /// of its own instead of an ellipsis.
    pub below: Option<String>,
}

impl Sentence {
    /// The first form that fits; each is what is said, and what that leaves out. If none does, the first goes below.
    fn first_fitting(forms: impl IntoIterator<Item = (String, Option<String>)>, room: usize) -> Sentence {
        let mut whole = None;
        for (line, below) in forms {
            if page::width(&line) <= room {
                return Sentence { line, below };
            }
            whole.get_or_insert(line);
        }
        Sentence { line: String::new(), below: whole }
    }
}

/// When things are shown, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    /// The event's own time, mono ns.
    pub now_ns: u64,
    /// Of the event's session.
    pub clock: &'a Clock,
    /// Of the table.
    pub layout: &'a Layout,
    /// Columns for the last cell.
    pub room: usize,
}

impl Scene<'_> {
    fn local(&self, mono_ns: u64) -> DateTime {
        local_time(mono_ns, self.clock, self.layout.zone())
    }

    /// The time of day; with the date if it is another day's.
    fn at(&self, mono_ns: u64) -> String {
        let at = self.local(mono_ns);
        if at.date() == self.local(self.now_ns).date() { time_of_day(at) } else { date_and_time(at) }
    }

    /// Ways to write when the kernel gives up, the one with most detail first.
    fn deadline_forms(&self, deadline: &Deadline) -> [String; 7] {
        let within_ms = deadline.expected_ns.saturating_sub(self.now_ns) / NS_PER_MS;
        let within = millis(within_ms);
        let (left, short) = match deadline.retransmissions_left {
            0 => ("no try left".to_owned(), "0 left".to_owned()),
            1 => ("1 try left".to_owned(), "1 left".to_owned()),
            tries => (format!("{tries} tries left"), format!("{tries} left")),
        };
        let knob = match deadline.limit {
            Some(limit) => format!("{}={limit}", deadline.knob.name()),
            None => deadline.knob.name().to_owned(),
        };
        let at = self.at(deadline.expected_ns);
        [
            format!("dies {at} in {within}, {left} ({knob})"),
            format!("dies {at} in {within}, {left}"),
            format!("dies in {within}, {left}"),
            format!("in {within}, {left}"),
            format!("{within}, {short}"),
            within,
            largest_unit(within_ms),
        ]
    }
}

/// The last column of a retransmission's line.
pub(crate) fn outlook(retransmit: &Retransmit, scene: Scene<'_>) -> Sentence {
    let failed = retransmit.err.map(|err| format!("not sent: {}", err.name()));
    let unusual = !scene.layout.has(Column::State) && !is_usual_state(retransmit);
    let state = unusual.then(|| state(retransmit.state).into_owned());
    // A peer that answers is not dying: the countdown begins with the first timeout.
    let counts_down = retransmit.retransmits > 0 || retransmit.rto_ms.is_some();
    let deadlines: Vec<Option<String>> = match &retransmit.deadline {
        Some(deadline) if counts_down => scene.deadline_forms(deadline).into_iter().map(Some).collect(),
        _ => vec![None],
    };
    if (&failed, &state, &deadlines[..]) == (&None, &None, &[None]) {
        return Sentence { line: UNKNOWN.to_owned(), below: None };
    }
    let shortest = deadlines.last().cloned().flatten().unwrap_or_else(|| UNKNOWN.to_owned());
    let mut forms = Vec::new();
    for (failed, below) in [(&failed, &None), (&None, &failed)] {
        for state in [&state, &None] {
            for deadline in &deadlines {
                let parts: Vec<&str> =
                    [failed, deadline, state].into_iter().flatten().map(String::as_str).collect();
                if !parts.is_empty() {
                    forms.push((parts.join(", "), below.clone()));
                }
            }
        }
    }
    let chosen = forms.into_iter().find(|(line, _)| page::width(line) <= scene.room);
    let (line, below) = chosen.unwrap_or((shortest, failed));
    Sentence { line, below }
}

/// What is said of an event that is no retransmission; `None`: the table does not show it.
pub(crate) fn sentence(what: &What, scene: Scene<'_>) -> Option<Sentence> {
    let whole = |text: String| Sentence::first_fitting([(text, None)], scene.room);
    match what {
        What::Threshold(threshold) => Some(of_threshold(threshold, scene)),
        What::InBackoff(flow) => Some(of_in_backoff(flow, scene)),
        What::Recovered(recovered) => Some(of_recovered(recovered, scene.room)),
        What::Closed(closed) => Some(of_closed(closed, scene)),
        What::Lost(lost) => Some(whole(of_lost(*lost))),
        What::End(end) => Some(whole(of_end(end))),
        What::Start(_) | What::Retransmit(_) | What::Observation(_) => None,
    }
}

fn of_in_backoff(flow: &InBackoff, scene: Scene<'_>) -> Sentence {
    let since = flow.since_ms.map(|ms| format!(" in {}", millis(ms))).unwrap_or_default();
    let rtos = count(flow.retransmits.into(), "RTO");
    let waiting = format!("{rtos}{since}, now waiting {}", millis(flow.rto_ms));
    let Some(deadline) = &flow.deadline else {
        return Sentence::first_fitting([(waiting, None)], scene.room);
    };
    let forms = scene.deadline_forms(deadline);
    let both = forms.iter().map(|form| format!("{waiting}; {form}"));
    // Where there is no room for both, when it dies matters more.
    let either = both.chain(forms.iter().skip(2).cloned()).map(|form| (form, None));
    Sentence::first_fitting(either, scene.room)
}

fn of_threshold(threshold: &Threshold, scene: Scene<'_>) -> Sentence {
    let note = match (threshold.note.as_str(), threshold.name) {
        ("", ThresholdName::Retries1) => "tcp_retries1 passed: the kernel may look for another route",
        ("", ThresholdName::Deadline) => "most of the time until it dies is used",
        (note, _) => note,
    };
    let note = visible(note).into_owned();
    let Some(deadline) = &threshold.deadline else {
        return Sentence::first_fitting([(note, None)], scene.room);
    };
    let forms = scene.deadline_forms(deadline);
    let both = [format!("{note}; {}", forms[0]), format!("{}; {note}", forms[2])].map(|both| (both, None));
    // Where there is little room, when it dies matters more than why we say so.
    let dies = forms.into_iter().skip(2).map(|form| (form, Some(note.clone())));
    Sentence::first_fitting(both.into_iter().chain(dies), scene.room)
}

fn of_recovered(recovered: &Recovered, room: usize) -> Sentence {
    // Seen only afterwards, at the flow's next event: it was over by then, at the latest.
    let when = match recovered.by {
        RecoveredBy::Progress | RecoveredBy::Close => "within",
        RecoveredBy::CongState | RecoveredBy::TlpAck | RecoveredBy::Established => "after",
    };
    let mut parts = vec![count(recovered.retransmissions.into(), "retransmission")];
    if recovered.spurious == Some(true) {
        parts.push("all spurious".to_owned());
    }
    match recovered.max_backoff {
        0 => {}
        1 => parts.push("1 RTO".to_owned()),
        rtos => parts.push(format!("{rtos} RTOs in a row")),
    }
    parts.push(count(recovered.segs.into(), "segment"));
    let when = format!("{when} {}", millis(recovered.duration_ms));
    // The details are in JSON: where there is no room, the last ones are left out.
    let detailed = (1..=parts.len()).rev().map(|some| format!("{when}: {}", parts[..some].join(", ")));
    Sentence::first_fitting(detailed.chain([when.clone()]).map(|form| (form, None)), room)
}

fn of_closed(closed: &Closed, scene: Scene<'_>) -> Sentence {
    let cause = closed.cause.name();
    let cause_and_error = match closed.error {
        Some(error) => format!("{cause} ({})", errno::name(error)),
        None => cause.to_owned(),
    };
    let note = closed.sentence(|mono_ns| time_of_day(scene.local(mono_ns)));
    if note.is_empty() {
        return Sentence::first_fitting([(cause_and_error, None), (cause.to_owned(), None)], scene.room);
    }
    let note = visible(&note).into_owned();
    let forms = [
        (format!("{cause_and_error}: {note}"), None),
        (cause_and_error, Some(note.clone())),
        (cause.to_owned(), Some(note)),
    ];
    Sentence::first_fitting(forms, scene.room)
}

fn of_lost(lost: Lost) -> String {
    let why = match lost.place {
        LostWhere::Ring => "the ring buffer was full: tcpretrans did not keep up",
        LostWhere::Recursion => "the kernel skipped a program that was already running on that CPU",
        LostWhere::Map => "a table of flows was full",
        LostWhere::Output => "the output could not be written",
        LostWhere::Unseen => return of_unseen(lost),
    };
    format!("{}: {why}", count(lost.records, "record"))
}

fn of_unseen(lost: Lost) -> String {
    let unseen = lost.unseen.unwrap_or(Unseen { segs: 0, maybe_failed: false });
    let what = if unseen.maybe_failed { "sent or failed locally" } else { "sent" };
    let seen_by = "without an event: known only from the socket's counters";
    match unseen.segs {
        0 => format!("{} {seen_by}", count(lost.records, "timeout")),
        segs => format!("{} {what} {seen_by}", count(segs, "segment")),
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
        count(sent, "retransmission"),
        millis(end.duration_ms),
        end.recovered,
    );
    if failed > 0 {
        text.push_str(&format!(", {failed} not sent"));
    }
    if lost > 0 {
        text.push_str(&format!(", {} lost", count(lost, "record")));
    }
    text
}
