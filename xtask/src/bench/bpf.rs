//! The little of bpf(2) that measuring needs: the kernel's statistics, other processes' programs, and a program that
//! does nothing.

use std::{
    collections::BTreeMap,
    ffi::CString,
    fs, io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use anyhow::{Context, Result};

/// Commands (`enum bpf_cmd`).
const PROG_LOAD: i32 = 5;
const PROG_GET_FD_BY_ID: i32 = 13;
const OBJ_GET_INFO_BY_FD: i32 = 15;
const RAW_TRACEPOINT_OPEN: i32 = 17;
const ENABLE_STATS: i32 = 32;

const PROG_TYPE_RAW_TRACEPOINT: u32 = 17;
/// Room of `union bpf_attr`, as far as it is used here; the rest must be zero.
const ATTR: usize = 128;

#[repr(C, align(8))]
struct Attr([u8; ATTR]);

impl Attr {
    fn new() -> Attr {
        Attr([0; ATTR])
    }

    fn u32(mut self, at: usize, value: u32) -> Attr {
        self.0[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        self
    }

    fn pointer<T: ?Sized>(mut self, at: usize, value: *const T) -> Attr {
        self.0[at..at + 8].copy_from_slice(&(value.cast::<u8>() as u64).to_ne_bytes());
        self
    }

    fn call(&self, command: i32) -> io::Result<i32> {
        // SAFETY: the attributes live through the call, and so does what they point to, by the callers below.
        let result = unsafe { libc::syscall(libc::SYS_bpf, command, self.0.as_ptr(), ATTR) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
    }

    fn open(&self, command: i32) -> io::Result<OwnedFd> {
        // SAFETY: these commands give a new descriptor, which nobody else owns.
        self.call(command).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

/// The kernel takes the time of every program run while this lives.
#[derive(Debug)]
pub(super) struct Statistics {
    _enabled: OwnedFd,
}

impl Statistics {
    /// Switches it on.
    pub(super) fn enable() -> Result<Statistics> {
        // BPF_STATS_RUN_TIME is 0.
        let enabled = Attr::new()
            .open(ENABLE_STATS)
            .context("cannot have the kernel time its BPF programs (BPF_ENABLE_STATS, Linux 5.8, root)")?;
        Ok(Statistics { _enabled: enabled })
    }
}

/// What one program has used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct RunTime {
    /// Time of all its runs, ns.
    pub(super) ns: u64,
    /// Its runs.
    pub(super) runs: u64,
}

impl RunTime {
    /// Since an earlier look.
    pub(super) fn since(self, earlier: RunTime) -> RunTime {
        RunTime { ns: self.ns.saturating_sub(earlier.ns), runs: self.runs.saturating_sub(earlier.runs) }
    }

    /// For each run, ns; `None`: it did not run.
    pub(super) fn mean_ns(self) -> Option<f64> {
        (self.runs > 0).then(|| self.ns as f64 / self.runs as f64)
    }
}

/// A program that some process has.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Program {
    /// As the kernel keeps it: 15 characters.
    pub(super) name: String,
    /// What it has used.
    pub(super) used: RunTime,
}

/// The programs that a process holds, by id.
pub(super) fn programs_of(pid: u32) -> Result<BTreeMap<u32, Program>> {
    let mut programs = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo")).context("the process is gone")? {
        // Descriptors come and go.
        let Ok(text) = fs::read_to_string(entry?.path()) else { continue };
        let id = text.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok());
        if let Some(id) = id
            && !programs.contains_key(&id)
            && let Ok(fd) = Attr::new().u32(0, id).open(PROG_GET_FD_BY_ID)
        {
            programs.insert(id, of_descriptor(&fd)?);
        }
    }
    Ok(programs)
}

/// Offsets within `struct bpf_prog_info`.
const INFO_NAME: usize = 64;
const INFO_NAME_LEN: usize = 16;
const INFO_RUN_TIME: usize = 192;
const INFO_RUN_COUNT: usize = 200;
const INFO_LEN: usize = 208;

fn of_descriptor(program: &OwnedFd) -> Result<Program> {
    let mut info = [0_u64; INFO_LEN / 8];
    Attr::new()
        .u32(0, program.as_raw_fd() as u32)
        .u32(4, INFO_LEN as u32)
        .pointer(8, info.as_mut_ptr())
        .call(OBJ_GET_INFO_BY_FD)
        .context("cannot ask the kernel about a BPF program")?;
    let bytes: Vec<u8> = info.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let name = &bytes[INFO_NAME..INFO_NAME + INFO_NAME_LEN];
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(INFO_NAME_LEN);
    Ok(Program {
        name: String::from_utf8_lossy(&name[..end]).into_owned(),
        used: RunTime { ns: info[INFO_RUN_TIME / 8], runs: info[INFO_RUN_COUNT / 8] },
    })
}

/// A program that does nothing, on a tracepoint. What the kernel says that it takes is what the taking of the time
/// itself costs: the floor of all such figures.
#[derive(Debug)]
pub(super) struct EmptyProgram {
    program: OwnedFd,
    _link: OwnedFd,
}

impl EmptyProgram {
    /// Attaches one to a tracepoint, in the way that the tracer's own are run.
    pub(super) fn attach(tracepoint: &str) -> Result<EmptyProgram> {
        // r0 = 0; exit
        let instructions: [u64; 2] = [0xb7, 0x95];
        let license = c"GPL";
        let program = Attr::new()
            .u32(0, PROG_TYPE_RAW_TRACEPOINT)
            .u32(4, instructions.len() as u32)
            .pointer(8, instructions.as_ptr())
            .pointer(16, license.as_ptr())
            .open(PROG_LOAD)
            .context("cannot load a BPF program")?;
        let name = CString::new(tracepoint)?;
        let link = Attr::new()
            .pointer(0, name.as_ptr())
            .u32(8, program.as_raw_fd() as u32)
            .open(RAW_TRACEPOINT_OPEN)
            .with_context(|| format!("cannot attach a BPF program to the tracepoint {tracepoint}"))?;
        Ok(EmptyProgram { program, _link: link })
    }

    /// What it has used.
    pub(super) fn used(&self) -> Result<RunTime> {
        Ok(of_descriptor(&self.program)?.used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_program_is_timed() {
        if crate::lab::ready().is_err() {
            return;
        }
        let _statistics = Statistics::enable().unwrap();
        let program = EmptyProgram::attach("sched_switch").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
        let used = program.used().unwrap();
        assert!(used.runs > 0);
        assert!(used.mean_ns().unwrap() < 20_000.0, "{used:?}");
        let id = programs_of(std::process::id()).unwrap();
        assert!(id.values().any(|program| program.used.runs >= used.runs), "{id:?}");
    }

    #[test]
    fn a_mean_is_of_the_span() {
        let early = RunTime { ns: 100, runs: 2 };
        let late = RunTime { ns: 700, runs: 5 };
        assert_eq!(late.since(early).mean_ns(), Some(200.0));
        assert_eq!(early.since(early).mean_ns(), None);
    }
}
