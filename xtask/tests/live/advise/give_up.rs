//! A dead peer under the usual settings; the advice for a wanted time; its own command; a dead peer again, which is
//! noticed in time.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;
use xtask::lab::{
    Connection, Family, Lab,
    socket::{self, Options},
};

use super::{advice, number};
use crate::tracer::{Tracer, is_type, netns, patience};

const WANTED: Duration = Duration::from_secs(5);

/// Connects, and lets the peer vanish.
fn vanish(lab: &Lab) -> Connection {
    let mut connection = lab.connect(Family::V4, 0).unwrap();
    connection.warm_up().unwrap();
    connection
}

/// Records a silence that has some RTOs and no end; asks how to notice it in time.
fn advised(lab: &Lab) -> Value {
    let dir = TempDir::new().unwrap();
    let log = dir.path().join("log.jsonl");
    let tracer = Tracer::start(&["--netns", &netns(&lab.left), "-o", log.to_str().unwrap()]);
    let mut connection = vanish(lab);
    let trouble = lab.right.unreachable().unwrap();
    connection.client.write_all(&[7; 100]).unwrap();
    tracer.wait_for_many("rto", 2, |event| is_type(event, "rto"));
    tracer.finish().assert_clean();
    trouble.heal().unwrap();
    advice(&log, &["--detect-within", "5s"])
}

/// How long a connection lives whose peer has vanished, in ms.
fn lifetime(lab: &Lab, prepare: impl Fn(&Connection)) -> f64 {
    let mut connection = vanish(lab);
    prepare(&connection);
    let trouble = lab.right.unreachable().unwrap();
    let began = Instant::now();
    connection.client.write_all(&[7; 100]).unwrap();
    socket::await_info(&connection.client, patience(), |info| info.state == socket::CLOSE).unwrap();
    let lived = began.elapsed();
    trouble.heal().unwrap();
    assert_eq!(connection.client.pending_error().unwrap(), Some(libc::ETIMEDOUT));
    lived.as_secs_f64() * 1000.0
}

#[test]
fn a_dead_peer_is_noticed_within_the_time_asked_for() {
    require_lab!();
    let lab = Lab::new().unwrap();
    lab.left.sysctl("net.ipv4.tcp_early_retrans", "0").unwrap();
    let advice = advised(&lab);
    let give_up = &advice["give_up"];
    assert_eq!(
        (&give_up["silences"], &give_up["unresolved"]),
        (&Value::from(1), &Value::from(1)),
        "{give_up}"
    );
    let choice = &give_up["choice"];

    let user_timeout_ms = number(choice, "/user_timeout/timeout_ms");
    let foretold = number(choice, "/user_timeout/detection/max_ms");
    let lived = lifetime(&lab, |connection| {
        let time = Duration::from_millis(user_timeout_ms as u64);
        libc_user_timeout(connection, time);
    });
    check("TCP_USER_TIMEOUT", foretold, lived);

    lab.left.sysctl("net.ipv4.tcp_retries2", &choice["retries2"]["retries"].to_string()).unwrap();
    let foretold = number(choice, "/retries2/detection/max_ms");
    check("tcp_retries2", foretold, lifetime(&lab, |_| ()));
}

fn libc_user_timeout(connection: &Connection, time: Duration) {
    connection.client.try_clone().unwrap().user_timeout(time).unwrap();
}

/// Within the time asked for, and as foretold but for the timer wheel's roundings, which hang on the moment.
fn check(knob: &str, foretold_ms: f64, lived_ms: f64) {
    println!("{knob}: foretold {foretold_ms:.0} ms, lived {lived_ms:.0} ms");
    let wanted_ms = WANTED.as_secs_f64() * 1000.0;
    assert!(foretold_ms <= wanted_ms, "{knob}");
    assert!((lived_ms - foretold_ms).abs() < 0.05 * foretold_ms, "{knob}: {foretold_ms} ms, {lived_ms} ms");
}
