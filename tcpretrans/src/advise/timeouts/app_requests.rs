//! Requests on established connections: what arrives only after a retransmission arrives late.
//!
//! What is measured is the stall: from the original transmission until the loss was repaired. A request that meets one
//! takes at least so long, plus what it takes anyway.

use serde::Serialize;

use super::{Cut, cuts, harmless_ms};
use crate::{
    advise::{
        distribution::{Distribution, FEW_FOR_MEDIAN},
        estimator::{Estimator, Past},
        hanging_up::hung_up_after,
    },
    event::{Event, HungUpSide, RecoveredBy, Retransmit, RetransmitType, What},
    socket::{Hz, Micros, Nanos, RecordExt, SnapshotExt, TcpState},
};

/// What people set, ms.
const TIMEOUTS_MS: [u64; 10] = [50, 100, 200, 300, 500, 1000, 2000, 5000, 10_000, 30_000];

/// The stall that is going on, on one flow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stalling {
    began: Nanos,
    /// Since when an answer is possible: the last retransmission, and the round trip after it.
    answer: Nanos,
    first_wait: Option<Nanos>,
    /// The application had closed when it began.
    closing: bool,
    /// It has closed since: what becomes of the data is nothing to it.
    closed_meanwhile: bool,
}

/// How a stall ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stall {
    /// Repaired.
    Repaired {
        /// Since the original transmission.
        after: Micros,
        /// Of this, until the first timer expired; `None`: an ACK revealed the loss.
        first_wait: Option<Micros>,
    },
    /// An end of the connection closed before that.
    HungUp {
        /// This end?
        local: bool,
        /// Since the original transmission.
        after: Micros,
    },
}

impl Stalling {
    /// Takes one event of a flow; gives the stall's end if this is it.
    pub(crate) fn observe(state: &mut Option<Stalling>, past: &Past, event: &Event, hz: Hz) -> Option<Stall> {
        let now = Nanos(event.mono_ns);
        match &event.what {
            What::Retransmit(retransmit) if carries_requests(retransmit) => {
                let answer = now + round_trip(retransmit);
                match state {
                    Some(stalling) => {
                        stalling.answer = answer;
                        stalling.closed_meanwhile |= !stalling.closing && is_closing(retransmit);
                    }
                    None => *state = Some(Stalling::begin(retransmit, past, hz)),
                }
                None
            }
            What::Recovered(recovered) => {
                let stalling = state.take()?;
                // Otherwise it was noticed later than it happened.
                let exact = recovered.by == RecoveredBy::CongState;
                let ended = if exact { now } else { stalling.answer.min(now) };
                let counts = recovered.spurious != Some(true) && !stalling.closed_meanwhile;
                counts.then_some(Stall::Repaired {
                    after: (ended - stalling.began).cut_to_micros(),
                    first_wait: stalling.first_wait.map(Nanos::cut_to_micros),
                })
            }
            What::Closed(closed) => {
                let first_wait = state.take().and_then(|stalling| stalling.first_wait).unwrap_or_default();
                let after = hung_up_after(closed, first_wait.cut_to_micros())?;
                let local = closed.hung_up.as_ref()?.side == HungUpSide::Local;
                (TcpState::from(closed.state) != TcpState::SynSent).then_some(Stall::HungUp { local, after })
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

    fn begin(retransmit: &Retransmit, past: &Past, hz: Hz) -> Stalling {
        let now = retransmit.record.time();
        let first_wait = first_wait(retransmit, past, hz);
        // Of what ACKs revealed as lost, nothing shows when it was sent: a round trip ago, or a little more.
        let since = first_wait.unwrap_or_else(|| round_trip(retransmit));
        Stalling {
            began: now - since,
            answer: now + round_trip(retransmit),
            first_wait,
            closing: is_closing(retransmit),
            closed_meanwhile: false,
        }
    }
}

/// Not of the handshake.
fn carries_requests(retransmit: &Retransmit) -> bool {
    !retransmit.ty.is_handshake() && !TcpState::from(retransmit.state).in_handshake()
}

/// Has this end's application closed?
fn is_closing(retransmit: &Retransmit) -> bool {
    !matches!(TcpState::from(retransmit.state), TcpState::Established | TcpState::CloseWait)
}

pub(in crate::advise) fn round_trip(retransmit: &Retransmit) -> Nanos {
    retransmit.srtt_us.map(Micros::from).unwrap_or_default().to_nanos()
}

/// For how long the timer was armed that brought this retransmission about.
fn first_wait(retransmit: &Retransmit, past: &Past, hz: Hz) -> Option<Nanos> {
    let sock = &retransmit.record.sock;
    let wait = match retransmit.ty {
        RetransmitType::Tlp => {
            let estimator = Estimator::of(sock, past, hz)?;
            estimator.probe_wait(estimator.floor, retransmit.packets_out == 1)
        }
        // Where it is not the first RTO, the ones before are not in the recording.
        RetransmitType::Rto | RetransmitType::ZeroWindow => sock.rto(),
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
    Some(hz.jiffies_to_nanos(wait) + hz.tick() / 2)
}

/// Gathers stalls.
#[derive(Debug, Clone, Default)]
pub(crate) struct StallTally {
    repaired: Vec<Micros>,
    first_waits: Vec<Micros>,
    hung_up_local: Vec<Micros>,
    hung_up_peer: usize,
}

/// The advice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RequestAdvice {
    /// Stalls that TCP repaired: since the original transmission.
    pub repaired: Option<Distribution>,
    /// Where a timer noticed the loss: until it expired for the first time.
    pub first_wait: Option<Distribution>,
    /// Stalls in which the local application closed: since the original transmission.
    pub hung_up: Option<Distribution>,
    /// Stalls in which the peer closed.
    pub hung_up_by_peer: usize,
    /// Which timeouts would have cut off how many of the repaired.
    pub timeouts: Vec<Cut>,
    /// The lowest of these that would have cut off none, ms.
    pub harmless_ms: Option<u64>,
    /// Are these enough to say more than a hint?
    pub enough: bool,
}

impl StallTally {
    /// Takes one.
    pub(crate) fn add(&mut self, stall: Stall) {
        match stall {
            Stall::Repaired { after, first_wait } => {
                self.repaired.push(after);
                self.first_waits.extend(first_wait);
            }
            Stall::HungUp { local: true, after } => self.hung_up_local.push(after),
            Stall::HungUp { local: false, .. } => self.hung_up_peer += 1,
        }
    }

    /// Concludes.
    pub(crate) fn conclude(&self) -> RequestAdvice {
        let distribution = |durations: &[Micros]| Distribution::of(durations.iter().copied());
        let timeouts = cuts(&TIMEOUTS_MS, &self.repaired);
        RequestAdvice {
            repaired: distribution(&self.repaired),
            first_wait: distribution(&self.first_waits),
            hung_up: distribution(&self.hung_up_local),
            hung_up_by_peer: self.hung_up_peer,
            harmless_ms: harmless_ms(&timeouts),
            timeouts,
            enough: self.repaired.len() >= FEW_FOR_MEDIAN,
        }
    }
}

#[cfg(test)]
mod tests {
    use tcpretrans_ebpf::tcp_state;

    use super::*;
    use crate::{
        advise::story::{self, changed, hung_up, record, recovered, rto, slow_start, tlp},
        event::Cause,
    };

    fn stalls(events: &[Event]) -> Vec<Stall> {
        let (mut state, mut past) = (None, Past::default());
        past.learn(&record(0).sock, story::hz());
        let observe = |event| Stalling::observe(&mut state, &past, event, story::hz());
        events.iter().filter_map(observe).collect()
    }

    fn opened(ms: u64) -> Event {
        recovered(ms, RecoveredBy::CongState, Some(false))
    }

    #[test]
    fn a_stall_is_from_the_original_to_the_repair() {
        let wait = Some(Micros(206_000));
        let repaired = |us, first_wait| [Stall::Repaired { after: Micros(us), first_wait }];
        assert_eq!(stalls(&[rto(208, 1), rto(640, 2), opened(641)]), repaired(639_000, wait));
        assert_eq!(stalls(&[tlp(208), rto(416, 1), opened(416)]), repaired(414_000, wait));
        assert_eq!(stalls(&[rto(208, 1), slow_start(209), opened(220)]), repaired(218_000, wait));
        // An ACK revealed it: sent a round trip before.
        let fast = story::of_record(RetransmitType::Fast, record(100));
        assert_eq!(stalls(&[fast, opened(101)]), repaired(1300, None));
    }

    #[test]
    fn what_is_noticed_late_is_not_counted_late() {
        // An answered probe shows with the next data only.
        let late = recovered(5000, RecoveredBy::TlpAck, Some(false));
        assert_eq!(
            stalls(&[tlp(208), late]),
            [Stall::Repaired { after: Micros(206_300), first_wait: Some(Micros(206_000)) }]
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
        assert_eq!(stalls(&[rto(208, 1), end]), [Stall::HungUp { local: true, after: Micros(506_000) }]);
        // Closed meanwhile: that the data arrived was nothing to the request.
        let closing = changed(rto(640, 2), |record| record.sock.skc_state = tcp_state::FIN_WAIT1);
        assert_eq!(stalls(&[rto(208, 1), closing, opened(641)]), []);
        // Written and closed at once: the peer waits for it.
        let last_words = changed(rto(208, 1), |record| record.sock.skc_state = tcp_state::FIN_WAIT1);
        assert_eq!(stalls(&[last_words, opened(209)]).len(), 1);
        assert_eq!(stalls(&[rto(208, 1), story::closed(900, Cause::ResetByPeer, None)]), []);
    }
}
