//! The filters that the kernel decides, so that what was not asked for never reaches the ring.

/// Load-time settings of the programs: frozen read-only data, so that whatever is off costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FilterSettings {
    /// Which filters are on: the constants below, or-ed.
    pub active: u32,
    /// Depth of the wanted cgroup in its hierarchy (`struct cgroup.level`), with [`FilterSettings::CGROUP`].
    pub cgroup_level: u32,
    /// Id of the wanted cgroup: its own sockets and those of its descendants pass.
    pub cgroup_id: u64,
}

impl FilterSettings {
    /// `PORT_SETS[EITHER]` restricts: one of the two ports must be in it.
    pub const PORT_EITHER: u32 = 1;
    /// `PORT_SETS[LOCAL]` restricts the local port.
    pub const PORT_LOCAL: u32 = 2;
    /// `PORT_SETS[REMOTE]` restricts the remote port.
    pub const PORT_REMOTE: u32 = 4;
    /// `ADDRESSES` restricts: one of the two addresses must carry [`address::EITHER`].
    pub const ADDR_EITHER: u32 = 8;
    /// The local address must carry [`address::LOCAL`].
    pub const ADDR_LOCAL: u32 = 16;
    /// The remote address must carry [`address::REMOTE`].
    pub const ADDR_REMOTE: u32 = 32;
    /// Only IPv4, IPv4-mapped IPv6 included.
    pub const ONLY_IPV4: u32 = 64;
    /// Only IPv6 proper.
    pub const ONLY_IPV6: u32 = 128;
    /// `NETNS` lists the wanted network namespaces.
    pub const NETNS: u32 = 256;
    /// `cgroup_id` and `cgroup_level` restrict.
    pub const CGROUP: u32 = 512;
    /// Any address filter at all.
    pub const ANY_ADDR: u32 = Self::ADDR_EITHER | Self::ADDR_LOCAL | Self::ADDR_REMOTE;
}

/// One port set: a bit for each port.
pub type PortSet = [u64; 1024];

/// Indices into the `PORT_SETS` map.
pub mod port_set {
    /// Either end.
    pub const EITHER: u32 = 0;
    /// The local port.
    pub const LOCAL: u32 = 1;
    /// The remote port.
    pub const REMOTE: u32 = 2;
    /// How many sets there are.
    pub const COUNT: u32 = 3;
}

/// Values in the `ADDRESSES` prefix map: which ends a prefix was asked for.
pub mod address {
    /// `--addr`
    pub const EITHER: u32 = 1;
    /// `--laddr`
    pub const LOCAL: u32 = 2;
    /// `--raddr`
    pub const REMOTE: u32 = 4;
}

/// How many prefixes the address filters take together.
pub const MAX_PREFIXES: u32 = 1024;
/// How many network namespaces `--netns` takes.
pub const MAX_NETNS: u32 = 256;
