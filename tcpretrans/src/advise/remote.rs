//! The far end of a flow, as far as routes are concerned.

use std::net::IpAddr;

use crate::{event::Flow, filter::prefix::Prefix};

/// A remote address, as seen from a network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Remote {
    /// The address.
    pub address: IpAddr,
    /// Inode number of the network namespace whose routes lead there.
    pub netns: u32,
}

impl Remote {
    /// Of a flow.
    pub(super) fn of(flow: &Flow) -> Remote {
        Remote { address: flow.raddr, netns: flow.netns }
    }

    /// The prefix around it: at `level` 0 a network of the usual size, at higher levels one that holds 256 (IPv4) or
    /// 65,536 of those below. `None`: beyond the last level.
    pub(super) fn prefix(&self, level: usize) -> Option<Prefix> {
        let bits = match self.address {
            IpAddr::V4(_) => [24, 16, 8],
            IpAddr::V6(_) => [64, 48, 32],
        };
        Some(Prefix::around(self.address, *bits.get(level)?))
    }
}
