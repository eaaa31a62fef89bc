//! Whole recordings, summed up.

use std::sync::Arc;

use episode::EpisodeOutcome;
use groups::GroupKey;
use proptest::prelude::*;

use super::*;
use crate::event::{
    Deadline, Event, FlowId, HungUp, HungUpSide, InBackoff, Knob, RecoveredBy, RetransmitType, SendError,
    TypeTotal, samples as sample,
    samples::{CLOCK, NOW_NS},
};

const MS: u64 = 1_000_000;

fn flow(id: u64) -> Flow {
    Flow { id: FlowId(id), ..sample::ipv4_flow() }
}

fn at(ms: u64, flow: &Flow, what: What) -> Recorded {
    let event = Event { mono_ns: NOW_NS + ms * MS, flow: Some(Arc::new(flow.clone())), what };
    Recorded { event, clock: CLOCK, session: 0, after_gap: false }
}

fn in_session(session: u32, recorded: Recorded) -> Recorded {
    Recorded { session, ..recorded }
}

/// The `n`-th timeout of an episode, 200 ms doubled each time.
fn rto(n: u32, deadline: Option<Deadline>) -> What {
    let rto_ms = 100 << n;
    sample::retransmit(Retransmit {
        retransmits: n,
        rto_ms: Some(rto_ms),
        next_rto_ms: Some(2 * rto_ms),
        deadline,
        ..sample::rto()
    })
}

fn probe() -> What {
    let tlp = RetransmitType::Tlp;
    sample::retransmit(Retransmit { ty: tlp, bytes: 100, ..Retransmit { segs: 1, ..sample::fast() } })
}

fn closed(cause: Cause, knob: Option<Knob>) -> What {
    let who = Some(Who::Kernel);
    What::Closed(Box::new(Closed { cause, knob, who, predicted_at_ns: None, ..sample::closed() }))
}

fn report(events: &[Recorded]) -> Report {
    let mut tally = Tally::default();
    events.iter().for_each(|recorded| tally.observe(recorded, true));
    tally.finish()
}

#[test]
fn a_death_with_its_ladder_and_its_forecast() {
    let predicted =
        Deadline { expected_ns: NOW_NS + 6_900 * MS, latest_ns: NOW_NS + 7_000 * MS, ..sample::deadline() };
    let predicted = Deadline { earliest_ns: NOW_NS + 6_000 * MS, ..predicted };
    let events = [
        at(0, &flow(1), probe()),
        at(200, &flow(1), rto(1, Some(predicted.clone()))),
        at(600, &flow(1), rto(2, Some(Deadline { expected_ns: NOW_NS, ..predicted }))),
        at(1400, &flow(1), rto(3, None)),
        at(
            6_950,
            &flow(1),
            What::Closed(Box::new(Closed { predicted_at_ns: Some(NOW_NS + 6_951 * MS), ..sample::closed() })),
        ),
    ];
    let report = report(&events);
    let [worst] = report.worst.as_slice() else { panic!("{:?}", report.worst) };
    assert_eq!(worst.episode.duration_ms, 6_950);
    assert_eq!((worst.episode.sent, worst.episode.deepest, worst.more), (4, 3, 0));
    assert_eq!(worst.episode.ladder.expired_ms, [200, 400, 800]);
    assert_eq!(worst.episode.ladder.waiting_ms, Some(1600));
    assert_eq!(
        worst.episode.outcome,
        EpisodeOutcome::Closed(Cause::RetransmitTimeout, Some(Knob::TcpRetries2))
    );
    assert_eq!((report.forecasts.predicted, report.forecasts.within_window), (1, 1));
    assert_eq!(report.forecasts.first.latest_us, 50_000, "the first forecast counts");
    assert_eq!(report.forecasts.last.earliest_us, -1_000);
    assert_eq!(report.forecasts.lead_ms.max(), Some(6_750));
    assert_eq!((report.all.flows, report.all.retransmitting, report.all.counts.deaths), (1, 1, 1));
    assert_eq!(report.all.counts.timeouts, 3, "a probe is no timeout");
    assert_eq!(report.undelivered_bytes, 200_000);
    assert_eq!(report.timeline.bins().iter().sum::<u64>(), 4);
}

#[test]
fn episodes_that_end_well_or_not_at_all() {
    let recovered = |episode, duration_ms, spurious| {
        What::Recovered(Recovered { episode, duration_ms, spurious, max_backoff: 1, ..sample::recovered() })
    };
    let second = |what| match what {
        What::Retransmit(retransmit) => What::Retransmit(Box::new(Retransmit { episode: 2, ..*retransmit })),
        other => other,
    };
    let events = [
        at(0, &flow(1), rto(1, None)),
        at(350, &flow(1), recovered(1, 350, Some(true))),
        at(500, &flow(1), second(rto(1, None))),
        at(900, &flow(2), recovered(1, 20, None)),
        at(1_100, &flow(1), second(rto(2, None))),
    ];
    let report = report(&events);
    let told: Vec<_> = report
        .worst
        .iter()
        .map(|worst| (worst.episode.duration_ms, worst.episode.outcome, worst.more))
        .collect();
    assert_eq!(
        told,
        [(600, EpisodeOutcome::Open, 0), (350, EpisodeOutcome::Recovered(Some(true)), 1)],
        "the shorter recovery of the same remote end is like the longer one"
    );
    assert_eq!((report.open_episodes, report.deepest.count(), report.recovery_ms.max()), (1, 3, Some(350)));
    let counts = report.counts();
    assert_eq!((counts.recovered, counts.spurious, counts.spurious_unknown), (2, 1, 1));
    assert_eq!((counts.worst_ms, report.all.flows, report.all.retransmitting), (600, 2, 1));
}

#[test]
fn an_episode_goes_on_in_the_next_session() {
    let seeded = What::InBackoff(Box::new(InBackoff {
        state: 1,
        retransmits: 2,
        backoff: 2,
        rto_ms: 800,
        since_ms: Some(9_000),
        total_retrans: 2,
        unacked_bytes: 1,
        deadline: None,
        episode: 1,
    }));
    let unknown = Flow { pid: None, comm: None, ..flow(1) };
    let known = [at(0, &flow(1), rto(1, None)), at(400, &flow(1), rto(2, None))];
    let later = [
        in_session(1, at(900, &unknown, seeded.clone())),
        in_session(1, at(1_200, &unknown, rto(3, None))),
        in_session(1, at(2_800, &unknown, closed(Cause::RetransmitTimeout, None))),
    ];
    let whole = report(&[known.as_slice(), later.as_slice()].concat());
    let [worst] = whole.worst.as_slice() else { panic!("{:?}", whole.worst) };
    assert_eq!(
        (worst.episode.duration_ms, &worst.episode.ladder.expired_ms[..]),
        (2_800, &[200, 400, 800][..])
    );
    assert_eq!((whole.all.flows, whole.forecasts.not_predicted), (1, 1));
    assert_eq!(
        whole.groups(By::Process).groups[0].key,
        GroupKey::Name("java".into()),
        "the owner was known once"
    );
    let half = report(&later);
    assert_eq!(half.worst[0].episode.duration_ms, 9_000 + 1_900, "it was older than the trace");
    assert_eq!(half.groups(By::Process).groups[0].key, GroupKey::Unknown);
}

#[test]
fn what_was_not_asked_for_counts_only_as_recorded() {
    let mut tally = Tally::default();
    let lost = Event { mono_ns: NOW_NS, ..sample::lost(17, crate::event::LostWhere::Ring) };
    tally.observe(&Recorded { event: lost, clock: CLOCK, session: 0, after_gap: false }, false);
    tally.observe(&at(0, &flow(1), rto(1, None)), false);
    tally.observe(&at(500, &flow(2), rto(1, None)), true);
    let report = tally.finish();
    assert_eq!((report.events, report.all.flows, report.counts().sent), (1, 1, 1));
    assert_eq!(report.totals.lost.values().sum::<u64>(), 0);
    assert_eq!(report.sessions.recorded_ns, 500 * MS);
}

#[test]
fn an_observation_makes_no_flow() {
    let observed = What::Observation(Box::new(sample::observation()));
    let report = report(&[at(0, &flow(1), observed)]);
    assert_eq!((report.all.flows, report.events), (0, 0));
}

/// What happens to a flow.
#[derive(Debug, Clone)]
enum Step {
    Timeout(u32),
    Probe,
    Failed,
    Recovered(u64, Option<bool>),
    Closed(Cause, bool),
    Backoff,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u32..16).prop_map(Step::Timeout),
        2 => Just(Step::Probe),
        1 => Just(Step::Failed),
        2 => (0u64..100_000, any::<Option<bool>>()).prop_map(|(ms, spurious)| Step::Recovered(ms, spurious)),
        1 => (proptest::sample::select(Cause::ALL.to_vec()), any::<bool>())
            .prop_map(|(cause, hung_up)| Step::Closed(cause, hung_up)),
        1 => Just(Step::Backoff),
    ]
}

fn what(step: &Step) -> What {
    match *step {
        Step::Timeout(n) => rto(n, Some(sample::deadline())),
        Step::Probe => probe(),
        Step::Failed => sample::retransmit(Retransmit { err: Some(SendError::QueueDrop), ..sample::rto() }),
        Step::Recovered(duration_ms, spurious) => What::Recovered(Recovered {
            duration_ms,
            spurious,
            by: RecoveredBy::Progress,
            ..sample::recovered()
        }),
        Step::Closed(cause, hung_up) => {
            let hung_up = hung_up.then(|| HungUp { side: HungUpSide::Local, ..sample::hung_up() });
            What::Closed(Box::new(Closed { cause, hung_up, ..sample::closed() }))
        }
        Step::Backoff => What::InBackoff(Box::new(InBackoff {
            state: 1,
            retransmits: 1,
            backoff: 1,
            rto_ms: 400,
            since_ms: None,
            total_retrans: 1,
            unacked_bytes: 1,
            deadline: Some(sample::deadline()),
            episode: 1,
        })),
    }
}

fn of_host(id: u64) -> Flow {
    let host = std::net::Ipv4Addr::from(0x0a00_0000 + (id % 5) as u32);
    let comm = (!id.is_multiple_of(3)).then(|| Arc::from(format!("app{}", id % 3)));
    Flow { raddr: host.into(), rport: 9000 + (id % 4) as u16, comm, ..flow(id) }
}

/// Flows and what happens to each, one after the other in time; `order` says whose turn it is.
fn interleaved(flows: &[Vec<Step>], order: &[usize]) -> Vec<Recorded> {
    let mut queues: Vec<_> = flows.iter().map(|steps| steps.iter().enumerate()).collect();
    let mut events = Vec::new();
    let turns = order.iter().copied().chain((0..flows.len()).flat_map(|id| vec![id; flows[id].len()]));
    for turn in turns {
        let id = turn % flows.len();
        if let Some((step, what_happens)) = queues[id].next() {
            let id = id as u64;
            // Times belong to the flow's own story, whoever else tells theirs in between.
            events.push(at(1_000 * step as u64 + id, &of_host(id), what(what_happens)));
        }
    }
    events
}

fn stories() -> impl Strategy<Value = Vec<Vec<Step>>> {
    proptest::collection::vec(proptest::collection::vec(step(), 1..12), 1..14)
}

/// All that can be compared.
fn digest(report: &Report) -> String {
    let spreads = [&report.recovery_ms, &report.rto_ms, &report.deepest, &report.forecasts.first.off_us];
    let spreads = spreads.map(|spread| (spread.count(), spread.min(), spread.quantile(0.5), spread.max()));
    format!(
        "{:?}",
        (
            (&report.totals, &report.endings, report.all, &report.groups, spreads),
            (&report.worst, report.open_episodes, &report.timeline, report.undelivered_bytes),
            (report.forecasts.predicted, report.hang_ups.local, &report.sessions),
        )
    )
}

proptest! {
    #[test]
    fn groups_add_up_to_the_totals_however_little_room_there_is(
        flows in stories(),
        order in proptest::collection::vec(0usize..14, 0..100),
        room in 1usize..20,
    ) {
        let events = interleaved(&flows, &order);
        let mut tally = Tally::new(Bounds { flows: room, groups: 1 + room / 4, worst: 3, bins: 4 });
        events.iter().for_each(|recorded| tally.observe(recorded, true));
        let report = tally.finish();
        let counts = report.counts();
        let sum = |of: fn(&TypeTotal) -> u64| report.totals.retransmits.values().map(of).sum::<u64>();
        prop_assert_eq!(
            [sum(|total| total.sent), sum(|total| total.failed), sum(|total| total.segs), sum(|total| total.bytes)],
            [counts.sent, counts.failed, counts.segs, counts.bytes]
        );
        prop_assert_eq!(counts.recovered, report.totals.recovered);
        prop_assert_eq!(counts.closed, report.totals.closed.values().sum::<u64>());
        prop_assert_eq!(counts.closed, report.endings.iter().map(|ending| ending.count).sum::<u64>());
        prop_assert_eq!(counts.hung_up, report.hang_ups.local);
        prop_assert_eq!(report.timeline.bins().iter().sum::<u64>(), counts.sent + counts.failed);
        for by in By::ALL {
            let (_, all) = report.groups(by).after(0);
            prop_assert_eq!(all, report.all);
        }
        // Every episode is over once: by recovery, by an end, or left open.
        prop_assert!(report.deepest.count() >= report.open_episodes + counts.recovered);
    }

    #[test]
    fn it_does_not_matter_how_flows_interleave(
        flows in stories(),
        one in proptest::collection::vec(0usize..14, 0..100),
        other in proptest::collection::vec(0usize..14, 0..100),
    ) {
        let [one, other] = [one, other].map(|order| report(&interleaved(&flows, &order)));
        prop_assert!(digest(&one) == digest(&other), "they differ");
    }
}
