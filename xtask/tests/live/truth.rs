//! What the kernel itself says, to compare with.

use std::{
    collections::BTreeMap,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use xtask::lab::socket::{Info, Options};

use crate::tracer::patience;

/// Asks sockets all the time, until each has `rungs` RTOs behind it. Gives the first answer after each RTO, by how
/// many there had been. A rung lasts 200 ms or longer, and changes under the socket's lock, so none is missed or
/// half seen.
pub fn watch_ladders(sockets: &[&TcpStream], rungs: u8) -> Vec<BTreeMap<u8, Info>> {
    let start = Instant::now();
    let mut ladders = vec![BTreeMap::new(); sockets.len()];
    loop {
        for (socket, ladder) in sockets.iter().zip(&mut ladders) {
            let info = socket.info().unwrap();
            ladder.entry(info.retransmits).or_insert(info);
        }
        if ladders.iter().all(|ladder| ladder.contains_key(&rungs)) {
            return ladders;
        }
        assert!(start.elapsed() < patience(), "only so far: {ladders:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// As `ss` rounds: microseconds of whole jiffies to milliseconds.
pub fn to_ms(us: u32) -> u64 {
    u64::from(us + 500) / 1000
}

/// `CLOCK_MONOTONIC`, which `mono_ns` is measured by.
pub fn mono_ns() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}

/// The path of this process in the cgroup v2 hierarchy.
pub fn own_cgroup() -> Option<String> {
    let text = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    text.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned)
}
