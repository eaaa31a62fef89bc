//! What happens where no BPF program runs.
//!
//! Seen on a virtual machine: while a thread of its first process is current, BPF programs do not run, and nothing
//! counts that. A timer that interrupts such a thread retransmits without a record. ftrace sees it all the same, so
//! it is the witness. Elsewhere the first process hardly ever runs, and there is nothing to witness.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Once,
        atomic::{AtomicU32, Ordering},
    },
};

const INSTANCES: &str = "/sys/kernel/tracing/instances";
const PREFIX: &str = "tcpretrans-witness-";
const EVENTS: [&str; 4] = [
    "tcp/tcp_retransmit_skb",
    "tcp/tcp_retransmit_synack",
    "tcp/tcp_cong_state_set",
    "sock/inet_sock_set_state",
];

/// An ftrace instance that records what happens while the first process is current.
#[derive(Debug)]
pub struct Witness(PathBuf);

impl Witness {
    /// `None` where there is no tracefs, and none can be mounted.
    pub fn call() -> Option<Witness> {
        mount_tracefs();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        clear_stale();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(INSTANCES).join(format!("{PREFIX}{}-{number}", std::process::id()));
        fs::create_dir(&path).ok()?;
        let witness = Witness(path);
        // By name: threads come and go.
        let threads = fs::read_dir("/proc/1/task").ok()?.flatten();
        let names: BTreeSet<String> =
            threads.filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok()).collect();
        let filter: Vec<String> = names.iter().map(|name| format!("comm==\"{}\"", name.trim_end())).collect();
        witness.set("buffer_size_kb", "64").ok()?;
        for event in EVENTS {
            // Old kernels do not have all of them.
            let _ = witness
                .set(&format!("events/{event}/filter"), &filter.join("||"))
                .and_then(|()| witness.set(&format!("events/{event}/enable"), "1"));
        }
        Some(witness)
    }

    fn set(&self, file: &str, value: &str) -> io::Result<()> {
        fs::write(self.0.join(file), value)
    }

    /// How many events of TCP there were, on the whole machine.
    ///
    /// # Errors
    /// If the instance cannot be read.
    pub fn events(&self) -> io::Result<usize> {
        Ok(self.lines()?.len())
    }

    /// How many segments sockets with these local ports retransmitted, where each attempt is of one.
    ///
    /// # Errors
    /// If the instance cannot be read.
    pub fn retransmissions(&self, ports: &[u16]) -> io::Result<u64> {
        let is_of = |line: &&String| {
            line.contains(" tcp_retransmit_skb: ")
                && ports.iter().any(|port| has_word(line, &format!("sport={port}")))
        };
        Ok(self.lines()?.iter().filter(is_of).count() as u64)
    }

    fn lines(&self) -> io::Result<Vec<String>> {
        let text = fs::read_to_string(self.0.join("trace"))?;
        Ok(text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect())
    }
}

/// Distributions mount it at boot; a machine without their services may not have done so.
fn mount_tracefs() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if !Path::new(INSTANCES).exists() {
            let mut mount = Command::new("mount");
            // Without it there is no witness, which is said elsewhere.
            let _ =
                mount.args(["-t", "tracefs", "nodev", "/sys/kernel/tracing"]).stderr(Stdio::null()).status();
        }
    });
}

fn has_word(line: &str, word: &str) -> bool {
    line.split_whitespace().any(|other| other == word)
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// Removes the instances of processes that were killed.
fn clear_stale() {
    for entry in fs::read_dir(INSTANCES).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}
