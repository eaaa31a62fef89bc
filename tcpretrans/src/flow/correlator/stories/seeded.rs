//! Flows that were in RTO backoff before the trace began.

use super::*;
use crate::event::InBackoff;

/// A story that begins with a socket in backoff: three timeouts, the first of them 1.4 s ago.
fn in_backoff() -> Story {
    let mut story = Story::new(ESTABLISHED);
    story.wait_ms(10_000);
    let sock = &mut story.record.sock;
    (sock.icsk_retransmits, sock.icsk_backoff, sock.icsk_pending) = (3, 3, 1);
    sock.ca_state = CaState::Loss as u8;
    sock.icsk_rto = 408;
    sock.retrans_stamp = (story.record.mono_ns / 1_000_000 - 1400) as u32;
    sock.timer_expires = story.record.jiffies + 200;
    story
}

fn seeds(story: &Story) -> Vec<&InBackoff> {
    let found = story.events.iter().filter_map(|event| match &event.what {
        What::InBackoff(flow) => Some(&**flow),
        _ => None,
    });
    found.collect()
}

#[test]
fn a_flow_found_in_backoff_is_reported_and_goes_on_from_there() {
    let mut story = in_backoff();
    story.say(Kind::Seed);
    let found = seeds(&story);
    assert_eq!((found.len(), found[0].retransmits, found[0].rto_ms), (1, 3, 1632));
    assert_eq!((found[0].since_ms, found[0].episode), (Some(1400), 1));
    story.rto();
    let event = story.retransmits()[0];
    assert_eq!((event.retransmits, event.episode), (4, 1), "the same episode");
}

#[test]
fn a_flow_whose_latest_timeout_was_seen_already_is_not_found_again() {
    let mut story = in_backoff();
    story.record.sock.icsk_retransmits = 2;
    story.rto();
    story.say(Kind::Seed);
    assert_eq!(seeds(&story).len(), 0);
    story.record.sock.icsk_retransmits += 1;
    story.say(Kind::Seed);
    assert_eq!(seeds(&story).len(), 1, "of its fourth no event has come");
}

#[test]
fn timeouts_that_were_seen_and_found_count_once() {
    let mut story = in_backoff();
    story.record.sock.icsk_retransmits = 0;
    story.rto();
    story.record.sock.icsk_retransmits += 2;
    story.say(Kind::Seed);
    story.record.sock.sk_err = libc::ETIMEDOUT as u32;
    story.state(CLOSE);
    story.end();
    let closed = story.closed()[0];
    assert_eq!((closed.retransmissions, closed.segs), (3, 3), "one seen, and two that no event showed");
}
