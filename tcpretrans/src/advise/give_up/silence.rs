//! A silence: RTOs of an established connection, one after another, without an answer.

use tcpretrans_ebpf::tcp_state;

use crate::{
    advise::{
        estimator::{Estimator, Past},
        hanging_up::hung_up_after_us,
    },
    deadline::TimerView,
    event::{Event, Knob, RecoveredBy, Retransmit, RetransmitType, What},
    socket::jiffies::Kernel,
};

/// `SOCK_DEAD` in `sk_flags`: closed by its application, so that `tcp_orphan_retries` holds and not `tcp_retries2`.
const SOCK_DEAD: u64 = 1;

/// What is going on, on one flow.
#[derive(Debug, Clone, Default)]
pub struct Silences {
    /// A tail loss probe that may be the beginning of a silence: what it repeated, and when that was sent.
    probe: Option<Probe>,
    silent: Option<Silent>,
}

#[derive(Debug, Clone, Copy)]
struct Probe {
    snd_una: u32,
    /// The original.
    sent_ns: u64,
    /// The probe.
    at_ns: u64,
}

/// A silence that is going on.
#[derive(Debug, Clone)]
struct Silent {
    /// At the first RTO; `None`: that was not seen.
    view: Option<Box<TimerView>>,
    began_ns: u64,
    /// The first retransmission: the RTO's, or a tail loss probe.
    first_ns: u64,
    /// Since the first retransmission, ms, at the last RTO at which the kernel looked at it.
    judged_ms: Option<u64>,
    /// When the kernel's own count of this silence began, ns.
    stamp_ns: u64,
    /// The last retransmission and a round trip.
    answer_ns: u64,
}

/// A silence that is over.
#[derive(Debug, Clone)]
pub struct Silence {
    /// The timer at its first RTO.
    pub view: Option<Box<TimerView>>,
    /// From the original transmission to that RTO, us: its wait, and that of a tail loss probe before.
    pub lead_us: i64,
    /// How it ended.
    pub end: End,
}

/// How a silence ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The peer answered.
    Recovered(Patience),
    /// The kernel gave up.
    GivenUp {
        /// What for.
        knob: Option<Knob>,
        /// Since the original transmission, us.
        after_us: i64,
    },
    /// An application hung up.
    HungUp {
        /// Since the original transmission, us.
        after_us: i64,
    },
    /// The recording ends.
    Unresolved,
}

/// How much patience a connection needed that recovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Since the original transmission, us.
    pub after_us: i64,
    /// By the kernel's count at its last look (`retransmits_timed_out`), ms: a budget of this or less ends it. `None`: it
    /// never looked, for it does so from the second RTO on.
    pub judged_ms: Option<u64>,
    /// By the kernel's count until the answer, ms: a TCP_USER_TIMEOUT of less ends it.
    pub unanswered_ms: u64,
}

impl Silences {
    /// Takes one event of a flow; gives the silence's end if this is it.
    pub fn observe(&mut self, event: &Event, past: &Past, kernel: Kernel) -> Option<Silence> {
        match &event.what {
            What::Retransmit(retransmit) => match retransmit.ty {
                RetransmitType::Tlp => {
                    self.probe = Probe::of(retransmit, past, kernel);
                    return None;
                }
                RetransmitType::Rto if is_subject_to_retries2(retransmit) => {
                    return self.timeout(retransmit, kernel);
                }
                ty if ty.is_ack_clocked() && retransmit.retransmits == 0 => {
                    // The peer answered: what is sent now is what it lacks.
                    return self.silent.take().map(|silent| silent.recovered(event.mono_ns));
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
                let at_ns = if exact { event.mono_ns } else { silent.answer_ns.min(event.mono_ns) };
                return Some(silent.recovered(at_ns));
            }
            What::Closed(closed) => {
                let silent = self.silent.take()?;
                let after_us = event.mono_ns.saturating_sub(silent.began_ns) as i64 / 1000;
                let end = if closed.cause.is_data_timeout() {
                    End::GivenUp { knob: closed.knob, after_us }
                } else {
                    End::HungUp { after_us: hung_up_after_us(closed, silent.first_wait_us())? }
                };
                return Some(Silence { lead_us: silent.lead_us(), view: silent.view, end });
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
    pub fn finish(self) -> Option<Silence> {
        let silent = self.silent?;
        Some(Silence { lead_us: silent.lead_us(), view: silent.view, end: End::Unresolved })
    }

    fn timeout(&mut self, retransmit: &Retransmit, kernel: Kernel) -> Option<Silence> {
        let record = &retransmit.record;
        let view = TimerView::from_record(retransmit.ty, record, kernel)?;
        let now_ns = record.mono_ns;
        let answer_ns = now_ns + u64::from(retransmit.srtt_us.unwrap_or(0)) * 1000;
        if retransmit.retransmits > 1
            && let Some(silent) = &mut self.silent
        {
            silent.judged_ms = Some(view.elapsed_ms());
            silent.answer_ns = answer_ns;
            return None;
        }
        // A first RTO: whatever was before has been answered.
        let before = self.silent.take().map(|silent| {
            let at_ns = silent.answer_ns;
            silent.recovered(at_ns)
        });
        let wait_ns = u64::from(record.sock.icsk_rto) * kernel.tick_ns() + kernel.tick_ns() / 2;
        let first = retransmit.retransmits <= 1;
        // If the first was not seen, `retrans_stamp` says when it was; the wait before it is not known.
        let stamp_ns = view.start.map_or(now_ns, |start| start.likely_ns);
        let probe = self.probe.take().filter(|probe| probe.snd_una == record.sock.snd_una);
        self.silent = Some(Silent {
            began_ns: match (first, probe) {
                (false, _) => stamp_ns,
                (true, Some(probe)) => probe.sent_ns,
                (true, None) => now_ns.saturating_sub(wait_ns),
            },
            judged_ms: (!first).then(|| view.elapsed_ms()),
            stamp_ns,
            first_ns: match (first, probe) {
                (false, _) => stamp_ns,
                (true, Some(probe)) => probe.at_ns,
                (true, None) => now_ns,
            },
            answer_ns,
            view: first.then(|| Box::new(view)),
        });
        before
    }
}

impl Probe {
    fn of(retransmit: &Retransmit, past: &Past, kernel: Kernel) -> Option<Probe> {
        let record = &retransmit.record;
        let estimator = Estimator::of(&record.sock, past, kernel)?;
        let wait = estimator.probe_jiffies(estimator.floor_us, retransmit.packets_out == 1);
        let wait_ns = wait * kernel.tick_ns() + kernel.tick_ns() / 2;
        let at_ns = record.mono_ns;
        Some(Probe { snd_una: record.sock.snd_una, sent_ns: at_ns.saturating_sub(wait_ns), at_ns })
    }
}

impl Silent {
    fn first_wait_us(&self) -> i64 {
        self.first_ns.saturating_sub(self.began_ns) as i64 / 1000
    }

    fn lead_us(&self) -> i64 {
        self.stamp_ns.saturating_sub(self.began_ns) as i64 / 1000
    }

    fn recovered(self, at_ns: u64) -> Silence {
        let end = End::Recovered(Patience {
            after_us: at_ns.saturating_sub(self.began_ns) as i64 / 1000,
            judged_ms: self.judged_ms,
            unanswered_ms: at_ns.saturating_sub(self.stamp_ns) / 1_000_000,
        });
        Silence { lead_us: self.lead_us(), view: self.view, end }
    }
}

fn is_subject_to_retries2(retransmit: &Retransmit) -> bool {
    !matches!(retransmit.state, tcp_state::SYN_SENT | tcp_state::SYN_RECV)
        && retransmit.record.sock.sk_flags & SOCK_DEAD == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        advise::story::{self, changed, closed, hung_up, recovered, rto, slow_start, tlp},
        event::Cause,
    };

    fn ends(events: &[Event]) -> Vec<End> {
        silences(events).into_iter().map(|silence| silence.end).collect()
    }

    fn silences(events: &[Event]) -> Vec<Silence> {
        let (mut silences, mut past) = (Silences::default(), Past::default());
        past.learn(&story::record(0).sock, story::kernel());
        let observe = |event| silences.observe(event, &past, story::kernel());
        let mut found: Vec<Silence> = events.iter().filter_map(observe).collect();
        found.extend(silences.finish());
        found
    }

    #[test]
    fn a_probe_before_it_counts() {
        assert_eq!(silences(&[rto(208, 1)])[0].lead_us, 206_000);
        assert_eq!(silences(&[tlp(208), rto(416, 1)])[0].lead_us, 414_000);
        let another = changed(rto(1208, 1), |record| record.sock.snd_una = 9000);
        assert_eq!(silences(&[tlp(208), another])[0].lead_us, 206_000, "the probe was answered");
    }

    fn opened(ms: u64) -> Event {
        recovered(ms, RecoveredBy::CongState, None)
    }

    #[test]
    fn patience_is_by_the_kernels_own_count() {
        // The kernel looks from the second RTO on, and counts from the first.
        let once = Patience { after_us: 207_000, judged_ms: None, unanswered_ms: 1 };
        assert_eq!(ends(&[rto(208, 1), opened(209)]), [End::Recovered(once)]);
        let thrice = Patience { after_us: 1_470_000, judged_ms: Some(1264), unanswered_ms: 1264 };
        assert_eq!(ends(&[rto(208, 1), rto(640, 2), rto(1472, 3), opened(1472)]), [End::Recovered(thrice)]);
    }

    #[test]
    fn an_answer_ends_it_and_the_next_is_another() {
        let ends = ends(&[rto(208, 1), slow_start(210), rto(508, 1), opened(509)]);
        let unanswered: Vec<u64> = ends
            .iter()
            .map(|end| match end {
                End::Recovered(patience) => patience.unanswered_ms,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(unanswered, [2, 1]);
    }

    #[test]
    fn ends_of_all_kinds() {
        let knob = Some(Knob::TcpRetries2);
        let died = [rto(208, 1), rto(640, 2), closed(6400, Cause::RetransmitTimeout, knob)];
        assert_eq!(ends(&died), [End::GivenUp { knob, after_us: 6_398_000 }]);
        assert_eq!(ends(&[rto(208, 1), hung_up(9000, 300)]), [End::HungUp { after_us: 506_000 }]);
        // The probe was the first retransmission.
        assert_eq!(ends(&[tlp(208), rto(416, 1), hung_up(9000, 300)]), [End::HungUp { after_us: 506_000 }]);
        assert_eq!(ends(&[rto(208, 1)]), [End::Unresolved]);
        assert_eq!(ends(&[rto(208, 1), closed(300, Cause::ResetByPeer, None)]), []);
        let orphan = changed(rto(208, 1), |record| record.sock.sk_flags = SOCK_DEAD);
        assert_eq!(ends(&[orphan, opened(209)]), [], "tcp_retries2 is nothing to it");
    }
}
