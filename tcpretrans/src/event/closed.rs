//! How a connection ended.

#[cfg(test)]
use tcpretrans_ebpf::tcp_state;

#[cfg(test)]
use super::samples::{NOW_NS, S};
use super::{
    Cause, Clock, HungUp, Knob, Who,
    cause::{Manner, Timer},
    json::{Errno, Reading, Signal, State, Timestamp, WallClock, object},
};

object! {
    /// A traced flow left.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Closed then Closed::without_time {
        /// Why.
        pub cause: Cause = Cause::RetransmitTimeout,
        /// Who ended it; `None` if unknown.
        pub who: Option<Who> = Some(Who::Kernel),
        /// errno that the application gets; `None`: none.
        pub error: Option<i32> as Option<Errno> = Some(libc::ETIMEDOUT),
        /// What ended it, if a knob did.
        pub knob: Option<Knob> = Some(Knob::TcpRetries2),
        /// State that it left.
        pub state: u8 as State = tcp_state::ESTABLISHED,
        /// Retransmissions that were sent, as far as they were traced; those of an episode that was
        /// on when the trace began included.
        pub retransmissions: u32 = 16,
        /// Segments in them.
        pub segs: u32 = 16,
        /// Bytes sent and never acknowledged.
        pub unacked_bytes: u32 = 14_480,
        /// Bytes that the application wrote and that were never sent.
        pub unsent_bytes: u32 = 185_520,
        /// Since it was opened, ms; `None`: it is older than the trace.
        pub lifetime_ms: Option<u64> = Some(998_000),
        /// Since anything last arrived from the peer, ms; `None`: nothing ever did.
        pub silent_ms: Option<u64> = Some(938_100),
        /// The last forecast of when the kernel gives up, mono ns.
        pub predicted_at_ns("predicted_at"): Option<u64> as Option<WallClock> = Some(NOW_NS + S),
        /// The end that closed while TCP was retransmitting.
        pub hung_up: Option<HungUp> = None,
        /// The signal that killed the process whose socket it was, if that is why it closed.
        pub killed_by: Option<u8> as Option<Signal> = None,
        /// One sentence for people; [`Closed::sentence`] has the whole of it.
        pub note[written Closed::sentence_in_utc]: String =
            "the kernel gave up after 15 retransmissions: the peer did not answer, silent for 15 min 38 s".to_owned(),
    }
}

impl Closed {
    /// Did the retransmission timer give up (`tcp_retransmit_timer`)? Not so the timers of probes: without data in
    /// flight (`tcp_probe_timer`, `tcp_keepalive_timer`), or into a closed window.
    pub fn by_retransmission_timer(&self) -> bool {
        // A FIN in flight is no byte, but then nothing is left to send.
        let in_flight = self.unacked_bytes > 0 || self.unsent_bytes == 0;
        self.cause.manner() == Manner::Timeout(Timer::Retransmission) && in_flight
    }

    /// The whole sentence for people. `time` writes a monotonic time (ns) as a wall-clock time: the note itself has
    /// none, for it is made where there is no clock.
    pub fn sentence(&self, time: impl FnOnce(u64) -> String) -> String {
        let until_ns = self.hung_up.as_ref().and_then(|hung_up| hung_up.would_have_tried_until_ns);
        match until_ns {
            Some(until_ns) => format!("{}{TRIED_UNTIL}{}", self.note, time(until_ns)),
            None => self.note.clone(),
        }
    }

    fn sentence_in_utc(&self, clock: Clock) -> String {
        self.sentence(|mono_ns| Timestamp { wall_ns: clock.wall_ns(mono_ns) }.utc_second())
    }

    /// The line has the whole sentence, the event its first part.
    fn without_time(mut self, line: &Reading) -> Closed {
        let note = std::mem::take(&mut self.note);
        let rest = self.sentence_in_utc(line.clock);
        self.note = note.strip_suffix(rest.as_str()).unwrap_or(&note).to_owned();
        self
    }
}

/// What stands between the note and the time until which TCP would have tried.
const TRIED_UNTIL: &str = "; TCP itself would have tried until ";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::json::Object;

    #[test]
    fn only_the_retransmission_timer_gives_up_data_in_flight() {
        let by_timer = |cause, unacked_bytes, unsent_bytes| {
            let closed = Closed { cause, unacked_bytes, unsent_bytes, ..Closed::sample() };
            closed.by_retransmission_timer()
        };
        assert!(by_timer(Cause::RetransmitTimeout, 1448, 0));
        assert!(by_timer(Cause::UserTimeout, 1448, 9000));
        assert!(by_timer(Cause::ConnectTimeout, 0, 0), "a SYN is no byte");
        assert!(by_timer(Cause::OrphanTimeout, 0, 0), "nor is a FIN");
        assert!(!by_timer(Cause::RetransmitTimeout, 0, 500), "never left: a probe timer's");
        assert!(!by_timer(Cause::ZeroWindowTimeout, 1448, 0));
        assert!(!by_timer(Cause::ResetByPeer, 1448, 0));
    }
}
