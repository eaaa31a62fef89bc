//! Connections that were in backoff before the trace began, in every namespace that is traced.

use std::{io::Write, net::TcpStream, thread, time::Duration};

use serde_json::Value;
use xtask::lab::{
    Family, Lab,
    socket::{self, Info, Options},
};

use crate::{
    tracer::{Tracer, is_of, is_type, netns, number, patience},
    truth::to_ms,
};

/// Both ends have sent into the void, and two of their timeouts have passed; their next ones are far away.
fn in_trouble(lab: &Lab, family: Family) -> [TcpStream; 2] {
    let mut connection = lab.connect(family, 0).unwrap();
    connection.warm_up().unwrap();
    for side in [&lab.left, &lab.right] {
        let _ = side.unreachable().unwrap();
    }
    let ends = [connection.client, connection.server];
    for mut end in &ends {
        end.write_all(&[7; 300]).unwrap();
    }
    for end in &ends {
        socket::await_info(end, patience(), |info| info.retransmits >= 3).unwrap();
    }
    ends
}

fn is_seed(event: &Value, cookie: u64) -> bool {
    event["event"] == "in_backoff" && is_of(event, cookie)
}

/// `TCP_INFO` of the socket, which is the same before and after the trace began, so no timeout came between.
fn check(event: &Value, before: &Info, after: &Info) {
    if before != after {
        println!("a timeout came while the trace began");
        return;
    }
    let told = |field| number(event, field);
    assert_eq!(told("retransmits"), u64::from(before.retransmits), "{event}");
    assert_eq!(told("backoff"), u64::from(before.backoff), "{event}");
    assert_eq!(told("rto_ms"), to_ms(before.rto_us), "{event}");
    assert_eq!(told("total_retrans"), u64::from(before.total_retrans), "{event}");
    assert_eq!(told("unacked_bytes"), 300, "{event}");
    assert_eq!((&event["state"], &event["episode"]), (&"ESTABLISHED".into(), &1.into()), "{event}");
    let deadline = &event["deadline"];
    assert_eq!((&deadline["knob"], &deadline["limit"]), (&"tcp_retries2".into(), &15.into()), "{event}");
    assert_eq!(deadline["elapsed_ms"], event["since_ms"], "{event}");
    // From the first RTO to now: at least the waits between, at 200 ms and doubling.
    assert!(told("since_ms") >= 200 * ((1 << before.retransmits) - 2), "{event}");
}

#[test]
fn every_traced_namespace_is_looked_through_and_no_other() {
    require_lab!();
    let labs = [Lab::new().unwrap(), Lab::new().unwrap()];
    let troubled: Vec<[TcpStream; 2]> = thread::scope(|scope| {
        let waiting = [Family::V4, Family::V6].into_iter().zip(&labs);
        let waiting: Vec<_> =
            waiting.map(|(family, lab)| scope.spawn(move || in_trouble(lab, family))).collect();
        waiting.into_iter().map(|ends| ends.join().unwrap()).collect()
    });
    // Three of the four ends are traced.
    let traced = [&troubled[0][0], &troubled[0][1], &troubled[1][0]];
    let spaces = [&labs[0].left, &labs[0].right, &labs[1].left].map(netns).join(",");
    let before = traced.map(|end| end.info().unwrap());
    let tracer = Tracer::start(&["--netns", &spaces]);
    for (end, before) in traced.iter().zip(before) {
        let cookie = end.cookie().unwrap();
        let event = tracer.wait_for("in_backoff", |event| is_seed(event, cookie));
        check(&event, &before, &end.info().unwrap());
        assert_eq!(event["flow"]["lport"], end.local_addr().unwrap().port(), "{event}");
        assert_eq!(event["flow"]["pid"], std::process::id(), "{event}");
    }
    let stranger = troubled[1][1].cookie().unwrap();
    let outcome = tracer.finish();
    outcome.assert_clean();
    let seeds = outcome.events.iter().filter(|event| event["event"] == "in_backoff");
    assert_eq!(seeds.count(), traced.len(), "{:?}", outcome.events);
    assert!(!outcome.events.iter().any(|event| is_of(event, stranger)));
}

#[test]
fn no_seed_waits_for_the_first_event() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let [client, server] = in_trouble(&lab, Family::V4);
    let cookie = client.cookie().unwrap();
    let tracer = Tracer::start(&["--netns", &netns(&lab.left), "--no-seed"]);
    let event = tracer.wait_for("rto", |event| is_type(event, "rto") && is_of(event, cookie));
    // What happened before it is in the kernel's own numbers, so nothing is lost but time.
    assert!(number(&event, "retransmits") >= 4, "{event}");
    assert!(number(&event["deadline"], "elapsed_ms") >= 1400, "{event}");
    let outcome = tracer.finish();
    outcome.assert_clean();
    assert!(!outcome.events.iter().any(|event| event["event"] == "in_backoff"), "{:?}", outcome.events);
    drop(server);
}

/// A connection whose first timeout is still to come is in no trouble yet: it comes with its first event.
#[test]
fn before_the_first_timeout_there_is_nothing_to_tell() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let mut connection = lab.connect(Family::V4, 0).unwrap();
    connection.warm_up().unwrap();
    let cookie = connection.client.cookie().unwrap();
    let idle = connection.server.cookie().unwrap();
    let tracer = Tracer::start(&["--netns", &netns(&lab.left), "--netns", &netns(&lab.right)]);
    let _ = lab.right.unreachable().unwrap();
    connection.client.write_all(b"hello").unwrap();
    tracer.wait_for("rto", |event| is_type(event, "rto") && is_of(event, cookie));
    thread::sleep(Duration::from_millis(50));
    let outcome = tracer.finish();
    outcome.assert_clean();
    assert!(!outcome.events.iter().any(|event| event["event"] == "in_backoff" || is_of(event, idle)));
}
