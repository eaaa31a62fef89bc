//! Timer ticks a second. The kernel exports HZ nowhere, and `icsk_rto` is in ticks: a wrong HZ would make every
//! time wrong by a factor.
//!
//! A new TCP socket has `icsk_rto == TCP_TIMEOUT_INIT`, which is one second, `1 * HZ` (`tcp_init_sock`). So the
//! tracer opens a listening socket of its own, and the program on `inet_sock_set_state` shows what is in it.
//! That a record comes back also proves that programs, ring and decoding work together.

use std::{
    fs,
    hash::{BuildHasher, RandomState},
    io,
    net::{Ipv4Addr, SocketAddrV4, TcpListener},
    os::fd::AsRawFd,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use aya::maps::{MapData, RingBuf};
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, sockopt};
use tcpretrans_ebpf::{DecodeError, Kind, Record};

/// HZ, and what came out of the ring while it was looked for.
#[derive(Debug)]
pub struct Calibration {
    /// Timer ticks a second.
    pub hz: u32,
    /// The records of others, in the ring's order: they happened, and belong to the trace.
    pub records: Vec<(Kind, Record)>,
}

/// Why HZ could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum HzError {
    /// No socket.
    #[error("cannot open a listening socket to measure the kernel's HZ with: {0}")]
    Listen(#[from] io::Error),
    /// The record did not come.
    #[error(
        "the programs are attached, but the record of tcpretrans's own listen() did not arrive within {} ms",
        .0.as_millis()
    )]
    Silent(Duration),
    /// A record that is none.
    #[error("the programs sent a record that this tcpretrans cannot read: {0}")]
    Malformed(#[from] DecodeError),
    /// Nothing that a kernel can be built with.
    #[error("a new socket's RTO is {0} ticks, which cannot be one second")]
    Implausible(u32),
}

/// HZ of 24 (the slowest that was ever configurable) to 1,200 (Alpha).
const PLAUSIBLE: std::ops::RangeInclusive<u32> = 24..=1200;

/// Measures HZ with the attached programs. Usually takes well under a millisecond.
///
/// # Errors
/// [`HzError`] if the socket cannot be opened, or if no record of it comes within `patience`.
pub fn measure(ring: &mut RingBuf<MapData>, patience: Duration) -> Result<Calibration, HzError> {
    let deadline = Instant::now() + patience;
    let mut records = Vec::new();
    loop {
        // Opened anew each time round: while the ring is full, a record is lost and not late.
        let port = listen_once()?;
        let again = (Instant::now() + Duration::from_millis(50)).min(deadline);
        loop {
            while let Some(item) = ring.next() {
                let (kind, record) = Record::decode(&item)?;
                drop(item);
                if kind != Kind::Calibrate {
                    records.push((kind, record));
                } else if record.lport == port {
                    let hz = plausible(record.sock.icsk_rto)?;
                    return Ok(Calibration { hz, records });
                }
            }
            if Instant::now() >= again {
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
        if Instant::now() >= deadline {
            return Err(HzError::Silent(patience));
        }
    }
}

fn plausible(icsk_rto: u32) -> Result<u32, HzError> {
    if PLAUSIBLE.contains(&icsk_rto) { Ok(icsk_rto) } else { Err(HzError::Implausible(icsk_rto)) }
}

/// The TCP_USER_TIMEOUT, in milliseconds, by which the programs know the tracer's own socket. (Not by its process:
/// in a container, the programs see another PID than the tracer does.) Nobody waits 12 days or more in earnest.
pub fn mark_ms() -> u32 {
    static MARK_MS: OnceLock<u32> = OnceLock::new();
    *MARK_MS.get_or_init(|| {
        let random = RandomState::new().hash_one(std::process::id()) as u32;
        (random & 0x3fff_ffff) | 0x4000_0000
    })
}

/// Listens for a moment, and says on which port. Loopback only, where the namespace's loopback is up.
fn listen_once() -> io::Result<u16> {
    let fd = socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let any_port = |address: Ipv4Addr| SockaddrIn::from(SocketAddrV4::new(address, 0));
    socket::bind(fd.as_raw_fd(), &any_port(Ipv4Addr::LOCALHOST))
        .or_else(|_| socket::bind(fd.as_raw_fd(), &any_port(Ipv4Addr::UNSPECIFIED)))?;
    socket::setsockopt(&fd, sockopt::TcpUserTimeout, &mark_ms())?;
    socket::listen(&fd, Backlog::new(1)?)?;
    Ok(TcpListener::from(fd).local_addr()?.port())
}

/// HZ by the kernel's build configuration in /boot, for when nothing may be attached.
pub fn from_config(release: &str) -> Option<u32> {
    parse_config(&fs::read_to_string(format!("/boot/config-{release}")).ok()?)
}

fn parse_config(config: &str) -> Option<u32> {
    config.lines().find_map(|line| line.strip_prefix("CONFIG_HZ=")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_no_million_ticks() {
        for hz in [24, 100, 250, 300, 1000, 1024, 1200] {
            assert_eq!(plausible(hz).expect("an HZ"), hz);
        }
        for nonsense in [0, 3, 20_000, u32::MAX] {
            let message = plausible(nonsense).expect_err("nonsense").to_string();
            assert_eq!(
                message,
                format!("a new socket's RTO is {nonsense} ticks, which cannot be one second")
            );
        }
    }

    #[test]
    fn reads_hz_from_a_configuration() {
        assert_eq!(parse_config("CONFIG_HZ_250=y\nCONFIG_HZ=250\n"), Some(250));
        assert_eq!(parse_config("# CONFIG_HZ_1000 is not set\n"), None);
    }

    #[test]
    fn listens_on_a_real_port() {
        assert_ne!(listen_once().expect("a socket"), 0);
    }
}
