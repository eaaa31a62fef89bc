//! How a live test runs: in a process of its own, and again if the kernel hid from the tracer what it needs.
//!
//! Where the kernel runs no program ([`xtask::lab::witness`]), ftrace still sees what happens: a failed test is tried again if,
//! and only if, something of TCP happened there meanwhile.
//!
//! The other reason is the kernel's recursion protection, which skips a program. That the tracer tells, as `lost`. In an emulated
//! machine (`TCPRETRANS_SLOWNESS`) a failed test has a second try whatever the reason: it may stand still at any place.

use std::{
    env,
    io::{self, Write},
    os::unix::process::CommandExt,
    process::Command,
};

use xtask::lab::witness::Witness;

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
        // At once and past the harness, which shows a failure only when all tests are done: on some machines that is
        // many minutes later, or never.
        let _ = io::stderr().write_all(format!("---- {test}, attempt {attempt}:\n{said}\n").as_bytes());
        let hidden = witness.map_or(0, |witness| witness.events().unwrap_or(0));
        let told = said.contains(crate::tracer::TOLD_OF_LOSS);
        // An emulated machine may stand still for a second at any place. What is wrong is wrong twice.
        let once_more = xtask::lab::slowness() > 1 && attempt == 1;
        assert!((hidden > 0 || told || once_more) && attempt < ATTEMPTS, "{test} failed: see above");
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
