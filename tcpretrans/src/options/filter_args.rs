//! Which flows, as it was typed. [`super::selection`] turns it into a filter.

use clap::Args;

/// Which flows: of live tracing and of whatever reads recordings.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct FilterArgs {
    /// Local or remote port: 443,8000-8100
    #[arg(short, long, value_name = "LIST")]
    pub port: Vec<String>,
    /// Local port
    #[arg(long, value_name = "LIST")]
    pub lport: Vec<String>,
    /// Remote port
    #[arg(long, value_name = "LIST")]
    pub rport: Vec<String>,
    /// Local or remote address or prefix: 10.0.0.0/8,2001:db8::1
    #[arg(short, long, value_name = "LIST")]
    pub addr: Vec<String>,
    /// Local address or prefix
    #[arg(long, value_name = "LIST")]
    pub laddr: Vec<String>,
    /// Remote address or prefix
    #[arg(long, value_name = "LIST")]
    pub raddr: Vec<String>,
    /// Only IPv4 (IPv4-mapped IPv6 included)
    #[arg(short = '4', long)]
    pub ipv4: bool,
    /// Only IPv6
    #[arg(short = '6', long)]
    pub ipv6: bool,
    /// PID of the owning process; flows whose owner is unknown are left out
    #[arg(long, value_name = "LIST")]
    pub pid: Vec<String>,
    /// Name of the owning process
    #[arg(long, value_name = "NAME")]
    pub comm: Vec<String>,
    /// Network namespace: its number, a process in it, a name of `ip netns`, or a path
    #[arg(long, value_name = "ID|PID|PATH")]
    pub netns: Vec<String>,
    /// Cgroup v2 and everything below it: /system.slice/x.service
    #[arg(long, value_name = "PATH")]
    pub cgroup: Vec<String>,
    /// Retransmissions of this type, and how flows with one went on and ended: syn, synack, rto, slow_start, fast,
    /// rack_timer, tlp, zero_window, pmtu, icmp_revert, unknown
    #[arg(short = 't', long = "type", value_name = "LIST")]
    pub types: Vec<String>,
}
