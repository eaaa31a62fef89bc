//! The last segment of an answer is lost: a tail loss probe repeats it (RFC 8985 section 7), no RTO is needed.

use std::{
    io::{Read, Write},
    time::Duration,
};

use xtask::lab::{
    Connection, Family, Lab, Packets,
    socket::{self, Options},
    trouble::Fate,
};

use crate::{
    totals,
    tracer::{Tracer, is_of, is_type, netns, number, patience},
};

/// Three segments of any path's size.
const ANSWER: usize = 3 * 1400;

#[test]
fn a_lost_tail_is_probed() {
    require_lab!();
    let lab = Lab::new().unwrap();
    lab.one_segment_a_packet().unwrap();
    let tracer = Tracer::start(&["--netns", &netns(&lab.left)]);
    let mut connection = lab.connect(Family::V4, 0).unwrap();
    connection.warm_up().unwrap();
    let Connection { mut client, mut server } = connection;
    let third = Packets::all().at_least(1000).nth(2);
    let trouble = lab.right.on_arrival(&third, Fate::Vanish).unwrap();

    let seq = client.next_seq().unwrap();
    client.write_all(&[7; ANSWER]).unwrap();
    server.set_read_timeout(Some(patience())).unwrap();
    server.read_exact(&mut [0; ANSWER]).unwrap();
    assert_eq!(trouble.hits().unwrap(), 1, "exactly one packet was lost");
    socket::await_info(&client, patience(), |info| info.unacked == 0).unwrap();

    let cookie = client.cookie().unwrap();
    let event = tracer.wait_for("retransmit", |event| event["event"] == "retransmit" && is_of(event, cookie));
    assert_eq!((&event["type"], &event["certain"]), (&"tlp".into(), &true.into()), "{event}");
    assert_eq!(number(&event, "segs"), 1);
    assert_eq!(event["next_rto_ms"], serde_json::Value::Null, "a probe backs nothing off: {event}");
    assert_eq!(number(&event, "retransmits"), 0, "a probe is no RTO: {event}");
    // The probe repeats the end of what was sent.
    let mss = client.info().unwrap().snd_mss;
    let tail = seq.wrapping_add(ANSWER as u32 - (ANSWER as u32 - 2 * mss).min(mss));
    assert_eq!(number(&event, "seq"), u64::from(tail), "{event}");
    assert_eq!(number(&event, "bytes"), u64::from(ANSWER as u32 - 2 * mss), "{event}");

    totals::settle(&client);
    let probes = lab.left.counters().unwrap().get("TCPLossProbes");
    let outcome = tracer.finish();
    outcome.assert_clean();
    totals::check(&outcome, &lab.left, &client);
    let tlps = outcome.retransmits().into_iter().filter(|event| is_type(event, "tlp")).count();
    assert_eq!(tlps as u64, probes, "TCPLossProbes");
}

#[test]
fn a_probe_comes_before_the_rto_in_a_blackhole() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let tracer = Tracer::start(&["--netns", &netns(&lab.left)]);
    let mut connection = lab.connect(Family::V6, 0).unwrap();
    connection.warm_up().unwrap();
    let _trouble = lab.right.unreachable().unwrap();
    connection.client.write_all(&[7; ANSWER]).unwrap();
    tracer.wait_for("rto", |event| is_type(event, "rto"));
    std::thread::sleep(Duration::from_millis(1));
    let outcome = tracer.finish();
    let types: Vec<_> =
        outcome.retransmits().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(&types[..2], ["tlp", "rto"], "{types:?}");
    outcome.assert_clean();
}
