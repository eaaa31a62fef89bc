//! What matters more looks different.

use anstyle::Style;

use crate::{
    event::{Closed, Event, LostWhere, Retransmit, RetransmitType, What, cause::Manner},
    page,
};

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Everyday: probes, orderly ends.
    Faint,
    /// Worth a line.
    Plain,
    /// Worth a look: timers, failed attempts.
    Notice,
    /// All is well again.
    Good,
    /// Somebody refused or reset.
    Bad,
    /// A connection is dying or dead.
    Alarm,
}

impl Look {
    /// For terminals.
    pub(crate) fn style(self) -> Style {
        match self {
            Look::Faint => page::FAINT,
            Look::Plain => page::PLAIN,
            Look::Notice => page::NOTICE,
            Look::Good => page::GOOD,
            Look::Bad => page::BAD,
            Look::Alarm => page::ALARM,
        }
    }

    /// Of an event's line.
    pub(crate) fn of(event: &Event) -> Look {
        match &event.what {
            What::Retransmit(retransmit) => of_retransmit(retransmit),
            What::Threshold(_) => Look::Alarm,
            What::InBackoff(flow) if flow.retransmits >= DEEP => Look::Alarm,
            What::InBackoff(_) => Look::Notice,
            What::Recovered(_) => Look::Good,
            What::Closed(closed) => of_closed(closed),
            What::Lost(lost) => match lost.place {
                LostWhere::Recursion => Look::Notice,
                LostWhere::Ring | LostWhere::Map | LostWhere::Output | LostWhere::Unseen => Look::Bad,
            },
            What::Start(_) | What::Observation(_) | What::End(_) => Look::Plain,
        }
    }
}

/// RTOs in a row from which a backoff is deep: the kernel itself begins to doubt the route
/// (`tcp_retries1`, by default 3).
const DEEP: u32 = 4;

fn of_retransmit(retransmit: &Retransmit) -> Look {
    let by_timer = retransmit.rto_ms.is_some();
    let dying = retransmit
        .deadline
        .as_ref()
        .is_some_and(|deadline| deadline.used >= 0.5 || deadline.retransmissions_left == 0);
    if dying || by_timer && retransmit.retransmits >= DEEP {
        Look::Alarm
    } else if retransmit.err.is_some() || by_timer && retransmit.retransmits > 1 {
        Look::Notice
    } else if retransmit.ty == RetransmitType::Tlp {
        Look::Faint
    } else {
        Look::Plain
    }
}

fn of_closed(closed: &Closed) -> Look {
    match closed.cause.manner() {
        Manner::Timeout(_) | Manner::Dropped => Look::Alarm,
        Manner::CutOff => Look::Bad,
        Manner::Orderly => Look::Faint,
        Manner::Unknown => Look::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Cause, LostWhere, SendError, samples as sample};

    fn look(retransmit: Retransmit) -> Look {
        Look::of(&sample::event(sample::ipv4_flow(), sample::retransmit(retransmit)))
    }

    #[test]
    fn the_deeper_the_louder() {
        assert_eq!(look(sample::rto()), Look::Plain, "one RTO is an everyday thing");
        assert_eq!(look(Retransmit { retransmits: 2, ..sample::rto() }), Look::Notice);
        assert_eq!(look(Retransmit { retransmits: 4, ..sample::rto() }), Look::Alarm);
        assert_eq!(look(sample::last_rto()), Look::Alarm);
        assert_eq!(look(sample::fast()), Look::Plain);
        assert_eq!(look(Retransmit { ty: RetransmitType::Tlp, ..sample::fast() }), Look::Faint);
        assert_eq!(look(Retransmit { err: Some(SendError::QueueDrop), ..sample::fast() }), Look::Notice);
    }

    #[test]
    fn ends() {
        let look = |cause| {
            let closed = Closed { cause, ..sample::closed() };
            Look::of(&sample::event(sample::ipv4_flow(), What::Closed(Box::new(closed))))
        };
        assert_eq!(look(Cause::RetransmitTimeout), Look::Alarm);
        assert_eq!(look(Cause::ResetByPeer), Look::Bad);
        assert_eq!(look(Cause::ClosedByPeer), Look::Faint);
        assert_eq!(
            Look::of(&sample::event(sample::ipv4_flow(), What::Recovered(sample::recovered()))),
            Look::Good
        );
        assert_eq!(Look::of(&sample::lost(1, LostWhere::Ring)), Look::Bad);
    }
}
