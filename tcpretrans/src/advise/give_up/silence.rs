//! A silence: a period of RTOs of an established connection, one after another, without an answer.

use crate::{
    advise::{
        estimator::{Estimator, Past},
        hanging_up::hung_up_after,
        timeouts::app_requests::round_trip,
    },
    deadline::TimerView,
    event::{Event, Knob, RecoveredBy, Retransmit, RetransmitType, What},
    socket::{Hz, Micros, Millis, Nanos, RecordExt, SeqNum, SnapshotExt, TcpState},
};

/// What is going on, on one flow.
#[derive(Debug, Clone, Default)]
pub(crate) struct Silences {
    /// A tail loss probe that may be the beginning of a silence: what it repeated, and when that was sent.
    probe: Option<Probe>,
    silent: Option<Silent>,
}

#[derive(Debug, Clone, Copy)]
struct Probe {
    unacknowledged: SeqNum,
    /// The original.
    sent: Nanos,
    /// The probe.
    at: Nanos,
}

/// A silence that is going on.
#[derive(Debug, Clone)]
struct Silent {
    /// At the first RTO; `None`: that was not seen.
    view: Option<Box<TimerView>>,
    began: Nanos,
    /// The first retransmission: the RTO's, or a tail loss probe.
    first: Nanos,
    /// Since the first retransmission, at the last RTO at which the kernel looked at it.
    judged: Option<Millis>,
    /// When the kernel's own count of this silence began.
    stamp: Nanos,
    /// The last retransmission and a round trip.
    answer: Nanos,
}

/// A silence that is over.
#[derive(Debug, Clone)]
pub(crate) struct Silence {
    /// The timer at its first RTO.
    pub view: Option<Box<TimerView>>,
    /// From the original transmission to that RTO: its wait, and that of a tail loss probe before.
    pub lead: Micros,
    /// How it ended.
    pub end: SilenceEnd,
}

/// How a silence ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SilenceEnd {
    /// The peer answered.
    Recovered(Unanswered),
    /// The kernel gave up.
    GivenUp {
        /// What for.
        knob: Option<Knob>,
        /// Since the original transmission.
        after: Micros,
    },
    /// An application closed.
    HungUp {
        /// Since the original transmission.
        after: Micros,
    },
    /// The recording ends.
    Unresolved,
}

/// How long a connection that recovered had gone without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unanswered {
    /// Since the original transmission.
    pub after: Micros,
    /// By the kernel's count at its last look (`retransmits_timed_out`): a budget of this or less ends it. `None`: it
    /// never looked, for it does so from the second RTO on.
    pub judged: Option<Millis>,
    /// By the kernel's count until the answer: a TCP_USER_TIMEOUT of less ends it.
    pub counted: Millis,
}

impl Silences {
    /// Takes one event of a flow; gives the silence's end if this is it.
    pub(crate) fn observe(&mut self, event: &Event, past: &Past, hz: Hz) -> Option<Silence> {
        let now = Nanos(event.mono_ns);
        match &event.what {
            What::Retransmit(retransmit) => match retransmit.ty {
                RetransmitType::Tlp => {
                    self.probe = Probe::of(retransmit, past, hz);
                    return None;
                }
                RetransmitType::Rto if is_subject_to_retries2(retransmit) => {
                    return self.timeout(retransmit, hz);
                }
                ty if ty.is_ack_clocked() && retransmit.retransmits == 0 => {
                    // The peer answered: what is sent now is what it lacks.
                    return self.silent.take().map(|silent| silent.recovered(now));
                }
                RetransmitType::Syn
                | RetransmitType::SynAck
                | RetransmitType::Rto
                | RetransmitType::SlowStart
                | RetransmitType::Fast
                | RetransmitType::RackTimer
                | RetransmitType::ZeroWindow
                | RetransmitType::Pmtu
                | RetransmitType::IcmpRevert
                | RetransmitType::Unknown => {}
            },
            What::Recovered(recovered) => {
                let silent = self.silent.take()?;
                let exact = recovered.by == RecoveredBy::CongState;
                let at = if exact { now } else { silent.answer.min(now) };
                return Some(silent.recovered(at));
            }
            What::Closed(closed) => {
                let silent = self.silent.take()?;
                let after = (now - silent.began).cut_to_micros();
                let end = if closed.cause.is_data_timeout() {
                    SilenceEnd::GivenUp { knob: closed.knob, after }
                } else {
                    SilenceEnd::HungUp { after: hung_up_after(closed, silent.first_wait())? }
                };
                return Some(Silence { lead: silent.lead(), view: silent.view, end });
            }
            What::Start(_)
            | What::InBackoff(_)
            | What::Threshold(_)
            | What::Observation(_)
            | What::Lost(_)
            | What::End(_) => {}
        }
        None
    }

    /// The recording ends.
    pub(crate) fn finish(self) -> Option<Silence> {
        let silent = self.silent?;
        Some(Silence { lead: silent.lead(), view: silent.view, end: SilenceEnd::Unresolved })
    }

    fn timeout(&mut self, retransmit: &Retransmit, hz: Hz) -> Option<Silence> {
        let record = &retransmit.record;
        let view = TimerView::from_record(retransmit.ty, record, hz)?;
        let now = record.time();
        let answer = now + round_trip(retransmit);
        if retransmit.retransmits > 1
            && let Some(silent) = &mut self.silent
        {
            silent.judged = Some(view.elapsed());
            silent.answer = answer;
            return None;
        }
        // A first RTO: whatever was before has been answered.
        let before = self.silent.take().map(|silent| {
            let at = silent.answer;
            silent.recovered(at)
        });
        let wait = hz.jiffies_to_nanos(record.sock.rto()) + hz.tick() / 2;
        let first = retransmit.retransmits <= 1;
        // If the first was not seen, `retrans_stamp` says when it was; the wait before it is not known.
        let stamp = view.start.map_or(now, |start| start.likely);
        let probe = self.probe.take().filter(|probe| probe.unacknowledged == record.sock.unacknowledged());
        self.silent = Some(Silent {
            began: match (first, probe) {
                (false, _) => stamp,
                (true, Some(probe)) => probe.sent,
                (true, None) => now - wait,
            },
            judged: (!first).then(|| view.elapsed()),
            stamp,
            first: match (first, probe) {
                (false, _) => stamp,
                (true, Some(probe)) => probe.at,
                (true, None) => now,
            },
            answer,
            view: first.then(|| Box::new(view)),
        });
        before
    }
}

impl Probe {
    fn of(retransmit: &Retransmit, past: &Past, hz: Hz) -> Option<Probe> {
        let record = &retransmit.record;
        let estimator = Estimator::of(&record.sock, past, hz)?;
        let wait = estimator.probe_wait(estimator.floor, retransmit.packets_out == 1);
        let at = record.time();
        let sent = at - (hz.jiffies_to_nanos(wait) + hz.tick() / 2);
        Some(Probe { unacknowledged: record.sock.unacknowledged(), sent, at })
    }
}

impl Silent {
    fn first_wait(&self) -> Micros {
        (self.first - self.began).cut_to_micros()
    }

    fn lead(&self) -> Micros {
        (self.stamp - self.began).cut_to_micros()
    }

    fn recovered(self, at: Nanos) -> Silence {
        let end = SilenceEnd::Recovered(Unanswered {
            after: (at - self.began).cut_to_micros(),
            judged: self.judged,
            counted: (at - self.stamp).cut_to_millis(),
        });
        Silence { lead: self.lead(), view: self.view, end }
    }
}

/// Closed by its application, `tcp_orphan_retries` holds for it.
fn is_subject_to_retries2(retransmit: &Retransmit) -> bool {
    !TcpState::from(retransmit.state).in_handshake() && !retransmit.record.sock.is_orphan()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        advise::story::{self, changed, closed, hung_up, recovered, rto, slow_start, tlp},
        event::Cause,
        socket::SOCK_DEAD,
    };

    fn ends(events: &[Event]) -> Vec<SilenceEnd> {
        silences(events).into_iter().map(|silence| silence.end).collect()
    }

    fn silences(events: &[Event]) -> Vec<Silence> {
        let (mut silences, mut past) = (Silences::default(), Past::default());
        past.learn(&story::record(0).sock, story::hz());
        let observe = |event| silences.observe(event, &past, story::hz());
        let mut found: Vec<Silence> = events.iter().filter_map(observe).collect();
        found.extend(silences.finish());
        found
    }

    #[test]
    fn a_probe_before_it_counts() {
        assert_eq!(silences(&[rto(208, 1)])[0].lead, Micros(206_000));
        assert_eq!(silences(&[tlp(208), rto(416, 1)])[0].lead, Micros(414_000));
        let another = changed(rto(1208, 1), |record| record.sock.snd_una = 9000);
        assert_eq!(silences(&[tlp(208), another])[0].lead, Micros(206_000), "the probe was answered");
    }

    fn opened(ms: u64) -> Event {
        recovered(ms, RecoveredBy::CongState, None)
    }

    #[test]
    fn time_without_an_answer_is_by_the_kernels_own_count() {
        // The kernel looks from the second RTO on, and counts from the first.
        let once = Unanswered { after: Micros(207_000), judged: None, counted: Millis(1) };
        assert_eq!(ends(&[rto(208, 1), opened(209)]), [SilenceEnd::Recovered(once)]);
        let thrice =
            Unanswered { after: Micros(1_470_000), judged: Some(Millis(1264)), counted: Millis(1264) };
        assert_eq!(
            ends(&[rto(208, 1), rto(640, 2), rto(1472, 3), opened(1472)]),
            [SilenceEnd::Recovered(thrice)]
        );
    }

    #[test]
    fn an_answer_ends_it_and_the_next_is_another() {
        let ends = ends(&[rto(208, 1), slow_start(210), rto(508, 1), opened(509)]);
        let unanswered: Vec<u64> = ends
            .iter()
            .map(|end| match end {
                SilenceEnd::Recovered(unanswered) => unanswered.counted.0,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(unanswered, [2, 1]);
    }

    #[test]
    fn ends_of_all_kinds() {
        let knob = Some(Knob::TcpRetries2);
        let died = [rto(208, 1), rto(640, 2), closed(6400, Cause::RetransmitTimeout, knob)];
        assert_eq!(ends(&died), [SilenceEnd::GivenUp { knob, after: Micros(6_398_000) }]);
        assert_eq!(ends(&[rto(208, 1), hung_up(9000, 300)]), [SilenceEnd::HungUp { after: Micros(506_000) }]);
        // The probe was the first retransmission.
        assert_eq!(
            ends(&[tlp(208), rto(416, 1), hung_up(9000, 300)]),
            [SilenceEnd::HungUp { after: Micros(506_000) }]
        );
        assert_eq!(ends(&[rto(208, 1)]), [SilenceEnd::Unresolved]);
        assert_eq!(ends(&[rto(208, 1), closed(300, Cause::ResetByPeer, None)]), []);
        let orphan = changed(rto(208, 1), |record| record.sock.sk_flags = SOCK_DEAD);
        assert_eq!(ends(&[orphan, opened(209)]), [], "tcp_retries2 is nothing to it");
    }
}
