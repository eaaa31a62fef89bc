//! `reqsk_timer_handler` for a request that is never answered, against the forecast.

use proptest::prelude::*;
use tcpretrans_ebpf::{Record, tcp_state};

use super::buckets::TimerBase;
use crate::{
    deadline::of_record,
    event::{Knob, RetransmitType},
    socket::Hz,
};

#[derive(Debug, Clone)]
struct Request {
    hz: u32,
    phase: u64,
    retries: u32,
    syncnt: u8,
    length: u32,
    young: u32,
    backlog: u32,
    defer_accept: u8,
    latency_ns: u64,
    /// The peer repeats its SYN so many jiffies after the first timeout.
    repeated_syn: Option<u64>,
}

impl Request {
    fn record(&self, now: u64, num_timeout: u8, expires: u64) -> Record {
        let tick = (1_000_000_000 + u64::from(self.hz) / 2) / u64::from(self.hz);
        let mut record = Record {
            mono_ns: (now - self.phase + 1000) * tick + self.latency_ns,
            jiffies: now,
            num_timeout,
            req_timeout: self.hz,
            req_expires: expires as u32,
            ..Record::default()
        };
        let sock = &mut record.sock;
        sock.skc_state = tcp_state::LISTEN;
        sock.icsk_rto_max = 120 * self.hz;
        sock.icsk_syn_retries = self.syncnt;
        sock.tcp_synack_retries = self.retries;
        sock.reqsk_qlen = self.length;
        sock.reqsk_young = self.young - u32::from(num_timeout > 0);
        sock.sk_max_ack_backlog = self.backlog;
        sock.rskq_defer_accept = self.defer_accept;
        record
    }

    /// Each SYN-ACK that is sent again, and the jiffy of the end.
    fn run(&self) -> (Vec<Record>, u64) {
        let mut base = TimerBase::new(self.hz, self.phase);
        let mut records = Vec::new();
        let (mut now, mut num_timeout) = (self.phase, 0u8);
        let mut expires = now + u64::from(self.hz);
        base.mod_timer(1, expires, now);
        loop {
            now = base.next_expiry();
            for timer in base.run_next(now) {
                if timer == 2 {
                    // tcp_check_req
                    records.push(self.record(now, num_timeout, expires));
                    expires = now + (u64::from(self.hz) << num_timeout).min(120 * u64::from(self.hz));
                    base.mod_timer(1, expires, now);
                    continue;
                }
                let young = self.young - u32::from(num_timeout > 0);
                let mut max = if self.syncnt != 0 { i64::from(self.syncnt) } else { i64::from(self.retries) };
                if self.length << 1 > self.backlog.max(8) {
                    let mut young = young << 1;
                    while max > 2 {
                        if self.length < young {
                            break;
                        }
                        max -= 1;
                        young <<= 1;
                    }
                }
                // syn_ack_recalc, with `acked` false
                if i64::from(num_timeout) >= max {
                    return (records, now);
                }
                records.push(self.record(now, num_timeout, expires));
                num_timeout += 1;
                if let (1, Some(after)) = (num_timeout, self.repeated_syn) {
                    base.mod_timer(2, now + after, now);
                }
                expires = now + (u64::from(self.hz) << num_timeout).min(120 * u64::from(self.hz));
                base.mod_timer(1, expires, now);
            }
        }
    }
}

prop_compose! {
    fn request()(
        hz in prop::sample::select(vec![100, 250, 300, 1000]),
        phase in 1u64 << 20..1 << 34,
        retries in 1u32..8,
        syncnt in prop_oneof![Just(0u8), 1u8..6],
        length in 1u32..200,
        young in 1u32..200,
        backlog in 1u32..300,
        defer_accept in prop_oneof![2 => Just(0u8), 1 => 1u8..8],
        latency_ns in 1_000u64..300_000,
        repeated_syn in prop_oneof![Just(None), (1u64..90).prop_map(Some)],
    ) -> Request {
        Request {
            hz, phase, retries, syncnt, length, young: young.min(length), backlog, defer_accept, latency_ns,
            repeated_syn,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_requests_forecast_holds(request in request()) {
        let (records, end) = request.run();
        let tick = (1_000_000_000 + u64::from(request.hz) / 2) / u64::from(request.hz);
        let death = (end - request.phase + 1000) * tick + request.latency_ns;
        for (n, record) in records.iter().enumerate() {
            // A forecast holds while the peer is silent, and here it is still to repeat its SYN.
            if request.repeated_syn.is_some() && n == 0 {
                continue;
            }
            let found = of_record(RetransmitType::SynAck, record, Hz::new(request.hz)).unwrap();
            prop_assert!(
                found.earliest_ns <= death && death <= found.latest_ns,
                "event {n}: {} .. {}, died {death}", found.earliest_ns, found.latest_ns
            );
            prop_assert_eq!(found.budget_ms, None);
            let own = request.syncnt != 0;
            prop_assert_eq!(found.knob, if own { Knob::TcpSyncnt } else { Knob::TcpSynackRetries });
            prop_assert!(found.expected_ns.abs_diff(death) <= 2 * tick, "event {n}: {}", found.expected_ns);
            prop_assert_eq!(found.retransmissions_left as usize, records.len() - 1 - n);
        }
    }
}
