//! Losses inside a stream: fast retransmit, slow start after an RTO, and all together under random loss.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    time::Instant,
};

use serde_json::Value;
use xtask::lab::{Connection, Family, Lab, Packets, socket::Options, trouble::Fate};

use crate::{
    totals,
    tracer::{Outcome, Tracer, is_of, is_type, netns, number, patience},
};

fn count_types(outcome: &Outcome) -> BTreeMap<String, usize> {
    let mut types = BTreeMap::new();
    for event in outcome.retransmits() {
        *types.entry(event["type"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    types
}

#[test]
fn single_losses_in_a_stream_are_repeated_fast() {
    require_lab!();
    let lab = Lab::new().unwrap();
    lab.one_segment_a_packet().unwrap();
    let tracer = Tracer::start(&["--netns", &netns(&lab.left)]);
    let mut connection = lab.connect(Family::V4, 0).unwrap();
    // Some 40 segments in flight at most, and one loss in 200: each is an episode of its own.
    connection.client = connection.client.buffers(32 * 1024).unwrap();
    let packets = Packets::all().at_least(1000).every(200);
    let trouble = lab.right.on_arrival(&packets, Fate::Vanish).unwrap();
    connection.transfer(1_500_000, 0).unwrap();
    let lost = trouble.hits().unwrap();
    trouble.heal().unwrap();
    assert!(lost >= 4, "only {lost} packets were lost");
    let Connection { client, server: _server } = connection;
    totals::settle(&client);
    let outcome = tracer.finish();
    outcome.assert_clean();
    totals::check(&outcome, &lab.left, &client);

    let types = count_types(&outcome);
    // Where the machine stalled between two SACKs, RACK's timer or a probe may have come first.
    let fast = types.get("fast").copied().unwrap_or(0);
    assert!(fast * 2 > lost as usize, "{lost} single losses, but {types:?}");
    for event in outcome.retransmits().into_iter().filter(|event| is_type(event, "fast")) {
        assert_eq!(number(event, "retransmits"), 0, "{event}");
        assert_eq!((&event["rto_ms"], &event["next_rto_ms"]), (&Value::Null, &Value::Null), "{event}");
        assert_eq!(event["certain"], true, "{event}");
    }
}

#[test]
fn what_an_rto_left_over_follows_in_slow_start() {
    require_lab!();
    let lab = Lab::new().unwrap();
    lab.left.sysctl("net.ipv4.tcp_early_retrans", "0").unwrap();
    // F-RTO (RFC 5682) would send new data first to find out whether the RTO was needed.
    lab.left.sysctl("net.ipv4.tcp_frto", "0").unwrap();
    let tracer = Tracer::start(&["--netns", &netns(&lab.left)]);
    let mut connection = lab.connect(Family::V4, 0).unwrap();
    connection.warm_up().unwrap();
    let Connection { mut client, mut server } = connection;
    let cookie = client.cookie().unwrap();
    let trouble = lab.right.unreachable().unwrap();
    // The initial window: ten segments, all of them lost.
    const BYTES: usize = 10 * 1400;
    client.write_all(&[7; BYTES]).unwrap();
    tracer.wait_for("rto", |event| is_type(event, "rto") && is_of(event, cookie));
    trouble.heal().unwrap();
    server.set_read_timeout(Some(patience())).unwrap();
    server.read_exact(&mut [0; BYTES]).unwrap();
    totals::settle(&client);
    let outcome = tracer.finish();
    outcome.assert_clean();
    totals::check(&outcome, &lab.left, &client);

    let events = outcome.retransmits();
    let rtos = events.iter().take_while(|event| is_type(event, "rto")).count();
    assert!(rtos >= 2, "the first RTO was in vain, the next one got through: {:?}", count_types(&outcome));
    assert!(events.len() > rtos, "{events:?}");
    for event in &events[rtos..] {
        assert!(is_type(event, "slow_start"), "{event}");
        assert_eq!((&event["rto_ms"], &event["next_rto_ms"]), (&Value::Null, &Value::Null), "{event}");
    }
}

#[test]
fn random_loss_adds_up_on_both_sides() {
    require_lab!();
    const WANTED: [&str; 3] = ["fast", "slow_start", "rto"];
    let lab = Lab::new().unwrap();
    let tracers = [&lab.left, &lab.right].map(|side| Tracer::start(&["--netns", &netns(side)]));
    let mut connection = lab.connect(Family::V6, 0).unwrap();
    let packets = Packets::all().chance(0.08);
    let troubles = [&lab.left, &lab.right].map(|side| side.on_arrival(&packets, Fate::Vanish).unwrap());
    let start = Instant::now();
    // Each kind comes by chance; go on until chance was kind, on each side.
    let seen = |tracer: &Tracer| {
        let events = tracer.events();
        WANTED.iter().all(|ty| events.iter().any(|event| is_type(event, ty)))
    };
    while start.elapsed() < patience() && !tracers.iter().all(seen) {
        connection.transfer(200_000, 200_000).unwrap();
    }
    for trouble in troubles {
        trouble.heal().unwrap();
    }
    for socket in [&connection.client, &connection.server] {
        totals::settle(socket);
    }
    let outcomes = tracers.map(Tracer::finish);
    for (outcome, side, socket) in
        [(&outcomes[0], &lab.left, &connection.client), (&outcomes[1], &lab.right, &connection.server)]
    {
        outcome.assert_clean();
        totals::check(outcome, side, socket);
        let types = count_types(outcome);
        assert!(WANTED.iter().all(|&ty| types.contains_key(ty)), "{types:?}");
        let known = ["fast", "slow_start", "rto", "tlp", "rack_timer"];
        assert!(types.keys().all(|ty| known.contains(&ty.as_str())), "{types:?}");
    }
}
