//! A network of two hosts on one machine, and real losses between them.
//!
//! [`Lab::new`] makes two network namespaces, `left` and `right`, joined by a veth pair, with IPv4 and IPv6
//! addresses that work at once. `left.run(|| TcpStream::connect(..))` opens a socket inside; the socket stays
//! there. [`trouble`] loses packets, [`netem`] makes them late, [`socket`] asks the kernel what it thinks of a connection, [`counters`] reads
//! what it counted. Dropping the lab takes everything away, and a later lab clears up after a killed one.
//!
//! Everything here needs root ([`ready`]).

pub mod command;
pub mod connection;
pub mod counters;
pub mod namespace;
pub mod netem;
pub mod offload;
pub mod scenario;
pub mod shell;
pub mod socket;
pub mod trouble;
pub mod witness;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
pub use connection::{Connection, Family};
pub use counters::Counters;
pub use namespace::Namespace;
pub use trouble::{Packets, Trouble};

/// The network device's name, the same on both sides.
pub const DEVICE: &str = "wire";

/// Can this process make a lab?
///
/// # Errors
/// One sentence that says what is missing.
pub fn ready() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("the lab makes network namespaces and needs root: run it with sudo");
    }
    for tool in ["ip", "iptables", "ip6tables"] {
        shell::run(tool, &["-V"])
            .with_context(|| format!("the lab needs `{tool}` (packages iproute2 and iptables)"))?;
    }
    Ok(())
}

/// The gate of tests that need a lab: true where one can be made. Elsewhere it says that the test is skipped, except
/// under `CI`, where a skip would pass for a success.
///
/// # Panics
/// Under `CI=true`, if no lab can be made.
pub fn available() -> bool {
    match ready() {
        Ok(()) => true,
        Err(error) if std::env::var_os("CI").is_some_and(|ci| ci == "true") => {
            panic!("under CI a skipped test is a failed one: {error:#}")
        }
        Err(error) => {
            eprintln!("skipped: needs root: {error:#}");
            false
        }
    }
}

/// How many times slower than an ordinary machine this one may be: set in emulated ones.
const SLOWNESS: &str = "TCPRETRANS_SLOWNESS";

/// That factor.
///
/// # Panics
/// If `TCPRETRANS_SLOWNESS` is set to no number.
pub fn slowness() -> u32 {
    std::env::var(SLOWNESS).map_or(1, |text| match text.parse() {
        Ok(factor @ 1..) => factor,
        _ => panic!("{SLOWNESS} is a factor, and `{text}` is none"),
    })
}

/// A limit for what should take much less, on this machine.
pub fn patient(limit: Duration) -> Duration {
    limit * slowness()
}

/// One end's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// In 10.77.0.0/24.
    pub v4: Ipv4Addr,
    /// In fd77::/64.
    pub v6: Ipv6Addr,
}

impl Addresses {
    const fn host(number: u8) -> Self {
        Self {
            v4: Ipv4Addr::new(10, 77, 0, number),
            v6: Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, number as u16),
        }
    }

    /// The one of a family.
    pub fn of(self, family: Family) -> IpAddr {
        match family {
            Family::V4 => self.v4.into(),
            Family::V6 => self.v6.into(),
        }
    }
}

/// The left host's addresses.
pub const LEFT: Addresses = Addresses::host(1);
/// The right host's addresses.
pub const RIGHT: Addresses = Addresses::host(2);
/// Nobody has these, yet packets to them leave both hosts: they are lost without an ICMP error.
pub const VOID: Addresses = Addresses::host(99);

const LEFT_MAC: &str = "02:00:00:77:00:01";
const RIGHT_MAC: &str = "02:00:00:77:00:02";

/// The same on every machine. By route: a namespace's sysctl takes only what the host has in
/// `tcp_allowed_congestion_control`, which would be the host's to change.
const CONGESTION: &str = "congctl cubic";

/// Set in each namespace, so that the lab behaves alike on every machine.
const SYSCTLS: [(&str, &str); 8] = [
    ("net.ipv6.conf.all.disable_ipv6", "0"),
    ("net.ipv6.conf.default.disable_ipv6", "0"),
    // Remembered RTTs and thresholds of one connection would change the next one's timers.
    ("net.ipv4.tcp_no_metrics_save", "1"),
    ("net.ipv4.tcp_retries1", "3"),
    ("net.ipv4.tcp_retries2", "15"),
    ("net.ipv4.tcp_syn_retries", "6"),
    ("net.ipv4.tcp_synack_retries", "5"),
    ("net.ipv4.tcp_early_retrans", "3"),
];

/// Two hosts and a wire.
#[derive(Debug)]
pub struct Lab {
    /// Where clients live, by custom.
    pub left: Namespace,
    /// Where servers live, by custom.
    pub right: Namespace,
}

impl Lab {
    /// Makes one, with names that no other lab of this machine has.
    ///
    /// # Errors
    /// Names the command that failed.
    pub fn new() -> Result<Lab> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self::create(&format!("{number}-left"), &format!("{number}-right"))
            .context("could not build the lab's network")
    }

    fn create(left: &str, right: &str) -> Result<Lab> {
        namespace::clear_stale();
        let left = Namespace::create(left)?;
        let right = Namespace::create(right)?;
        for side in [&left, &right] {
            for (name, value) in SYSCTLS {
                side.sysctl(name, value)?;
            }
        }
        shell::ip(
            &[
                &["link", "add", DEVICE, "netns", left.name(), "address", LEFT_MAC, "type", "veth"][..],
                &["peer", "name", DEVICE, "netns", right.name(), "address", RIGHT_MAC],
            ]
            .concat(),
        )?;
        let lab = Lab { left, right };
        lab.raise(&lab.left, LEFT, RIGHT, RIGHT_MAC)?;
        lab.raise(&lab.right, RIGHT, LEFT, LEFT_MAC)?;
        for side in [&lab.left, &lab.right] {
            await_carrier(side)?;
        }
        Ok(lab)
    }

    /// Brings one side up. Neighbours are static: else a silent peer would fail at ARP, which the kernel turns
    /// into EHOSTUNREACH (`ipv4_link_failure`) and a reverted backoff, and no blackhole would be one.
    fn raise(&self, side: &Namespace, own: Addresses, peer: Addresses, peer_mac: &str) -> Result<()> {
        let mut batch = format!(
            "link set lo up\n\
             link set {DEVICE} up\n\
             addr add {0}/24 dev {DEVICE} noprefixroute\n\
             addr add {1}/64 dev {DEVICE} noprefixroute nodad\n\
             route add 10.77.0.0/24 dev {DEVICE} src {0} {CONGESTION}\n\
             route add fd77::/64 dev {DEVICE} {CONGESTION}\n",
            own.v4, own.v6
        );
        for other in [peer, VOID] {
            for family in [Family::V4, Family::V6] {
                batch += &format!(
                    "neigh replace {} lladdr {peer_mac} dev {DEVICE} nud permanent\n",
                    other.of(family)
                );
            }
        }
        shell::ip_batch(side.name(), &batch)
    }

    /// From now on every segment travels alone: else an skb of several segments passes the veth pair (and a rule of
    /// [`trouble`]) as one. For sockets connected afterwards.
    ///
    /// # Errors
    /// Names the command that failed.
    pub fn one_segment_a_packet(&self) -> Result<()> {
        for side in [&self.left, &self.right] {
            shell::ip_batch(side.name(), &format!("link set {DEVICE} gso_max_segs 1\n"))?;
        }
        Ok(())
    }
}

/// A device that was just set up swallows packets until the kernel has noticed its carrier and given it a working
/// queue, which it does at its leisure (`linkwatch_schedule_work`: up to a second). A lost SYN would cost another.
fn await_carrier(side: &Namespace) -> Result<()> {
    let start = Instant::now();
    loop {
        let shown = shell::run("ip", &["-n", side.name(), "-o", "link", "show", "dev", DEVICE])?;
        if shown.contains("state UP") && !shown.contains("qdisc noop ") {
            return Ok(());
        }
        if start.elapsed() > patient(Duration::from_secs(20)) {
            bail!("the veth pair does not come up: {}", shown.trim());
        }
        thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use socket::Options;
    use trouble::Fate;

    use super::*;

    #[test]
    fn both_families_work_at_once_and_in_their_namespace_only() {
        if !available() {
            return;
        }
        let lab = Lab::new().unwrap();
        for family in [Family::V4, Family::V6] {
            let mut connection = lab.connect(family, 9000).unwrap();
            connection.warm_up().unwrap();
            connection.transfer(100_000, 100_000).unwrap();
            assert_eq!(connection.ends().unwrap().0.ip(), LEFT.of(family));
        }
        assert_eq!(lab.left.counters().unwrap().get("RetransSegs"), 0);
        assert_ne!(lab.left.inode(), lab.right.inode());
    }

    #[test]
    fn sysctls_belong_to_their_namespace() {
        if !available() {
            return;
        }
        let lab = Lab::new().unwrap();
        lab.left.sysctl("net.ipv4.tcp_retries2", "4").unwrap();
        assert_eq!(lab.left.read_sysctl("net.ipv4.tcp_retries2").unwrap(), "4");
        assert_eq!(lab.right.read_sysctl("net.ipv4.tcp_retries2").unwrap(), "15");
        let error = lab.left.sysctl("net.ipv4.no_such_thing", "1").unwrap_err();
        assert!(format!("{error:#}").contains("net.ipv4.no_such_thing"), "{error:#}");
    }

    #[test]
    fn a_blackhole_is_silent_and_heals() {
        if !available() {
            return;
        }
        let lab = Lab::new().unwrap();
        let Connection { client, mut server } = lab.connect(Family::V4, 0).unwrap();
        let trouble = lab.right.unreachable().unwrap();
        std::io::Write::write_all(&mut &client, b"hello").unwrap();
        let limit = Duration::from_secs(20);
        let info = socket::await_info(&client, limit, |info| info.total_retrans >= 2).unwrap();
        assert_eq!((info.unacked, client.pending_error().unwrap()), (1, None));
        assert!(trouble.hits().unwrap() >= 3);
        trouble.heal().unwrap();
        let mut heard = [0; 5];
        server.set_read_timeout(Some(limit)).unwrap();
        server.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"hello");
    }

    #[test]
    fn exactly_the_meant_packet_is_lost() {
        if !available() {
            return;
        }
        let lab = Lab::new().unwrap();
        lab.one_segment_a_packet().unwrap();
        let mut connection = lab.connect(Family::V6, 0).unwrap();
        let packets = Packets::all().family(Family::V6).at_least(1000).nth(5);
        let trouble = lab.right.on_arrival(&packets, Fate::Vanish).unwrap();
        connection.transfer(300_000, 0).unwrap();
        assert_eq!(trouble.hits().unwrap(), 1);
        assert!(connection.client.info().unwrap().total_retrans >= 1);
    }

    #[test]
    fn everything_is_gone_after_a_drop() {
        if !available() {
            return;
        }
        let lab = Lab::new().unwrap();
        let paths = [lab.left.path(), lab.right.path()];
        assert!(paths.iter().all(|path| path.exists()));
        drop(lab);
        assert!(!paths.iter().any(|path| path.exists()));
    }

    #[test]
    fn hosts_have_addresses_of_both_families() {
        assert_eq!(LEFT.of(Family::V4).to_string(), "10.77.0.1");
        assert_eq!(VOID.of(Family::V6).to_string(), "fd77::63");
    }
}
