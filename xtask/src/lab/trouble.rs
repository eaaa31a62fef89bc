//! What can happen to packets: lost by chance or by count, all gone, refused with an ICMP error.
//!
//! Rules stand in the RECEIVER's namespace, where the wire ends ([`Namespace::on_arrival`]): what the sender's own
//! OUTPUT drops never enters its retransmission queue, and the kernel then probes instead of retransmitting.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;

use super::{DEVICE, Family, Namespace, shell};

/// Which packets are meant. TCP only; everything not said is any.
#[derive(Debug, Clone, Default)]
pub struct Packets {
    family: Option<Family>,
    matches: Vec<String>,
    pick: Vec<String>,
}

impl Packets {
    /// Every TCP packet.
    pub fn all() -> Self {
        Self::default()
    }

    fn matching(mut self, words: &[&str]) -> Self {
        self.matches.extend(words.iter().map(|&word| word.to_owned()));
        self
    }

    /// Only of this family.
    pub fn family(mut self, family: Family) -> Self {
        self.family = Some(family);
        self
    }

    /// From this port.
    pub fn from_port(self, port: u16) -> Self {
        self.matching(&["--sport", &port.to_string()])
    }

    /// To this port.
    pub fn to_port(self, port: u16) -> Self {
        self.matching(&["--dport", &port.to_string()])
    }

    /// SYNs that open a connection.
    pub fn syn(self) -> Self {
        self.matching(&["--tcp-flags", "SYN,ACK", "SYN"])
    }

    /// SYN-ACKs.
    pub fn syn_ack(self) -> Self {
        self.matching(&["--tcp-flags", "SYN,ACK", "SYN,ACK"])
    }

    /// FINs.
    pub fn fin(self) -> Self {
        self.matching(&["--tcp-flags", "FIN", "FIN"])
    }

    /// Packets of at least so many bytes, headers included: those with data.
    pub fn at_least(self, bytes: u16) -> Self {
        self.matching(&["-m", "length", "--length", &format!("{bytes}:65535")])
    }

    /// Packets of at most so many bytes, headers included: those without data.
    pub fn at_most(self, bytes: u16) -> Self {
        self.matching(&["-m", "length", "--length", &format!("0:{bytes}")])
    }

    /// Each with this probability.
    pub fn chance(mut self, probability: f64) -> Self {
        self.pick = statistic(&["random", "--probability", &format!("{probability:.6}")]);
        self
    }

    /// Only one of them: the `n`-th from now on, counted from 0. Counts on each family's own.
    pub fn nth(mut self, n: u32) -> Self {
        const NEVER_AGAIN: &str = "2000000000";
        self.pick = statistic(&["nth", "--every", NEVER_AGAIN, "--packet", &n.to_string()]);
        self
    }

    /// The first of every `n`, and so on.
    pub fn every(mut self, n: u32) -> Self {
        self.pick = statistic(&["nth", "--every", &n.to_string(), "--packet", &(n - 1).to_string()]);
        self
    }

    /// `-m statistic` comes last: it counts only what the other matches let through.
    fn words(&self) -> Vec<&str> {
        ["-p", "tcp"].into_iter().chain(self.matches.iter().chain(&self.pick).map(String::as_str)).collect()
    }

    fn families(&self) -> &'static [Family] {
        match self.family {
            None => &[Family::V4, Family::V6],
            Some(Family::V4) => &[Family::V4],
            Some(Family::V6) => &[Family::V6],
        }
    }
}

fn statistic(words: &[&str]) -> Vec<String> {
    ["-m", "statistic", "--mode"].iter().chain(words).map(|&word| word.to_owned()).collect()
}

/// What befalls the packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Dropped, without an ICMP error.
    Vanish,
    /// Refused with ICMP "host unreachable".
    HostUnreachable,
    /// Refused with ICMP "port unreachable".
    PortUnreachable,
    /// Refused with ICMP "administratively prohibited".
    Prohibited,
    /// Refused with ICMP "network unreachable" (IPv6: "no route to destination").
    NetUnreachable,
    /// Answered with a RST.
    Reset,
}

impl Fate {
    fn words(self, family: Family) -> &'static [&'static str] {
        match (self, family) {
            (Self::Vanish, _) => &["DROP"],
            (Self::HostUnreachable, Family::V4) => &["REJECT", "--reject-with", "icmp-host-unreachable"],
            (Self::HostUnreachable, Family::V6) => &["REJECT", "--reject-with", "icmp6-addr-unreachable"],
            (Self::PortUnreachable, Family::V4) => &["REJECT", "--reject-with", "icmp-port-unreachable"],
            (Self::PortUnreachable, Family::V6) => &["REJECT", "--reject-with", "icmp6-port-unreachable"],
            (Self::Prohibited, Family::V4) => &["REJECT", "--reject-with", "icmp-admin-prohibited"],
            (Self::Prohibited, Family::V6) => &["REJECT", "--reject-with", "icmp6-adm-prohibited"],
            (Self::NetUnreachable, Family::V4) => &["REJECT", "--reject-with", "icmp-net-unreachable"],
            (Self::NetUnreachable, Family::V6) => &["REJECT", "--reject-with", "icmp6-no-route"],
            (Self::Reset, _) => &["REJECT", "--reject-with", "tcp-reset"],
        }
    }
}

/// A rule in force. It stays when this is dropped, until [`Trouble::heal`] or the namespace's end.
#[derive(Debug)]
pub struct Trouble<'a> {
    namespace: &'a Namespace,
    /// Names this rule in its comment, to find its counter.
    tag: String,
    /// Tool and rule (without `-A`), for each family.
    rules: Vec<(&'static str, Vec<String>)>,
}

impl Namespace {
    /// Lets `fate` befall packets that arrive here.
    ///
    /// # Errors
    /// Names the command that failed.
    pub fn on_arrival(&self, packets: &Packets, fate: Fate) -> Result<Trouble<'_>> {
        self.inflict("INPUT", packets, fate)
    }

    /// Lets `fate` befall packets that leave here: the sender's own firewall, which TCP notices (EPERM).
    ///
    /// # Errors
    /// Names the command that failed.
    pub fn on_departure(&self, packets: &Packets, fate: Fate) -> Result<Trouble<'_>> {
        self.inflict("OUTPUT", packets, fate)
    }

    /// The wire swallows everything that is sent to here: the blackhole.
    ///
    /// # Errors
    /// Names the command that failed.
    pub fn unreachable(&self) -> Result<Trouble<'_>> {
        self.on_arrival(&Packets::all(), Fate::Vanish)
    }

    /// Pulls the plug: link down on this side.
    ///
    /// # Errors
    /// Names the command that failed.
    pub fn unplug(&self) -> Result<()> {
        shell::ip(&["-n", self.name(), "link", "set", DEVICE, "down"])
    }

    fn inflict(&self, chain: &str, packets: &Packets, fate: Fate) -> Result<Trouble<'_>> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let tag = format!("trouble-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut trouble = Trouble { namespace: self, tag, rules: Vec::new() };
        for &family in packets.families() {
            let tool = match family {
                Family::V4 => "iptables",
                Family::V6 => "ip6tables",
            };
            let rule: Vec<String> = [chain]
                .into_iter()
                .chain(packets.words())
                .chain(["-m", "comment", "--comment", &trouble.tag, "-j"])
                .chain(fate.words(family).iter().copied())
                .map(str::to_owned)
                .collect();
            trouble.change("-A", tool, &rule)?;
            trouble.rules.push((tool, rule));
        }
        Ok(trouble)
    }
}

impl Trouble<'_> {
    fn change(&self, verb: &str, tool: &str, rule: &[String]) -> Result<()> {
        // `-w`: another lab may hold the lock of the legacy iptables.
        let words: Vec<&str> = ["-w", verb].into_iter().chain(rule.iter().map(String::as_str)).collect();
        self.namespace.command(tool, &words).map(drop)
    }

    /// All is well again.
    ///
    /// # Errors
    /// Names the command that failed.
    pub fn heal(self) -> Result<()> {
        self.rules.iter().try_for_each(|(tool, rule)| self.change("-D", tool, rule))
    }

    /// Packets that it has befallen.
    ///
    /// # Errors
    /// Names the command that failed.
    pub fn hits(&self) -> Result<u64> {
        let mut hits = 0;
        for (tool, _) in &self.rules {
            let listing = self.namespace.command(&format!("{tool}-save"), &["-c"])?;
            hits += count_hits(&listing, &self.tag);
        }
        Ok(hits)
    }
}

/// Lines of `iptables-save -c` begin with `[PACKETS:BYTES]`.
fn count_hits(listing: &str, tag: &str) -> u64 {
    let is_tag = |word: &str| word.trim_matches('"') == tag;
    let of_tag = listing.lines().filter(|line| line.split_whitespace().any(is_tag));
    of_tag.filter_map(|line| line.strip_prefix('[')?.split(':').next()?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statistic_match_comes_last() {
        let packets = Packets::all().chance(0.25).to_port(9000).at_least(1000);
        let expected = "-p tcp --dport 9000 -m length --length 1000:65535 \
                        -m statistic --mode random --probability 0.250000";
        assert_eq!(packets.words().join(" "), expected);
    }

    #[test]
    fn hits_are_those_of_the_rule_with_that_very_tag() {
        let listing = "[9:900] -A INPUT -m comment --comment trouble-11 -j DROP\n\
                       [3:120] -A INPUT -p tcp -m comment --comment \"trouble-1\" -j DROP\n:INPUT ACCEPT [5:6]\n";
        assert_eq!(count_hits(listing, "trouble-1"), 3);
    }
}
