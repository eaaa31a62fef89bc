//! Connects whose first SYNs get lost: how long they took, as the advice has it and as the application saw it.

use std::{net::TcpStream, thread, time::Instant};

use tempfile::TempDir;
use xtask::lab::{Family, Lab, Packets, trouble::Fate};

use super::{advice, number};
use crate::tracer::{Tracer, netns, patience};

#[test]
fn connects_took_as_long_as_the_advice_says() {
    require_lab!();
    let lab = Lab::new().unwrap();
    // One SYN after a second each, as without `tcp_syn_linear_timeouts`: 1, 3, 7 s.
    if lab.left.read_sysctl("net.ipv4.tcp_syn_linear_timeouts").is_ok() {
        lab.left.sysctl("net.ipv4.tcp_syn_linear_timeouts", "0").unwrap();
    }
    let dir = TempDir::new().unwrap();
    let log = dir.path().join("log.jsonl");
    let tracer = Tracer::start(&["--netns", &netns(&lab.left), "-o", log.to_str().unwrap()]);
    let mut took: Vec<f64> = thread::scope(|scope| {
        let lab = &lab;
        let connecting: Vec<_> =
            [1, 1, 1, 2].map(|losses| scope.spawn(move || connect(lab, losses))).into_iter().collect();
        connecting.into_iter().map(|connecting| connecting.join().unwrap()).collect()
    });
    took.sort_by(f64::total_cmp);
    tracer.finish().assert_clean();

    let advice = advice(&log, &[]);
    assert_eq!(number(&advice, "/connect_timeout/succeeded/count"), 4.0);
    for (pointer, fact) in [("p50_ms", took[1]), ("max_ms", took[3])] {
        let told = number(&advice, &format!("/connect_timeout/succeeded/{pointer}"));
        assert!((told - fact).abs() < 50.0, "{pointer}: {told} ms, took {took:?}");
    }
    let cuts: Vec<(u64, u64)> = advice["connect_timeout"]["timeouts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cut| (cut["timeout_ms"].as_u64().unwrap(), cut["cut_off"].as_u64().unwrap()))
        .collect();
    for (timeout_ms, cut_off) in [(500, 4), (1000, 4), (2000, 1), (3000, 1), (5000, 0)] {
        assert!(cuts.contains(&(timeout_ms, cut_off)), "{cuts:?} without {timeout_ms}: {cut_off}");
    }
    assert_eq!(advice["connect_timeout"]["harmless_ms"], 5000);
    assert_eq!(advice["connect_timeout"]["enough"], false);
}

/// Connects to a listener of its own, whose first SYNs get lost; how long it took, in ms.
fn connect(lab: &Lab, losses: u32) -> f64 {
    let listener = lab.listen(Family::V4, 0).unwrap();
    let address = listener.local_addr().unwrap();
    let syns = || Packets::all().family(Family::V4).to_port(address.port()).syn().nth(0);
    for _ in 0..losses {
        lab.right.on_arrival(&syns(), Fate::Vanish).unwrap();
    }
    let began = Instant::now();
    let _connection = lab.left.run(|| TcpStream::connect_timeout(&address, patience())).unwrap();
    began.elapsed().as_secs_f64() * 1000.0
}
