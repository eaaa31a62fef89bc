use super::*;
use crate::{
    advise::{
        story,
        story::{recovered, rto},
    },
    event::RecoveredBy,
    socket::Hz,
};

/// A single RTO of a calm connection.
fn loss() -> Loss {
    let mut past = crate::advise::estimator::Past::default();
    past.learn(&story::record(0).sock, story::hz());
    let mut losses = crate::advise::loss_finder::LossFinder::default();
    let mut found = Vec::new();
    for event in [rto(208, 1), recovered(209, RecoveredBy::CongState, Some(false))] {
        losses.observe(&event, &past, story::hz(), &mut |finding| found.push(finding));
    }
    match found.pop() {
        Some(Finding::Loss(loss)) => loss,
        other => panic!("{other:?}"),
    }
}

fn remote(address: &str) -> Remote {
    Remote::of(&story::flow(address))
}

fn tally(losses: impl IntoIterator<Item = (Remote, u32, Loss)>) -> LossTally {
    let mut tally = LossTally::new(USUAL_FLOORS_MS);
    for (remote, flow, loss) in losses {
        tally.add(remote, flow, &Finding::Loss(loss));
    }
    tally
}

fn many(count: u32, flows: u32) -> Vec<(Remote, u32, Loss)> {
    (0..count).map(|n| (remote("10.1.2.3"), n % flows, loss())).collect()
}

fn advice(tally: &LossTally) -> RtoMinAdvice {
    tally.conclude(&[], &["6.18.1".to_owned()])
}

fn at(advice: &RtoMinAdvice, floor_ms: u32) -> &Candidate {
    advice.candidates.iter().find(|candidate| candidate.rto_min_ms == floor_ms).expect("asked for")
}

#[test]
fn the_lower_the_sooner_and_the_present_floor_changes_nothing() {
    let advice = advice(&tally(many(40, 8)));
    let floors: Vec<u32> = advice.candidates.iter().map(|candidate| candidate.rto_min_ms).collect();
    assert_eq!(floors, [200, 100, 50, 20, 10]);
    let sooner: Vec<f64> =
        advice.candidates.iter().map(|candidate| candidate.sooner.expect("some").p50_ms).collect();
    assert_eq!(sooner, [0.0, 100.0, 148.0, 180.0, 188.0]);
    assert_eq!((at(&advice, 50).in_force_ms, at(&advice, 50).first_rto.expect("some").p50_ms), (52.0, 56.0));
    assert_eq!(advice.evidence.floors_now, [FloorNow { floor_ms: 200.0, source: "shown", losses: 40 }]);
}

#[test]
fn one_busy_flow_is_one_flow() {
    // 90 losses of a flow that no floor helps, and one each of nine that it does.
    let rough = Loss {
        estimator: crate::advise::estimator::Estimator { rttvar: Micros(400_000), ..loss().estimator },
        ..loss()
    };
    let busy = (0..90).map(|_| (remote("10.1.2.3"), 0, rough.clone()));
    let advice = advice(&tally(busy.chain((1..10).map(|flow| (remote("10.1.2.3"), flow, loss())))));
    let candidate = at(&advice, 50);
    assert_eq!(candidate.sooner.expect("some").p50_ms, 0.0, "by losses");
    assert_eq!(candidate.sooner_by_flow.map(|it| (it.count, it.p50_ms)), Some((10, 148.0)), "by flows");
    assert_eq!(advice.evidence.variance_dominated, 90);
}

#[test]
fn retransmissions_in_vain_are_no_losses() {
    let vain = Loss { spurious: Some(true), answer: Some(Micros(20_000)), ..loss() };
    let mut all = many(40, 8);
    all.push((remote("10.1.2.3"), 3, vain));
    let advice = advice(&tally(all));
    assert_eq!((advice.evidence.losses, advice.evidence.in_vain), (40, 1));
    // The answer came after 228 ms. RTOs under 100 ms: at 108 and 320; under 50 ms: at 60 and 176.
    assert_eq!((at(&advice, 100).more_in_vain, at(&advice, 50).more_in_vain), (0, 1));
    assert_eq!(advice.suggested_ms, Some(100), "50 ms would send more in vain");
}

#[test]
fn what_is_suggested_leaves_time_for_a_delayed_ack() {
    let of = |count, flows| advice(&tally(many(count, flows)));
    assert_eq!(of(40, 8).suggested_ms, Some(50), "20 and 10 ms would outrun it");
    assert_eq!(at(&of(40, 8), 20).flows_outrun_by_delayed_ack, 8);
    for (count, flows) in [(19, 19), (40, 4)] {
        let few = of(count, flows);
        assert_eq!((few.suggested_ms, few.evidence.enough), (None, false), "{count} on {flows}");
    }
    // What is already in force is no suggestion.
    let mut quick = loss();
    quick.estimator = crate::advise::estimator::Estimator {
        floor: Micros(52_000),
        rttvar: Micros(52_000),
        hz: Hz::new(250),
        ..quick.estimator
    };
    let quick = (0..40).map(|n| (remote("10.1.2.3"), n % 8, quick.clone()));
    assert_eq!(advice(&tally(quick)).suggested_ms, None);
}

#[test]
fn commands_are_for_what_is_wanted() {
    let tally = tally(many(40, 8));
    let wanted: Vec<u32> =
        tally.conclude(&[30, 100], &[]).commands.iter().map(|commands| commands.rto_min_ms).collect();
    assert_eq!(wanted, [30, 100]);
    let suggested = advice(&tally);
    let [commands] = &suggested.commands[..] else { panic!("{:?}", suggested.commands) };
    assert_eq!(commands.sysctl, "sysctl -w net.ipv4.tcp_rto_min_us=50000");
    let [route] = &commands.routes[..] else { panic!("{:?}", commands.routes) };
    assert_eq!((&route.prefix[..], &route.show[..]), ("10.1.2.0/24", "ip route get fibmatch 10.1.2.3"));
    assert_eq!(
        route.change,
        "ip route change $(ip route get fibmatch 10.1.2.3 | sed 's/rto_min lock [^ ]*//') rto_min 50ms"
    );
}

#[test]
fn small_prefixes_are_folded_into_larger_ones() {
    let from = |address: &str, count: usize| vec![(remote(address), 1, loss()); count];
    let all = [
        from("10.1.2.3", 25),
        // Together enough for a /16.
        from("10.2.1.1", 12),
        from("10.2.9.1", 13),
        // Together enough for a /8.
        from("172.16.0.1", 10),
        from("172.20.0.1", 10),
        // Too few in all.
        from("192.0.2.1", 3),
        from("2001:db8::1", 20),
        from("2001:db8:0:0:1::1", 1),
        from("2001:db8:0:1::1", 2),
    ];
    let advice = advice(&tally(all.into_iter().flatten()));
    let found: Vec<(String, usize, usize)> = advice
        .prefixes
        .iter()
        .map(|it| {
            let prefix = it.prefix.map_or_else(|| "the rest".to_owned(), |prefix| prefix.to_string());
            (prefix, it.losses, it.addresses)
        })
        .collect();
    let expected = [
        ("10.1.2.0/24", 25, 1),
        ("10.2.0.0/16", 25, 2),
        ("2001:db8::/64", 21, 2),
        ("172.0.0.0/8", 20, 2),
        ("the rest", 5, 2),
    ];
    assert_eq!(found, expected.map(|(prefix, losses, addresses)| (prefix.to_owned(), losses, addresses)));
    assert_eq!(advice.prefixes[2].address.to_string(), "2001:db8::1", "the one with most losses");
    let losses: usize = advice.prefixes.iter().map(|it| it.losses).sum();
    assert_eq!(losses, advice.evidence.losses, "none is left out, none counted twice");
    assert_eq!(advice.commands, [], "one flow is too few");
    let routes = tally(many(25, 1)).conclude(&[50], &[]).commands;
    assert_eq!(routes[0].routes.len(), 1, "asked for, it is shown all the same");
}
