//! Sockets: opening them without waiting, the options that decide how they end, and what the kernel reports of them.

use std::{
    io,
    mem::size_of,
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::{AsFd, AsRawFd},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use libc::{
    IPPROTO_TCP, SO_COOKIE, SO_ERROR, SO_LINGER, SO_RCVBUF, SO_SNDBUF, SOL_SOCKET, TCP_CONGESTION, TCP_INFO,
    TCP_QUEUE_SEQ, TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_SYNCNT, TCP_USER_TIMEOUT, c_int, socklen_t,
};
use nix::sys::{
    socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, socket},
    stat::fstat,
};

use super::Family;

/// Options of `setsockopt`, on everything that is a socket.
pub trait Options: AsFd + Sized {
    /// How long sent data may stay unacknowledged (`TCP_USER_TIMEOUT`).
    ///
    /// # Errors
    /// Names the option.
    fn user_timeout(self, time: Duration) -> Result<Self> {
        set(&self, IPPROTO_TCP, TCP_USER_TIMEOUT, time.as_millis() as c_int).context("TCP_USER_TIMEOUT")?;
        Ok(self)
    }

    /// How many SYNs may be repeated (`TCP_SYNCNT`).
    ///
    /// # Errors
    /// Names the option.
    fn syn_count(self, count: c_int) -> Result<Self> {
        set(&self, IPPROTO_TCP, TCP_SYNCNT, count).context("TCP_SYNCNT")?;
        Ok(self)
    }

    /// What close() does: with zero it resets (`SO_LINGER`).
    ///
    /// # Errors
    /// Names the option.
    fn linger(self, seconds: c_int) -> Result<Self> {
        let linger = libc::linger { l_onoff: 1, l_linger: seconds };
        set(&self, SOL_SOCKET, SO_LINGER, linger).context("SO_LINGER")?;
        Ok(self)
    }

    /// Buffers, in bytes; they bound what is in flight. The kernel doubles the number.
    ///
    /// # Errors
    /// Names the option.
    fn buffers(self, bytes: c_int) -> Result<Self> {
        set(&self, SOL_SOCKET, SO_SNDBUF, bytes).context("SO_SNDBUF")?;
        set(&self, SOL_SOCKET, SO_RCVBUF, bytes).context("SO_RCVBUF")?;
        Ok(self)
    }

    /// Keepalive: first probe after `idle` seconds, then one a second, `probes` in all.
    ///
    /// # Errors
    /// Names the option.
    fn keepalive(self, idle: c_int, probes: c_int) -> Result<Self> {
        set(&self, IPPROTO_TCP, libc::TCP_KEEPIDLE, idle).context("TCP_KEEPIDLE")?;
        set(&self, IPPROTO_TCP, libc::TCP_KEEPINTVL, 1 as c_int).context("TCP_KEEPINTVL")?;
        set(&self, IPPROTO_TCP, libc::TCP_KEEPCNT, probes).context("TCP_KEEPCNT")?;
        set(&self, SOL_SOCKET, libc::SO_KEEPALIVE, 1 as c_int).context("SO_KEEPALIVE")?;
        Ok(self)
    }

    /// The congestion control's name (`TCP_CONGESTION`).
    ///
    /// # Errors
    /// Names the option.
    fn congestion(self, name: &str) -> Result<Self> {
        set_bytes(&self, IPPROTO_TCP, TCP_CONGESTION, name.as_bytes())
            .with_context(|| format!("TCP_CONGESTION {name}"))?;
        Ok(self)
    }

    /// What `ss -e` shows as `sk:`, in decimal (`SO_COOKIE`).
    ///
    /// # Errors
    /// Names the option.
    fn cookie(&self) -> Result<u64> {
        get(self, SOL_SOCKET, SO_COOKIE).context("SO_COOKIE")
    }

    /// N of `socket:[N]` in `/proc/PID/fd`.
    ///
    /// # Errors
    /// If the descriptor is no good.
    fn inode(&self) -> Result<u64> {
        Ok(fstat(self).context("fstat")?.st_ino)
    }

    /// The pending error, and clears it (`SO_ERROR`).
    ///
    /// # Errors
    /// Names the option.
    fn pending_error(&self) -> Result<Option<i32>> {
        let errno: c_int = get(self, SOL_SOCKET, SO_ERROR).context("SO_ERROR")?;
        Ok((errno != 0).then_some(errno))
    }

    /// What the kernel thinks of the connection (`TCP_INFO`).
    ///
    /// # Errors
    /// Names the option.
    fn info(&self) -> Result<Info> {
        let mut bytes = [0_u8; Info::SIZE];
        get_bytes(self, IPPROTO_TCP, TCP_INFO, &mut bytes).context("TCP_INFO")?;
        Ok(Info::parse(&bytes))
    }

    /// Ends the connection with a RST and keeps the socket: connect() to `AF_UNSPEC`.
    ///
    /// # Errors
    /// Names the call.
    fn disconnect(&self) -> Result<()> {
        let nowhere = libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
        let len = size_of::<libc::sockaddr>() as socklen_t;
        // SAFETY: the address is as long as it says.
        check(unsafe { libc::connect(self.as_fd().as_raw_fd(), &raw const nowhere, len) })
            .context("connect() to AF_UNSPEC")
    }

    /// Makes the kernel believe that the peer has closed its window, whatever is in flight (`TCP_REPAIR_WINDOW`).
    ///
    /// # Errors
    /// Names the option.
    fn close_peers_window(&self) -> Result<()> {
        // libc has it for musl only.
        const TCP_REPAIR_WINDOW: c_int = 29;
        /// `struct tcp_repair_window`: snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup.
        type Windows = [u32; 5];
        set(self, IPPROTO_TCP, TCP_REPAIR, 1 as c_int).context("TCP_REPAIR")?;
        let done = get::<Windows>(self, IPPROTO_TCP, TCP_REPAIR_WINDOW).and_then(|mut windows| {
            windows[1] = 0;
            set(self, IPPROTO_TCP, TCP_REPAIR_WINDOW, windows)
        });
        set(self, IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF_NO_WP).context("TCP_REPAIR off")?;
        done.context("TCP_REPAIR_WINDOW")
    }

    /// The sequence number that the next new byte will have. Asks through `TCP_REPAIR`, on an idle connection.
    ///
    /// # Errors
    /// Names the option.
    fn next_seq(&self) -> Result<u32> {
        const SEND_QUEUE: c_int = 2;
        set(self, IPPROTO_TCP, TCP_REPAIR, 1 as c_int).context("TCP_REPAIR")?;
        let seq = set(self, IPPROTO_TCP, TCP_REPAIR_QUEUE, SEND_QUEUE)
            .and_then(|()| get(self, IPPROTO_TCP, TCP_QUEUE_SEQ));
        set(self, IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF_NO_WP).context("TCP_REPAIR off")?;
        seq.context("TCP_QUEUE_SEQ")
    }
}

/// Leaves repair mode without the window probe that TCP_REPAIR_OFF (0) sends.
const REPAIR_OFF_NO_WP: c_int = -1;

impl Options for TcpStream {}
impl Options for TcpListener {}

fn check(result: c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The value of a socket option: integers and nothing else, so that whatever bytes the kernel writes are a value.
///
/// # Safety
/// Every pattern of bits must be a value, and there may be no padding.
unsafe trait Plain: Copy {}

macro_rules! plain {
    ($($ty:ty),*) => {
        // SAFETY: integers, arrays of them, and a structure of two.
        $(unsafe impl Plain for $ty {})*
    };
}
plain!(u8, c_int, u32, u64, [u32; 5], libc::linger);

fn set<T: Plain>(socket: &impl AsFd, level: c_int, name: c_int, value: T) -> io::Result<()> {
    set_bytes(socket, level, name, &[value])
}

/// `T` is what the option is made of.
fn set_bytes<T: Plain>(socket: &impl AsFd, level: c_int, name: c_int, value: &[T]) -> io::Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    let len = size_of_val(value) as socklen_t;
    // SAFETY: the kernel reads as many bytes as there are.
    check(unsafe { libc::setsockopt(fd, level, name, value.as_ptr().cast(), len) })
}

fn get<T: Plain + Default>(socket: &impl AsFd, level: c_int, name: c_int) -> io::Result<T> {
    let mut value = T::default();
    get_bytes(socket, level, name, std::slice::from_mut(&mut value))?;
    Ok(value)
}

fn get_bytes<T: Plain>(socket: &impl AsFd, level: c_int, name: c_int, value: &mut [T]) -> io::Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    let mut len = size_of_val(value) as socklen_t;
    // SAFETY: the kernel writes no more bytes than there are, and any are a value.
    check(unsafe { libc::getsockopt(fd, level, name, value.as_mut_ptr().cast(), &raw mut len) })
}

/// The socket, after its cookie was asked for: a kernel that does not let tracing programs ask (before 5.12) shows them
/// only cookies that somebody has asked for before.
pub(super) fn named(socket: TcpStream) -> Result<TcpStream> {
    socket.cookie()?;
    Ok(socket)
}

/// A socket that is not connected yet, for options that must be set before.
///
/// # Errors
/// As socket() does.
pub fn unconnected(family: Family) -> Result<TcpStream> {
    let family = match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    };
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).context("socket()")?;
    named(TcpStream::from(fd))
}

/// Starts connect() and does not wait: the socket is in SYN_SENT afterwards, and non-blocking.
///
/// # Errors
/// If the kernel refuses at once.
pub fn start_connect(socket: &TcpStream, to: SocketAddr) -> Result<()> {
    socket.set_nonblocking(true).context("O_NONBLOCK")?;
    match connect(socket.as_fd().as_raw_fd(), &SockaddrStorage::from(to)) {
        Ok(()) | Err(nix::Error::EINPROGRESS) => Ok(()),
        Err(errno) => bail!("connect() to {to}: {errno}"),
    }
}

/// `TCP_ESTABLISHED`
pub const ESTABLISHED: u8 = 1;
/// `TCP_SYN_SENT`
pub const SYN_SENT: u8 = 2;
/// `TCP_CLOSE`
pub const CLOSE: u8 = 7;

/// The part of `struct tcp_info` about retransmissions. Fields that a kernel lacks are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Info {
    /// TCP state.
    pub state: u8,
    /// Congestion state: 0 Open, 3 Recovery, 4 Loss.
    pub ca_state: u8,
    /// RTOs that expired without an answer.
    pub retransmits: u8,
    /// Unanswered probes (zero window, keepalive).
    pub probes: u8,
    /// Exponent of the backoff.
    pub backoff: u8,
    /// The retransmission timeout now, us.
    pub rto_us: u32,
    /// Maximum segment size for sending.
    pub snd_mss: u32,
    /// Segments in flight (`packets_out`).
    pub unacked: u32,
    /// Smoothed round-trip time, us.
    pub rtt_us: u32,
    /// Its mean deviation, us: `mdev_us`, not the RTO's `rttvar_us`.
    pub rtt_mdev_us: u32,
    /// Slow start threshold, segments.
    pub snd_ssthresh: u32,
    /// Congestion window, segments.
    pub snd_cwnd: u32,
    /// Segments retransmitted in its life.
    pub total_retrans: u32,
    /// Bytes of the application that were never sent.
    pub notsent_bytes: u32,
    /// Payload bytes sent, repeats included.
    pub bytes_sent: u64,
    /// Payload bytes retransmitted.
    pub bytes_retrans: u64,
    /// Segments that the peer says it had twice.
    pub dsack_dups: u32,
    /// How often packets were seen to overtake each other.
    pub reord_seen: u32,
}

impl Info {
    const SIZE: usize = 256;

    /// Offsets are those of `include/uapi/linux/tcp.h`, which only grows at its end.
    fn parse(bytes: &[u8; Self::SIZE]) -> Info {
        let u32_at = |at: usize| u32::from_ne_bytes(std::array::from_fn(|i| bytes[at + i]));
        let u64_at = |at: usize| u64::from_ne_bytes(std::array::from_fn(|i| bytes[at + i]));
        Info {
            state: bytes[0],
            ca_state: bytes[1],
            retransmits: bytes[2],
            probes: bytes[3],
            backoff: bytes[4],
            rto_us: u32_at(8),
            snd_mss: u32_at(16),
            unacked: u32_at(24),
            rtt_us: u32_at(68),
            rtt_mdev_us: u32_at(72),
            snd_ssthresh: u32_at(76),
            snd_cwnd: u32_at(80),
            total_retrans: u32_at(100),
            notsent_bytes: u32_at(144),
            bytes_sent: u64_at(200),
            bytes_retrans: u64_at(208),
            dsack_dups: u32_at(216),
            reord_seen: u32_at(220),
        }
    }
}

/// Asks a socket until the answer suits.
///
/// # Errors
/// When `limit` is over, with the last answer.
pub fn await_info(socket: &TcpStream, limit: Duration, suits: impl Fn(&Info) -> bool) -> Result<Info> {
    let start = Instant::now();
    loop {
        let info = socket.info()?;
        if suits(&info) {
            return Ok(info);
        }
        if start.elapsed() > limit {
            bail!("waited {limit:?} without success; the socket is at {info:?}");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn tcp_info_matches_what_a_fresh_loopback_connection_must_show() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.write_all(b"twelve bytes").unwrap();
        let info = await_info(&client, Duration::from_secs(10), |info| info.unacked == 0).unwrap();
        assert_eq!(info.state, ESTABLISHED);
        assert_eq!(info.bytes_sent, 12);
        assert_eq!((info.total_retrans, info.bytes_retrans, info.notsent_bytes), (0, 0, 0));
        assert!(info.rto_us >= 1000 && info.snd_mss > 500 && info.snd_cwnd > 1, "{info:?}");
    }

    #[test]
    fn options_reach_the_kernel_and_come_back() {
        let socket = unconnected(Family::V4).unwrap();
        let socket = socket.user_timeout(Duration::from_millis(1500)).unwrap().syn_count(3).unwrap();
        let socket = socket.congestion("reno").unwrap();
        let timeout: c_int = get(&socket, IPPROTO_TCP, TCP_USER_TIMEOUT).unwrap();
        let count: c_int = get(&socket, IPPROTO_TCP, TCP_SYNCNT).unwrap();
        assert_eq!((timeout, count), (1500, 3));
        assert_eq!(socket.pending_error().unwrap(), None);
        assert!(socket.cookie().unwrap() > 0 && socket.inode().unwrap() > 0);
    }

    #[test]
    fn a_refused_connect_leaves_its_errno() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let socket = unconnected(Family::V4).unwrap();
        start_connect(&socket, ([127, 0, 0, 1], port).into()).ok();
        await_info(&socket, Duration::from_secs(10), |info| info.state == CLOSE).unwrap();
        assert_eq!(socket.pending_error().unwrap(), Some(libc::ECONNREFUSED));
    }
}
