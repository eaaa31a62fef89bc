//! Requests on established connections: what arrives only after a retransmission arrives late.
//!
//! What is measured is the stall: from the original transmission until the loss was repaired. A request that meets one
//! takes at least so long, plus what it takes anyway.

use serde::Serialize;
use tcpretrans_ebpf::tcp_state;

use super::{Cut, cuts, harmless_ms};
use crate::{
    advise::{
        distribution::{Distribution, FEW_FOR_MEDIAN},
        estimator::{Estimator, Past},
        hanging_up::hung_up_after_us,
    },
    event::{Event, HungUpSide, RecoveredBy, Retransmit, RetransmitType, What},
    socket::jiffies::Kernel,
};

/// What people set, ms.
const TIMEOUTS_MS: [u64; 10] = [50, 100, 200, 300, 500, 1000, 2000, 5000, 10_000, 30_000];

/// The stall that is going on, on one flow.
#[derive(Debug, Clone, Copy)]
pub struct Stalling {
    began_ns: u64,
    /// Since when an answer is possible: the last retransmission, and the round trip after it.
    answer_ns: u64,
    first_wait_ns: Option<u64>,
    /// The application had closed when it began.
    closing: bool,
    /// It has closed since: what becomes of the data is nothing to it.
    closed_meanwhile: bool,
}

/// How a stall ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stall {
    /// Repaired.
    Repaired {
        /// Since the original transmission, us.
        after_us: i64,
        /// Of these, until the first timer expired; `None`: an ACK told of the loss.
        first_wait_us: Option<i64>,
    },
    /// An end of the connection hung up before that.
    HungUp {
        /// This end?
        local: bool,
        /// Since the original transmission, us.
        after_us: i64,
    },
}

impl Stalling {
    /// Takes one event of a flow; gives the stall's end if this is it.
    pub fn observe(
        state: &mut Option<Stalling>,
        past: &Past,
        event: &Event,
        kernel: Kernel,
    ) -> Option<Stall> {
        let after_us = |began_ns: u64, ended_ns: u64| ended_ns.saturating_sub(began_ns) as i64 / 1000;
        match &event.what {
            What::Retransmit(retransmit) if carries_requests(retransmit) => {
                let answer_ns = event.mono_ns + round_trip_ns(retransmit);
                match state {
                    Some(stalling) => {
                        stalling.answer_ns = answer_ns;
                        stalling.closed_meanwhile |= !stalling.closing && is_closing(retransmit);
                    }
                    None => *state = Some(Stalling::begin(retransmit, past, kernel)),
                }
                None
            }
            What::Recovered(recovered) => {
                let stalling = state.take()?;
                // Otherwise it was noticed later than it happened.
                let exact = recovered.by == RecoveredBy::CongState;
                let ended_ns = if exact { event.mono_ns } else { stalling.answer_ns.min(event.mono_ns) };
                let counts = recovered.spurious != Some(true) && !stalling.closed_meanwhile;
                counts.then_some(Stall::Repaired {
                    after_us: after_us(stalling.began_ns, ended_ns),
                    first_wait_us: stalling.first_wait_ns.map(|ns| ns as i64 / 1000),
                })
            }
            What::Closed(closed) => {
                let first_wait_ns = state.take().and_then(|stalling| stalling.first_wait_ns);
                let after_us = hung_up_after_us(closed, first_wait_ns.unwrap_or(0) as i64 / 1000)?;
                let local = closed.hung_up.as_ref()?.side == HungUpSide::Local;
                (closed.state != tcp_state::SYN_SENT).then_some(Stall::HungUp { local, after_us })
            }
            What::Retransmit(_)
            | What::Start(_)
            | What::InBackoff(_)
            | What::Threshold(_)
            | What::Observation(_)
            | What::Lost(_)
            | What::End(_) => None,
        }
    }

    fn begin(retransmit: &Retransmit, past: &Past, kernel: Kernel) -> Stalling {
        let now_ns = retransmit.record.mono_ns;
        let wait_ns = first_wait_ns(retransmit, past, kernel);
        // Of what ACKs told to be lost, nothing tells when it was sent: a round trip ago, or a little more.
        let since_ns = wait_ns.unwrap_or_else(|| round_trip_ns(retransmit));
        Stalling {
            began_ns: now_ns.saturating_sub(since_ns),
            answer_ns: now_ns + round_trip_ns(retransmit),
            first_wait_ns: wait_ns,
            closing: is_closing(retransmit),
            closed_meanwhile: false,
        }
    }
}

/// Not of the handshake.
fn carries_requests(retransmit: &Retransmit) -> bool {
    !matches!(retransmit.ty, RetransmitType::Syn | RetransmitType::SynAck)
        && !matches!(retransmit.state, tcp_state::SYN_SENT | tcp_state::SYN_RECV)
}

/// Has this end's application closed?
fn is_closing(retransmit: &Retransmit) -> bool {
    !matches!(retransmit.state, tcp_state::ESTABLISHED | tcp_state::CLOSE_WAIT)
}

fn round_trip_ns(retransmit: &Retransmit) -> u64 {
    u64::from(retransmit.srtt_us.unwrap_or(0)) * 1000
}

/// For how long the timer was armed that brought this retransmission about.
fn first_wait_ns(retransmit: &Retransmit, past: &Past, kernel: Kernel) -> Option<u64> {
    let sock = &retransmit.record.sock;
    let jiffies = match retransmit.ty {
        RetransmitType::Tlp => {
            let estimator = Estimator::of(sock, past, kernel)?;
            estimator.probe_jiffies(estimator.floor_us, retransmit.packets_out == 1)
        }
        // Where it is not the first RTO, the ones before are not in the recording.
        RetransmitType::Rto | RetransmitType::ZeroWindow => u64::from(sock.icsk_rto),
        RetransmitType::Syn
        | RetransmitType::SynAck
        | RetransmitType::SlowStart
        | RetransmitType::Fast
        | RetransmitType::RackTimer
        | RetransmitType::Pmtu
        | RetransmitType::IcmpRevert
        | RetransmitType::Unknown => return None,
    };
    // The wheel fires it a tick later, of which half has passed already.
    Some(jiffies * kernel.tick_ns() + kernel.tick_ns() / 2)
}

/// Gathers stalls.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    repaired_us: Vec<i64>,
    first_waits_us: Vec<i64>,
    hung_up_local_us: Vec<i64>,
    hung_up_peer: usize,
}

/// The advice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RequestAdvice {
    /// Stalls that TCP repaired: since the original transmission.
    pub repaired: Option<Distribution>,
    /// Where a timer noticed the loss: until it expired for the first time.
    pub first_wait: Option<Distribution>,
    /// Stalls in which the local application hung up: since the original transmission.
    pub hung_up: Option<Distribution>,
    /// Stalls in which the peer hung up.
    pub hung_up_by_peer: usize,
    /// Which timeouts would have cut off how many of the repaired.
    pub timeouts: Vec<Cut>,
    /// The lowest of these that would have cut off none, ms.
    pub harmless_ms: Option<u64>,
    /// Are these enough to say more than a hint?
    pub enough: bool,
}

impl Tally {
    /// Takes one.
    pub fn add(&mut self, stall: Stall) {
        match stall {
            Stall::Repaired { after_us, first_wait_us } => {
                self.repaired_us.push(after_us);
                self.first_waits_us.extend(first_wait_us);
            }
            Stall::HungUp { local: true, after_us } => self.hung_up_local_us.push(after_us),
            Stall::HungUp { local: false, .. } => self.hung_up_peer += 1,
        }
    }

    /// Concludes.
    pub fn conclude(&self) -> RequestAdvice {
        let distribution = |values: &[i64]| Distribution::of_us(values.iter().copied());
        let timeouts = cuts(&TIMEOUTS_MS, &self.repaired_us);
        RequestAdvice {
            repaired: distribution(&self.repaired_us),
            first_wait: distribution(&self.first_waits_us),
            hung_up: distribution(&self.hung_up_local_us),
            hung_up_by_peer: self.hung_up_peer,
            harmless_ms: harmless_ms(&timeouts),
            timeouts,
            enough: self.repaired_us.len() >= FEW_FOR_MEDIAN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        advise::story::{self, changed, hung_up, record, recovered, rto, slow_start, tlp},
        event::Cause,
    };

    fn stalls(events: &[Event]) -> Vec<Stall> {
        let (mut state, mut past) = (None, Past::default());
        past.learn(&record(0).sock, story::kernel());
        let observe = |event| Stalling::observe(&mut state, &past, event, story::kernel());
        events.iter().filter_map(observe).collect()
    }

    fn opened(ms: u64) -> Event {
        recovered(ms, RecoveredBy::CongState, Some(false))
    }

    #[test]
    fn a_stall_is_from_the_original_to_the_repair() {
        let wait = Some(206_000);
        let repaired = |after_us, first_wait_us| [Stall::Repaired { after_us, first_wait_us }];
        assert_eq!(stalls(&[rto(208, 1), rto(640, 2), opened(641)]), repaired(639_000, wait));
        assert_eq!(stalls(&[tlp(208), rto(416, 1), opened(416)]), repaired(414_000, wait));
        assert_eq!(stalls(&[rto(208, 1), slow_start(209), opened(220)]), repaired(218_000, wait));
        // An ACK told of it: sent a round trip before.
        let fast = story::of_record(RetransmitType::Fast, record(100));
        assert_eq!(stalls(&[fast, opened(101)]), repaired(1300, None));
    }

    #[test]
    fn what_is_noticed_late_is_not_counted_late() {
        // An answered probe shows with the next data only.
        let late = recovered(5000, RecoveredBy::TlpAck, Some(false));
        assert_eq!(
            stalls(&[tlp(208), late]),
            [Stall::Repaired { after_us: 206_300, first_wait_us: Some(206_000) }]
        );
    }

    #[test]
    fn what_was_in_vain_stalled_nothing() {
        assert_eq!(stalls(&[rto(208, 1), recovered(209, RecoveredBy::CongState, Some(true))]), []);
        assert_eq!(stalls(&[story::syn(1000, None), recovered(1001, RecoveredBy::Established, None)]), []);
    }

    #[test]
    fn who_hangs_up_does_not_wait_for_the_socket() {
        // 206 ms until the first retransmission, 300 more until close(); the socket lives on for a minute.
        let end = hung_up(60_000, 300);
        assert_eq!(stalls(&[rto(208, 1), end]), [Stall::HungUp { local: true, after_us: 506_000 }]);
        // Closed meanwhile: that the data arrived was nothing to the request.
        let closing = changed(rto(640, 2), |record| record.sock.skc_state = tcp_state::FIN_WAIT1);
        assert_eq!(stalls(&[rto(208, 1), closing, opened(641)]), []);
        // Written and closed at once: the peer waits for it.
        let last_words = changed(rto(208, 1), |record| record.sock.skc_state = tcp_state::FIN_WAIT1);
        assert_eq!(stalls(&[last_words, opened(209)]).len(), 1);
        assert_eq!(stalls(&[rto(208, 1), story::closed(900, Cause::ResetByPeer, None)]), []);
    }
}
