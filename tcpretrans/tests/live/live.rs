//! How a live test runs: where a lab can be made, and again if the kernel hid from the tracer what the test needs.
//!
//! Seen on a virtual machine: while a thread of its first process is current, BPF programs do not run, and nothing
//! counts that. A timer that interrupts such a thread retransmits without a record. ftrace sees it all the same, so
//! it is the witness: a failed test is tried again if, and only if, something of TCP happened there meanwhile.
//! Elsewhere the first process hardly ever runs, and a failure stays one.

use std::{
    fs, io,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

const ATTEMPTS: u32 = 5;

/// Runs a test that needs a lab.
pub fn live(test: impl Fn()) {
    if !xtask::lab::available() {
        return;
    }
    for attempt in 1..=ATTEMPTS {
        let witness = Witness::call();
        let Err(panic) = panic::catch_unwind(AssertUnwindSafe(&test)) else { return };
        let hidden = witness.as_ref().map_or(0, |witness| witness.events().unwrap_or(0));
        if hidden == 0 || attempt == ATTEMPTS {
            panic::resume_unwind(panic);
        }
        eprintln!("attempt {attempt}: {hidden} events happened where no BPF program runs; trying again");
    }
}

const INSTANCES: &str = "/sys/kernel/tracing/instances";
const PREFIX: &str = "tcpretrans-live-";
const EVENTS: [&str; 4] = [
    "tcp/tcp_retransmit_skb",
    "tcp/tcp_retransmit_synack",
    "tcp/tcp_cong_state_set",
    "sock/inet_sock_set_state",
];

/// An ftrace instance that records what happens while the first process is current.
struct Witness(PathBuf);

impl Witness {
    /// `None` where there is no tracefs: then there is no second attempt.
    fn call() -> Option<Witness> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        clear_stale();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(INSTANCES).join(format!("{PREFIX}{}-{number}", std::process::id()));
        fs::create_dir(&path).ok()?;
        let witness = Witness(path);
        let threads = fs::read_dir("/proc/1/task").ok()?.flatten();
        let filter: Vec<String> = threads
            .filter_map(|thread| Some(format!("common_pid=={}", thread.file_name().to_str()?)))
            .collect();
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

    fn events(&self) -> io::Result<usize> {
        let text = fs::read_to_string(self.0.join("trace"))?;
        Ok(text.lines().filter(|line| !line.starts_with('#')).count())
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// Removes the instances of test processes that were killed.
fn clear_stale() {
    for entry in fs::read_dir(INSTANCES).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}
