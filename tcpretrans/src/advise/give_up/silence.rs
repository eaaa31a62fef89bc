//! A silence: RTOs of an established connection, one after another, without an answer.

use crate::advise::hanging_up::hung_up_after_us;
use crate::{
    deadline::{Kernel, TimerView},
    event::{Cause, Event, Knob, RecoveredBy, Retransmit, RetransmitType, What},
};
use tcpretrans_ebpf::tcp_state;

/// `SOCK_DEAD` in `sk_flags`: closed by its application, so that `tcp_orphan_retries` holds and not `tcp_retries2`.
const SOCK_DEAD: u64 = 1;

/// The silence that is going on, on one flow.
#[derive(Debug, Clone)]
pub struct Silent {
    /// At the first RTO; `None`: that was not seen.
    view: Option<Box<TimerView>>,
    began_ns: u64,
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

impl Silent {
    /// Takes one event of a flow; gives the silence's end if this is it.
    pub fn observe(state: &mut Option<Silent>, event: &Event, kernel: Kernel) -> Option<Silence> {
        match &event.what {
            What::Retransmit(retransmit) => match retransmit.ty {
                RetransmitType::Rto if is_subject_to_retries2(retransmit) => {
                    return Silent::timeout(state, retransmit, kernel);
                }
                ty if ty.is_ack_clocked() && retransmit.retransmits == 0 => {
                    // The peer answered: what is sent now is what it lacks.
                    return state.take().map(|silent| silent.recovered(event.mono_ns));
                }
                _ => {}
            },
            What::Recovered(recovered) => {
                let silent = state.take()?;
                let exact = recovered.by == RecoveredBy::CongState;
                let at_ns = if exact { event.mono_ns } else { silent.answer_ns.min(event.mono_ns) };
                return Some(silent.recovered(at_ns));
            }
            What::Closed(closed) => {
                let silent = state.take()?;
                let after_us = event.mono_ns.saturating_sub(silent.began_ns) as i64 / 1000;
                let end = match closed.cause {
                    Cause::RetransmitTimeout | Cause::UserTimeout => {
                        End::GivenUp { knob: closed.knob, after_us }
                    }
                    _ => End::HungUp { after_us: hung_up_after_us(closed, silent.first_wait_us())? },
                };
                return Some(Silence { view: silent.view, end });
            }
            _ => {}
        }
        None
    }

    fn first_wait_us(&self) -> i64 {
        self.stamp_ns.saturating_sub(self.began_ns) as i64 / 1000
    }

    /// The recording ends in it.
    pub fn unresolved(self) -> Silence {
        Silence { view: self.view, end: End::Unresolved }
    }

    fn timeout(state: &mut Option<Silent>, retransmit: &Retransmit, kernel: Kernel) -> Option<Silence> {
        let record = &retransmit.record;
        let view = TimerView::from_record(retransmit.ty, record, kernel)?;
        let now_ns = record.mono_ns;
        let answer_ns = now_ns + u64::from(retransmit.srtt_us.unwrap_or(0)) * 1000;
        if retransmit.retransmits > 1
            && let Some(silent) = state
        {
            silent.judged_ms = Some(view.elapsed_ms());
            silent.answer_ns = answer_ns;
            return None;
        }
        // A first RTO: whatever was before has been answered.
        let before = state.take().map(|silent| {
            let at_ns = silent.answer_ns;
            silent.recovered(at_ns)
        });
        let wait_ns = u64::from(record.sock.icsk_rto) * kernel.tick_ns() + kernel.tick_ns() / 2;
        let first = retransmit.retransmits <= 1;
        // If the first was not seen, `retrans_stamp` says when it was; the wait before it is not known.
        let stamp_ns = view.start.map_or(now_ns, |start| start.likely_ns);
        *state = Some(Silent {
            began_ns: if first { now_ns.saturating_sub(wait_ns) } else { stamp_ns },
            judged_ms: (!first).then(|| view.elapsed_ms()),
            stamp_ns,
            answer_ns,
            view: first.then(|| Box::new(view)),
        });
        before
    }

    fn recovered(self, at_ns: u64) -> Silence {
        let end = End::Recovered(Patience {
            after_us: at_ns.saturating_sub(self.began_ns) as i64 / 1000,
            judged_ms: self.judged_ms,
            unanswered_ms: at_ns.saturating_sub(self.stamp_ns) / 1_000_000,
        });
        Silence { view: self.view, end }
    }
}

fn is_subject_to_retries2(retransmit: &Retransmit) -> bool {
    !matches!(retransmit.state, tcp_state::SYN_SENT | tcp_state::SYN_RECV)
        && retransmit.record.sock.sk_flags & SOCK_DEAD == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advise::story::{self, changed, closed, hung_up, recovered, rto, slow_start};

    fn ends(events: &[Event]) -> Vec<End> {
        let mut state = None;
        let observe = |event| Silent::observe(&mut state, event, story::kernel());
        let mut ends: Vec<End> = events.iter().filter_map(observe).map(|silence| silence.end).collect();
        ends.extend(state.map(|silent| silent.unresolved().end));
        ends
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
        assert_eq!(ends(&[rto(208, 1)]), [End::Unresolved]);
        assert_eq!(ends(&[rto(208, 1), closed(300, Cause::ResetByPeer, None)]), []);
        let orphan = changed(rto(208, 1), |record| record.sock.sk_flags = SOCK_DEAD);
        assert_eq!(ends(&[orphan, opened(209)]), [], "tcp_retries2 is nothing to it");
    }
}
