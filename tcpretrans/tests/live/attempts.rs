//! How a live test runs: in a process of its own, and again if the kernel hid from the tracer what it needs.
//!
//! Seen on a virtual machine: while a thread of its first process is current, BPF programs do not run, and nothing
//! counts that. A timer that interrupts such a thread retransmits without a record. ftrace sees it all the same, so
//! it is the witness: a failed test is tried again if, and only if, something of TCP happened there meanwhile.
//! Elsewhere the first process hardly ever runs, and a failure stays one.
//!
//! The other reason is the kernel's recursion protection, which skips a program. That the tracer tells, as `lost`.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{self, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

const ATTEMPTS: u32 = 5;
/// How the lines begin that tell what a kernel cannot show, and what its verifier had to do.
pub const LIMIT: &str = "live test ";
pub const VERIFIER: &str = "verifier: ";
/// They are shown whether a test passes or fails.
const TOLD: [&str; 2] = [LIMIT, VERIFIER];
/// Set in the process that runs the test itself.
pub const MINE: &str = "TCPRETRANS_LIVE_TEST";

/// Shall the calling test run here and now? If not, it has been run already, elsewhere.
///
/// `here` is the path of a function within it, which names it.
pub fn is_mine(here: &str) -> bool {
    if !xtask::lab::available() {
        return false;
    }
    let path = here.rsplit_once("::").and_then(|(test, _)| test.split_once("::"));
    let (_, test) = path.expect("crate::test::function");
    if env::var(MINE).is_ok_and(|mine| mine == test) {
        return true;
    }
    for attempt in 1..=ATTEMPTS {
        let witness = Witness::call();
        let said = match attempt_it(test) {
            Ok(()) => return false,
            Err(said) => said,
        };
        eprintln!("{said}");
        let hidden = witness.map_or(0, |witness| witness.events().unwrap_or(0));
        let told = said.contains(crate::tracer::TOLD_OF_LOSS);
        assert!((hidden > 0 || told) && attempt < ATTEMPTS, "{test} failed: see above");
        eprintln!(
            "attempt {attempt}: {hidden} events happened where no BPF program runs, and of others the tracer {} \
             that the kernel skipped them; trying again",
            if told { "told" } else { "did not tell" }
        );
    }
    false
}

/// Runs the test; what it said if it failed.
fn attempt_it(test: &str) -> Result<(), String> {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--include-ignored"]).env(MINE, test);
    // SAFETY: only a system call. Whoever stops the tests stops this one with them.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    // Past the harness, which shows nothing of a test that passed. In one piece: other tests write, too.
    let is_told = |line: &&str| TOLD.iter().any(|beginning| line.starts_with(beginning));
    let told: String = said.lines().filter(is_told).map(|line| format!("{line}\n")).collect();
    let _ = io::stderr().write_all(told.as_bytes());
    // A misspelt name would run nothing, with success.
    match output.status.success() && said.contains("test result: ok. 1 passed") {
        true => {
            eprint!("{said}");
            Ok(())
        }
        false => Err(said),
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
