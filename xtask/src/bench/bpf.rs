//! What measuring asks of bpf(2): the kernel's statistics, other processes' programs, and a program that does nothing.

use std::{
    collections::BTreeMap,
    ffi::CString,
    fs, io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    time::Duration,
};

use anyhow::{Context, Result};
use aya::{
    programs::{ProgramInfo, loaded_programs},
    sys::{Stats, enable_stats},
};
use aya_obj::generated::{bpf_attr, bpf_cmd, bpf_prog_type};

/// The kernel takes the time of every program run while this lives.
#[derive(Debug)]
pub(super) struct Statistics {
    _enabled: OwnedFd,
}

impl Statistics {
    /// Switches it on.
    pub(super) fn enable() -> Result<Statistics> {
        let enabled = enable_stats(Stats::RunTime)
            .context("cannot have the kernel time its BPF programs (BPF_ENABLE_STATS, Linux 5.8, root)")?;
        Ok(Statistics { _enabled: enabled })
    }
}

/// What one program has used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct RunTime {
    /// Time of all its runs.
    pub(super) time: Duration,
    /// Its runs.
    pub(super) runs: u64,
}

impl RunTime {
    /// Since an earlier look.
    pub(super) fn since(self, earlier: RunTime) -> RunTime {
        RunTime { time: self.time.saturating_sub(earlier.time), runs: self.runs.saturating_sub(earlier.runs) }
    }

    /// For each run, ns; `None`: it did not run.
    pub(super) fn mean_ns(self) -> Option<f64> {
        (self.runs > 0).then(|| self.time.as_nanos() as f64 / self.runs as f64)
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

impl Program {
    fn of(info: &ProgramInfo) -> Program {
        Program {
            name: String::from_utf8_lossy(info.name()).into_owned(),
            used: RunTime { time: info.run_time(), runs: info.run_count() },
        }
    }
}

/// The programs that a process holds, by id.
pub(super) fn programs_of(pid: u32) -> Result<BTreeMap<u32, Program>> {
    let held: Vec<u32> = fs::read_dir(format!("/proc/{pid}/fdinfo"))
        .context("the process is gone")?
        // Descriptors come and go.
        .filter_map(|entry| program_id(&fs::read_to_string(entry.ok()?.path()).ok()?))
        .collect();
    // So do programs.
    let all = loaded_programs().flatten();
    Ok(all.filter(|info| held.contains(&info.id())).map(|info| (info.id(), Program::of(&info))).collect())
}

fn program_id(fdinfo: &str) -> Option<u32> {
    fdinfo.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok())
}

/// A program that does nothing, on a tracepoint. What the kernel says that it takes is what the taking of the time
/// itself costs: the floor of all such figures.
#[derive(Debug)]
pub(super) struct EmptyProgram {
    id: u32,
    _program: OwnedFd,
    _link: OwnedFd,
}

impl EmptyProgram {
    /// Attaches one to a tracepoint, in the way that the tracer's own are run.
    pub(super) fn attach(tracepoint: &str) -> Result<EmptyProgram> {
        // r0 = 0; exit
        let instructions: [u64; 2] = [0xb7, 0x95];
        let license = c"GPL";
        let name = CString::new(tracepoint)?;
        let mut load = no_attributes();
        load.__bindgen_anon_3.prog_type = bpf_prog_type::BPF_PROG_TYPE_RAW_TRACEPOINT as u32;
        load.__bindgen_anon_3.insn_cnt = instructions.len() as u32;
        load.__bindgen_anon_3.insns = instructions.as_ptr() as u64;
        load.__bindgen_anon_3.license = license.as_ptr() as u64;
        // SAFETY: code and licence live until it is done.
        let program = unsafe { bpf(bpf_cmd::BPF_PROG_LOAD, &load) }.context("cannot load a BPF program")?;
        let mut open = no_attributes();
        open.raw_tracepoint.name = name.as_ptr() as u64;
        open.raw_tracepoint.prog_fd = program.as_raw_fd() as u32;
        // SAFETY: the name lives until it is done.
        let link = unsafe { bpf(bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &open) }
            .with_context(|| format!("cannot attach a BPF program to the tracepoint {tracepoint}"))?;
        let fdinfo = fs::read_to_string(format!("/proc/self/fdinfo/{}", program.as_raw_fd()))?;
        let id = program_id(&fdinfo).context("the kernel names no id of a BPF program")?;
        Ok(EmptyProgram { id, _program: program, _link: link })
    }

    /// What it has used.
    pub(super) fn used(&self) -> Result<RunTime> {
        let info = loaded_programs().flatten().find(|info| info.id() == self.id);
        Ok(Program::of(&info.context("the kernel does not know our BPF program")?).used)
    }
}

fn no_attributes() -> bpf_attr {
    // SAFETY: a union of structures of integers.
    unsafe { std::mem::zeroed() }
}

/// A command that gives a new descriptor. aya loads programs from object files only.
///
/// # Safety
/// What the attributes point to must be as the command wants it.
unsafe fn bpf(command: bpf_cmd, attributes: &bpf_attr) -> io::Result<OwnedFd> {
    // SAFETY: the attributes live through the call, and the caller vouches for the rest.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, command as u32, &raw const *attributes, size_of::<bpf_attr>())
    };
    match result {
        // SAFETY: nobody else owns the new descriptor.
        0.. => Ok(unsafe { OwnedFd::from_raw_fd(result as i32) }),
        _ => Err(io::Error::last_os_error()),
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
        std::thread::sleep(Duration::from_millis(50));
        let used = program.used().unwrap();
        assert!(used.runs > 0);
        assert!(used.mean_ns().unwrap() < 20_000.0, "{used:?}");
        let id = programs_of(std::process::id()).unwrap();
        assert!(id.values().any(|program| program.used.runs >= used.runs), "{id:?}");
    }

    #[test]
    fn a_mean_is_of_the_span() {
        let of = |ns, runs| RunTime { time: Duration::from_nanos(ns), runs };
        let (early, late) = (of(100, 2), of(700, 5));
        assert_eq!(late.since(early).mean_ns(), Some(200.0));
        assert_eq!(early.since(early).mean_ns(), None);
    }
}
