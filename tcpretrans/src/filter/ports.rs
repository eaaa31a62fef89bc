//! Port lists: `443,8000-8100`.

use std::{fmt, str::FromStr};

/// A set of ports, one bit each.
#[derive(Clone, PartialEq, Eq)]
pub struct PortSet(Box<[u64; 1024]>);

/// Why a text is no port list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortListError {
    /// An item is not a number from 0 to 65535.
    #[error("'{0}' is not a port (a number from 0 to 65535)")]
    NotAPort(String),
    /// A range that ends before it begins.
    #[error("the range '{0}' ends before it begins")]
    Backwards(String),
    /// Nothing between two commas, or nothing at all.
    #[error("an item of the list is empty")]
    Empty,
}

impl PortSet {
    /// A set with no port in it.
    pub fn empty() -> PortSet {
        PortSet(Box::new([0; 1024]))
    }

    /// Is `port` in the set?
    pub fn contains(&self, port: u16) -> bool {
        self.0[usize::from(port >> 6)] & (1 << (port & 63)) != 0
    }

    /// Adds one port.
    pub fn insert(&mut self, port: u16) {
        self.0[usize::from(port >> 6)] |= 1 << (port & 63);
    }

    /// Adds all ports of another set: a repeated option widens the selection.
    pub fn union(mut self, other: &PortSet) -> PortSet {
        for (word, more) in self.0.iter_mut().zip(other.0.iter()) {
            *word |= more;
        }
        self
    }

    /// The set as the kernel's map has it.
    pub fn bitmap(&self) -> [u64; 1024] {
        *self.0
    }

    /// The ports as inclusive ranges, ascending.
    pub fn ranges(&self) -> Vec<(u16, u16)> {
        let mut ranges: Vec<(u16, u16)> = Vec::new();
        for port in (0..=u16::MAX).filter(|&port| self.contains(port)) {
            match ranges.last_mut() {
                Some((_, end)) if end.checked_add(1) == Some(port) => *end = port,
                _ => ranges.push((port, port)),
            }
        }
        ranges
    }
}

impl FromStr for PortSet {
    type Err = PortListError;

    fn from_str(text: &str) -> Result<PortSet, PortListError> {
        let mut set = PortSet::empty();
        for item in text.split(',').map(str::trim) {
            if item.is_empty() {
                return Err(PortListError::Empty);
            }
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            let (first, last) = (port(first, item)?, port(last, item)?);
            if first > last {
                return Err(PortListError::Backwards(item.to_owned()));
            }
            for port in first..=last {
                set.insert(port);
            }
        }
        Ok(set)
    }
}

fn port(text: &str, item: &str) -> Result<u16, PortListError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().ok_or_else(|| PortListError::NotAPort(item.to_owned()))
}

impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.ranges().into_iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}-{last}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PortSet({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_numbers_and_ranges() {
        let set: PortSet = "443, 8000-8100,0".parse().expect("valid");
        assert_eq!(set.ranges(), [(0, 0), (443, 443), (8000, 8100)]);
    }

    #[test]
    fn says_what_is_wrong() {
        let message = |text: &str| text.parse::<PortSet>().expect_err(text).to_string();
        assert_eq!(message("http"), "'http' is not a port (a number from 0 to 65535)");
        assert_eq!(message("65536"), "'65536' is not a port (a number from 0 to 65535)");
        assert_eq!(message("+80"), "'+80' is not a port (a number from 0 to 65535)");
        assert_eq!(message("9-1"), "the range '9-1' ends before it begins");
        assert_eq!(message("80,"), "an item of the list is empty");
        assert_eq!(message(""), "an item of the list is empty");
    }

    proptest! {
        #[test]
        fn displays_what_it_parses(ports in proptest::collection::vec(any::<u16>(), 1..50)) {
            let mut set = PortSet::empty();
            for &port in &ports {
                set.insert(port);
            }
            prop_assert!(ports.iter().all(|&port| set.contains(port)));
            prop_assert_eq!(set.to_string().parse::<PortSet>().expect("own output"), set);
        }

        #[test]
        fn never_panics(text in ".*") {
            let _ = text.parse::<PortSet>();
        }
    }
}
