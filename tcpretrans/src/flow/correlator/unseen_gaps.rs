//! Looking for retransmissions that made no record, on the way of every record.

use std::sync::Arc;

use tcpretrans_ebpf::{Kind, Record};

use super::Correlator;
use crate::{
    event::{Event, Flow, FlowId},
    flow::{
        identity::{self, Ends},
        unseen::{Counted, Gap, Watch},
    },
    socket::{Nanos, RecordExt},
};

impl Correlator {
    /// From now on, reports retransmissions that made no record. For a live trace: a recording has them
    /// already. `maybe_failed`: this kernel makes no record of attempts that fail locally.
    pub fn watch_for_unseen(&mut self, now_ns: u64, maybe_failed: bool) {
        self.watch = Some(Watch::from(Nanos(now_ns), maybe_failed));
    }

    /// Records of retransmissions were lost up to now, and that is reported: they explain what is missing until then.
    pub fn retransmissions_were_lost(&mut self, now_ns: u64) {
        if let Some(watch) = &mut self.watch {
            watch.explained(Nanos(now_ns));
        }
    }

    /// No retransmission's record was lost up to now but for those that made none: these are reported.
    pub fn nothing_was_lost(&mut self, events: &mut Vec<Event>) {
        if let Some(watch) = &mut self.watch {
            watch.report(events);
        }
    }

    /// What is missing between the flow's last record and this one, and the flow if it is known.
    pub(super) fn gap_before(
        &mut self,
        kind: Kind,
        id: FlowId,
        record: &Record,
    ) -> Option<(Gap, Option<Arc<Flow>>)> {
        let watch = self.watch.as_ref()?;
        let mut flow = None;
        let before = match self.flows.get_mut(id) {
            // The first look at the sockets runs beside the programs: its records are in no order with theirs.
            Some(_) if kind == Kind::Seed => return None,
            Some(state) => {
                let before = std::mem::replace(&mut state.counted, Counted::after(record));
                let gap = before.gap_before(kind, record)?;
                flow = Some(state.flow.clone());
                (gap, before.at)
            }
            None => {
                let request = identity::request_id(Ends::of(record));
                let request = self.flows.get_mut(request).map(|state| state.counted);
                let before = watch.before_first(record, request)?;
                (before.gap_before(kind, record)?, before.at)
            }
        };
        let (gap, since) = before;
        (!self.watch.as_ref()?.explains(since)).then_some((gap, flow))
    }

    /// Keeps a gap that `record` has shown. Without a flow it was the flow's first record.
    pub(super) fn hold(&mut self, gap: Gap, record: &Record, id: FlowId, flow: Option<Arc<Flow>>) {
        let flow = flow.or_else(|| self.flows.get_mut(id).map(|state| state.flow.clone()));
        if let (Some(watch), Some(flow)) = (&mut self.watch, flow) {
            watch.hold(gap, record.time(), flow);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tcpretrans_ebpf::tcp_state::*;

    use super::{super::story::Story, *};
    use crate::{
        event::{Lost, LostWhere, What},
        socket::CaState,
    };

    const SECOND_NS: u64 = 1_000_000_000;

    /// A connection that is opened while it is watched.
    fn watched(state: u8) -> Story {
        let mut story = Story::new(state);
        story.record.mono_ns = 10 * SECOND_NS;
        story.record.born_ns = 9 * SECOND_NS;
        story.correlator.watch_for_unseen(8 * SECOND_NS, false);
        story
    }

    /// Makes the next record one that nobody sees.
    fn hidden(story: &mut Story, what: impl FnOnce(&mut Story)) {
        let other = Correlator::new(super::super::story::config());
        let real = std::mem::replace(&mut story.correlator, other);
        let events = story.events.len();
        what(story);
        story.events.truncate(events);
        story.correlator = real;
    }

    fn lost_events(story: &mut Story) -> Vec<Lost> {
        story.correlator.nothing_was_lost(&mut story.events);
        let lost = story.events.iter().filter_map(|event| match &event.what {
            What::Lost(lost) => {
                assert!(event.flow.is_some(), "it is known whose they are");
                Some(*lost)
            }
            _ => None,
        });
        lost.collect()
    }

    fn numbers(story: &mut Story) -> Vec<(u64, u64)> {
        let of = |lost: Lost| (lost.records, lost.unseen.map_or(0, |unseen| unseen.segs));
        lost_events(story).into_iter().map(of).collect()
    }

    #[test]
    fn a_timeout_between_two_others_is_missed_and_reported() {
        let mut story = watched(ESTABLISHED);
        story.rto();
        hidden(&mut story, Story::rto);
        story.rto();
        let lost = lost_events(&mut story);
        assert_eq!((lost.len(), lost[0].place), (1, LostWhere::Unseen));
        assert_eq!(numbers(&mut story), [(1, 1)], "once");
    }

    #[test]
    fn the_first_ones_show_at_the_end_of_a_connection_that_is_known_whole() {
        let mut story = watched(ESTABLISHED);
        hidden(&mut story, Story::rto);
        hidden(&mut story, Story::rto);
        story.acknowledge();
        story.state(FIN_WAIT1);
        assert_eq!(numbers(&mut story), [(1, 2)], "two segments, in one attempt or two");
    }

    #[test]
    fn of_a_socket_that_is_older_than_the_trace_nothing_is_said_at_first() {
        let mut story = watched(ESTABLISHED);
        story.record.born_ns = 0;
        story.record.sock.total_retrans = 40;
        story.rto();
        assert_eq!(numbers(&mut story), []);
        hidden(&mut story, Story::rto);
        story.rto();
        assert_eq!(numbers(&mut story), [(1, 1)], "but of everything since");
    }

    #[test]
    fn a_seed_is_where_counting_begins() {
        let mut story = watched(ESTABLISHED);
        story.record.born_ns = 0;
        story.record.sock.total_retrans = 5;
        story.record.sock.icsk_retransmits = 3;
        story.say(Kind::Seed);
        hidden(&mut story, Story::rto);
        // It may find a flow that the programs have seen meanwhile, in any order with them.
        story.say(Kind::Seed);
        story.rto();
        assert_eq!(numbers(&mut story), [(1, 1)]);
    }

    #[test]
    fn what_is_reported_as_lost_is_not_reported_twice() {
        // Known before the flow is heard of again.
        let mut story = watched(ESTABLISHED);
        story.rto();
        hidden(&mut story, Story::rto);
        story.wait_ms(100);
        story.correlator.retransmissions_were_lost(story.record.mono_ns);
        story.wait_ms(100);
        story.rto();
        assert_eq!(numbers(&mut story), []);
        // From there on it is watched again.
        hidden(&mut story, Story::rto);
        story.rto();
        assert_eq!(numbers(&mut story), [(1, 1)]);

        // Known only afterwards.
        let mut story = watched(ESTABLISHED);
        story.rto();
        hidden(&mut story, Story::rto);
        story.rto();
        story.correlator.retransmissions_were_lost(story.record.mono_ns);
        assert_eq!(numbers(&mut story), []);
    }

    #[test]
    fn attempts_that_failed_are_distinguished_from_missing_ones() {
        for (errno, counted) in
            [(libc::EPERM, 1), (libc::EBUSY, 0), (libc::EHOSTUNREACH, 0), (libc::ENOMEM, 1)]
        {
            let mut story = watched(ESTABLISHED);
            story.rto();
            story.record.err = -errno;
            for _ in 0..2 {
                story.record.sock.total_retrans -= 1 - counted;
                story.rto();
            }
            assert_eq!(numbers(&mut story), [], "{errno}");
        }
        // Not even counted, but the timer was: an attempt that failed at once.
        let mut story = watched(ESTABLISHED);
        story.rto();
        hidden(&mut story, |story| {
            story.rto();
            story.record.sock.total_retrans -= 1;
        });
        story.rto();
        assert_eq!(numbers(&mut story), [(1, 0)]);
    }

    #[test]
    fn where_failures_make_no_record_that_is_said() {
        let mut story = watched(ESTABLISHED);
        story.correlator.watch_for_unseen(8 * SECOND_NS, true);
        story.rto();
        hidden(&mut story, Story::rto);
        story.rto();
        assert_eq!(lost_events(&mut story)[0].unseen.map(|unseen| unseen.maybe_failed), Some(true));
    }

    /// A request that repeated its SYN-ACK `seen` times, and the connection that came of it.
    fn accepted(seen: u8, retransmitted: u32) -> Story {
        let mut story = watched(LISTEN);
        story.record.born_ns = 0;
        story.record.sock.tcp_synack_retries = 5;
        for number in 0..seen {
            story.record.num_retrans = number;
            story.say(Kind::SynAck);
            story.wait_ms(1000);
        }
        story.record.cookie = 78;
        story.record.sk = 8;
        story.record.born_ns = story.record.mono_ns;
        story.record.sock.skc_state = SYN_RECV;
        story.record.sock.total_retrans = retransmitted;
        story.state(ESTABLISHED);
        story
    }

    #[test]
    fn a_connection_inherits_its_requests_count() {
        assert_eq!(numbers(&mut accepted(2, 2)), []);
        assert_eq!(numbers(&mut accepted(2, 3)), [(1, 1)], "one SYN-ACK more than was seen");
        assert_eq!(numbers(&mut accepted(0, 1)), [(1, 1)], "the only one");
    }

    #[test]
    fn a_request_that_was_forgotten_is_not_taken_for_unseen() {
        let mut story = watched(LISTEN);
        story.record.sock.tcp_synack_retries = 1;
        story.say(Kind::SynAck);
        story.wait_ms(60_000);
        let now_ns = story.record.mono_ns;
        story.correlator.advance(now_ns, &mut story.events);
        story.record.cookie = 78;
        story.record.born_ns = story.record.mono_ns;
        story.record.sock.skc_state = SYN_RECV;
        story.record.sock.total_retrans = 1;
        story.state(ESTABLISHED);
        assert_eq!(numbers(&mut story), []);
    }

    #[test]
    fn missing_synacks_of_a_request_are_reported() {
        let mut story = watched(LISTEN);
        for number in [0, 1, 3] {
            story.record.num_retrans = number;
            story.say(Kind::SynAck);
        }
        assert_eq!(numbers(&mut story), [(1, 1)]);
    }

    #[test]
    fn a_socket_that_is_connected_again_begins_anew() {
        let mut story = watched(ESTABLISHED);
        story.rto();
        story.rto();
        story.state(CLOSE);
        story.wait_ms(5);
        story.record.sock.skc_state = SYN_SENT;
        story.record.born_ns = story.record.mono_ns;
        story.record.sock.total_retrans = 0;
        story.record.sock.icsk_retransmits = 0;
        story.wait_ms(1000);
        story.rto();
        assert_eq!(numbers(&mut story), []);
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Rto,
        Fast(u16),
        Busy,
        Refused,
        Acked,
        Recovered,
        CheckedForLosses,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Rto),
            3 => (1_u16..45).prop_map(Step::Fast),
            1 => Just(Step::Busy),
            1 => Just(Step::Refused),
            2 => Just(Step::Acked),
            1 => Just(Step::Recovered),
            1 => Just(Step::CheckedForLosses),
        ]
    }

    /// Does it; the segments that the kernel counted, and whether there was an attempt.
    fn take(story: &mut Story, step: Step) -> (u32, u64) {
        let before = story.record.sock.total_retrans;
        match step {
            Step::Rto => story.rto(),
            Step::Fast(segs) => {
                let sock = &mut story.record.sock;
                (sock.ca_state, sock.icsk_pending, sock.total_retrans) =
                    (CaState::Recovery as u8, 1, before + u32::from(segs));
                story.record.segs = segs;
                story.say(Kind::Retransmit);
            }
            Step::Busy | Step::Refused => {
                let sock = &mut story.record.sock;
                sock.total_retrans += u32::from(matches!(step, Step::Refused));
                (sock.icsk_pending, sock.ca_state) = (0, CaState::Loss as u8);
                sock.icsk_retransmits += 1;
                story.record.segs = 1;
                story.record.err = if matches!(step, Step::Busy) { -libc::EBUSY } else { -libc::EPERM };
                story.say(Kind::Retransmit);
                story.record.err = 0;
            }
            Step::Acked => story.record.sock.icsk_retransmits = 0,
            Step::Recovered => {
                story.record.sock.icsk_retransmits = 0;
                story.record.sock.ca_state = CaState::Loss as u8;
                story.cong(0);
            }
            Step::CheckedForLosses => story.correlator.nothing_was_lost(&mut story.events),
        }
        story.record.sock.icsk_rto = 51;
        story.wait_ms(10);
        let attempts = matches!(step, Step::Rto | Step::Fast(_) | Step::Busy | Step::Refused);
        (story.record.sock.total_retrans - before, u64::from(attempts))
    }

    proptest! {
        #[test]
        fn segments_are_reported_exactly_and_attempts_never_too_many(
            steps in proptest::collection::vec((step(), any::<bool>()), 1..60)
        ) {
            let mut story = watched(ESTABLISHED);
            let (mut segs, mut attempts) = (0, 0);
            for (step, seen) in steps {
                if seen {
                    take(&mut story, step);
                } else {
                    let mut missed = (0, 0);
                    hidden(&mut story, |story| missed = take(story, step));
                    segs += u64::from(missed.0);
                    attempts += missed.1;
                }
            }
            story.state(FIN_WAIT1);
            let reported = numbers(&mut story);
            prop_assert_eq!(reported.iter().map(|(_, segs)| segs).sum::<u64>(), segs);
            let records = reported.iter().map(|(records, _)| records).sum::<u64>();
            prop_assert!(records <= attempts, "{records} of {attempts}");
            prop_assert!(segs == 0 || records > 0);
        }
    }
}
