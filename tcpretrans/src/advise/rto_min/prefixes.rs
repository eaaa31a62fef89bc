//! Losses by remote prefix: routes are where a floor can be set for one part of the network only.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use serde::{Serialize, Serializer};

use super::{Candidate, Floor, LossDigest, candidates, flows, losses};
use crate::{
    advise::distribution::{Distribution, FEW_FOR_MEDIAN},
    filter::prefix::Prefix,
};

/// What a floor would change for one part of the network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PrefixAdvice {
    /// `None`: the rest, prefixes of which each has too few losses to say anything.
    #[serde(serialize_with = "as_text")]
    pub prefix: Option<Prefix>,
    /// One of the addresses in it: the one with most losses, to look up the route with.
    pub address: IpAddr,
    /// Remote addresses seen in it.
    pub addresses: usize,
    /// Network namespaces whose routes lead there.
    pub netns: Vec<u32>,
    /// Losses that a timer repaired.
    pub losses: usize,
    /// Flows that they were on.
    pub flows: usize,
    /// How long these took to repair.
    pub recovery_now: Option<Distribution>,
    /// What the floors would change.
    pub candidates: Vec<Candidate>,
}

fn as_text<S: Serializer>(prefix: &Option<Prefix>, serializer: S) -> Result<S::Ok, S::Error> {
    match prefix {
        Some(prefix) => serializer.collect_str(prefix),
        None => serializer.serialize_none(),
    }
}

/// Networks of the usual size; where one has too few losses, it is folded together with such neighbours, twice; what
/// is left then is the rest.
pub(super) fn by_prefix(floors: &[Floor], rows: &[&LossDigest]) -> Vec<PrefixAdvice> {
    let mut found = Vec::new();
    let mut left: Vec<&LossDigest> = rows.to_vec();
    for level in 0.. {
        let mut groups: BTreeMap<_, (Prefix, Vec<&LossDigest>)> = BTreeMap::new();
        for row in std::mem::take(&mut left) {
            match row.remote.prefix(level) {
                Some(prefix) => {
                    groups.entry(prefix.as_mapped()).or_insert_with(|| (prefix, Vec::new())).1.push(row);
                }
                None => left.push(row),
            }
        }
        if groups.is_empty() {
            break;
        }
        for (prefix, group) in groups.into_values() {
            if losses(&group).count() >= FEW_FOR_MEDIAN {
                found.extend(advice(Some(prefix), floors, &group));
            } else {
                left.extend(group);
            }
        }
    }
    found.sort_by_key(|advice| Reverse(advice.losses));
    found.extend(advice(None, floors, &left));
    found
}

fn advice(prefix: Option<Prefix>, floors: &[Floor], rows: &[&LossDigest]) -> Option<PrefixAdvice> {
    let mut addresses: BTreeMap<IpAddr, usize> = BTreeMap::new();
    for row in losses(rows) {
        *addresses.entry(row.remote.address).or_default() += 1;
    }
    let (&address, _) = addresses.iter().max_by_key(|&(address, &losses)| (losses, Reverse(*address)))?;
    Some(PrefixAdvice {
        prefix,
        address,
        addresses: addresses.len(),
        netns: rows.iter().map(|row| row.remote.netns).collect::<BTreeSet<u32>>().into_iter().collect(),
        losses: losses(rows).count(),
        flows: flows(rows),
        recovery_now: Distribution::of(losses(rows).map(|row| row.recovery)),
        candidates: candidates(floors, rows),
    })
}
