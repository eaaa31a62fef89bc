//! What a namespace's TCP counted: the numbers of `nstat -az`.

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result};

/// Counters by name: `RetransSegs` of `/proc/net/snmp`'s `Tcp:`, all of `/proc/net/netstat`'s `TcpExt:`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters(BTreeMap<String, u64>);

impl Counters {
    /// Those of the calling thread's namespace. `/proc/net` would be those of the main thread's.
    pub(super) fn read() -> Result<Counters> {
        let mut all = BTreeMap::new();
        for (file, section) in [("snmp", "Tcp:"), ("netstat", "TcpExt:")] {
            let path = format!("/proc/thread-self/net/{file}");
            let text = fs::read_to_string(&path).with_context(|| format!("could not read {path}"))?;
            all.extend(parse(&text, section));
        }
        Ok(Counters(all))
    }

    /// A counter; 0 if this kernel has none of that name.
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }
}

/// Both files have a line of names and a line of numbers for each section.
fn parse(text: &str, section: &str) -> BTreeMap<String, u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(section)).map(str::split_whitespace);
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else { return BTreeMap::new() };
    // Tcp's MaxConn is -1: no count.
    names.zip(values).filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_pair_up_within_their_section() {
        let text = "Ip: A B\nIp: 1 2\nTcp: MaxConn RetransSegs\nTcp: -1 7\n";
        let found = parse(text, "Tcp:");
        assert_eq!(found, BTreeMap::from([("RetransSegs".to_owned(), 7)]));
        assert!(parse(text, "TcpExt:").is_empty());
    }
}
