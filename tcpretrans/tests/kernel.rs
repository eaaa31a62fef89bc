//! What userspace gives to the programs and how it reads their answers, on the running kernel.

use std::{
    fs,
    net::TcpStream,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use aya::maps::{MapData, RingBuf};
use tcpretrans::internals::{
    Btf, Cgroups, Features, Hierarchy, KernelFilter, PortSet, Programs, Settings, hz,
};
use tcpretrans_ebpf::{Kind, Record};

/// Tests that need root are skipped without it, but never in CI.
fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    assert!(root || std::env::var_os("CI").is_none(), "this test needs root");
    root
}

fn attach(filter: KernelFilter) -> (Programs, RingBuf<MapData>) {
    let btf = Btf::of_running_kernel().expect("BTF");
    let features = Features::detect(&btf).expect("a supported kernel");
    Programs::attach(&features, &Settings { filter, ..Settings::default() }).expect("attaches")
}

fn only_port(port: u16) -> KernelFilter {
    let mut ports = PortSet::empty();
    ports.insert(port);
    KernelFilter { ports: Some(ports), ..KernelFilter::default() }
}

/// Nothing listens on these.
const REFUSING_PORTS: [u16; 2] = [9, 19];

#[test]
fn measuring_hz_keeps_the_records_of_others() {
    if !is_root() {
        return;
    }
    let port = REFUSING_PORTS[0];
    let (programs, mut ring) = attach(only_port(port));
    TcpStream::connect(("127.0.0.1", port)).expect_err("refused");
    let calibration = hz::measure(&mut ring, Duration::from_secs(2)).expect("measures");
    let of_ours: Vec<Kind> = calibration
        .records
        .iter()
        .filter(|(_, record)| record.rport == port)
        .map(|(kind, _)| *kind)
        .collect();
    assert_eq!(of_ours[..2], [Kind::ReceiveReset, Kind::State], "connect() was refused");

    // The clock of jiffies against that of nanoseconds says the same HZ.
    let (first, started) = (jiffies(&mut ring), Instant::now());
    std::thread::sleep(Duration::from_millis(400));
    let ticks = jiffies(&mut ring) - first;
    let rate = ticks as f64 / started.elapsed().as_secs_f64();
    let hz = f64::from(calibration.hz);
    assert!((hz * 0.9..hz * 1.1).contains(&rate), "HZ {hz} but {rate} ticks a second");
    drop(programs);
}

/// `jiffies64` of now, by way of a refused connection's record.
fn jiffies(ring: &mut RingBuf<MapData>) -> u64 {
    TcpStream::connect(("127.0.0.1", REFUSING_PORTS[0])).expect_err("refused");
    let mut latest = None;
    while let Some(item) = ring.next() {
        latest = Some(Record::decode(&item).expect("a record").1.jiffies);
    }
    latest.expect("a record of the refusal")
}

/// A cgroup that is removed again.
struct Scratch(PathBuf);

impl Scratch {
    fn new(hierarchy: &Hierarchy, name: &str) -> Scratch {
        let directory = hierarchy.mount().join(format!("tcpretrans-{name}-{}", std::process::id()));
        fs::create_dir_all(directory.join("inner")).expect("root may make cgroups");
        Scratch(directory)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir(self.0.join("inner"));
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_cgroup_means_its_sockets_and_those_below() {
    if !is_root() {
        return;
    }
    let Ok(hierarchy) = Hierarchy::find() else {
        assert!(std::env::var_os("CI").is_none(), "this test needs cgroup v2");
        return;
    };
    let (wanted, other) = (Scratch::new(&hierarchy, "wanted"), Scratch::new(&hierarchy, "other"));
    let cgroup = hierarchy.resolve(wanted.0.to_str().expect("UTF-8")).expect("exists");
    let port = REFUSING_PORTS[1];
    let filter = KernelFilter { cgroup: Some((cgroup.id, cgroup.level)), ..only_port(port) };
    let (_programs, mut ring) = attach(filter);

    for directory in [&other.0, &wanted.0, &wanted.0.join("inner")] {
        let script = format!("echo $$ > {}/cgroup.procs; : < /dev/tcp/127.0.0.1/{port}", directory.display());
        let refused = Command::new("bash").args(["-c", &script]).output().expect("bash");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("refused"), "{said}");
    }
    let mut cgroups = Cgroups::new();
    let mut paths = Vec::new();
    while let Some(item) = ring.next() {
        let (kind, record) = Record::decode(&item).expect("a record");
        if kind == Kind::State {
            paths.push(cgroups.path(record.cgroup_id).expect("exists").to_string());
        }
    }
    assert_eq!(paths, [cgroup.path.clone(), format!("{}/inner", cgroup.path)]);
}
