//! The part of the filters that the kernel decides, in the form that its maps take.

use tcpretrans_ebpf::FilterSettings;

use crate::filter::{ports::PortSet, prefix::Prefix};

/// Filters that run in the kernel. Empty lists restrict nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KernelFilter {
    /// `--port`
    pub ports: Option<PortSet>,
    /// `--lport`
    pub lports: Option<PortSet>,
    /// `--rport`
    pub rports: Option<PortSet>,
    /// `--addr`
    pub addrs: Vec<Prefix>,
    /// `--laddr`
    pub laddrs: Vec<Prefix>,
    /// `--raddr`
    pub raddrs: Vec<Prefix>,
    /// `-4`
    pub only_ipv4: bool,
    /// `-6`
    pub only_ipv6: bool,
    /// `--netns`, as inode numbers.
    pub netns: Vec<u32>,
    /// `--cgroup`, as `(id, level)`.
    pub cgroup: Option<(u64, u32)>,
}

impl KernelFilter {
    /// The load-time settings that switch the filters on.
    pub fn settings(&self) -> FilterSettings {
        let switches = [
            (self.ports.is_some(), FilterSettings::PORT_EITHER),
            (self.lports.is_some(), FilterSettings::PORT_LOCAL),
            (self.rports.is_some(), FilterSettings::PORT_REMOTE),
            (!self.addrs.is_empty(), FilterSettings::ADDR_EITHER),
            (!self.laddrs.is_empty(), FilterSettings::ADDR_LOCAL),
            (!self.raddrs.is_empty(), FilterSettings::ADDR_REMOTE),
            (self.only_ipv4, FilterSettings::ONLY_IPV4),
            (self.only_ipv6, FilterSettings::ONLY_IPV6),
            (!self.netns.is_empty(), FilterSettings::NETNS),
            (self.cgroup.is_some(), FilterSettings::CGROUP),
        ];
        let active = switches.iter().filter(|(on, _)| *on).fold(0, |flags, (_, flag)| flags | flag);
        let (cgroup_id, cgroup_level) = self.cgroup.unwrap_or_default();
        FilterSettings { active, cgroup_level, cgroup_id }
    }
}
