//! Paths that delay, reorder and duplicate: retransmissions that nobody needed, and the reordering timer of RACK. Where
//! there is no netem, each of these is an expected unknown.

use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

use serde_json::Value;
use xtask::lab::{
    Connection, Counters, Family, Lab, Packets,
    netem::Path,
    socket::{self, Options},
    trouble::Fate,
};

use crate::{
    limits, totals,
    tracer::{Outcome, Tracer, is_of, is_type, netns, number, patience},
};

/// As long as a continent is wide: longer than this machine's own delays.
const ONE_WAY: Duration = Duration::from_millis(30);

/// Wherever the kernel took back what it had done for a loss that was none.
const UNDONE: [&str; 5] = ["TCPLossUndo", "TCPFullUndo", "TCPPartialUndo", "TCPDSACKUndo", "TCPSpuriousRTOs"];

fn undone(counters: &Counters) -> u64 {
    UNDONE.iter().map(|name| counters.get(name)).sum()
}

fn recoveries(outcome: &Outcome) -> Vec<&Value> {
    outcome.events.iter().filter(|event| event["event"] == "recovered").collect()
}

fn spurious<'a>(recovered: &[&'a Value]) -> Vec<&'a Value> {
    recovered.iter().filter(|event| event["spurious"] == true).copied().collect()
}

/// Transfers until something has happened, or says that it did not.
fn transfer_until(connection: &mut Connection, what: &str, mut so: impl FnMut(&Connection) -> bool) {
    let start = Instant::now();
    while !so(connection) {
        assert!(start.elapsed() < patience(), "it never happened: {what}");
        connection.transfer(150_000, 0).unwrap();
    }
    totals::settle(&connection.client);
}

#[test]
fn a_path_that_grows_slow_makes_rtos_that_nobody_needed() {
    require_lab!();
    if limits::NETEM.applies() {
        return;
    }
    let lab = Lab::new().unwrap();
    lab.left.sysctl("net.ipv4.tcp_early_retrans", "0").unwrap();
    let tracer = Tracer::start(&["--netns", &netns(&lab.left)]);
    let mut connection = lab.connect(Family::V4, 0).unwrap();
    connection.warm_up().unwrap();
    let Connection { mut client, mut server } = connection;
    let cookie = client.cookie().unwrap();
    let rto = client.info().unwrap().rto_us;
    // Everything arrives at once; what is said to it comes after one RTO, and after a second one has begun.
    lab.right.impair(Path::slow(Duration::from_micros(u64::from(rto) * 2))).unwrap();
    client.write_all(b"arrives at once").unwrap();
    server.set_read_timeout(Some(patience())).unwrap();
    server.read_exact(&mut [0; 15]).unwrap();
    totals::settle(&client);
    let recovered =
        tracer.wait_for("recovered", |event| event["event"] == "recovered" && is_of(event, cookie));
    assert_eq!(recovered["spurious"], true, "{recovered}");
    assert!(undone(&lab.left.counters().unwrap()) > 0, "the kernel agrees: {recovered}");
    let outcome = tracer.finish();
    outcome.assert_clean();
    totals::check(&outcome, &lab.left, &client);
    let rtos = outcome.retransmits();
    assert!(!rtos.is_empty() && rtos.iter().all(|event| is_type(event, "rto")), "{rtos:?}");
}

/// Nothing was lost, so no retransmission was needed. Until the first DSACK, or the first packet that was seen to be
/// late, nothing tells that from an ordinary loss.
fn nothing_was_needed(recovered: &[&Value]) {
    let needed: Vec<_> = recovered.iter().skip(1).filter(|event| event["spurious"] == false).collect();
    assert!(needed.is_empty(), "{needed:?} among {recovered:?}");
}

/// Packets that overtake others pass for losses, until the kernel has learned how late packets may be.
fn reordering(timestamps: bool) -> (Outcome, Counters) {
    let lab = Lab::new().unwrap();
    lab.one_segment_a_packet().unwrap();
    lab.left.sysctl("net.ipv4.tcp_timestamps", if timestamps { "1" } else { "0" }).unwrap();
    let tracer = Tracer::start(&["--netns", &netns(&lab.left)]);
    let mut connection = lab.connect(Family::V4, 0).unwrap();
    connection.warm_up().unwrap();
    lab.left.impair(Path::slow(ONE_WAY).overtaken_by(0.1)).unwrap();
    transfer_until(&mut connection, "a needless retransmission", |_| {
        undone(&lab.left.counters().unwrap()) > 0
    });
    // DSACKs may still be under way.
    std::thread::sleep(4 * ONE_WAY);
    let client = &connection.client;
    let outcome = tracer.finish();
    outcome.assert_clean();
    totals::check(&outcome, &lab.left, client);
    assert!(client.info().unwrap().reord_seen > 0, "packets were to overtake each other");
    let counters = lab.left.counters().unwrap();
    (outcome, counters)
}

#[test]
fn packets_out_of_order_make_retransmissions_that_nobody_needed() {
    require_lab!();
    if limits::NETEM.applies() {
        return;
    }
    let (outcome, counters) = reordering(true);
    let recovered = recoveries(&outcome);
    assert!(!spurious(&recovered).is_empty(), "{recovered:?}, although the kernel undid: {counters:?}");
    nothing_was_needed(&recovered);
}

#[test]
fn without_timestamps_it_is_not_said_before_it_is_known() {
    require_lab!();
    if limits::NETEM.applies() {
        return;
    }
    let (outcome, _) = reordering(false);
    let recovered = recoveries(&outcome);
    assert!(!recovered.is_empty());
    nothing_was_needed(&recovered);
}

#[test]
fn the_reordering_timer_of_rack_is_told_as_such() {
    require_lab!();
    if limits::NETEM.applies() {
        return;
    }
    let lab = Lab::new().unwrap();
    lab.one_segment_a_packet().unwrap();
    let tracer = Tracer::start(&["--netns", &netns(&lab.left)]);
    // The window for reordering is a quarter of the shortest round trip that was seen: overtaking packets shall not make
    // it shorter than a slow machine's bursts.
    lab.right.impair(Path::slow(ONE_WAY)).unwrap();
    let mut connection = lab.connect(Family::V4, 0).unwrap();
    connection.warm_up().unwrap();
    // First the kernel learns that packets overtake each other here: from then on it grants late ones some time.
    lab.left.impair(Path::slow(ONE_WAY).overtaken_by(0.1)).unwrap();
    transfer_until(&mut connection, "reordering", |connection| {
        connection.client.info().unwrap().reord_seen > 0
    });
    lab.left.impair(Path::slow(ONE_WAY)).unwrap();
    let client_id = connection.client.cookie().unwrap();
    let timed_out = |tracer: &Tracer| {
        let events = tracer.events();
        events.iter().find(|event| is_type(event, "rack_timer") && is_of(event, client_id)).cloned()
    };
    let start = Instant::now();
    // A loss in the middle of a burst: what follows is acknowledged at once, and the timer runs.
    let event = loop {
        let one = Packets::all().at_least(1000).nth(3);
        let trouble = lab.right.on_arrival(&one, Fate::Vanish).unwrap();
        connection.transfer(10 * 1400, 0).unwrap();
        totals::settle(&connection.client);
        trouble.heal().unwrap();
        if let Some(event) = timed_out(&tracer) {
            break event;
        }
        let told = || {
            tracer
                .events()
                .iter()
                .map(|event| format!("{} {}", event["event"], event["type"]))
                .collect::<Vec<_>>()
        };
        assert!(start.elapsed() < patience(), "the timer never was first: {:?}", told());
    };
    assert_eq!((&event["certain"], number(&event, "retransmits")), (&true.into(), 0), "{event}");
    assert_eq!(event["next_rto_ms"], Value::Null, "it backs nothing off: {event}");
    let outcome = tracer.finish();
    outcome.assert_clean();
    totals::check(&outcome, &lab.left, &connection.client);
}

#[test]
fn what_the_path_duplicates_is_no_retransmission() {
    require_lab!();
    if limits::NETEM.applies() {
        return;
    }
    let lab = Lab::new().unwrap();
    lab.one_segment_a_packet().unwrap();
    let tracer = Tracer::start(&["--netns", &netns(&lab.left)]);
    let mut connection = lab.connect(Family::V6, 0).unwrap();
    connection.warm_up().unwrap();
    lab.left.impair(Path::slow(Duration::from_millis(2)).duplicated(1.0)).unwrap();
    connection.transfer(200_000, 0).unwrap();
    let client = &connection.client;
    let info =
        socket::await_info(client, patience(), |info| info.unacked == 0 && info.dsack_dups > 0).unwrap();
    let outcome = tracer.finish();
    outcome.assert_clean();
    totals::check(&outcome, &lab.left, client);
    assert_eq!(info.total_retrans, 0, "the peer has it twice, but it was sent once");
    assert!(outcome.retransmits().is_empty(), "{:?}", outcome.events);
}

#[test]
fn a_long_lossy_path_adds_up() {
    require_lab!();
    if limits::NETEM.applies() {
        return;
    }
    let lab = Lab::new().unwrap();
    let tracers = [&lab.left, &lab.right].map(|side| Tracer::start(&["--netns", &netns(side)]));
    let mut connection = lab.connect(Family::V4, 0).unwrap();
    let path = Path::slow(ONE_WAY).jitter(ONE_WAY / 10).lossy(0.03);
    for side in [&lab.left, &lab.right] {
        side.impair(path).unwrap();
    }
    for _ in 0..3 {
        connection.transfer(200_000, 200_000).unwrap();
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
        assert!(!outcome.retransmits().is_empty(), "3 % were to be lost");
    }
}
