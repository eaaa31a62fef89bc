//! One run of QEMU, watched: it ends by itself, or is ended when the guest crashed or says nothing any more.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::{initramfs::Guest, machine::Machine, packages::KernelFiles};

/// For the kernel's first messages, the boot, and the first line of the job, with the machine busy elsewhere.
const BOOT_LIMIT: Duration = Duration::from_secs(180);
/// Between two lines of the job. A test may wait for minutes.
const SILENCE_LIMIT: Duration = Duration::from_secs(600);
/// For everything.
const TOTAL_LIMIT: Duration = Duration::from_secs(3600);
/// What a crashed kernel says on its console.
const CRASHES: [&str; 7] = [
    "Kernel panic",
    "Oops:",
    " BUG: ",
    "kernel BUG at",
    "general protection fault",
    "soft lockup",
    "self-detected stall",
];
/// QEMU's exit codes when the guest writes 0x10 or 0x11 to isa-debug-exit.
const LEFT_BY_ITSELF: [i32; 2] = [0x21, 0x23];

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// The job is done; its exit code.
    Done(i32),
    /// The guest's kernel crashed: the line that says so.
    Crashed(String),
    /// No word for too long, or no end.
    Stuck(&'static str),
    /// QEMU left without the guest's doing.
    QemuFailed(String),
}

/// What came of a boot.
#[derive(Debug, Clone)]
pub(super) struct Boot {
    /// Did the job begin? If not, no test is to blame.
    pub(super) ready: bool,
    pub(super) ending: Ending,
    /// What the job printed.
    pub(super) output: String,
    /// The kernel's console.
    pub(super) console: String,
}

/// Boots a guest and waits for its end; once more if it did not come as far as its job.
pub(super) fn boot(kernel: &KernelFiles, guest: &Guest, scratch: &Path, machine: &Machine) -> Result<Boot> {
    let first = attempt(kernel, guest, scratch, *machine)?;
    if first.ready {
        return Ok(first);
    }
    println!(
        "INFRASTRUCTURE: the guest did not come up ({:?}); trying once more. Its console:",
        first.ending
    );
    println!("{}", tail(&first.console, 40));
    attempt(kernel, guest, scratch, *machine)
}

/// The last lines of a text.
pub(super) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn attempt(kernel: &KernelFiles, guest: &Guest, scratch: &Path, machine: Machine) -> Result<Boot> {
    let mut console = Follower::new(scratch.join("console.log"))?;
    let mut output = Follower::new(scratch.join("output.log"))?;
    let complaints = scratch.join("qemu.log");
    let mut command = machine.qemu();
    command.arg("-kernel").arg(&kernel.image).arg("-initrd").arg(&guest.initramfs);
    command.args([
        "-append",
        "console=ttyS0 loglevel=4 panic=-1 oops=panic no_timer_check tsc=reliable \
                   mitigations=off random.trust_cpu=on",
    ]);
    for (name, file) in [("console", &console.path), ("output", &output.path)] {
        command.args(["-chardev", &format!("file,id={name},path={}", file.display())]);
        command.args(["-device", &format!("isa-serial,chardev={name}")]);
    }
    command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&complaints)?);
    let mut qemu = Qemu(command.spawn().context("cannot start qemu-system-x86_64")?);

    let started = Instant::now();
    let mut last_word = started;
    let ready_line = format!("{} ready ", guest.nonce);
    let ending = loop {
        let left = qemu.0.try_wait()?;
        if output.read()? {
            last_word = Instant::now();
            output.show_new_lines(&guest.nonce);
        }
        console.read()?;
        if let Some(code) = end_code(&output.text, &guest.nonce) {
            break Ending::Done(code);
        }
        if let Some(line) = crash(&console.text) {
            break Ending::Crashed(line.to_owned());
        }
        if let Some(status) = left {
            break Ending::QemuFailed(describe(status, &complaints));
        }
        let ready = output.text.contains(&ready_line);
        let silence = if ready { SILENCE_LIMIT } else { BOOT_LIMIT };
        if last_word.elapsed() > silence {
            break Ending::Stuck(if ready { "the tests print nothing any more" } else { "it does not boot" });
        }
        if started.elapsed() > TOTAL_LIMIT {
            break Ending::Stuck("the tests take too long");
        }
        thread::sleep(Duration::from_millis(100));
    };
    if let Ending::Crashed(_) = ending {
        // The rest of the crash, for whoever reads it.
        thread::sleep(Duration::from_secs(2));
        console.read()?;
    }
    let ready = output.text.contains(&ready_line);
    Ok(Boot { ready, ending, output: output.text, console: console.text })
}

/// The guest's last line.
fn end_code(output: &str, nonce: &str) -> Option<i32> {
    let last = output.lines().rev().find_map(|line| line.strip_prefix(nonce)?.strip_prefix(" end "))?;
    // The line may still be on its way.
    if output.ends_with('\n') { last.trim().parse().ok() } else { None }
}

fn crash(console: &str) -> Option<&str> {
    console.lines().find(|line| CRASHES.iter().any(|words| line.contains(words)))
}

fn describe(status: ExitStatus, complaints: &Path) -> String {
    let said = fs::read_to_string(complaints).unwrap_or_default();
    match status.code() {
        Some(code) if LEFT_BY_ITSELF.contains(&code) => "the guest left without its last line".into(),
        Some(0) => "the guest switched itself off or rebooted".into(),
        _ => format!("QEMU: {status}: {}", said.trim()),
    }
}

/// A running QEMU; killed when dropped.
struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A file that grows.
struct Follower {
    path: PathBuf,
    file: File,
    text: String,
    /// Bytes that are not a whole character yet.
    rest: Vec<u8>,
    shown: usize,
}

impl Follower {
    fn new(path: PathBuf) -> Result<Follower> {
        fs::write(&path, "").with_context(|| format!("cannot create {}", path.display()))?;
        let file = File::open(&path)?;
        Ok(Follower { path, file, text: String::new(), rest: Vec::new(), shown: 0 })
    }

    /// Reads what has come; was there anything?
    fn read(&mut self) -> Result<bool> {
        let at = self.file.stream_position()?;
        self.file.seek(SeekFrom::Start(at))?;
        let count = self.file.read_to_end(&mut self.rest)?;
        let whole = match std::str::from_utf8(&self.rest) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.rest.len(),
        };
        let text: Vec<u8> = self.rest.drain(..whole).collect();
        self.text += &String::from_utf8_lossy(&text).replace('\r', "");
        Ok(count > 0)
    }

    /// Prints whole lines that were not printed yet, except those for us.
    fn show_new_lines(&mut self, nonce: &str) {
        while let Some(end) = self.text[self.shown..].find('\n') {
            let line = &self.text[self.shown..self.shown + end];
            if !line.starts_with(nonce) {
                println!("    {line}");
            }
            self.shown += end + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_last_line_ends_a_run() {
        assert_eq!(end_code("x\n@vm-1 end 0\n", "@vm-1"), Some(0));
        assert_eq!(end_code("@vm-1 end 10", "@vm-1"), None);
        assert_eq!(end_code("@vm-2 end 0\n", "@vm-1"), None);
        assert_eq!(end_code("", "@vm-1"), None);
    }

    #[test]
    fn crashes_are_seen_on_the_console() {
        assert_eq!(
            crash("[1.0] fine\n[2.0] Kernel panic - not syncing: x\n"),
            Some("[2.0] Kernel panic - not syncing: x")
        );
        assert_eq!(crash("[1.0] DEBUG: fine\n"), None);
    }

    #[test]
    fn a_growing_file_is_read_in_whole_characters() {
        let dir = tempfile::tempdir().unwrap();
        let mut follower = Follower::new(dir.path().join("log")).unwrap();
        assert!(!follower.read().unwrap());
        fs::write(&follower.path, [b'a', 0xc3]).unwrap();
        assert!(follower.read().unwrap());
        assert_eq!(follower.text, "a");
        fs::write(&follower.path, [b'a', 0xc3, 0xa4, b'\r', b'\n']).unwrap();
        follower.read().unwrap();
        assert_eq!(follower.text, "aä\n");
    }

    #[test]
    fn the_tail_is_no_longer_than_the_text() {
        assert_eq!(tail("a\nb\nc", 2), "b\nc");
        assert_eq!(tail("a", 5), "a");
    }
}
