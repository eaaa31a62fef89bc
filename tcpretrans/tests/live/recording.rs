//! A log is a recording: run through the correlation again, it gives the same events.

use std::fs;

use tcpretrans::{
    event::{Event, RetransmitType, What},
    flow::{Config, Correlator, Owner, correlator::DEFAULT_MAX_FLOWS},
    sink::json::decode,
};
use tcpretrans_ebpf::Kind;
use xtask::lab::{Connection, Family, Lab, Packets, trouble::Fate};

use crate::{
    storm::Storm,
    tracer::{Tracer, is_type, netns},
};

/// Runs what the kernel said, according to the recording, through a new correlator.
fn again(recorded: &[Event]) -> Vec<Event> {
    let What::Start(start) = &recorded[0].what else { panic!("begins with {:?}", recorded[0].what) };
    let mut correlator = Correlator::new(Config {
        hz: start.hz,
        warn_at: 0.5,
        all_closes: false,
        reset_reasons: start.reset_reasons.clone().into_iter().collect(),
        max_flows: DEFAULT_MAX_FLOWS,
        request_rto_max: start.features.get("request_rto_max").copied(),
    });
    let mut events = Vec::new();
    for event in recorded {
        let (kind, record) = match &event.what {
            What::Retransmit(retransmit) if retransmit.ty == RetransmitType::SynAck => {
                (Kind::SynAck, &retransmit.record)
            }
            What::Retransmit(retransmit) => (Kind::Retransmit, &retransmit.record),
            What::Observation(observation) => (observation.kind, &observation.record),
            _ => continue,
        };
        let flow = event.flow.as_ref().expect("a flow");
        let owner = Owner { pid: flow.pid, comm: flow.comm.clone(), cgroup: flow.cgroup.clone() };
        correlator.observe(kind, record, &owner, &mut events);
    }
    let last_ns = recorded.last().expect("not empty").mono_ns;
    correlator.finish(last_ns, &mut events);
    events
}

#[test]
fn run_again_it_gives_the_same_events() {
    require_lab!();
    let lab = Lab::new().unwrap();
    lab.left.sysctl("net.ipv4.tcp_retries2", "3").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log.jsonl");
    let tracer = Tracer::start(&["--netns", &netns(&lab.left), "-o", log.to_str().unwrap()]);

    // A lossy transfer that recovers, then connections that die.
    let mut lossy: Connection = lab.connect(Family::V6, 0).unwrap();
    let trouble = lab.right.on_arrival(&Packets::all().at_least(1000).chance(0.1), Fate::Vanish).unwrap();
    lossy.transfer(2_000_000, 0).unwrap();
    trouble.heal().unwrap();
    drop(lossy);
    let mut storm = Storm::gather(&lab, 5);
    storm.break_out(&lab);
    tracer.wait_for_many("rto", 15, |event| is_type(event, "rto"));
    tracer.wait_for("a death", |event| event["cause"] == "retransmit_timeout");
    tracer.finish().assert_clean();

    let text = fs::read_to_string(&log).unwrap();
    let recorded: Vec<Event> = text.lines().map(|line| decode(line.as_bytes()).expect(line)).collect();
    let told = recorded.iter().filter(|event| event.flow.is_some());
    let again = again(&recorded);
    assert!(again.len() > 30, "only {} events", again.len());
    for (at, (told, again)) in told.clone().zip(&again).enumerate() {
        assert_eq!(told, again, "event {at}");
    }
    assert_eq!(told.count(), again.len());
}
