//! What happened, in numbers: the `end` event, and `--summary`.

use std::collections::BTreeMap;

use crate::{
    event::{End, Event, LostWhere, RetransmitType, TypeTotal, What},
    page::{ALARM, Column, HEADING, PLAIN, Page, Pen, Table, Text},
    words::time::millis,
};

/// Counts events as they are printed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Totals(End);

impl Totals {
    /// Counts one event.
    pub(crate) fn count(&mut self, event: &Event) {
        let Totals(end) = self;
        match &event.what {
            What::Retransmit(retransmit) => {
                let total = end.retransmits.entry(retransmit.ty).or_default();
                let segs = u64::from(retransmit.segs);
                match retransmit.err {
                    None => {
                        total.sent += 1;
                        total.segs += segs;
                        total.bytes += u64::from(retransmit.bytes);
                    }
                    Some(error) => {
                        total.failed += 1;
                        total.failed_segs += if error.is_counted() { segs } else { 0 };
                        *end.errors.entry(error).or_default() += 1;
                    }
                }
                match retransmit.ty {
                    RetransmitType::Syn | RetransmitType::Rto | RetransmitType::IcmpRevert => {
                        end.timeouts.retransmitted += 1;
                    }
                    // Otherwise the client has repeated its SYN.
                    RetransmitType::SynAck => end.timeouts.synack += u64::from(retransmit.rto_ms.is_some()),
                    // (A closed window's RTO is none to the kernel, either: `tcp_retransmit_timer` returns before it
                    // counts.)
                    RetransmitType::SlowStart
                    | RetransmitType::Fast
                    | RetransmitType::RackTimer
                    | RetransmitType::Tlp
                    | RetransmitType::ZeroWindow
                    | RetransmitType::Pmtu
                    | RetransmitType::Unknown => {}
                }
            }
            What::Threshold(_) => end.thresholds += 1,
            What::Recovered(_) => end.recovered += 1,
            What::Closed(closed) => {
                *end.closed.entry(closed.cause).or_default() += 1;
                end.timeouts.gave_up += u64::from(closed.by_retransmission_timer());
            }
            What::Lost(lost) => {
                end.unseen_segs += lost.unseen.map_or(0, |unseen| unseen.segs);
                self.lose(lost.place, lost.records);
            }
            What::Start(_) | What::InBackoff(_) | What::Observation(_) | What::End(_) => {}
        }
    }

    /// Counts losses without an event.
    pub(crate) fn lose(&mut self, place: LostWhere, records: u64) {
        *self.0.lost.entry(place).or_default() += records;
    }

    /// How many were lost there.
    pub(crate) fn lost(&self, place: LostWhere) -> u64 {
        self.0.lost.get(&place).copied().unwrap_or(0)
    }

    /// Adds those of another trace.
    pub(crate) fn add(&mut self, other: &Totals) {
        // Each by name, so that none is forgotten. What is no count of events is not the totals' business.
        let End {
            duration_ms: _,
            retransmits,
            thresholds,
            recovered,
            closed,
            lost,
            unseen_segs,
            errors,
            timeouts,
            records: _,
            records_sent: _,
            records_received: _,
            flows_left: _,
        } = &other.0;
        let Totals(end) = self;
        for (&ty, more) in retransmits {
            *end.retransmits.entry(ty).or_default() += more;
        }
        end.thresholds += thresholds;
        end.recovered += recovered;
        end.unseen_segs += unseen_segs;
        end.timeouts += timeouts;
        add_counts(&mut end.closed, closed);
        add_counts(&mut end.lost, lost);
        add_counts(&mut end.errors, errors);
    }

    /// The totals so far, but for the records. Every place of loss is there, so that 0 is a statement.
    pub(crate) fn into_end(mut self, duration_ms: u64) -> End {
        for place in LostWhere::ALL {
            self.lose(place, 0);
        }
        End { duration_ms, ..self.0 }
    }

    /// As [`summary`].
    pub(crate) fn summary(&self, duration_ms: u64, page: Page) -> String {
        summary(&self.clone().into_end(duration_ms), page)
    }
}

fn add_counts<K: Copy + Ord>(counts: &mut BTreeMap<K, u64>, more: &BTreeMap<K, u64>) {
    for (&key, count) in more {
        *counts.entry(key).or_default() += count;
    }
}

/// `--summary`: a few lines for people.
pub(crate) fn summary(end: &End, page: Page) -> String {
    let mut pen = Pen::new(page);
    let mut say = |text: String| pen.paragraph("", 2, PLAIN, text);
    say(format!("Traced for {}.", millis(end.duration_ms)));
    if end.retransmits.is_empty() {
        say("No retransmissions.".to_owned());
    } else {
        pen.table(&by_type(end));
    }
    let mut say = |text: String| pen.paragraph("", 2, PLAIN, text);
    say(format!("Thresholds passed: {}. Loss episodes recovered: {}.", end.thresholds, end.recovered));
    let closed: Vec<String> =
        end.closed.iter().map(|(cause, count)| format!("{} {count}", cause.name())).collect();
    if !closed.is_empty() {
        say(format!("Closed: {}.", closed.join(", ")));
    }
    let lost: Vec<String> = end
        .lost
        .iter()
        .filter(|(_, records)| **records > 0)
        .map(|(place, records)| format!("{} {records}", place.name()))
        .collect();
    if lost.is_empty() {
        say("No records were lost.".to_owned());
    } else {
        let text = format!("Records were LOST, so the numbers above are too low: {}.", lost.join(", "));
        pen.paragraph("", 2, ALARM, text);
        if end.unseen_segs > 0 {
            let text =
                format!("Segments that the kernel retransmitted without an event: {}.", end.unseen_segs);
            pen.paragraph("", 2, PLAIN, text);
        }
    }
    pen.finish()
}

fn by_type(end: &End) -> Table {
    let figures = [9, 9, 9, 12].map(|columns| Column::RIGHT.at_least(columns));
    let mut table = Table::new([Column::LEFT.at_least(12)].into_iter().chain(figures)).gap(1);
    table.row(["TYPE", "SENT", "FAILED", "SEGMENTS", "BYTES"].map(|title| Text::styled(HEADING, title)));
    let mut row = |name: &str, total: &TypeTotal| {
        let figures = [total.sent, total.failed, total.segs, total.bytes].map(|number| number.to_string());
        table.row([name.to_owned()].into_iter().chain(figures));
    };
    let mut all = TypeTotal::default();
    for (ty, total) in &end.retransmits {
        row(ty.name(), total);
        all += total;
    }
    if end.retransmits.len() > 1 {
        row("all", &all);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{
            Cause, Closed, Lost, Retransmit, RetransmitType, SendError, Timeouts, TypeTotal, Unseen,
            samples as sample,
        },
        page::proof,
    };

    const PAGE: Page = Page { columns: 80, colour: false };

    fn totals() -> Totals {
        let mut totals = Totals::default();
        for event in sample::one_of_each() {
            totals.count(&event);
        }
        let failed = Retransmit { err: Some(SendError::QueueDrop), ..sample::rto() };
        totals.count(&sample::event(sample::ipv4_flow(), sample::retransmit(failed)));
        totals
    }

    #[test]
    fn each_event_is_counted_where_it_belongs() {
        let mut totals = totals();
        totals.lose(LostWhere::Output, 3);
        let end = totals.into_end(30_200);
        assert_eq!(
            end.retransmits,
            [
                (RetransmitType::Rto, TypeTotal { sent: 2, failed: 1, segs: 2, bytes: 2896, failed_segs: 1 }),
                (
                    RetransmitType::Fast,
                    TypeTotal { sent: 1, segs: 12, bytes: 17_376, ..TypeTotal::default() }
                ),
            ]
            .into()
        );
        assert_eq!((end.thresholds, end.recovered), (1, 1));
        assert_eq!(end.closed, [(Cause::RetransmitTimeout, 1)].into());
        assert_eq!(
            end.lost,
            [
                (LostWhere::Ring, 17),
                (LostWhere::Recursion, 0),
                (LostWhere::Map, 0),
                (LostWhere::Output, 3),
                (LostWhere::Unseen, 0),
            ]
            .into()
        );
        assert_eq!(end.errors, [(SendError::QueueDrop, 1)].into());
        assert_eq!(end.timeouts, Timeouts { retransmitted: 3, synack: 0, gave_up: 1 });
        assert_eq!(end.duration_ms, 30_200);
    }

    #[test]
    fn segments_that_were_not_seen_are_counted_apart() {
        let mut totals = Totals::default();
        let unseen = Some(Unseen { segs: 5, maybe_failed: false });
        let lost = Lost { records: 2, place: LostWhere::Unseen, unseen };
        totals.count(&sample::event(sample::ipv4_flow(), What::Lost(lost)));
        assert_eq!(
            totals.summary(500, PAGE).lines().skip(2).collect::<Vec<_>>(),
            [
                "Thresholds passed: 0. Loss episodes recovered: 0.",
                "Records were LOST, so the numbers above are too low: unseen 2.",
                "Segments that the kernel retransmitted without an event: 5.",
            ]
        );
        let end = totals.into_end(500);
        assert_eq!((end.unseen_segs, end.lost[&LostWhere::Unseen]), (5, 2));
    }

    #[test]
    fn for_people() {
        assert_eq!(
            totals().summary(30_200, PAGE),
            "Traced for 30.2 s.\n\
             TYPE              SENT    FAILED  SEGMENTS        BYTES\n\
             rto                  2         1         2         2896\n\
             fast                 1         0        12        17376\n\
             all                  3         1        14        20272\n\
             Thresholds passed: 1. Loss episodes recovered: 1.\n\
             Closed: retransmit_timeout 1.\n\
             Records were LOST, so the numbers above are too low: ring 17.\n"
        );
    }

    #[test]
    fn fits_whatever_happened() {
        let mut totals = totals();
        for cause in Cause::ALL {
            let closed = Closed { cause, ..sample::closed() };
            totals.count(&sample::event(sample::ipv4_flow(), What::Closed(Box::new(closed))));
        }
        for place in LostWhere::ALL {
            totals.lose(place, u64::MAX / 4);
        }
        for columns in [60, 80, 100, 200] {
            proof::fits(&totals.summary(30_200, Page { columns, colour: true }), columns, &[]);
        }
    }

    #[test]
    fn two_traces_together() {
        let (mut both, mut doubled) = (totals(), totals());
        both.add(&totals());
        for event in sample::one_of_each() {
            doubled.count(&event);
        }
        let failed = Retransmit { err: Some(SendError::QueueDrop), ..sample::rto() };
        doubled.count(&sample::event(sample::ipv4_flow(), sample::retransmit(failed)));
        assert_eq!(both, doubled);
        let before = both.clone();
        both.add(&Totals::default());
        assert_eq!(both, before);
    }

    #[test]
    fn a_quiet_trace() {
        assert_eq!(
            Totals::default().summary(500, PAGE),
            "Traced for 500 ms.\nNo retransmissions.\nThresholds passed: 0. Loss episodes recovered: 0.\nNo records were lost.\n"
        );
    }
}
