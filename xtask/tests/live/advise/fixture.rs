//! Makes the recording that the tests of the advice's text use. Run it when the schema gets new fields:
//! `cargo test -p xtask --test live -- --ignored the_recording_for_the_texts_tests`

use std::{fs, io::Write, net::TcpStream, path::Path, thread, time::Duration};

use tempfile::TempDir;
use xtask::lab::{Family, Lab, Packets, socket::Options, trouble::Fate};

use super::requests;
use crate::tracer::{PROGRAM, Tracer, is_of, is_type, netns, patience};

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tcpretrans/tests/advise/recording.jsonl");

/// An evening in the lab: requests that lose packets, connects that lose SYNs, an application without patience, and a
/// peer that vanishes for good.
#[test]
#[ignore = "writes a file of the repository"]
fn the_recording_for_the_texts_tests() {
    require_lab!();
    let lab = Lab::new().unwrap();
    lab.left.sysctl("net.ipv4.tcp_retries2", "3").unwrap();
    lab.left.sysctl("net.ipv4.tcp_orphan_retries", "1").unwrap();
    let dir = TempDir::new().unwrap();
    let log = dir.path().join("log.jsonl");
    let tracer = Tracer::start(&["--netns", &netns(&lab.left), "-o", log.to_str().unwrap()]);
    requests::ask(&lab, Family::V4, 5, &[1, 1, 2, 1]);
    thread::scope(|scope| {
        for losses in [1, 1, 1, 2] {
            let lab = &lab;
            scope.spawn(move || connect(lab, losses));
        }
    });
    let mut impatient = lab.connect(Family::V4, 0).unwrap();
    let mut doomed = lab.connect(Family::V4, 0).unwrap();
    impatient.warm_up().unwrap();
    doomed.warm_up().unwrap();
    let trouble = lab.right.unreachable().unwrap();
    impatient.client.write_all(&[7; 100]).unwrap();
    doomed.client.write_all(&[7; 100]).unwrap();
    let cookie = impatient.client.cookie().unwrap();
    tracer.wait_for("rto", |event| is_type(event, "rto") && is_of(event, cookie));
    drop(impatient.client);
    tracer.wait_for("an orphan's end", |event| event["event"] == "closed" && is_of(event, cookie));
    tracer.wait_for("a death", |event| event["cause"] == "retransmit_timeout");
    trouble.heal().unwrap();
    tracer.finish().assert_clean();

    let text = fs::read_to_string(&log).unwrap();
    // Two thirds of the lines, and of no use to the advice but to see the estimator a little more often.
    let lines = text.lines().filter(|line| !line.contains("\"event\":\"observation\""));
    let kept: String = lines.map(|line| format!("{line}\n")).collect();
    // As somebody would have typed it.
    let kept =
        kept.replace(PROGRAM.to_str().unwrap(), "tcpretrans").replace(log.to_str().unwrap(), "trace.jsonl");
    assert!(kept.len() < 100_000, "{} bytes are too many for the repository", kept.len());
    fs::create_dir_all(Path::new(FIXTURE).parent().unwrap()).unwrap();
    fs::write(FIXTURE, kept).unwrap();
}

fn connect(lab: &Lab, losses: u32) {
    let listener = lab.listen(Family::V4, 0).unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..losses {
        let syn = Packets::all().family(Family::V4).to_port(address.port()).syn().nth(0);
        lab.right.on_arrival(&syn, Fate::Vanish).unwrap();
    }
    let client = lab.left.run(|| TcpStream::connect_timeout(&address, patience())).unwrap();
    let (server, _) = listener.accept().unwrap();
    drop(client);
    thread::sleep(Duration::from_millis(50));
    drop(server);
}
