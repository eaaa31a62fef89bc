//! Whose socket is it? What the programs remembered of the opener, or else who holds the socket's file now.
//!
//! At a retransmission the current task is whatever the interrupt hit, so it is never asked.

mod holders;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use holders::{Holder, Holders};
use tcpretrans_ebpf::Record;

use crate::{flow::Owner, kernel::cgroup::Cgroups};

/// The least time between two searches through /proc.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
/// A search may take this share of the time at most: one that takes 50 ms is followed by a pause of a second.
const SHARE: u32 = 20;
/// Names that are kept, to share one allocation among a process's sockets.
const MAX_NAMES: usize = 4096;

/// Finds owners, with caches.
#[derive(Debug)]
pub struct Owners {
    cgroups: Cgroups,
    holders: Holders,
    names: HashMap<[u8; 16], Arc<str>>,
    /// Inodes that the last searches did not find.
    not_found: HashMap<u64, Instant>,
    next_search: Instant,
}

impl Owners {
    /// Nothing is known yet; the first search waits for the first need.
    pub fn new(cgroups: Cgroups) -> Owners {
        Owners {
            cgroups,
            holders: Holders::default(),
            names: HashMap::new(),
            not_found: HashMap::new(),
            next_search: Instant::now(),
        }
    }

    /// The owner of a record's socket, as far as it can be known now. That may take a search through /proc: a tenth of a
    /// second where processes hold very many files.
    pub fn of(&mut self, record: &Record) -> Owner {
        let cgroup = self.cgroups.path(record.cgroup_id);
        if record.owner_tgid != 0 {
            let comm = self.name(record.owner_comm);
            return Owner { pid: Some(record.owner_tgid), comm, cgroup };
        }
        match self.holder(record.inode) {
            Some(Holder { pid, comm }) => Owner { pid: Some(pid), comm, cgroup },
            None => Owner { pid: None, comm: None, cgroup },
        }
    }

    fn name(&mut self, comm: [u8; 16]) -> Option<Arc<str>> {
        if comm == [0; 16] {
            return None;
        }
        if self.names.len() >= MAX_NAMES {
            self.names.clear();
        }
        let name = self.names.entry(comm).or_insert_with(|| {
            let end = comm.iter().position(|&byte| byte == 0).unwrap_or(comm.len());
            String::from_utf8_lossy(&comm[..end]).into()
        });
        Some(name.clone())
    }

    fn holder(&mut self, inode: u64) -> Option<Holder> {
        // 0: orphaned, or not accepted yet. Nobody holds it.
        if inode == 0 {
            return None;
        }
        if let Some(holder) = self.holders.get(inode) {
            return Some(holder);
        }
        let now = Instant::now();
        if self.not_found.get(&inode).is_some_and(|&until| now < until) || now < self.next_search {
            return None;
        }
        self.holders = Holders::search();
        let took = now.elapsed();
        self.next_search = now + LEAST_PAUSE.max(took * SHARE);
        let found = self.holders.get(inode);
        if found.is_none() {
            self.not_found.retain(|_, until| *until > now);
            self.not_found.insert(inode, now + Duration::from_secs(10));
        }
        found
    }
}
