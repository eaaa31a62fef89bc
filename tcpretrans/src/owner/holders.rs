//! Which process holds which socket: `/proc/PID/fd` has links named `socket:[INODE]`.

use std::{collections::HashMap, fs, sync::Arc};

/// A process that holds a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    /// Its thread group id.
    pub pid: u32,
    /// Its name.
    pub comm: Option<Arc<str>>,
}

/// The result of one search. There may be a hundred thousand sockets: the names are kept by process.
#[derive(Debug, Clone, Default)]
pub(super) struct Holders {
    /// PIDs by inode.
    pids: HashMap<u64, u32>,
    names: HashMap<u32, Option<Arc<str>>>,
}

impl Holders {
    /// Searches all processes. A process that goes away meanwhile, or that may not be looked into, holds nothing.
    ///
    /// A socket that several hold (after fork) counts as the lowest PID's.
    pub(super) fn search() -> Holders {
        let mut pids: Vec<u32> = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        pids.sort_unstable();
        let mut holders = Holders::default();
        for pid in pids {
            for descriptor in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
                let Ok(target) = fs::read_link(descriptor.path()) else { continue };
                let Some(inode) = target.to_str().and_then(socket_inode) else { continue };
                holders.pids.entry(inode).or_insert(pid);
                holders.names.entry(pid).or_insert_with(|| name(pid));
            }
        }
        holders
    }

    /// Who holds this socket.
    pub(super) fn get(&self, inode: u64) -> Option<Holder> {
        let &pid = self.pids.get(&inode)?;
        Some(Holder { pid, comm: self.names.get(&pid).cloned().flatten() })
    }
}

fn socket_inode(target: &str) -> Option<u64> {
    target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn name(pid: u32) -> Option<Arc<str>> {
    let comm = fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(comm.strip_suffix(b"\n").unwrap_or(&comm)).into())
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, os::fd::AsRawFd};

    use super::*;

    #[test]
    fn finds_our_own_socket() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let link = fs::read_link(format!("/proc/self/fd/{}", listener.as_raw_fd())).expect("its link");
        let inode = socket_inode(link.to_str().expect("text")).expect("a socket's link");
        let holder = Holders::search().get(inode).expect("this process");
        assert_eq!(holder.pid, std::process::id());
        assert!(holder.comm.is_some());
        assert_eq!(Holders::search().get(u64::MAX), None);
    }

    #[test]
    fn other_links_are_no_sockets() {
        assert_eq!(socket_inode("socket:[123]"), Some(123));
        for other in ["pipe:[123]", "socket:[x]", "/dev/null", "socket:[1"] {
            assert_eq!(socket_inode(other), None);
        }
    }
}
