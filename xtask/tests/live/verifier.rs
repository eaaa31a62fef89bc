//! How much work the kernel's verifier has with each program: its limit is a million instructions, and how many a
//! program takes differs from kernel to kernel.
//!
//! Only its log tells that on every kernel (`bpf_prog_info.verified_insns` came with 5.16), and aya asks for a log
//! only after a failure. So this test asks in its place: it traces the tracer's system calls.
#![cfg(target_arch = "x86_64")]

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    mem::{MaybeUninit, offset_of},
    os::unix::{fs::FileExt, process::CommandExt},
    process::Stdio,
    ptr,
};

use aya_obj::generated::{bpf_attr, bpf_cmd, bpf_prog_type};
use libc::{c_int, c_void, pid_t, user_regs_struct};
use tcpretrans::internals::{RECOVERY_EXIT, Tracepoint};

use crate::{attempts::VERIFIER, limits::FEATURES, tracer::command};

/// `BPF_COMPLEXITY_LIMIT_INSNS`, `kernel/bpf/verifier.c` since 5.2.
const LIMIT: u64 = 1_000_000;

/// `BPF_LOG_STATS`, `include/linux/bpf_verifier.h`
const LOG_STATS: u32 = 4;
/// `log_size` and `log_buf` follow.
const LOG_LEVEL_AT: u64 = offset_of!(bpf_attr, __bindgen_anon_3.log_level) as u64;
const LOG_BYTES: usize = 4096;

fn ptrace(request: u32, pid: pid_t, data: *mut c_void) -> io::Result<()> {
    // SAFETY: callers hand over what the request wants.
    match unsafe { libc::ptrace(request, pid, ptr::null_mut::<c_void>(), data) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn registers(pid: pid_t) -> user_regs_struct {
    let mut registers = MaybeUninit::<user_regs_struct>::zeroed();
    ptrace(libc::PTRACE_GETREGS, pid, registers.as_mut_ptr().cast()).unwrap();
    // SAFETY: plain integers, and the kernel has filled them.
    unsafe { registers.assume_init() }
}

/// The memory of a stopped process.
struct Memory(File);

impl Memory {
    fn of(pid: pid_t) -> Memory {
        Memory(File::options().read(true).write(true).open(format!("/proc/{pid}/mem")).unwrap())
    }

    fn u32_at(&self, at: u64) -> u32 {
        let mut bytes = [0; 4];
        self.0.read_exact_at(&mut bytes, at).unwrap();
        u32::from_ne_bytes(bytes)
    }
}

/// Is it the load of a program for a tracepoint?
fn is_load(memory: &Memory, registers: &user_regs_struct) -> bool {
    registers.orig_rax == libc::SYS_bpf as u64
        && registers.rdi == bpf_cmd::BPF_PROG_LOAD as u64
        && memory.u32_at(registers.rsi) == bpf_prog_type::BPF_PROG_TYPE_TRACING as u32
}

/// Makes the load ask for a log, far below the caller's stack, and gives its place.
fn ask_for_log(memory: &Memory, registers: &user_regs_struct) -> u64 {
    let log = (registers.rsp - 32 * 1024) & !0xf;
    let request =
        [&LOG_STATS.to_ne_bytes()[..], &(LOG_BYTES as u32).to_ne_bytes(), &log.to_ne_bytes()].concat();
    memory.0.write_all_at(&request, registers.rsi + LOG_LEVEL_AT).unwrap();
    log
}

/// `processed 1234 insns (limit 1000000) ...`
fn processed(log: &str) -> Option<u64> {
    log.split_once("processed ")?.1.split_once(" insns")?.0.parse().ok()
}

/// What the verifier says of each program that `tcpretrans doctor` loads, in their order.
fn count_instructions() -> Vec<u64> {
    let mut command = command(&["doctor"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    // SAFETY: only a system call.
    unsafe {
        command.pre_exec(|| ptrace(libc::PTRACE_TRACEME, 0, ptr::null_mut()));
    }
    #[expect(clippy::zombie_processes, reason = "waitpid() below waits for it, as for its threads")]
    let child = command.spawn().unwrap();
    let main = child.id() as pid_t;
    let mut counts = Vec::new();
    // By thread: is it within a system call, and where is that one's log?
    let mut inside: BTreeMap<pid_t, Option<u64>> = BTreeMap::new();
    let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_EXITKILL;
    let mut is_new = true;
    loop {
        let mut status: c_int = 0;
        // SAFETY: `status` is where it says.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL) };
        assert!(pid > 0, "waitpid: {}", io::Error::last_os_error());
        if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
            if pid == main {
                assert_eq!((libc::WIFEXITED(status), libc::WEXITSTATUS(status)), (true, 0), "doctor");
                return counts;
            }
            continue;
        }
        if is_new {
            ptrace(libc::PTRACE_SETOPTIONS, pid, options as usize as *mut c_void).unwrap();
            is_new = false;
        }
        let signal = libc::WSTOPSIG(status);
        if signal == libc::SIGTRAP | 0x80 {
            let (memory, registers) = (Memory::of(pid), registers(pid));
            match inside.remove(&pid) {
                None => {
                    let log = is_load(&memory, &registers).then(|| ask_for_log(&memory, &registers));
                    inside.insert(pid, log);
                }
                Some(Some(log)) if (registers.rax as i64) >= 0 => {
                    let mut bytes = [0; LOG_BYTES];
                    memory.0.read_exact_at(&mut bytes, log).unwrap();
                    let text = String::from_utf8_lossy(&bytes);
                    counts.push(processed(&text).unwrap_or_else(|| panic!("the log has no count: {text}")));
                }
                Some(_) => {}
            }
        }
        // Stops of ptrace's own are no signals for the process.
        let forward = matches!(signal, libc::SIGTRAP | libc::SIGSTOP) || signal & 0x80 != 0;
        let signal = if forward { 0 } else { signal };
        // A thread that was killed meanwhile is gone.
        let _ = ptrace(libc::PTRACE_SYSCALL, pid, signal as usize as *mut c_void);
    }
}

#[test]
fn the_verifiers_work_stays_far_below_its_limit() {
    require_lab!();
    let mut names: Vec<&str> =
        Tracepoint::all().map(|tracepoint| tracepoint.name).filter(|name| FEATURES.has(name)).collect();
    if FEATURES.seed {
        names.push("tcp_seed");
    }
    if FEATURES.recovery_exit {
        names.push(RECOVERY_EXIT);
    }
    let counts = count_instructions();
    assert_eq!(counts.len(), names.len(), "{names:?}: {counts:?}");
    for (name, count) in names.iter().zip(&counts) {
        eprintln!("{VERIFIER}{name}: {count} instructions");
    }
    let most = counts.into_iter().max().unwrap();
    assert!(most < LIMIT / 20, "{most} of {LIMIT}");
}
