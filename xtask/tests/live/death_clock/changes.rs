//! What a forecast is built on changes: the next event carries a corrected one, and that one comes true.

use std::{io::Write, net::TcpStream, time::Duration};

use serde_json::Value;
use xtask::lab::{Connection, Family, Lab, Packets, socket::Options, trouble::Fate};

use super::forecast::Forecast;
use crate::tracer::{Tracer, is_of, is_type, netns, number};

/// A traced connection whose peer has fallen silent.
struct Silence {
    tracer: Tracer,
    client: TcpStream,
    _server: TcpStream,
    cookie: u64,
}

impl Silence {
    fn begin(lab: &Lab) -> Silence {
        // Without TLP the first retransmission is the first RTO.
        lab.left.sysctl("net.ipv4.tcp_early_retrans", "0").unwrap();
        let mut connection = lab.connect(Family::V4, 0).unwrap();
        connection.warm_up().unwrap();
        let Connection { client, server } = connection;
        let cookie = client.cookie().unwrap();
        let tracer = Tracer::start(&["--netns", &netns(&lab.left)]);
        let _ = lab.right.unreachable().unwrap();
        (&client).write_all(b"is anybody there?").unwrap();
        Silence { tracer, client, _server: server, cookie }
    }

    fn rto(&self, number_of_it: u64) -> Value {
        let cookie = self.cookie;
        self.tracer.wait_for("rto", |event| {
            is_type(event, "rto") && is_of(event, cookie) && number(event, "retransmits") >= number_of_it
        })
    }

    fn closed_ns(&self) -> u64 {
        let closed =
            self.tracer.wait_for("closed", |event| event["event"] == "closed" && is_of(event, self.cookie));
        number(&closed, "mono_ns")
    }

    /// From that timeout on all forecasts came true.
    fn assert_true_from(&self, number_of_it: u64) {
        let closed_ns = self.closed_ns();
        let events = self.tracer.events();
        let of_this = |event: &&Value| is_type(event, "rto") && is_of(event, self.cookie);
        let later: Vec<&Value> = events
            .iter()
            .filter(of_this)
            .filter(|event| number(event, "retransmits") >= number_of_it)
            .collect();
        assert!(!later.is_empty());
        for event in later {
            let forecast = Forecast::of(event).unwrap();
            assert!((forecast.earliest_ns..=forecast.latest_ns).contains(&closed_ns), "{closed_ns}: {event}");
        }
    }
}

#[test]
fn a_sysctl_changed_midway() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let silence = Silence::begin(&lab);
    let before = silence.rto(2);
    let deadline = &before["deadline"];
    assert_eq!((&deadline["limit"], &deadline["budget_ms"]), (&15.into(), &924_600.into()), "{before}");
    lab.left.sysctl("net.ipv4.tcp_retries2", "3").unwrap();
    let changed_after = number(silence.tracer.events().last().unwrap(), "retransmits");
    let after = silence.rto(changed_after + 1);
    let deadline = &after["deadline"];
    assert_eq!((&deadline["limit"], &deadline["budget_ms"]), (&3.into(), &3000.into()), "{after}");
    silence.assert_true_from(changed_after + 1);
    let closed_ns = silence.closed_ns();
    assert!(Forecast::of(&before).unwrap().earliest_ns > closed_ns + 600_000_000_000, "{before}");
    silence.tracer.finish().assert_clean();
}

#[test]
fn a_user_timeout_set_midway() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let mut silence = Silence::begin(&lab);
    let before = silence.rto(2);
    assert_eq!(before["deadline"]["knob"], "tcp_retries2", "{before}");
    silence.client = silence.client.try_clone().unwrap().user_timeout(Duration::from_secs(5)).unwrap();
    let changed_after = number(silence.tracer.events().last().unwrap(), "retransmits");
    let after = silence.rto(changed_after + 1);
    let deadline = &after["deadline"];
    assert_eq!(
        (&deadline["knob"], &deadline["limit"], &deadline["budget_ms"]),
        (&"TCP_USER_TIMEOUT".into(), &5000.into(), &5000.into()),
        "{after}"
    );
    silence.assert_true_from(changed_after + 1);
    silence.tracer.finish().assert_clean();
}

/// RFC 6069: an ICMP error says that the path is broken and not congested, so the kernel takes a step of the backoff
/// back.
#[test]
fn an_icmp_error_that_reverts_the_backoff() {
    require_lab!();
    let lab = Lab::new().unwrap();
    lab.left.sysctl("net.ipv4.tcp_retries2", "4").unwrap();
    lab.left.sysctl("net.ipv4.tcp_early_retrans", "0").unwrap();
    let mut connection = lab.connect(Family::V4, 0).unwrap();
    connection.warm_up().unwrap();
    let tracer = Tracer::start(&["--netns", &netns(&lab.left)]);
    let cookie = connection.client.cookie().unwrap();
    // Silence, but for one packet that is answered with an error: the third retransmission.
    let third = Packets::all().family(Family::V4).at_least(60).nth(3);
    let answered = lab.right.on_arrival(&third, Fate::HostUnreachable).unwrap();
    let _ = lab.right.unreachable().unwrap();
    (&connection.client).write_all(b"is anybody there?").unwrap();
    let silence = Silence { tracer, client: connection.client, _server: connection.server, cookie };
    // The wait after it is no longer than the one before.
    let answered_one = |events: &[Value]| {
        let rtos: Vec<&Value> =
            events.iter().filter(|event| is_type(event, "rto") && is_of(event, cookie)).collect();
        let pair = rtos.windows(2).find(|pair| pair[0]["backoff"] == pair[1]["backoff"])?;
        Some((pair[0].clone(), pair[1].clone()))
    };
    silence.tracer.wait_until("a step back", |events| answered_one(events).is_some());
    let (before, after) = answered_one(&silence.tracer.events()).unwrap();
    assert_eq!(answered.hits().unwrap(), 1, "{before}\n{after}");
    let number_of_it = number(&before, "retransmits");
    assert_eq!(number_of_it, 3, "{before}");
    assert_eq!(number(&after, "retransmits"), number_of_it + 1, "{before}\n{after}");
    assert_eq!(number(&before, "backoff"), number_of_it - 1, "a step back: {after}");
    assert_eq!(after["rto_ms"], before["rto_ms"], "the same wait again: {before}\n{after}");
    let (wrong, corrected) = (Forecast::of(&before).unwrap(), Forecast::of(&after).unwrap());
    assert!(corrected.expected_ns.abs_diff(wrong.expected_ns) > 500_000_000, "{before}\n{after}");
    silence.assert_true_from(number_of_it + 1);
    silence.tracer.finish().assert_clean();
}

#[test]
fn an_ack_that_makes_progress_starts_the_clock_anew() {
    require_lab!();
    let lab = Lab::new().unwrap();
    lab.left.sysctl("net.ipv4.tcp_retries2", "3").unwrap();
    lab.left.sysctl("net.ipv4.tcp_early_retrans", "0").unwrap();
    let mut connection = lab.connect(Family::V4, 0).unwrap();
    connection.warm_up().unwrap();
    let tracer = Tracer::start(&["--netns", &netns(&lab.left)]);
    let cookie = connection.client.cookie().unwrap();
    let trouble = lab.right.unreachable().unwrap();
    (&connection.client).write_all(b"is anybody there?").unwrap();
    let silence = Silence { tracer, client: connection.client, _server: connection.server, cookie };
    let before = silence.rto(2);
    assert!(number(&before["deadline"], "elapsed_ms") >= 400, "{before}");
    trouble.heal().unwrap();
    silence.tracer.wait_for("recovered", |event| event["event"] == "recovered" && is_of(event, cookie));

    let _ = lab.right.unreachable().unwrap();
    (&silence.client).write_all(b"and now?").unwrap();
    let of_second = |event: &Value| is_type(event, "rto") && is_of(event, cookie) && event["episode"] == 2;
    let first = silence.tracer.wait_for("rto of the second episode", of_second);
    let deadline = &first["deadline"];
    assert_eq!((&first["retransmits"], &deadline["elapsed_ms"]), (&1.into(), &0.into()), "{first}");
    assert_eq!((&deadline["used"], &deadline["budget_ms"]), (&0.0.into(), &3000.into()), "{first}");
    let closed_ns = silence.closed_ns();
    let forecast = Forecast::of(&first).unwrap();
    assert!((forecast.earliest_ns..=forecast.latest_ns).contains(&closed_ns), "{closed_ns}: {first}");
    let wrong = Forecast::of(&before).unwrap();
    assert!(!(wrong.earliest_ns..=wrong.latest_ns).contains(&closed_ns), "the clock went on: {before}");
    silence.tracer.finish().assert_clean();
}
