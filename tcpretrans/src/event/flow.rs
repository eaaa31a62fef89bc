//! Which connection, and whose.

use std::{fmt, net::IpAddr, sync::Arc};

/// Stable for the socket's life: its cookie (as `ss -e` shows it), or a number of ours on kernels that give none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct FlowId(pub u64);

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// A connection and its owner. What is unknown is `None`, never a guess.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Local address; IPv4-mapped IPv6 as IPv4.
    pub laddr: IpAddr,
    /// Local port.
    pub lport: u16,
    /// Remote address.
    pub raddr: IpAddr,
    /// Remote port.
    pub rport: u16,
    /// Inode number of its network namespace, as `ls -L /proc/PID/ns/net` shows it.
    pub netns: u32,
    /// The socket.
    pub id: FlowId,
    /// The owning process.
    pub pid: Option<u32>,
    /// Its name.
    pub comm: Option<Arc<str>>,
    /// User id that the socket was created under.
    pub uid: Option<u32>,
    /// Path of the cgroup that the socket was created in.
    pub cgroup: Option<Arc<str>>,
}

impl Flow {
    /// `ipv4` or `ipv6`
    pub fn family(&self) -> &'static str {
        if self.laddr.is_ipv4() { "ipv4" } else { "ipv6" }
    }
}
