//! How flows leave, record by record: what no live test can bring about, or only by chance.

use tcpretrans_ebpf::{Kind, owner::exit, tcp_state::*};

use super::story::{HZ, Story};
use crate::event::{Cause, HungUpSide, LostWhere, RecoveredBy, What};

const MINUTE_MS: u64 = 60_000;

impl Story {
    /// Time passes without a record of this flow.
    fn silence(&mut self, ms: u64) {
        self.wait_ms(ms);
        self.correlator.advance(self.record.mono_ns, &mut self.events);
    }
}

#[test]
fn a_reset_may_follow_the_destruction() {
    let mut story = Story::new(FIN_WAIT1);
    story.rto();
    story.say(Kind::ReceiveReset);
    story.record.sock.sk_err = libc::ECONNRESET as u32;
    story.record.sock.sk_flags = 1;
    story.state(CLOSE);
    story.say(Kind::Destroy);
    story.record.has_skb = 1;
    story.say(Kind::SendReset);
    story.end();
    assert_eq!(story.closed()[0].cause, Cause::ResetByLocal, "data after close, not the peer's reset");
}

#[test]
fn a_disconnect_is_no_recovery() {
    let mut story = Story::new(ESTABLISHED);
    story.rto();
    story.record.sock.sk_flags = 1 << 4;
    story.record.sock.sk_shutdown = 3;
    story.state(CLOSE);
    story.record.sock.ca_state = 4;
    story.cong(0);
    story.end();
    assert!(story.recovered().is_empty(), "tcp_disconnect clears the congestion state");
    assert_eq!(story.closed()[0].cause, Cause::ResetByLocal);
}

#[test]
fn a_socket_that_connects_again_at_once_has_two_ends() {
    let mut story = Story::new(SYN_SENT);
    story.record.sock.retrans_stamp = 1000;
    story.say(Kind::ReceiveReset);
    story.record.sock.sk_err = libc::ECONNREFUSED as u32;
    story.state(CLOSE);
    story.record.sock.sk_err = 0;
    story.record.sock.skc_state = SYN_SENT;
    story.wait_ms(10);
    story.state(CLOSE);
    story.end();
    let causes: Vec<_> = story.closed().iter().map(|closed| closed.cause).collect();
    assert_eq!(causes, [Cause::ConnectRefused, Cause::ConnectAbandoned]);
}

#[test]
fn a_lost_close_is_reported_as_unknown_when_the_socket_goes() {
    let mut story = Story::new(ESTABLISHED);
    story.rto();
    story.record.sock.skc_state = CLOSE;
    story.say(Kind::Destroy);
    assert_eq!(story.correlator.flows(), 0);
    let closed = story.closed()[0];
    assert_eq!((closed.cause, closed.who, closed.retransmissions), (Cause::Unknown, None, 1));
    assert!(closed.note.contains("did not reach tcpretrans"), "{}", closed.note);
}

#[test]
fn a_destruction_that_nothing_is_known_of_is_not_reported() {
    let mut story = Story::new(CLOSE);
    story.say(Kind::Destroy);
    story.end();
    assert!(story.closed().is_empty());
}

#[test]
fn a_reset_that_ends_nothing_leaves_no_flow_behind() {
    // A SYN-ACK of an old connection is answered with a RST; connect() goes on.
    let mut story = Story::new(SYN_SENT);
    story.record.has_skb = 1;
    story.say(Kind::SendReset);
    assert_eq!(story.correlator.flows(), 1);
    story.silence(5000);
    assert_eq!(story.correlator.flows(), 0);
    assert!(story.closed().is_empty());
}

#[test]
fn unread_data_after_our_fin_shows_in_the_reset_alone() {
    // FIN_WAIT2 -> CLOSE makes no record in a flow without trouble.
    let mut story = Story::new(CLOSE);
    story.acknowledge();
    story.record.sock.sk_shutdown = 3;
    story.record.sock.copied_seq = 500;
    story.record.sock.rcv_nxt = 514;
    story.record.current_tgid = 9;
    story.say(Kind::SendReset);
    story.end();
    let closed = story.closed()[0];
    assert_eq!((closed.cause, closed.state), (Cause::ResetByLocal, FIN_WAIT2));
    assert!(closed.note.contains("closed with 14 bytes unread"), "{}", closed.note);
}

#[test]
fn after_a_loss_of_records_silent_flows_are_forgotten() {
    for lost in [false, true] {
        let mut story = Story::new(ESTABLISHED);
        story.rto();
        if lost {
            story.correlator.records_were_lost(story.record.mono_ns);
        }
        story.silence(9 * MINUTE_MS);
        assert_eq!(story.correlator.flows(), 1, "it may still be in backoff");
        story.silence(2 * MINUTE_MS);
        assert_eq!(story.correlator.flows(), usize::from(!lost));
    }
}

#[test]
fn a_flow_that_is_heard_of_after_a_loss_stays() {
    let mut story = Story::new(ESTABLISHED);
    story.rto();
    story.correlator.records_were_lost(story.record.mono_ns);
    story.wait_ms(MINUTE_MS);
    story.rto();
    story.silence(20 * MINUTE_MS);
    assert_eq!(story.correlator.flows(), 1);
}

#[test]
fn evictions_are_counted() {
    let mut story = Story::new(ESTABLISHED);
    for cookie in 1..=100 {
        story.record.cookie = cookie;
        story.retransmit();
    }
    assert!(story.correlator.flows() <= 64);
    story.correlator.report_evictions(story.record.mono_ns, &mut story.events);
    let lost = story.events.iter().find_map(|event| match event.what {
        What::Lost(lost) => Some(lost),
        _ => None,
    });
    let lost = lost.expect("evictions are reported");
    assert_eq!((lost.place, lost.records as usize), (LostWhere::Map, 100 - story.correlator.flows()));
}

fn request() -> Story {
    let mut story = Story::new(LISTEN);
    story.record.cookie = 1;
    story.record.req_timeout = HZ;
    story.record.sock.tcp_synack_retries = 1;
    story.say(Kind::SynAck);
    story
}

#[test]
fn a_request_is_forgotten_when_all_its_timeouts_are_over() {
    let mut story = request();
    story.silence(3000);
    assert_eq!((story.correlator.flows(), story.closed().len()), (1, 0));
    story.silence(20_000);
    assert_eq!(story.correlator.flows(), 0);
    let closed = story.closed()[0];
    assert_eq!((closed.cause, closed.who, closed.state), (Cause::Unknown, None, SYN_RECV));
    assert!(closed.note.contains("2 SYN-ACKs unanswered"), "{}", closed.note);
}

#[test]
fn a_listener_takes_its_own_requests_with_it() {
    let mut story = request();
    story.record.lport = 81;
    story.record.sk = 8;
    story.say(Kind::SynAck);
    assert_eq!(story.correlator.flows(), 2);
    story.record.current_tgid = 9;
    story.record.current_comm[..5].copy_from_slice(b"nginx");
    story.state(CLOSE);
    assert_eq!(story.correlator.flows(), 1, "the other listener's request stays");
    let closed = story.closed()[0];
    assert_eq!((closed.cause, closed.retransmissions), (Cause::ResetByLocal, 1));
    assert!(closed.note.contains("closed by nginx (pid 9)"), "{}", closed.note);
}

#[test]
fn a_request_that_became_a_connection_is_no_request_any_more() {
    let mut story = request();
    story.record.cookie = 2;
    story.record.sock.skc_state = SYN_RECV;
    story.state(ESTABLISHED);
    story.silence(MINUTE_MS);
    assert_eq!((story.correlator.flows(), story.closed().len()), (1, 0));
}

#[test]
fn a_hang_up_has_its_figures() {
    let mut story = Story::new(ESTABLISHED);
    story.rto();
    story.wait_ms(408);
    story.rto();
    story.wait_ms(300);
    story.record.current_tgid = 123;
    story.state(FIN_WAIT1);
    // The FIN.
    story.record.sock.write_seq += 1;
    story.record.sock.snd_nxt += 1;
    story.wait_ms(5000);
    story.record.sock.sk_flags = 1;
    story.record.sock.icsk_pending = 0;
    story.record.sock.sk_err = libc::ETIMEDOUT as u32;
    story.state(CLOSE);
    story.end();
    let closed = story.closed()[0];
    assert_eq!(closed.cause, Cause::OrphanTimeout);
    let hung_up = closed.hung_up.as_ref().expect("it hung up");
    assert_eq!(
        (hung_up.side, hung_up.pid, hung_up.comm.as_deref()),
        (HungUpSide::Local, Some(123), Some("java"))
    );
    assert_eq!((hung_up.unacked_bytes, hung_up.retransmits, hung_up.into_backoff_ms), (1448, 2, Some(708)));
    let sentence = closed.sentence(|_| "15:04:07".to_owned());
    assert_eq!(
        sentence,
        "closed by the local application (java, pid 123) 708 ms into an RTO backoff with 1,448 bytes unacknowledged, \
         then the kernel gave up after 2 retransmissions: the peer did not answer; 1,448 bytes undelivered \
         (tcp_orphan_retries=0, which stands for 8); TCP itself would have tried until 15:04:07"
    );
}

#[test]
fn a_close_before_the_first_rto_is_a_hang_up_once_the_data_is_sent_again() {
    for resent in [false, true] {
        let mut story = Story::new(ESTABLISHED);
        // Earlier trouble: the FIN makes a record.
        story.rto();
        story.wait_ms(100);
        story.acknowledge();
        story.record.sock.ca_state = 4;
        story.cong(0);
        story.record.sock.snd_nxt += 100;
        story.record.sock.write_seq += 100;
        story.record.sock.srtt_us = 8 * 1000;
        story.record.sock.lsndtime = story.record.jiffies as u32 - 20;
        story.record.sock.icsk_rto = 51;
        story.state(FIN_WAIT1);
        if !resent {
            story.acknowledge();
        }
        story.rto();
        let id = crate::event::FlowId(77);
        let hung_up = story.correlator.flows.get_mut(id).expect("it is traced").hung_up.clone();
        assert_eq!(hung_up.is_some(), resent);
        if let Some(hung_up) = hung_up {
            assert_eq!((hung_up.waited_ms, hung_up.rto_ms, hung_up.into_backoff_ms), (Some(80), 204, None));
            assert_eq!(hung_up.unacked_bytes, 100);
        }
    }
}

#[test]
fn a_dying_process_is_not_called_impatient() {
    let mut story = Story::new(FIN_WAIT1);
    story.record.sock.write_seq += 1;
    story.record.sock.snd_nxt += 1;
    story.record.sock.srtt_us = 8 * 1000;
    story.record.fin_ns = story.record.mono_ns - 100_000_000;
    story.record.fin_idle_jiffies = 20;
    story.record.fin_exit = exit::DYING | 9;
    story.rto();
    story.record.sock.sk_flags = 1;
    story.record.sock.icsk_pending = 0;
    story.record.sock.sk_err = libc::ETIMEDOUT as u32;
    story.state(CLOSE);
    story.end();
    let closed = story.closed()[0];
    assert_eq!((closed.hung_up.as_ref(), closed.killed_by), (None, Some(9)));
    assert!(
        closed.note.contains("as SIGKILL killed the local application (java, pid 123)"),
        "{}",
        closed.note
    );
}

#[test]
fn an_answered_probe_counts_as_recovered_at_any_end() {
    let mut story = Story::new(ESTABLISHED);
    story.record.sock.icsk_pending = 5;
    story.retransmit();
    story.acknowledge();
    story.record.sock.dsack_dups = 1;
    story.say(Kind::ReceiveReset);
    story.record.sock.sk_err = libc::ECONNRESET as u32;
    story.state(CLOSE);
    story.end();
    let recovered = story.recovered()[0];
    assert_eq!((recovered.by, recovered.spurious), (RecoveredBy::Close, Some(true)));
    assert_eq!(story.closed()[0].cause, Cause::ResetByPeer);
}

#[test]
fn dsacks_for_a_part_of_the_retransmissions_leave_it_open() {
    let mut story = Story::new(ESTABLISHED);
    story.rto();
    story.wait_ms(408);
    story.rto();
    story.acknowledge();
    story.record.sock.dsack_dups = 1;
    story.cong(0);
    assert_eq!(story.recovered()[0].spurious, None);
}
