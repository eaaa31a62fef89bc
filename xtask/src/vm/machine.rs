//! The virtual machine itself: hardware acceleration where it works, emulation elsewhere.

use std::{env, fmt, fs, fs::OpenOptions, path::Path, process::Command};

/// `kvm` or `tcg`: overrides the choice.
const OVERRIDE: &str = "TCPRETRANS_VM_ACCEL";

/// What runs a guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Machine {
    /// The host's processor.
    Kvm,
    /// QEMU's emulation: five times as slow, twelve times for fork and exec.
    Tcg,
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Machine::Kvm => "KVM",
            Machine::Tcg => "QEMU's emulation (TCG), one CPU",
        })
    }
}

impl Machine {
    pub(super) fn of_this_host() -> Machine {
        match env::var(OVERRIDE).as_deref() {
            Ok("kvm") => Machine::Kvm,
            Ok("tcg") => Machine::Tcg,
            _ if kvm_works() => Machine::Kvm,
            _ => Machine::Tcg,
        }
    }

    /// How many times longer a guest may take than a host: for limits, not for what is expected.
    pub(super) fn slowness(self) -> u32 {
        match self {
            Machine::Kvm => 2,
            Machine::Tcg => 4,
        }
    }

    /// QEMU for this machine, without anything to boot.
    pub(super) fn qemu(self) -> Command {
        let mut command = Command::new("qemu-system-x86_64");
        match self {
            Machine::Kvm => command.args(["-accel", "kvm", "-cpu", "host", "-smp", "2"]),
            // One CPU: with two, attaching programs, which patches the kernel's text, crashes guests now and then.
            // Five-level page tables (la57) only slow the emulation down.
            Machine::Tcg => {
                command.args(["-accel", "tcg,thread=single", "-cpu", "max,la57=off", "-smp", "1"])
            }
        };
        command.args(["-m", "1024", "-nodefaults", "-display", "none", "-no-reboot"]);
        command
    }
}

/// A usable `/dev/kvm`: there are machines where it exists and QEMU hangs or aborts (`kvm_pvm`, a hypervisor for
/// processors whose virtualisation is hidden).
fn kvm_works() -> bool {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    has_virtualisation(&processor)
        && !Path::new("/sys/module/kvm_pvm").exists()
        && OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok()
}

fn has_virtualisation(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().find_map(|line| line.strip_prefix("flags")?.split_once(':'));
    flags.is_some_and(|(_, flags)| flags.split_whitespace().any(|flag| flag == "vmx" || flag == "svm"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtualisation_is_a_processor_flag_of_its_own() {
        assert!(has_virtualisation("processor\t: 0\nflags\t\t: fpu vmx sse\n"));
        assert!(has_virtualisation("flags : svm\n"));
        assert!(!has_virtualisation("flags\t\t: fpu svm_lock sse\nvmx flags\t: x\n"));
        assert!(!has_virtualisation(""));
    }
}
