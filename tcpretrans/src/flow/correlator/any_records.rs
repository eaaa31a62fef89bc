//! Records that no kernel makes: a damaged recording may hold them, and nothing may panic.

use proptest::prelude::*;
use tcpretrans_ebpf::{Kind, Record};

use super::{Config, Correlator, story::config};
use crate::{
    event::{Clock, Event},
    flow::Owner,
    form::encode,
};

fn number() -> impl Strategy<Value = i128> {
    prop_oneof![
        0_i128..20,
        any::<u32>().prop_map(i128::from),
        any::<u64>().prop_map(i128::from),
        Just(i128::from(u32::MAX)),
        Just(i128::from(u64::MAX)),
        -200_i128..0,
    ]
}

/// A record with some numbers set, of one of three sockets.
fn record() -> impl Strategy<Value = (Kind, Record)> {
    let names = {
        let mut names = Vec::new();
        Record::numbers(|number| names.push(number.name));
        names
    };
    let kind = prop::sample::select(&Kind::ALL[..]);
    let numbers = prop::collection::vec((prop::sample::select(names), number()), 0..60);
    (kind, 1_u64..4, 0_u64..20, numbers).prop_map(|(kind, cookie, second, numbers)| {
        let mono_ns = second * 1_000_000_000;
        let mut record = Record { mono_ns, cookie, sk: cookie, kind: kind as u8, ..Record::default() };
        for (name, value) in numbers {
            record.set(name, value);
        }
        (kind, record)
    })
}

fn run(hz: u32, records: &[(Kind, Record)], look_between: bool) -> Vec<Event> {
    let mut correlator = Correlator::new(Config { hz, all_closes: true, ..config() });
    let mut events = Vec::new();
    let mut latest_ns = 0;
    for (kind, record) in records {
        if look_between {
            for step in 1..=8 {
                let ahead_ns = record.mono_ns.saturating_sub(latest_ns);
                correlator.advance(latest_ns + ahead_ns / 8 * step, &mut events);
            }
        }
        latest_ns = latest_ns.max(record.mono_ns);
        correlator.observe(*kind, record, &Owner::default(), &mut events);
    }
    correlator.finish(latest_ns, &mut events);
    events
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nothing_panics(hz in prop::sample::select(vec![1, 100, 250, 1000, 10_000]), records in prop::collection::vec(record(), 1..20)) {
        let mut line = Vec::new();
        for event in run(hz, &records, false) {
            encode(&event, &Clock { wall_minus_mono_ns: i64::MAX }, &mut line);
        }
    }

    /// What replay relies on: it knows of time from the records alone.
    #[test]
    fn how_often_one_looks_changes_nothing(records in prop::collection::vec(record(), 1..20)) {
        let mut records = records;
        records.sort_by_key(|(_, record)| record.mono_ns);
        prop_assert_eq!(run(250, &records, true), run(250, &records, false));
    }
}
