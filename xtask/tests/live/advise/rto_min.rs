//! Requests under loss are recorded with the usual floor; the advice says what 50 ms would make of them; its own command
//! sets 50 ms; the same loss again; and forecast and fact are compared as the application sees them.

use serde_json::Value;
use tempfile::TempDir;
use xtask::lab::{Family, Lab, Namespace};

use super::{advice, number, requests};
use crate::{
    limits,
    tracer::{Tracer, netns},
};

/// The share by which forecast and fact may differ.
const TOLERANCE: f64 = 0.15;
/// On a machine that is busy elsewhere, timers and threads run late. That says nothing about the forecast.
const ATTEMPTS: usize = 3;

/// Records requests, and asks for advice about them.
fn recorded(lab: &Lab, family: Family) -> (Vec<f64>, Value) {
    let dir = TempDir::new().unwrap();
    let log = dir.path().join("log.jsonl");
    let tracer = Tracer::start(&["--netns", &netns(&lab.left), "-o", log.to_str().unwrap()]);
    let took = requests::ask(lab, family, requests::CONNECTIONS, &requests::LOSSES);
    tracer.finish().assert_clean();
    (took, advice(&log, &["--rto-min", "50"]))
}

/// The nearest rank, as the advice has it.
fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
}

fn off(forecast: f64, fact: f64) -> f64 {
    (forecast - fact) / fact
}

/// `apply` sets the floor, by the advice.
fn experiment(name: &str, family: Family, prepare: impl Fn(&Lab), apply: impl Fn(&Namespace, &Value)) {
    let mut rows = Vec::new();
    let right = (0..ATTEMPTS).any(|attempt| {
        if attempt > 0 {
            eprintln!("{name}: once more, for this machine may have been busy: {rows:?}");
            rows.clear();
        }
        let lab = Lab::new().unwrap();
        prepare(&lab);
        let (now, advice) = recorded(&lab, family);
        check(&advice, now.len());
        let candidates = advice["rto_min"]["candidates"].as_array().unwrap();
        let asked = candidates.iter().find(|candidate| candidate["rto_min_ms"] == 50).unwrap();
        apply(&lab.left, &advice["rto_min"]["commands"][0]);
        let (then, afterwards) = recorded(&lab, family);
        check(&afterwards, then.len());
        let floor_ms = number(&afterwards, "/rto_min/evidence/floors_now/0/floor_ms");
        assert_eq!(floor_ms, number(asked, "/in_force_ms"), "the command set the floor that was foretold");

        for percent in [50, 90] {
            let pointer = format!("/recovery/p{percent}_ms");
            let recorded = number(&advice, &format!("/rto_min/recovery_now/p{percent}_ms"));
            rows.push((percent, recorded, percentile(&now, percent)));
            rows.push((percent, number(asked, &pointer), percentile(&then, percent)));
        }
        rows.iter().all(|(_, forecast, fact)| off(*forecast, *fact).abs() <= TOLERANCE)
    });
    println!("{name}: by the advice, measured by the application, off by");
    for (at, (percent, forecast, fact)) in rows.iter().enumerate() {
        let what = if at % 2 == 0 { "recorded" } else { "forecast for 50 ms" };
        println!(
            "  p{percent} {what}: {forecast:.0} ms, {fact:.0} ms, {:+.1} %",
            off(*forecast, *fact) * 100.0
        );
    }
    assert!(right, "more than {TOLERANCE} off: {rows:?}");
}

/// Every loss was found, and its RTO is what the estimator's arithmetic says, to a jiffy.
fn check(advice: &Value, losses: usize) {
    let evidence = &advice["rto_min"]["evidence"];
    let (found, none) = (Value::from(losses), Value::from(0));
    assert_eq!(evidence["losses"], found, "{evidence}");
    assert_eq!(evidence["flows"], requests::CONNECTIONS, "{evidence}");
    assert_eq!(evidence["enough"], true, "{evidence}");
    for left_out in ["incomplete", "not_by_floor", "disturbed", "variance_dominated"] {
        assert_eq!(evidence[left_out], none, "{evidence}");
    }
}

fn shell(namespace: &Namespace, command: &Value) {
    namespace.command("sh", &["-c", command.as_str().unwrap()]).unwrap();
}

#[test]
fn a_changed_route_does_as_foretold() {
    require_lab!();
    if limits::STEADY_TIME.applies() {
        return;
    }
    let only_rtos = |lab: &Lab| lab.left.sysctl("net.ipv4.tcp_early_retrans", "0").unwrap();
    experiment("RTOs alone, IPv4, ip route change", Family::V4, only_rtos, |left, commands| {
        let route = &commands["routes"][0];
        assert_eq!(route["prefix"], "10.77.0.0/24");
        shell(left, &route["show"]);
        // A route that has a floor already is changed as well.
        let other = "ip route change 10.77.0.0/24 dev wire src 10.77.0.1 congctl cubic rto_min 70ms";
        shell(left, &other.into());
        shell(left, &route["change"]);
    });
}

#[test]
fn a_route_of_its_own_does_as_foretold_with_tail_loss_probes() {
    require_lab!();
    if limits::STEADY_TIME.applies() {
        return;
    }
    experiment(
        "probes and RTOs, IPv6, ip route replace",
        Family::V6,
        |_| (),
        |left, commands| {
            let route = &commands["routes"][0];
            assert_eq!(route["prefix"], "fd77::/64");
            shell(left, &route["own_route"]);
            shell(left, &route["own_route"]);
        },
    );
}

#[test]
fn the_sysctl_does_as_foretold() {
    require_lab!();
    if limits::RTO_MIN_SYSCTL.applies() || limits::STEADY_TIME.applies() {
        return;
    }
    experiment(
        "probes and RTOs, IPv4, sysctl",
        Family::V4,
        |_| (),
        |left, commands| {
            assert_eq!(commands["sysctl_available"], "yes");
            shell(left, &commands["sysctl"]);
        },
    );
}
