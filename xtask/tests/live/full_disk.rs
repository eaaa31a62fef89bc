//! The log's file system is full: reported, counted, and tracing goes on. Whole lines only.

use std::{
    fs::{self, File},
    os::fd::AsRawFd,
    path::Path,
    process::Command,
};

use xtask::lab::Lab;

use crate::{
    file_log::read_log,
    storm::Storm,
    tracer::{PROGRAM, Tracer, is_type, netns, number},
};

#[test]
fn a_full_disk_is_reported_and_counted() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut storm = Storm::gather(&lab, 40);
    // A mount namespace of the tracer's own: nothing to unmount, whatever happens.
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c"]);
    command.arg("mount -t tmpfs -o size=16k tmpfs \"$1\" && shift && exec \"$@\"").arg("sh").arg(dir.path());
    command.arg(&*PROGRAM).args(["--netns", &netns(&lab.left), "-o"]).arg(dir.path().join("log.jsonl"));
    let tracer = Tracer::launch(command);
    // Keeps the file system alive when the tracer, and with it the mount, is gone.
    let disk = File::open(format!("/proc/{}/root{}", tracer.pid(), dir.path().display())).unwrap();

    storm.break_out(&lab);
    tracer.wait_for_complaint("log.jsonl");
    let so_far = tracer.events().len();
    tracer.wait_until("further events", |events| {
        events.len() > so_far && events.iter().filter(|event| is_type(event, "rto")).count() > 100
    });
    let outcome = tracer.finish();
    outcome.assert_clean();
    assert!(outcome.stderr.contains("No space left on device"), "{}", outcome.stderr);
    assert!(outcome.stderr.lines().count() < 20, "one report, not one a line: {}", outcome.stderr);
    assert!(number(&outcome.end()["lost"], "output") > 0, "{}", outcome.end());

    let log = format!("/proc/self/fd/{}/log.jsonl", disk.as_raw_fd());
    let logged = read_log(Path::new(&log));
    assert!(fs::metadata(&log).unwrap().len() <= 16 * 1024);
    assert_eq!(logged[0]["event"], "start");
    // Nothing is gone without being counted: standard output had it all. (The last line had no place any more.)
    let told = |events: &[serde_json::Value]| {
        events.iter().filter(|event| event["where"] != "output" && event["event"] != "end").count() as u64
    };
    let lost = number(&outcome.end()["lost"], "output");
    assert_eq!(told(&logged) + lost, told(&outcome.events), "{}", outcome.end());
}
