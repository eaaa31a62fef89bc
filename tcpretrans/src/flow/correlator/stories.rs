//! Whole lives of flows, record by record.

mod seeded;

use proptest::prelude::*;
use tcpretrans_ebpf::{Kind, Record, tcp_state::*};

use super::{
    story::{HZ, Story, config},
    *,
};
use crate::event::{Cause, RecoveredBy, Who};

#[test]
fn blackholed_until_the_kernel_gives_up() {
    let mut story = Story::new(ESTABLISHED);
    story.rto();
    for ms in [408, 816, 1632] {
        story.wait_ms(ms);
        story.rto();
    }
    story.wait_ms(3264);
    story.record.sock.sk_err = libc::ETIMEDOUT as u32;
    story.state(CLOSE);
    story.end();

    let timeouts: Vec<_> =
        story.retransmits().iter().map(|r| (r.rto_ms, r.next_rto_ms, r.retransmits)).collect();
    assert_eq!(
        timeouts,
        [
            (Some(204), Some(408), 1),
            (Some(408), Some(816), 2),
            (Some(816), Some(1632), 3),
            (Some(1632), Some(3264), 4)
        ]
    );
    assert!(story.retransmits().iter().all(|r| r.episode == 1 && r.unacked_bytes == 1448));
    assert!(story.recovered().is_empty());
    let closed = story.closed();
    assert_eq!(closed.len(), 1);
    assert_eq!((closed[0].cause, closed[0].who), (Cause::RetransmitTimeout, Some(Who::Kernel)));
    assert_eq!((closed[0].retransmissions, closed[0].error), (4, Some(libc::ETIMEDOUT)));
}

#[test]
fn recovery_ends_the_episode_and_the_next_loss_begins_another() {
    let mut story = Story::new(ESTABLISHED);
    story.rto();
    story.wait_ms(300);
    story.acknowledge();
    story.cong(0);
    let recovered = story.recovered()[0].clone();
    assert_eq!(
        (recovered.duration_ms, recovered.spurious, recovered.by),
        (300, Some(false), RecoveredBy::CongState)
    );
    assert_eq!((recovered.retransmissions, recovered.segs, recovered.max_backoff), (1, 1, 1));
    story.rto();
    assert_eq!(story.retransmits()[1].episode, 2);
}

#[test]
fn an_abort_is_no_recovery() {
    let mut story = Story::new(ESTABLISHED);
    story.rto();
    story.record.sock.sk_flags = 1 << 4;
    story.state(CLOSE);
    story.say(Kind::SendReset);
    story.cong(0);
    story.end();
    assert!(story.recovered().is_empty());
    assert_eq!(story.closed()[0].cause, Cause::ResetByLocal);
}

#[test]
fn without_a_cookie_what_follows_the_close_is_no_other_flow() {
    let mut story = Story::new(ESTABLISHED);
    story.record.cookie = 0;
    story.record.born_ns = 5;
    story.rto();
    story.record.sock.sk_flags = 1 << 4;
    story.state(CLOSE);
    // When it was opened is forgotten at CLOSE.
    story.record.born_ns = 0;
    story.say(Kind::SendReset);
    story.end();
    assert_eq!(story.closed().len(), 1);
}

#[test]
fn a_cookie_that_somebody_asks_for_midway_makes_no_other_flow() {
    let mut story = Story::new(ESTABLISHED);
    story.record.cookie = 0;
    story.rto();
    story.record.cookie = 77;
    story.rto();
    story.state(CLOSE);
    story.end();
    let ids: std::collections::BTreeSet<_> =
        story.events.iter().filter_map(|event| event.flow.as_ref().map(|flow| flow.id.0)).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!((story.retransmits()[1].episode, story.closed()[0].retransmissions), (1, 2));
}

#[test]
fn an_undone_episode_was_spurious() {
    let mut story = Story::new(ESTABLISHED);
    story.rto();
    story.wait_ms(10);
    story.acknowledge();
    story.record.sock.undo_marker = 0;
    story.cong(0);
    assert_eq!(story.recovered()[0].spurious, Some(true));
}

#[test]
fn a_loss_that_is_no_congestion_cannot_be_judged() {
    let mut story = Story::new(ESTABLISHED);
    story.record.sock.ca_state = CaState::Loss as u8;
    story.retransmit();
    assert_eq!(story.retransmits()[0].ty, crate::event::RetransmitType::Pmtu);
    story.acknowledge();
    story.cong(0);
    assert_eq!(story.recovered()[0].spurious, None);
}

#[test]
fn an_answered_probe_is_a_recovery() {
    let mut story = Story::new(ESTABLISHED);
    story.record.sock.icsk_pending = 5;
    story.retransmit();
    story.acknowledge();
    story.wait_ms(40);
    story.cong(CaState::Cwr as u8);
    let recovered = story.recovered()[0];
    assert_eq!((recovered.by, recovered.spurious), (RecoveredBy::TlpAck, Some(false)));
}

#[test]
fn a_probe_whose_answer_nobody_announced_ends_at_the_next_event() {
    let mut story = Story::new(ESTABLISHED);
    story.record.sock.icsk_pending = 5;
    story.retransmit();
    story.acknowledge();
    story.record.sock.dsack_dups = 1;
    story.record.sock.snd_nxt += 1448;
    story.wait_ms(5000);
    story.retransmit();
    let recovered = story.recovered()[0];
    assert_eq!((recovered.by, recovered.spurious), (RecoveredBy::Progress, Some(true)));
    assert_eq!(story.retransmits()[1].episode, 2);
}

#[test]
fn a_flow_that_closes_in_good_order_has_recovered() {
    let mut story = Story::new(ESTABLISHED);
    story.record.sock.icsk_pending = 5;
    story.retransmit();
    story.acknowledge();
    story.state(CLOSE_WAIT);
    story.record.sock.icsk_pending = 1;
    story.state(LAST_ACK);
    story.state(CLOSE);
    story.end();
    assert_eq!(story.recovered()[0].by, RecoveredBy::Close);
    assert_eq!((story.closed()[0].cause, story.closed()[0].who), (Cause::ClosedByPeer, Some(Who::Peer)));
}

#[test]
fn the_child_inherits_its_requests_past() {
    let mut story = Story::new(LISTEN);
    story.record.cookie = 1;
    story.record.req_timeout = HZ;
    story.say(Kind::SynAck);
    story.wait_ms(1000);
    story.say(Kind::SynAck);
    assert_eq!(story.retransmits()[0].ty, crate::event::RetransmitType::SynAck);
    assert_eq!(story.correlator.flows(), 1);
    story.record.cookie = 2;
    story.record.sock.skc_state = SYN_RECV;
    story.record.sock.total_retrans = 2;
    story.state(ESTABLISHED);
    let recovered = story.recovered()[0];
    assert_eq!((recovered.by, recovered.retransmissions), (RecoveredBy::Established, 2));
    assert_eq!(story.correlator.flows(), 1, "the request has become the child");
}

#[test]
fn an_application_that_gave_up_connecting_is_named() {
    let mut story = Story::new(SYN_SENT);
    story.record.born_ns = story.record.mono_ns;
    story.record.sock.retrans_stamp = 1000;
    story.wait_ms(700);
    story.state(CLOSE);
    story.end();
    let closed = story.closed()[0];
    assert_eq!(
        (closed.cause, closed.who, closed.lifetime_ms),
        (Cause::ConnectAbandoned, Some(Who::Local), Some(700))
    );
    assert!(closed.note.contains("java, pid 123"), "{}", closed.note);
    assert!(closed.note.contains("did not wait for the first retransmission"), "{}", closed.note);
}

#[test]
fn what_follows_the_close_decides_between_two_resets() {
    let mut story = Story::new(FIN_WAIT2);
    story.record.sock.total_retrans = 1;
    story.say(Kind::ReceiveReset);
    story.record.sock.sk_err = libc::ECONNRESET as u32;
    story.state(CLOSE);
    story.record.has_skb = 1;
    story.say(Kind::SendReset);
    story.end();
    assert_eq!(story.closed()[0].cause, Cause::ResetByLocal, "data after close");
}

#[test]
fn an_untroubled_close_is_announced_only_if_asked() {
    for all_closes in [false, true] {
        let mut story = Story::new(LAST_ACK);
        story.correlator = Correlator::new(Config { all_closes, ..config() });
        story.acknowledge();
        story.state(CLOSE);
        story.end();
        assert_eq!(story.closed().len(), usize::from(all_closes));
    }
}

proptest! {
    /// Whatever the kernel says, in whatever order: no panic, and memory is bounded.
    #[test]
    fn any_records_in_any_order(bytes in proptest::collection::vec(any::<u8>(), Record::SIZE), moves in proptest::collection::vec((0..Kind::COUNT as u8, 0u64..40, 0u8..13, 0u8..13), 1..80)) {
        let (_, base) = Record::decode(&{
            let mut bytes = bytes;
            // The kind must be one; its place is found by trying.
            let kind_at = (0..bytes.len()).find(|&at| { let mut b = vec![0u8; Record::SIZE]; b[at] = 1; Record::decode(&b).is_ok_and(|(kind, _)| kind == Kind::SynAck) }).expect("a place");
            bytes[kind_at] = 0;
            bytes
        }).expect("a record");
        let mut correlator = Correlator::new(config());
        let mut events = Vec::new();
        let mut now = base.mono_ns >> 8;
        for (kind, cookie, old, new) in moves {
            now += 1_000_000;
            let mut record = Record { mono_ns: now, cookie, old, new, ..base };
            record.sock.skc_state = old;
            correlator.observe(Kind::ALL[usize::from(kind)], &record, &Owner::default(), &mut events);
            prop_assert!(correlator.flows() <= 64);
        }
        correlator.finish(now, &mut events);
        let evicted: u64 = events.iter().map(|event| match event.what { What::Lost(lost) => lost.records, _ => 0 }).sum();
        prop_assert!(evicted <= 80);
    }
}
