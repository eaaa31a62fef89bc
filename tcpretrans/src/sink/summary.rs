//! What happened, in numbers: the `end` event, and `--summary`.

use std::{collections::BTreeMap, fmt::Write};

use crate::event::{End, Event, LostWhere, RetransmitType, What};

/// Counts events as they are printed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Totals(End);

impl Totals {
    /// Counts one event.
    pub fn count(&mut self, event: &Event) {
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

    /// Counts losses that no event told of.
    pub fn lose(&mut self, place: LostWhere, records: u64) {
        *self.0.lost.entry(place).or_default() += records;
    }

    /// How many were lost there.
    pub fn lost(&self, place: LostWhere) -> u64 {
        self.0.lost.get(&place).copied().unwrap_or(0)
    }

    /// Adds those of another trace.
    pub fn add(&mut self, other: &Totals) {
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
    pub fn into_end(mut self, duration_ms: u64) -> End {
        for place in LostWhere::ALL {
            self.lose(place, 0);
        }
        End { duration_ms, ..self.0 }
    }

    /// As [`summary`].
    pub fn summary(&self, duration_ms: u64) -> String {
        summary(&self.clone().into_end(duration_ms))
    }
}

fn add_counts<K: Copy + Ord>(counts: &mut BTreeMap<K, u64>, more: &BTreeMap<K, u64>) {
    for (&key, count) in more {
        *counts.entry(key).or_default() += count;
    }
}

/// `--summary`: a few lines for people.
pub fn summary(end: &End) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_summary(end, &mut text);
    text
}

fn write_summary(end: &End, text: &mut String) -> std::fmt::Result {
    writeln!(text, "Traced for {}.", super::table::cells::duration(end.duration_ms))?;
    if end.retransmits.is_empty() {
        writeln!(text, "No retransmissions.")?;
    } else {
        writeln!(text, "{:<12} {:>9} {:>9} {:>9} {:>12}", "TYPE", "SENT", "FAILED", "SEGMENTS", "BYTES")?;
        let mut all = crate::event::TypeTotal::default();
        let mut line = |name: &str, total: &crate::event::TypeTotal| {
            writeln!(
                text,
                "{name:<12} {:>9} {:>9} {:>9} {:>12}",
                total.sent, total.failed, total.segs, total.bytes
            )
        };
        for (ty, total) in &end.retransmits {
            line(ty.name(), total)?;
            all += total;
        }
        if end.retransmits.len() > 1 {
            line("all", &all)?;
        }
    }
    writeln!(text, "Thresholds passed: {}. Episodes recovered: {}.", end.thresholds, end.recovered)?;
    let closed: Vec<String> =
        end.closed.iter().map(|(cause, count)| format!("{} {count}", cause.name())).collect();
    if !closed.is_empty() {
        writeln!(text, "Closed: {}.", closed.join(", "))?;
    }
    let lost: Vec<String> = end
        .lost
        .iter()
        .filter(|(_, records)| **records > 0)
        .map(|(place, records)| format!("{} {records}", place.name()))
        .collect();
    if lost.is_empty() {
        writeln!(text, "Nothing was lost.")
    } else {
        writeln!(text, "LOST, so the numbers above are too low: {}.", lost.join(", "))?;
        match end.unseen_segs {
            0 => Ok(()),
            segs => writeln!(text, "Segments that the kernel retransmitted unseen: {segs}."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{
        Cause, Lost, Retransmit, RetransmitType, SendError, Timeouts, TypeTotal, Unseen, samples as sample,
    };

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
            totals.summary(500).lines().skip(2).collect::<Vec<_>>(),
            [
                "Thresholds passed: 0. Episodes recovered: 0.",
                "LOST, so the numbers above are too low: unseen 2.",
                "Segments that the kernel retransmitted unseen: 5.",
            ]
        );
        let end = totals.into_end(500);
        assert_eq!((end.unseen_segs, end.lost[&LostWhere::Unseen]), (5, 2));
    }

    #[test]
    fn for_people() {
        assert_eq!(
            totals().summary(30_200),
            "Traced for 30s.\n\
             TYPE              SENT    FAILED  SEGMENTS        BYTES\n\
             rto                  2         1         2         2896\n\
             fast                 1         0        12        17376\n\
             all                  3         1        14        20272\n\
             Thresholds passed: 1. Episodes recovered: 1.\n\
             Closed: retransmit_timeout 1.\n\
             LOST, so the numbers above are too low: ring 17.\n"
        );
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
            Totals::default().summary(500),
            "Traced for 500ms.\nNo retransmissions.\nThresholds passed: 0. Episodes recovered: 0.\nNothing was lost.\n"
        );
    }
}
