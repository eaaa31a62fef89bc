//! connect(): a lost SYN costs the initial RTO (1 s), and more where it is lost again.

use serde::Serialize;
use tcpretrans_ebpf::{Kind, Record};

use super::{Cut, cuts, harmless_ms};
use crate::{
    advise::distribution::{Distribution, FEW_FOR_MEDIAN},
    event::{Event, RetransmitType, What, cause::ConnectEnd},
    socket::{Micros, Nanos, RecordExt, TcpState},
};

/// What people set, ms.
const TIMEOUTS_MS: [u64; 8] = [500, 1000, 2000, 3000, 5000, 10_000, 30_000, 60_000];

/// A connect() that needed more than one SYN.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connecting {
    began: Nanos,
    /// Of the first repeated SYN.
    first_repeat: Nanos,
}

/// How one ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connect {
    /// Established.
    Succeeded {
        /// Since connect() was called.
        after: Micros,
        /// Until the SYN was sent again.
        first_wait: Micros,
    },
    /// The kernel gave up.
    TimedOut {
        /// Since connect() was called.
        after: Micros,
    },
    /// The application gave up.
    Abandoned {
        /// Since connect() was called.
        after: Micros,
    },
    /// A RST or an ICMP error.
    Refused,
}

impl Connecting {
    /// Takes one event of a flow; gives the connect's end if this is it.
    pub(crate) fn observe(state: &mut Option<Connecting>, event: &Event) -> Option<Connect> {
        let after = |began: Nanos| (Nanos(event.mono_ns) - began).cut_to_micros();
        let established = match &event.what {
            What::Retransmit(retransmit) if retransmit.ty == RetransmitType::Syn => {
                let record = &retransmit.record;
                if let (None, Some(began)) = (&state, began(record)) {
                    *state = Some(Connecting { began, first_repeat: record.time() });
                }
                return None;
            }
            // Older kernels do not announce the recovery, but the state; where both are, the first one counts.
            What::Observation(observation) => {
                let record = &observation.record;
                observation.kind == Kind::State
                    && (record.old_state(), record.new_state()) == (TcpState::SynSent, TcpState::Established)
            }
            What::Recovered(_) => true,
            What::Closed(closed) => {
                let connecting = state.take()?;
                let after = after(connecting.began);
                return Some(match closed.cause.connect_end() {
                    ConnectEnd::TimedOut => Connect::TimedOut { after },
                    ConnectEnd::Abandoned => Connect::Abandoned { after },
                    ConnectEnd::Failed => Connect::Refused,
                });
            }
            What::Retransmit(_)
            | What::InBackoff(_)
            | What::Threshold(_)
            | What::Start(_)
            | What::Lost(_)
            | What::End(_) => false,
        };
        let connecting = if established { state.take() } else { None }?;
        Some(Connect::Succeeded {
            after: after(connecting.began),
            first_wait: (connecting.first_repeat - connecting.began).cut_to_micros(),
        })
    }
}

/// When connect() was called: the tracer saw it, or `retrans_stamp` shows it, which the kernel sets with the first SYN.
/// `None` where only later SYNs were seen and neither is known.
fn began(record: &Record) -> Option<Nanos> {
    let stamped = || record.stamped_at();
    record.lifetime().map(|lifetime| record.time() - lifetime).or_else(stamped)
}

/// Gathers ends of connects.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConnectTally {
    succeeded: Vec<Micros>,
    first_waits: Vec<Micros>,
    timed_out: Vec<Micros>,
    abandoned: Vec<Micros>,
    refused: usize,
}

/// The advice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ConnectAdvice {
    /// Connects that needed a retransmission of the SYN and succeeded: since connect() was called.
    pub succeeded: Option<Distribution>,
    /// How long these waited before the SYN was sent again.
    pub first_wait: Option<Distribution>,
    /// Those that the kernel gave up.
    pub timed_out: Option<Distribution>,
    /// Those that the application gave up: whether they would have succeeded is not known.
    pub abandoned: Option<Distribution>,
    /// Those that were refused, or got an ICMP error, after a retransmission.
    pub refused: usize,
    /// Which timeouts would have cut off how many of the successes.
    pub timeouts: Vec<Cut>,
    /// The lowest of these that would have cut off none, ms.
    pub harmless_ms: Option<u64>,
    /// Are these enough to say more than a hint?
    pub enough: bool,
}

impl ConnectTally {
    /// Takes one.
    pub(crate) fn add(&mut self, connect: Connect) {
        match connect {
            Connect::Succeeded { after, first_wait } => {
                self.succeeded.push(after);
                self.first_waits.push(first_wait);
            }
            Connect::TimedOut { after } => self.timed_out.push(after),
            Connect::Abandoned { after } => self.abandoned.push(after),
            Connect::Refused => self.refused += 1,
        }
    }

    /// Concludes.
    pub(crate) fn conclude(&self) -> ConnectAdvice {
        let distribution = |durations: &[Micros]| Distribution::of(durations.iter().copied());
        let timeouts = cuts(&TIMEOUTS_MS, &self.succeeded);
        ConnectAdvice {
            succeeded: distribution(&self.succeeded),
            first_wait: distribution(&self.first_waits),
            timed_out: distribution(&self.timed_out),
            abandoned: distribution(&self.abandoned),
            refused: self.refused,
            harmless_ms: harmless_ms(&timeouts),
            timeouts,
            enough: self.succeeded.len() >= FEW_FOR_MEDIAN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        advise::story::{closed, recovered, syn},
        event::{Cause, RecoveredBy},
    };

    fn ends(events: &[Event]) -> Vec<Connect> {
        let mut state = None;
        events.iter().filter_map(|event| Connecting::observe(&mut state, event)).collect()
    }

    #[test]
    fn a_connect_counts_from_its_call() {
        let established = recovered(3016, RecoveredBy::Established, None);
        let after = |us| [Connect::Succeeded { after: Micros(us), first_wait: Micros(1_016_000) }];
        assert_eq!(ends(&[syn(1016, Some(0)), syn(3015, Some(0)), established.clone()]), after(3_016_000));
        assert_eq!(ends(&[syn(1016, None), established.clone()]), after(3_016_000), "by the SYN's own stamp");
        assert_eq!(ends(&[established]), [], "no SYN was sent again");
    }

    #[test]
    fn those_that_fail_are_kept_apart() {
        let end = |cause| ends(&[syn(1016, Some(0)), closed(2500, cause, None)])[0];
        assert_eq!(end(Cause::ConnectAbandoned), Connect::Abandoned { after: Micros(2_500_000) });
        assert_eq!(end(Cause::ConnectTimeout), Connect::TimedOut { after: Micros(2_500_000) });
        assert_eq!(end(Cause::ConnectRefused), Connect::Refused);
        assert_eq!(end(Cause::IcmpError), Connect::Refused);
    }

    #[test]
    fn the_sentence_of_the_issue() {
        let mut tally = ConnectTally::default();
        for n in 0..41 {
            let after = Micros(if n < 4 { 600_000 } else { 1_016_000 });
            tally.add(Connect::Succeeded { after, first_wait: after });
        }
        tally.add(Connect::Abandoned { after: Micros(500_000) });
        let advice = tally.conclude();
        let cut_off = |timeout_ms| {
            advice.timeouts.iter().find(|cut| cut.timeout_ms == timeout_ms).map(|cut| cut.cut_off)
        };
        assert_eq!((cut_off(500), cut_off(1000), cut_off(2000)), (Some(41), Some(37), Some(0)));
        assert_eq!((advice.harmless_ms, advice.enough), (Some(2000), true));
        assert_eq!(advice.abandoned.map(|abandoned| abandoned.count), Some(1));
    }
}
