//! One timer, one number: whatever event shows a retransmission timeout, it is what `ss` shows of it.

use proptest::prelude::*;
use tcpretrans_ebpf::{Kind, tcp_state::*};

use super::{
    story::{Story, config},
    *,
};

/// A connection on a kernel of that HZ, with that RTO (`icsk_rto`).
fn story(hz: Hz, rto: u32) -> Story {
    let mut story = Story::new(ESTABLISHED);
    story.correlator = Correlator::new(Config { hz: hz.get(), ..config() });
    story.record.sock.icsk_rto = rto;
    story.record.sock.icsk_rto_max = 120 * hz.get();
    story
}

/// `rto:` of `ss`, to the nearest ms: it prints `tcpi_rto`, `jiffies_to_usecs(icsk_rto)`.
fn by_ss(hz: Hz, rto: u32) -> u64 {
    let tcpi_rto_us = u64::from(rto) * 1_000_000 / u64::from(hz.get());
    (tcpi_rto_us as f64 / 1000.0).round() as u64
}

fn hz() -> impl Strategy<Value = Hz> {
    prop::sample::select(vec![100, 250, 300, 1000]).prop_map(Hz::new)
}

proptest! {
    #[test]
    fn of_a_connection(hz in hz(), part in 0.0f64..1.0, timeouts in 1usize..5) {
        let rto = ((3.0 * part * f64::from(hz.get())) as u32).max(1);
        let mut story = story(hz, rto);
        let mut waits = Vec::new();
        for _ in 0..timeouts {
            waits.push(by_ss(hz, story.record.sock.icsk_rto));
            story.rto();
            story.wait_ms(10);
        }
        // The wait that goes on when the application closes.
        let going_on = by_ss(hz, story.record.sock.icsk_rto);
        story.state(FIN_WAIT1);
        story.record.sock.sk_err = libc::ETIMEDOUT as u32;
        story.state(CLOSE);
        story.end();

        let expired: Vec<_> = story.retransmits().iter().map(|event| event.rto_ms).collect();
        prop_assert_eq!(expired, waits.iter().copied().map(Some).collect::<Vec<_>>());
        let begun: Vec<_> = story.retransmits().iter().map(|event| event.next_rto_ms).collect();
        let next = waits.iter().copied().skip(1).chain([going_on]).map(Some);
        prop_assert_eq!(begun, next.collect::<Vec<_>>());
        let hung_up = story.closed()[0].hung_up.as_ref().expect("in the middle of a backoff");
        prop_assert_eq!(hung_up.rto_ms, going_on);
    }

    #[test]
    fn of_a_connection_that_is_found_in_backoff(hz in hz(), part in 0.0f64..1.0) {
        let rto = ((60.0 * part * f64::from(hz.get())) as u32).max(1);
        let mut story = story(hz, rto);
        story.record.sock.icsk_retransmits = 1;
        story.say(Kind::Seed);
        let found = story.events.iter().find_map(|event| match &event.what {
            What::InBackoff(found) => Some(found.rto_ms),
            _ => None,
        });
        prop_assert_eq!(found, Some(by_ss(hz, rto)));
        story.rto();
        prop_assert_eq!(story.retransmits()[0].rto_ms, found);
    }

    #[test]
    fn of_a_request(hz in hz(), num_timeout in 0u8..5) {
        let mut story = story(hz, 1);
        story.record.sock.skc_state = LISTEN;
        story.record.req_timeout = hz.get() / 3;
        story.record.num_timeout = num_timeout;
        story.record.req_expires = story.record.jiffies as u32;
        story.say(Kind::SynAck);
        let wait = |timeouts| by_ss(hz, (hz.get() / 3) << timeouts);
        let event = story.retransmits()[0];
        prop_assert_eq!(event.rto_ms, Some(wait(num_timeout)));
        prop_assert_eq!(event.next_rto_ms, Some(wait(num_timeout + 1)));
    }
}
