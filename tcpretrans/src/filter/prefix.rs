//! Addresses and CIDR prefixes: `10.0.0.1`, `10.0.0.0/8`, `2001:db8::/32`.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// An IP prefix. IPv4-mapped IPv6 is IPv4, as everywhere in this tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    address: IpAddr,
    bits: u8,
}

/// Why a text is no address or prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// Not an IP address.
    #[error("'{0}' is not an IP address or prefix (10.0.0.1, 10.0.0.0/8, 2001:db8::/32)")]
    NotAnAddress(String),
    /// The prefix is longer than the address.
    #[error("'{text}' has no valid prefix length (0 to {longest})")]
    Length {
        /// What was given.
        text: String,
        /// The longest that this family has.
        longest: u8,
    },
    /// Bits beyond the prefix are set: which was meant is not for us to guess.
    #[error("'{text}' has bits set beyond its prefix; did you mean {meant}?")]
    HostBits {
        /// What was given.
        text: String,
        /// The prefix without them.
        meant: String,
    },
}

impl Prefix {
    /// The network of so many bits that an address is in; of all its bits, if there are not as many.
    pub fn around(address: IpAddr, bits: u8) -> Prefix {
        let (address, longest) = match address.to_canonical() {
            v4 @ IpAddr::V4(_) => (v4, 32),
            v6 @ IpAddr::V6(_) => (v6, 128),
        };
        Prefix { address, bits: bits.min(longest) }.network()
    }

    fn mapped_bits(&self) -> u8 {
        match self.address {
            IpAddr::V4(_) => self.bits + 96,
            IpAddr::V6(_) => self.bits,
        }
    }

    /// Length and address bytes, IPv4 as ::ffff:a.b.c.d.
    pub fn as_mapped(&self) -> (u32, [u8; 16]) {
        let address = match self.address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        (u32::from(self.mapped_bits()), address.octets())
    }

    fn mask(bits: u8) -> u128 {
        u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)
    }

    /// Is every address of `other` in this prefix?
    pub fn contains(&self, other: &Prefix) -> bool {
        let (bits, address) = self.as_mapped();
        let (other_bits, other_address) = other.as_mapped();
        let difference = u128::from_be_bytes(address) ^ u128::from_be_bytes(other_address);
        other_bits >= bits && difference & Self::mask(self.mapped_bits()) == 0
    }

    /// Is `address` in this prefix?
    pub fn contains_address(&self, address: IpAddr) -> bool {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        self.contains(&Prefix { address, bits })
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Prefix, PrefixError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let not_an_address = || PrefixError::NotAnAddress(text.to_owned());
        let mut address: IpAddr = address.parse().map_err(|_| not_an_address())?;
        let longest: u8 = if address.is_ipv4() { 32 } else { 128 };
        let length_error = || PrefixError::Length { text: text.to_owned(), longest };
        let mut bits = match length {
            None => longest,
            Some(length) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
                length.parse().map_err(|_| length_error())?
            }
            Some(_) => return Err(length_error()),
        };
        if bits > longest {
            return Err(length_error());
        }
        if let IpAddr::V6(v6) = address
            && let Some(v4) = v6.to_ipv4_mapped()
            && bits >= 96
        {
            address = IpAddr::V4(v4);
            bits -= 96;
        }
        let prefix = Prefix { address, bits };
        let network = prefix.network();
        if network != prefix {
            return Err(PrefixError::HostBits { text: text.to_owned(), meant: network.to_string() });
        }
        Ok(prefix)
    }
}

impl Prefix {
    fn network(&self) -> Prefix {
        let (_, bytes) = self.as_mapped();
        let masked = u128::from_be_bytes(bytes) & Self::mask(self.mapped_bits());
        let address = match self.address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(masked as u32)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(masked)),
        };
        Prefix { address, bits: self.bits }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = if self.address.is_ipv4() { 32 } else { 128 };
        if self.bits == longest {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.bits)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().expect(text)
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        assert_eq!(prefix("::ffff:10.0.0.1"), prefix("10.0.0.1"));
        assert_eq!(prefix("::ffff:10.0.0.0/104"), prefix("10.0.0.0/8"));
        assert_eq!(prefix("10.0.0.0/8").as_mapped().0, 104);
    }

    #[test]
    fn contains_by_bits() {
        assert!(prefix("10.0.0.0/8").contains(&prefix("10.1.0.0/16")));
        assert!(!prefix("10.1.0.0/16").contains(&prefix("10.0.0.0/8")));
        assert!(prefix("::/0").contains(&prefix("10.0.0.0/8")), "::/0 is everything");
        assert!(prefix("0.0.0.0/0").contains_address(Ipv4Addr::new(1, 2, 3, 4).into()));
        assert!(!prefix("0.0.0.0/0").contains_address("2001:db8::1".parse().expect("valid")));
        assert!(prefix("2001:db8::/32").contains_address("2001:db8::1".parse().expect("valid")));
    }

    #[test]
    fn around_an_address() {
        let around = |text: &str, bits| Prefix::around(text.parse().expect(text), bits).to_string();
        assert_eq!(around("10.1.2.3", 24), "10.1.2.0/24");
        assert_eq!(around("::ffff:10.1.2.3", 8), "10.0.0.0/8");
        assert_eq!(around("2001:db8:1:2:3::4", 64), "2001:db8:1:2::/64");
        assert_eq!(around("10.1.2.3", 64), "10.1.2.3");
    }

    #[test]
    fn says_what_is_wrong() {
        let message = |text: &str| text.parse::<Prefix>().expect_err(text).to_string();
        assert!(message("host.example").contains("is not an IP address or prefix"));
        assert_eq!(message("10.0.0.0/33"), "'10.0.0.0/33' has no valid prefix length (0 to 32)");
        assert_eq!(message("10.0.0.0/"), "'10.0.0.0/' has no valid prefix length (0 to 32)");
        assert_eq!(
            message("10.0.0.1/8"),
            "'10.0.0.1/8' has bits set beyond its prefix; did you mean 10.0.0.0/8?"
        );
    }

    proptest! {
        #[test]
        fn displays_what_it_parses(bits in 0u8..=128, address in any::<u128>()) {
            let given = Prefix { address: Ipv6Addr::from_bits(address).into(), bits }.network();
            let parsed = prefix(&given.to_string());
            prop_assert_eq!(parsed.as_mapped(), given.as_mapped());
        }

        #[test]
        fn never_panics(text in ".*") {
            let _ = text.parse::<Prefix>();
        }
    }
}
