//! May this process trace at all? Asked before anything is loaded, so that the answer names what is missing
//! and what to do, and not the system call that happened to fail.

use std::{fmt, fs, io, path::Path};

use super::btf;

/// Numbers of capabilities (uapi/linux/capability.h).
#[allow(missing_docs, reason = "the names are the kernel's")]
pub(crate) mod capability {
    pub(crate) const SYS_PTRACE: u32 = 19;
    pub(crate) const SYS_ADMIN: u32 = 21;
    pub(crate) const PERFMON: u32 = 38;
    pub(crate) const BPF: u32 = 39;
}

const LOCKDOWN: &str = "/sys/kernel/security/lockdown";

/// What keeps this process from tracing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotTrace {
    /// The kernel was built without BTF, or /sys is not mounted.
    #[error(
        "this kernel has no BTF type information ({} does not exist): tcpretrans needs a kernel built with \
         CONFIG_DEBUG_INFO_BTF=y, which distributions have had since about 2021, and /sys mounted",
        btf::VMLINUX
    )]
    NoBtf,
    /// BTF is there, but not for us.
    #[error("cannot read {path}: {reason}; make it readable, or run tcpretrans as root", path = btf::VMLINUX)]
    UnreadableBtf {
        /// What the system said.
        reason: String,
    },
    /// Lockdown in confidentiality mode.
    #[error(
        "the kernel is locked down (confidentiality mode in {LOCKDOWN}) and lets no program read its memory: \
         boot it with lockdown=integrity or without lockdown"
    )]
    Lockdown,
    /// Capabilities in a user namespace are none where BPF is concerned.
    #[error(
        "this process runs in a user namespace, whose root may not load BPF programs: run tcpretrans outside \
         of it (not in a rootless container)"
    )]
    UserNamespace,
    /// Capabilities are missing.
    #[error("no privilege to load BPF programs (missing: {missing}): {remedy}")]
    Privileges {
        /// Their names.
        missing: Missing,
        /// What to do.
        remedy: String,
    },
}

/// Names of missing capabilities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing(pub Vec<&'static str>);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

/// The kernel's lockdown mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lockdown {
    /// Everything is allowed, or the kernel knows no lockdown.
    Off,
    /// The kernel may not be modified; it may be read.
    Integrity,
    /// Nor be read.
    Confidentiality,
}

impl Lockdown {
    /// The name in the kernel's file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "none",
            Self::Integrity => "integrity",
            Self::Confidentiality => "confidentiality",
        }
    }

    /// `none [integrity] confidentiality`: the brackets mark the mode in force.
    fn parse(text: &str) -> Lockdown {
        let marked = text.split_whitespace().find(|word| word.starts_with('['));
        match marked {
            Some("[integrity]") => Self::Integrity,
            Some("[confidentiality]") => Self::Confidentiality,
            _ => Self::Off,
        }
    }
}

/// What decides whether this process may trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Effective capabilities; `None` if /proc does not show them: then the system calls will fail or not.
    pub capabilities: Option<u64>,
    /// Are user ids those of the machine?
    pub initial_user_namespace: bool,
    /// Is it root that lacks a capability? Then sudo is no remedy.
    pub root: bool,
    /// Lockdown.
    pub lockdown: Lockdown,
    /// `None`: BTF can be read.
    pub btf: Option<CannotTrace>,
    /// `kernel.unprivileged_bpf_disabled`; `None` on kernels without BPF or /proc. Tracing needs privileges
    /// whatever it says.
    pub unprivileged_bpf_disabled: Option<u32>,
}

impl Standing {
    /// Of this process.
    pub fn read() -> Standing {
        let read = |path: &str| fs::read_to_string(path).ok();
        let uid_map = read("/proc/self/uid_map");
        Standing {
            capabilities: read("/proc/self/status").and_then(|status| effective_capabilities(&status)),
            initial_user_namespace: uid_map.is_none_or(|map| is_identity_map(&map)),
            root: nix::unistd::geteuid().is_root(),
            lockdown: read(LOCKDOWN).map_or(Lockdown::Off, |text| Lockdown::parse(&text)),
            btf: btf_trouble(Path::new(btf::VMLINUX)),
            unprivileged_bpf_disabled: read("/proc/sys/kernel/unprivileged_bpf_disabled")
                .and_then(|text| text.trim().parse().ok()),
        }
    }

    /// Is the capability effective? `None`: not known.
    pub fn has(&self, capability: u32) -> Option<bool> {
        self.capabilities.map(|set| set & (1 << capability) != 0)
    }

    /// The capabilities that tracing needs and this process lacks. CAP_SYS_ADMIN stands for both, as it did
    /// before 5.8 (`bpf_capable`, `perfmon_capable`).
    pub fn missing_capabilities(&self) -> Vec<&'static str> {
        if self.has(capability::SYS_ADMIN) != Some(false) {
            return Vec::new();
        }
        [(capability::BPF, "CAP_BPF"), (capability::PERFMON, "CAP_PERFMON")]
            .into_iter()
            .filter(|&(capability, _)| self.has(capability) == Some(false))
            .map(|(_, name)| name)
            .collect()
    }

    /// Everything that stands in the way; what root cannot change first.
    pub fn obstacles(&self) -> Vec<CannotTrace> {
        let mut obstacles: Vec<CannotTrace> = self.btf.iter().cloned().collect();
        if self.lockdown == Lockdown::Confidentiality {
            obstacles.push(CannotTrace::Lockdown);
        }
        if !self.initial_user_namespace {
            obstacles.push(CannotTrace::UserNamespace);
        }
        let missing = self.missing_capabilities();
        if !missing.is_empty() {
            let remedy = if self.root { container_remedy(&missing) } else { user_remedy() };
            obstacles.push(CannotTrace::Privileges { missing: Missing(missing), remedy });
        }
        obstacles
    }
}

/// Can this process trace?
///
/// # Errors
/// [`CannotTrace`] names the first obstacle and its remedy.
pub(crate) fn check() -> Result<(), CannotTrace> {
    Standing::read().obstacles().into_iter().next().map_or(Ok(()), Err)
}

fn user_remedy() -> String {
    let program = std::env::current_exe()
        .map_or_else(|_| "$(command -v tcpretrans)".to_owned(), |path| path.display().to_string());
    format!(
        "run it as root (sudo), or grant the capabilities once with: sudo setcap cap_bpf,cap_perfmon=ep {program}"
    )
}

fn container_remedy(missing: &[&str]) -> String {
    let options: Vec<String> = missing
        .iter()
        .map(|name| format!("--cap-add {}", name.strip_prefix("CAP_").unwrap_or(name)))
        .collect();
    format!("root does not have them here; start the container or service with them ({})", options.join(" "))
}

fn effective_capabilities(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// The initial user namespace maps every id to itself.
fn is_identity_map(uid_map: &str) -> bool {
    uid_map.split_whitespace().eq(["0", "0", "4294967295"])
}

fn btf_trouble(path: &Path) -> Option<CannotTrace> {
    match fs::File::open(path) {
        Ok(_) => None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(CannotTrace::NoBtf),
        Err(error) => Some(CannotTrace::UnreadableBtf { reason: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn able() -> Standing {
        Standing {
            capabilities: Some(1 << capability::BPF | 1 << capability::PERFMON),
            initial_user_namespace: true,
            root: false,
            lockdown: Lockdown::Off,
            btf: None,
            unprivileged_bpf_disabled: Some(2),
        }
    }

    fn first(standing: &Standing) -> String {
        standing.obstacles().first().expect("an obstacle").to_string()
    }

    #[test]
    fn two_capabilities_or_the_old_one_are_enough() {
        assert_eq!(able().obstacles(), []);
        let old = Standing { capabilities: Some(1 << capability::SYS_ADMIN), ..able() };
        assert_eq!(old.obstacles(), []);
        let unknown = Standing { capabilities: None, ..able() };
        assert_eq!(unknown.obstacles(), [], "the system calls will tell");
    }

    #[test]
    fn names_the_missing_capability_and_the_remedy() {
        let message = first(&Standing { capabilities: Some(1 << capability::BPF), ..able() });
        assert!(
            message.starts_with("no privilege to load BPF programs (missing: CAP_PERFMON): "),
            "{message}"
        );
        assert!(message.contains("sudo setcap cap_bpf,cap_perfmon=ep /"), "{message}");

        let perfmon_alone = Standing { capabilities: Some(1 << capability::PERFMON), ..able() };
        assert_eq!(perfmon_alone.missing_capabilities(), ["CAP_BPF"]);

        let message = first(&Standing { capabilities: Some(0), root: true, ..able() });
        assert!(message.contains("(missing: CAP_BPF, CAP_PERFMON)"), "{message}");
        assert!(message.ends_with("(--cap-add BPF --cap-add PERFMON)"), "{message}");
    }

    #[test]
    fn what_root_cannot_change_comes_first() {
        let standing = Standing {
            capabilities: Some(0),
            initial_user_namespace: false,
            lockdown: Lockdown::Confidentiality,
            btf: Some(CannotTrace::NoBtf),
            ..able()
        };
        let all = standing.obstacles();
        assert_eq!(all[..3], [CannotTrace::NoBtf, CannotTrace::Lockdown, CannotTrace::UserNamespace]);
        assert!(matches!(all[3], CannotTrace::Privileges { .. }));
        assert!(all[0].to_string().contains("CONFIG_DEBUG_INFO_BTF=y"));
        assert!(all[1].to_string().contains("lockdown=integrity"));
    }

    #[test]
    fn reads_lockdown_and_capabilities() {
        assert_eq!(Lockdown::parse("[none] integrity confidentiality\n"), Lockdown::Off);
        assert_eq!(Lockdown::parse("none [integrity] confidentiality\n"), Lockdown::Integrity);
        assert_eq!(Lockdown::parse("none integrity [confidentiality]\n"), Lockdown::Confidentiality);
        assert_eq!(Lockdown::parse(""), Lockdown::Off);
        assert_eq!(effective_capabilities("Name:\tx\nCapEff:\t000001fffeffffff\n"), Some(0x1ff_feff_ffff));
        assert_eq!(effective_capabilities("Name:\tx\n"), None);
        assert!(is_identity_map("         0          0 4294967295\n"));
        assert!(!is_identity_map("         0       1000          1\n"));
    }

    #[test]
    fn missing_btf_is_told_from_unreadable_btf() {
        assert_eq!(btf_trouble(Path::new("/nonexistent/btf")), Some(CannotTrace::NoBtf));
        assert!(matches!(
            btf_trouble(Path::new("/proc/self/status/btf")),
            Some(CannotTrace::UnreadableBtf { .. })
        ));
    }
}
