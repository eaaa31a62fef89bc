//! RTO_MIN: how soon timers repair losses, and what another floor would change.

pub(super) mod commands;
mod prefixes;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub(super) use commands::Commands;
pub(super) use prefixes::PrefixAdvice;
use serde::Serialize;

use super::{
    distribution::{Distribution, FEW_FOR_MEDIAN, nearest_rank, signed_us, to_ms},
    estimator::{FloorSource, floor_in_force},
    loss::{Loss, LossOutcome},
    loss_finder::{Finding, Unforeseen},
    remote::Remote,
};
use crate::socket::{Micros, Millis};

/// What is always asked for, ms.
pub(super) const USUAL_FLOORS_MS: [u32; 5] = [10, 20, 50, 100, 200];
/// `TCP_DELACK_MIN`: a Linux peer may keep an ACK back for 40 ms, up to 200 (`TCP_DELACK_MAX`).
pub(super) const DELAYED_ACK_MS: u32 = 40;

/// Gathers losses.
#[derive(Debug, Clone)]
pub(super) struct LossTally {
    floors: Vec<Floor>,
    rows: Vec<LossDigest>,
    unforeseen: BTreeMap<Unforeseen, u64>,
}

/// A floor that is asked for.
#[derive(Debug, Clone, Copy)]
struct Floor {
    ms: u32,
    /// As the kernels of the recording would keep it.
    in_force: Micros,
}

/// A loss, digested: what stays in memory of it. There may be a million.
#[derive(Debug, Clone)]
struct LossDigest {
    remote: Remote,
    flow: u32,
    by_probe: bool,
    spurious: bool,
    timeouts: u32,
    recovery: Micros,
    floor: Micros,
    source: FloorSource,
    variance_dominated: bool,
    /// One for each floor asked for.
    outcomes: Box<[Asked]>,
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    sooner_us: i64,
    rto: Micros,
    more_at_most: u8,
    more_in_vain: u8,
    outrun: bool,
}

/// The advice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RtoMinAdvice {
    /// What it stands on.
    pub evidence: Evidence,
    /// How long these losses took to repair: from the arming of the first timer to the retransmission that was answered.
    pub recovery_now: Option<Distribution>,
    /// The floors asked for, highest first.
    pub candidates: Vec<Candidate>,
    /// The same by remote prefix, those with most losses first; small ones are folded into larger prefixes.
    pub prefixes: Vec<PrefixAdvice>,
    /// The lowest of these that causes no spurious retransmission as far as the recording shows, and outruns no ACK
    /// that is delayed by 40 ms, ms.
    pub suggested_ms: Option<u32>,
    /// How to apply the suggestion, or the values asked for.
    pub commands: Vec<Commands>,
}

/// What the advice stands on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Evidence {
    /// Losses that a timer repaired.
    pub losses: usize,
    /// Connections that they were on.
    pub flows: usize,
    /// Of these, repaired by an RTO.
    pub by_rto: usize,
    /// Of these, repaired by a tail loss probe with one packet in flight, which waits for the floor, too.
    pub by_probe: usize,
    /// Of these, with more than one timeout in a row: more likely a path that was dead for a while than one packet after
    /// another lost.
    pub several_timeouts: usize,
    /// Retransmissions of timers that turned out unnecessary; nothing was lost.
    pub in_vain: usize,
    /// Losses whose RTO the path's own variance made longer than the floor: no floor would help them.
    pub variance_dominated: usize,
    /// The floors in force, by how many losses had them.
    pub floors_now: Vec<FloorNow>,
    /// Not among the losses: began before the recording, or events are missing.
    pub incomplete: u64,
    /// Not among the losses: something else set their RTO.
    pub not_by_floor: u64,
    /// Not among the losses: ICMP errors, closed windows and local failures were part of it.
    pub disturbed: u64,
    /// Is it enough to say more than a hint?
    pub enough: bool,
}

/// A floor that was in force.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct FloorNow {
    /// ms
    pub floor_ms: f64,
    /// `shown` by the connections' own variables, `socket`, or `default`.
    pub source: &'static str,
    /// Losses under it.
    pub losses: usize,
}

/// What a floor would change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Candidate {
    /// As asked for, ms.
    pub rto_min_ms: u32,
    /// As the kernel would keep it, in whole jiffies, ms.
    pub in_force_ms: f64,
    /// The RTO before any backoff.
    pub first_rto: Option<Distribution>,
    /// How long the losses would take to repair.
    pub recovery: Option<Distribution>,
    /// How much sooner that is, over losses; negative: later.
    pub sooner: Option<Distribution>,
    /// The same over flows: of each its median.
    pub sooner_by_flow: Option<Distribution>,
    /// Retransmissions of the timers as recorded.
    pub retransmissions_now: u64,
    /// How many more at most: if not single packets got lost but the path was dead until the recorded repair.
    pub more_at_most: u64,
    /// How many more would have been spurious, because the ACK was on its way, and would have taken as long as it did.
    pub more_in_vain: u64,
    /// Flows whose RTO would be shorter than their round trip and a delayed ACK of 40 ms.
    pub flows_outrun_by_delayed_ack: usize,
}

impl FloorSource {
    fn name(self) -> &'static str {
        match self {
            Self::Shown => "shown",
            Self::Socket => "socket",
            Self::Default => "default",
        }
    }
}

impl LossTally {
    /// For these floors, in ms.
    pub(super) fn new(floors_ms: impl IntoIterator<Item = u32>) -> LossTally {
        let floors_ms: BTreeSet<u32> = floors_ms.into_iter().collect();
        LossTally {
            floors: floors_ms
                .into_iter()
                .rev()
                .map(|ms| Floor { ms, in_force: Millis::from(ms).to_micros() })
                .collect(),
            rows: Vec::new(),
            unforeseen: BTreeMap::new(),
        }
    }

    /// Takes what was found on a flow.
    pub(super) fn add(&mut self, remote: Remote, flow: u32, finding: &Finding) {
        match finding {
            Finding::Unforeseen(why) => *self.unforeseen.entry(*why).or_default() += 1,
            Finding::Loss(loss) => self.rows.push(LossDigest::of(loss, remote, flow, &mut self.floors)),
        }
    }

    /// Concludes. `wanted_ms` are the floors that commands are wanted for; none: for what is suggested.
    pub(super) fn conclude(&self, wanted_ms: &[u32], kernels: &[String]) -> RtoMinAdvice {
        let rows: Vec<&LossDigest> = self.rows.iter().collect();
        let candidates = candidates(&self.floors, &rows);
        let evidence = self.evidence(&rows);
        let suggested_ms = suggested_ms(&candidates, &evidence);
        let prefixes = prefixes::by_prefix(&self.floors, &rows);
        let wanted: Vec<u32> =
            if wanted_ms.is_empty() { suggested_ms.into_iter().collect() } else { wanted_ms.to_vec() };
        RtoMinAdvice {
            recovery_now: Distribution::of(losses(&rows).map(|row| row.recovery)),
            commands: wanted.iter().map(|&ms| Commands::of(ms, &prefixes, kernels)).collect(),
            candidates,
            evidence,
            prefixes,
            suggested_ms,
        }
    }

    fn evidence(&self, rows: &[&LossDigest]) -> Evidence {
        let unforeseen = |why| self.unforeseen.get(&why).copied().unwrap_or(0);
        let count = |test: fn(&LossDigest) -> bool| losses(rows).filter(|row| test(row)).count();
        let lost = losses(rows).count();
        let flows = flows(rows);
        let mut floors: BTreeMap<(Micros, FloorSource), usize> = BTreeMap::new();
        for row in losses(rows) {
            *floors.entry((row.floor, row.source)).or_default() += 1;
        }
        let mut floors_now: Vec<FloorNow> = floors
            .into_iter()
            .map(|((floor, source), losses)| FloorNow {
                floor_ms: to_ms(signed_us(floor)),
                source: source.name(),
                losses,
            })
            .collect();
        floors_now.sort_by_key(|floor| std::cmp::Reverse(floor.losses));
        Evidence {
            losses: lost,
            flows,
            by_rto: count(|row| !row.by_probe),
            by_probe: count(|row| row.by_probe),
            several_timeouts: count(|row| row.timeouts > 1),
            in_vain: rows.iter().filter(|row| row.spurious).map(|row| row.timeouts as usize).sum(),
            variance_dominated: count(|row| row.variance_dominated),
            floors_now,
            incomplete: unforeseen(Unforeseen::Incomplete),
            not_by_floor: unforeseen(Unforeseen::NotByFloor),
            disturbed: unforeseen(Unforeseen::Disturbed),
            enough: lost >= FEW_FOR_MEDIAN && flows >= FEW_FLOWS,
        }
    }
}

/// Fewer flows than this may be a peculiarity of theirs.
pub(super) const FEW_FLOWS: usize = 5;

impl LossDigest {
    fn of(loss: &Loss, remote: Remote, flow: u32, floors: &mut [Floor]) -> LossDigest {
        let estimator = &loss.estimator;
        let hz = estimator.hz;
        let outcomes = floors.iter_mut().map(|floor| {
            let in_force = floor_in_force(floor.ms.into(), hz);
            floor.in_force = floor.in_force.max(in_force);
            let LossOutcome { rto, sooner_us, more_at_most, more_in_vain } = loss.at_floor(in_force);
            Asked {
                sooner_us,
                rto: hz.jiffies_to_usecs(rto),
                more_at_most,
                more_in_vain,
                outrun: loss.outrun_by_delayed_ack(in_force, Millis::from(DELAYED_ACK_MS).to_micros()),
            }
        });
        LossDigest {
            remote,
            flow,
            by_probe: loss.backoffs.is_empty(),
            spurious: loss.spurious == Some(true),
            timeouts: loss.timeouts() as u32,
            recovery: loss.recovery,
            floor: estimator.floor,
            source: estimator.source,
            variance_dominated: estimator.is_variance_dominated(),
            outcomes: outcomes.collect(),
        }
    }
}

/// Without those that were none.
fn losses<'a>(rows: &'a [&'a LossDigest]) -> impl Iterator<Item = &'a LossDigest> {
    rows.iter().copied().filter(|row| !row.spurious)
}

fn flows(rows: &[&LossDigest]) -> usize {
    losses(rows).map(|row| row.flow).collect::<BTreeSet<u32>>().len()
}

fn candidates(floors: &[Floor], rows: &[&LossDigest]) -> Vec<Candidate> {
    floors.iter().enumerate().map(|(at, &floor)| candidate(floor, at, rows)).collect()
}

fn candidate(floor: Floor, at: usize, rows: &[&LossDigest]) -> Candidate {
    let asked = |row: &LossDigest| row.outcomes[at];
    let mut by_flow: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
    for row in losses(rows) {
        by_flow.entry(row.flow).or_default().push(asked(row).sooner_us);
    }
    let medians = by_flow.into_values().map(|mut sooner_us| {
        sooner_us.sort_unstable();
        nearest_rank(&sooner_us, 50)
    });
    let outrun: BTreeSet<u32> = rows.iter().filter(|row| asked(row).outrun).map(|row| row.flow).collect();
    let sum = |of: fn(&LossDigest, usize) -> u32| rows.iter().map(|row| u64::from(of(row, at))).sum();
    Candidate {
        rto_min_ms: floor.ms,
        in_force_ms: to_ms(signed_us(floor.in_force)),
        first_rto: Distribution::of(losses(rows).map(|row| asked(row).rto)),
        recovery: Distribution::of_signed_us(
            losses(rows).map(|row| signed_us(row.recovery).saturating_sub(asked(row).sooner_us)),
        ),
        sooner: Distribution::of_signed_us(losses(rows).map(|row| asked(row).sooner_us)),
        sooner_by_flow: Distribution::of_signed_us(medians),
        retransmissions_now: sum(|row, _| row.timeouts),
        more_at_most: sum(|row, at| row.outcomes[at].more_at_most.into()),
        more_in_vain: sum(|row, at| row.outcomes[at].more_in_vain.into()),
        flows_outrun_by_delayed_ack: outrun.len(),
    }
}

/// The lowest floor against which the recording says nothing.
fn suggested_ms(candidates: &[Candidate], evidence: &Evidence) -> Option<u32> {
    if !evidence.enough {
        return None;
    }
    let unopposed = |candidate: &&Candidate| {
        candidate.more_in_vain == 0
            && candidate.flows_outrun_by_delayed_ack == 0
            && candidate.sooner.is_some_and(|sooner| sooner.p50_ms > 0.0)
    };
    candidates.iter().filter(unopposed).map(|candidate| candidate.rto_min_ms).min()
}
