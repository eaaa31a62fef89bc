//! Which connection, and whose.

use std::{fmt, net::IpAddr, sync::Arc};

#[cfg(test)]
use proptest::prelude::{BoxedStrategy, Strategy, any};
use serde::Deserializer;

use super::json::{Reading, Value, Writing, ZeroIsNull, names, object};

/// Stable as long as the socket exists: its cookie (as `ss -e` shows it), or tcpretrans's own number on kernels that
/// give none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct FlowId(pub u64);

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// Hexadecimal, as `ss -e` shows a socket's cookie.
impl Value for FlowId {
    fn write(&self, out: &mut Writing<'_>) {
        use std::io::Write;
        // Cannot fail: memory takes everything.
        let _ = write!(out.line, "\"{self}\"");
    }

    fn read<'de, D: Deserializer<'de>>(value: D, line: &Reading) -> Result<Self, D::Error> {
        line.text(value, |text| u64::from_str_radix(text, 16).ok().map(FlowId))
    }

    #[cfg(test)]
    fn any() -> BoxedStrategy<Self> {
        any::<u64>().prop_map(FlowId).boxed()
    }
}

names! {
    /// Of the addresses.
    pub enum Family {
        /// `AF_INET`, and IPv4-mapped IPv6 addresses.
        Ipv4 = "ipv4",
        /// `AF_INET6`
        Ipv6 = "ipv6",
    }
}

object! {
    /// A connection and its owner. What is unknown is `None`, never a guess.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Flow {
        also family: Family = Flow::family;
        /// Local address; IPv4-mapped IPv6 as IPv4.
        pub laddr: IpAddr = [10, 0, 0, 1].into(),
        /// Local port.
        pub lport: u16 = 40_000,
        /// Remote address.
        pub raddr: IpAddr = [10, 0, 0, 2].into(),
        /// Remote port.
        pub rport: u16 = 9000,
        /// Inode number of its network namespace, as `ls -L /proc/PID/ns/net` shows it.
        pub netns: u32 as ZeroIsNull = 4_026_531_840,
        /// The socket.
        pub id: FlowId = FlowId(0x1a2b),
        /// The owning process.
        pub pid: Option<u32> = Some(1234),
        /// Its name.
        pub comm: Option<Arc<str>> = Some("java".into()),
        /// User id that the socket was created under.
        pub uid: Option<u32> = Some(1000),
        /// Path of the cgroup that the socket was created in.
        pub cgroup: Option<Arc<str>> = Some("/system.slice/x.service".into()),
    }
}

impl Flow {
    /// That of the local address: both ends have the same.
    pub fn family(&self) -> Family {
        if self.laddr.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }
    }
}
