//! Selections that no flow can match: an error, not empty output.

use std::net::{IpAddr, Ipv6Addr};

use super::{Family, Filter, PortSet, Prefix};

/// Why nothing can match.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Conflict {
    /// An address list without an address of the only family.
    #[error(
        "{family} and {option} {addresses} together match nothing: there is no {wanted} address in the list"
    )]
    Family {
        /// `-4` or `-6`
        family: &'static str,
        /// The option with the addresses.
        option: &'static str,
        /// Its value.
        addresses: String,
        /// `IPv4` or `IPv6`
        wanted: &'static str,
    },
    /// Both ends of a connection are of one family.
    #[error("the address filters together match nothing: no family has an address in each of them")]
    MixedFamilies,
    /// `--addr` with both ends given, and neither in it.
    #[error("--addr matches nothing: neither --laddr nor --raddr has an address in common with it")]
    Addresses,
    /// `--port` with both ends given, and neither in it.
    #[error("--port matches nothing: neither --lport nor --rport has a port in common with it")]
    Ports,
}

impl Filter {
    /// Can any flow at all match?
    ///
    /// # Errors
    /// [`Conflict`] says which options rule each other out.
    pub(crate) fn check(&self) -> Result<(), Conflict> {
        self.check_families()?;
        if !self.laddrs.is_empty()
            && !self.raddrs.is_empty()
            && !self.addrs.is_empty()
            && !overlap(&self.addrs, &self.laddrs)
            && !overlap(&self.addrs, &self.raddrs)
        {
            return Err(Conflict::Addresses);
        }
        if let (Some(either), Some(local), Some(remote)) = (&self.ports, &self.lports, &self.rports)
            && !share_a_port(either, local)
            && !share_a_port(either, remote)
        {
            return Err(Conflict::Ports);
        }
        Ok(())
    }

    fn check_families(&self) -> Result<(), Conflict> {
        let lists = [("--addr", &self.addrs), ("--laddr", &self.laddrs), ("--raddr", &self.raddrs)];
        let possible =
            |list: &[Prefix], family| list.is_empty() || list.iter().any(|prefix| has_family(prefix, family));
        if let Some(family) = self.family {
            let (option_of_family, wanted) = match family {
                Family::Ipv4 => ("-4", "IPv4"),
                Family::Ipv6 => ("-6", "IPv6"),
            };
            return match lists.iter().find(|(_, list)| !possible(list, family)) {
                Some((option, list)) => Err(Conflict::Family {
                    family: option_of_family,
                    option,
                    addresses: list.iter().map(Prefix::to_string).collect::<Vec<_>>().join(","),
                    wanted,
                }),
                None => Ok(()),
            };
        }
        let some_family = [Family::Ipv4, Family::Ipv6]
            .into_iter()
            .any(|family| lists.iter().all(|(_, list)| possible(list, family)));
        if some_family { Ok(()) } else { Err(Conflict::MixedFamilies) }
    }
}

/// Does the prefix hold addresses of this family? IPv4 addresses are ::ffff:0:0/96 in it.
fn has_family(prefix: &Prefix, family: Family) -> bool {
    let (bits, bytes) = prefix.as_mapped();
    let address = Ipv6Addr::from(bytes);
    let within_ipv4 = bits >= 96 && address.to_ipv4_mapped().is_some();
    match family {
        Family::Ipv4 => within_ipv4 || prefix.contains_address(IpAddr::from([0, 0, 0, 0])),
        Family::Ipv6 => !within_ipv4,
    }
}

fn overlap(some: &[Prefix], others: &[Prefix]) -> bool {
    some.iter().any(|one| others.iter().any(|other| one.contains(other) || other.contains(one)))
}

fn share_a_port(one: &PortSet, other: &PortSet) -> bool {
    one.bitmap().iter().zip(other.bitmap()).any(|(word, other)| word & other != 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::tests::flow, *};
    use crate::event::Flow;

    fn prefixes(text: &str) -> Vec<Prefix> {
        text.split(',').map(|item| item.parse().expect(item)).collect()
    }

    fn message(filter: &Filter) -> String {
        filter.check().expect_err("a conflict").to_string()
    }

    #[test]
    fn a_family_needs_an_address_in_each_list() {
        let only_v4 = Filter { family: Some(Family::Ipv4), ..Filter::default() };
        assert_eq!(
            message(&Filter { addrs: prefixes("2001:db8::/32,::1"), ..only_v4.clone() }),
            "-4 and --addr 2001:db8::/32,::1 together match nothing: there is no IPv4 address in the list"
        );
        let only_v6 = Filter { family: Some(Family::Ipv6), ..Filter::default() };
        assert_eq!(
            message(&Filter { raddrs: prefixes("10.0.0.1"), ..only_v6.clone() }),
            "-6 and --raddr 10.0.0.1 together match nothing: there is no IPv6 address in the list"
        );
        for everything in ["::/0", "10.0.0.0/8,::1"] {
            assert_eq!(Filter { addrs: prefixes(everything), ..only_v4.clone() }.check(), Ok(()));
            assert_eq!(Filter { laddrs: prefixes(everything), ..only_v6.clone() }.check(), Ok(()));
        }
    }

    #[test]
    fn both_ends_are_of_one_family() {
        let filter = Filter { laddrs: prefixes("10.0.0.1"), raddrs: prefixes("::1"), ..Filter::default() };
        assert_eq!(message(&filter), Conflict::MixedFamilies.to_string());
        assert_eq!(Filter { raddrs: prefixes("::1,10.0.0.2"), ..filter }.check(), Ok(()));
    }

    #[test]
    fn either_end_must_be_possible() {
        let addresses = Filter {
            addrs: prefixes("192.0.2.0/24"),
            laddrs: prefixes("10.0.0.1"),
            raddrs: prefixes("10.0.0.2"),
            ..Filter::default()
        };
        assert_eq!(message(&addresses), Conflict::Addresses.to_string());
        assert_eq!(Filter { raddrs: prefixes("192.0.2.9"), ..addresses.clone() }.check(), Ok(()));
        assert_eq!(Filter { raddrs: Vec::new(), ..addresses }.check(), Ok(()), "the remote end may be in it");

        let port = |text: &str| Some(text.parse().expect(text));
        let ports =
            Filter { ports: port("443"), lports: port("80"), rports: port("81"), ..Filter::default() };
        assert_eq!(message(&ports), Conflict::Ports.to_string());
        assert_eq!(Filter { rports: port("81,443"), ..ports.clone() }.check(), Ok(()));
        assert_eq!(Filter { rports: None, ..ports }.check(), Ok(()));
    }

    fn address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            (0u32..8).prop_map(|low| IpAddr::V4((0x0a00_0000 + low).into())),
            (0u128..8).prop_map(|low| IpAddr::V6(((0x2001_0db8 << 96) + low).into())),
        ]
    }

    fn list() -> impl Strategy<Value = Vec<Prefix>> {
        proptest::collection::vec(address().prop_map(|ip| ip.to_string().parse().expect("an address")), 0..3)
    }

    proptest! {
        /// Whoever is told "nothing can match" must not miss a flow by it.
        #[test]
        fn what_conflicts_matches_no_flow(
            addrs in list(), laddrs in list(), raddrs in list(),
            laddr in address(), raddr in address(), only in 0..3,
        ) {
            prop_assume!(laddr.is_ipv4() == raddr.is_ipv4());
            let family = [None, Some(Family::Ipv4), Some(Family::Ipv6)][only as usize];
            let filter = Filter { addrs, laddrs, raddrs, family, ..Filter::default() };
            if filter.matches(&Flow { laddr, raddr, ..flow() }) {
                prop_assert_eq!(filter.check(), Ok(()));
            }
        }
    }
}
