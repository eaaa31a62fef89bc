//! A blackholed connection climbs its RTO ladder; every rung is compared with `TCP_INFO`, not with a stopwatch.

use std::io::Write;

use nix::unistd::geteuid;
use serde_json::Value;
use xtask::lab::{Connection, Family, LEFT, Lab, RIGHT, socket::Options};

use crate::{
    tracer::{Tracer, is_of, is_type, netns, number},
    truth::{mono_ns, own_cgroup, to_ms, watch_ladders},
};

/// `HZ` is at least 100 everywhere: no timer ticks more coarsely.
const TICK_NS: u64 = 10_000_000;

fn climb(family: Family, rungs: u8) {
    let lab = Lab::new().unwrap();
    // Without TLP the first retransmission is the first RTO.
    lab.left.sysctl("net.ipv4.tcp_early_retrans", "0").unwrap();
    let tracer = Tracer::start(&["--netns", &netns(&lab.left)]);
    let mut connection = lab.connect(family, 0).unwrap();
    connection.warm_up().unwrap();
    let Connection { mut client, server: _server } = connection;
    let (cookie, seq) = (client.cookie().unwrap(), client.next_seq().unwrap());
    let _trouble = lab.right.unreachable().unwrap();

    let began_ns = mono_ns();
    client.write_all(&[7; 100]).unwrap();
    let ladder = watch_ladders(&[&client], rungs).remove(0);
    let ss = lab
        .left
        .command("ss", &["-tinOH", "dport", "=", &format!(":{}", client.peer_addr().unwrap().port())]);
    // On a slow machine the next timeout may have come before ss did.
    let shown = ss.unwrap();
    let backoff: usize = shown_number(&shown, "backoff");
    assert!(backoff >= usize::from(rungs), "ss says {shown}");
    let of_this = |event: &Value| is_type(event, "rto") && is_of(event, cookie);
    let events = tracer.wait_for_many("rto", backoff, of_this);
    let outcome = tracer.finish();
    let ended_ns = mono_ns();

    for (n, event) in (1..=rungs).zip(&events) {
        let (before, after) = (&ladder[&(n - 1)], &ladder[&n]);
        let told = |field| number(event, field);
        assert_eq!(told("retransmits"), u64::from(n), "{event}");
        assert_eq!(told("rto_ms"), to_ms(before.rto_us), "rung {n}: {event}");
        assert_eq!(told("next_rto_ms"), to_ms(after.rto_us), "rung {n}: {event}");
        assert_eq!(told("backoff"), u64::from(before.backoff), "rung {n}: {event}");
        assert_eq!(told("backoff"), u64::from(n - 1), "rung {n}: {event}");
        assert_eq!((told("segs"), told("bytes"), told("unacked_bytes")), (1, 100, 100), "{event}");
        assert_eq!(told("packets_out"), u64::from(after.unacked), "{event}");
        assert_eq!(told("seq"), u64::from(seq), "{event}");
        assert_eq!(told("srtt_us"), u64::from(after.rtt_us), "{event}");
        assert_eq!(told("cwnd"), u64::from(after.snd_cwnd), "{event}");
        assert_eq!(told("ssthresh"), u64::from(after.snd_ssthresh), "{event}");
        assert_eq!(told("episode"), 1, "{event}");
        assert_eq!((&event["state"], &event["certain"]), (&"ESTABLISHED".into(), &true.into()), "{event}");
        assert_eq!(event["err"], Value::Null, "{event}");
        assert!((began_ns..ended_ns).contains(&told("mono_ns")), "{event}");
    }
    for (first, second) in events.iter().zip(&events[1..]) {
        // No timer fires early: the next expiry comes one RTO later, or more on a busy machine.
        let gap_ns = number(second, "mono_ns") - number(first, "mono_ns");
        assert!(gap_ns + 2 * TICK_NS >= number(first, "next_rto_ms") * 1_000_000, "{first}\n{second}");
    }
    let last = &events[backoff - 1];
    assert_eq!(shown_number::<u64>(&shown, "rto"), number(last, "next_rto_ms"), "ss says {shown}");

    check_flow(last, family, &client, lab.left.inode());
    check_clock(&outcome.events[0], last);
    outcome.assert_clean();
    let others: Vec<_> = outcome.retransmits().into_iter().filter(|event| !of_this(event)).collect();
    assert!(others.is_empty(), "nothing else was retransmitted: {others:?}");
}

/// What `ss` shows as `name:number`.
fn shown_number<T: std::str::FromStr>(shown: &str, name: &str) -> T {
    let mut words = shown.split_whitespace().filter_map(|word| word.split_once(':'));
    let number = words.find_map(|(one, number)| (one == name).then(|| number.parse().ok())?);
    number.unwrap_or_else(|| panic!("ss shows no {name}: {shown}"))
}

fn check_flow(event: &Value, family: Family, client: &std::net::TcpStream, netns: u64) {
    let flow = &event["flow"];
    let name = match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    };
    assert_eq!(flow["family"], name, "{flow}");
    assert_eq!(flow["laddr"], LEFT.of(family).to_string(), "{flow}");
    assert_eq!(flow["raddr"], RIGHT.of(family).to_string(), "{flow}");
    assert_eq!(flow["lport"], client.local_addr().unwrap().port(), "{flow}");
    assert_eq!(flow["rport"], client.peer_addr().unwrap().port(), "{flow}");
    assert_eq!(flow["netns"], netns, "{flow}");
    assert_eq!(flow["pid"], std::process::id(), "{flow}");
    assert_eq!(flow["uid"], geteuid().as_raw(), "{flow}");
    assert_eq!(flow["cgroup"].as_str(), own_cgroup().as_deref(), "{flow}");
    // The process's name, not that of the thread (the test's) that happened to connect.
    let comm = std::fs::read_to_string(format!("/proc/{}/comm", std::process::id())).unwrap();
    assert_eq!(flow["comm"], comm.trim_end(), "{flow}");
}

/// `ts` is `mono_ns` on the wall clock.
fn check_clock(start: &Value, event: &Value) {
    let ts: jiff::Timestamp = event["ts"].as_str().unwrap().parse().unwrap();
    let away = jiff::Timestamp::now().duration_since(ts).abs();
    assert!(away < jiff::SignedDuration::from_secs(60), "{event}");
    let wall_ns = ts.as_nanosecond() as i64;
    let by_clock_ns = number(event, "mono_ns") as i64 + start["clock"].as_i64().unwrap();
    // The wall clock may be slewed meanwhile.
    assert!((wall_ns - by_clock_ns).abs() < 1_000_000_000, "{start}\n{event}");
}

#[test]
fn ipv4_ladder_matches_tcp_info_rung_by_rung() {
    require_lab!();
    climb(Family::V4, 5);
}

#[test]
fn ipv6_ladder_matches_tcp_info_rung_by_rung() {
    require_lab!();
    climb(Family::V6, 3);
}
