//! Which value of a knob notices a dead peer in time: by the forecast, computed for other values than those in force.

use serde::Serialize;

use super::silence::Unanswered;
use crate::{
    advise::distribution::Distribution,
    deadline::{TimerView, model_timeout},
    socket::{Micros, Millis, Nanos},
};

/// Those that people ask about; 15 is Linux's default, 8 the least that RFC 1122 allows.
const USUAL_RETRIES: [u32; 6] = [3, 5, 6, 8, 10, 15];
/// `tcp_retries2` has one byte, but the budget of 30 is 45 minutes already.
const MOST_RETRIES: u32 = 30;
/// Steps in which a TCP_USER_TIMEOUT is looked for, ms.
const USER_TIMEOUT_STEP_MS: u64 = 100;

/// What a value of `tcp_retries2` would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ForRetries {
    /// The value.
    pub retries: u32,
    /// The time that it stands for (`tcp_model_timeout`), ms.
    pub budget_ms: u64,
    /// After which time a dead peer would be noticed, with the timers seen: since the original transmission.
    pub detection: Option<Distribution>,
    /// How many of the connections that recovered would have been cut off.
    pub cut_off: usize,
}

/// What a TCP_USER_TIMEOUT would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct UserTimeout {
    /// The value, ms.
    pub timeout_ms: u64,
    /// After which time a dead peer would be noticed, with the timers seen: since the original transmission.
    pub detection: Option<Distribution>,
    /// How many of the connections that recovered would have been cut off.
    pub cut_off: usize,
}

/// How to notice dead peers within the time asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Choice {
    /// The largest `tcp_retries2` that does; `None`: not even 1 does.
    pub retries2: Option<ForRetries>,
    /// The longest TCP_USER_TIMEOUT that does.
    pub user_timeout: Option<UserTimeout>,
    /// The smallest `tcp_retries2` that would have cut off nothing.
    pub harmless_retries2: Option<ForRetries>,
    /// Sets `tcp_retries2`.
    pub sysctl: Option<String>,
    /// Sets TCP_USER_TIMEOUT: in C.
    pub setsockopt: Option<String>,
}

/// A timer at its first RTO, with others that are alike.
#[derive(Debug, Clone, Copy)]
pub(super) struct FirstTimeout<'a> {
    pub view: &'a TimerView,
    /// From the original transmission to that RTO.
    pub lead: Micros,
    /// How many there were of its kind.
    pub count: usize,
}

/// What the usual values would do.
pub(super) fn usual(timeouts: &[FirstTimeout<'_>], recovered: &[Unanswered]) -> Vec<ForRetries> {
    USUAL_RETRIES.iter().filter_map(|&retries| for_retries(retries, timeouts, recovered)).collect()
}

/// How to notice dead peers in time. `None` without a timer to ask.
pub(super) fn within(
    timeouts: &[FirstTimeout<'_>],
    recovered: &[Unanswered],
    wanted_ms: u64,
) -> Option<Choice> {
    if timeouts.is_empty() {
        return None;
    }
    let in_time = |detection: &Option<Distribution>| {
        detection.is_some_and(|detection| detection.max_ms <= wanted_ms as f64)
    };
    let of = |retries| for_retries(retries, timeouts, recovered);
    // More retries never mean less time.
    let retries2 = (1..=MOST_RETRIES).map_while(of).take_while(|found| in_time(&found.detection)).last();
    let harmless_retries2 = (1..=MOST_RETRIES).filter_map(of).find(|found| found.cut_off == 0);
    let steps: Vec<u64> = (1..=wanted_ms / USER_TIMEOUT_STEP_MS).collect();
    let fits = |step: &u64| {
        in_time(&detection(timeouts, |view| view.user_timeout = Some(Millis(step * USER_TIMEOUT_STEP_MS))))
    };
    let user_timeout = steps[..steps.partition_point(fits)]
        .last()
        .map(|step| for_user_timeout(step * USER_TIMEOUT_STEP_MS, timeouts, recovered));
    Some(Choice {
        sysctl: retries2.as_ref().map(|found| format!("sysctl -w net.ipv4.tcp_retries2={}", found.retries)),
        setsockopt: user_timeout.as_ref().map(|found| {
            let ms = found.timeout_ms;
            format!("unsigned ms = {ms}; setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);")
        }),
        retries2,
        user_timeout,
        harmless_retries2,
    })
}

fn for_retries(retries: u32, timeouts: &[FirstTimeout<'_>], recovered: &[Unanswered]) -> Option<ForRetries> {
    // The budget hangs on `rto_max`, which flows may differ in: the strictest cuts off first.
    let budget = |view: &TimerView| model_timeout(view.hz, retries, view.hz.rto_min(), view.rto_max);
    let budget = timeouts.iter().filter_map(|timeout| budget(timeout.view)).min()?;
    Some(ForRetries {
        retries,
        budget_ms: budget.0,
        detection: detection(timeouts, |view| view.sysctls.retries2 = retries),
        cut_off: recovered
            .iter()
            .filter(|unanswered| unanswered.judged.is_some_and(|judged| judged >= budget))
            .count(),
    })
}

fn for_user_timeout(timeout_ms: u64, timeouts: &[FirstTimeout<'_>], recovered: &[Unanswered]) -> UserTimeout {
    UserTimeout {
        timeout_ms,
        detection: detection(timeouts, |view| view.user_timeout = Some(Millis(timeout_ms))),
        cut_off: recovered.iter().filter(|unanswered| unanswered.counted >= Millis(timeout_ms)).count(),
    }
}

/// After which time a dead peer is noticed with another value of a knob: from the original transmission to the end that the forecast gives.
fn detection(timeouts: &[FirstTimeout<'_>], turn: impl Fn(&mut TimerView)) -> Option<Distribution> {
    let ends = timeouts.iter().flat_map(|&FirstTimeout { view, lead, count }| {
        let mut view = view.clone();
        turn(&mut view);
        let rest = |end: Nanos| (end - view.time).cut_to_micros();
        let end = view.forecast().map(|deadline| lead + rest(Nanos(deadline.expected_ns)));
        std::iter::repeat_n(end, count)
    });
    Distribution::of(ends.flatten())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        advise::story,
        event::{RetransmitType, What},
    };

    fn view(rto_jiffies: u32) -> TimerView {
        let What::Retransmit(retransmit) = story::rto(208, 1).what else { unreachable!("a retransmission") };
        let mut record = retransmit.record;
        record.sock.icsk_rto = rto_jiffies;
        TimerView::from_record(RetransmitType::Rto, &record, story::hz()).expect("a timer")
    }

    fn timeouts(view: &TimerView, count: usize) -> FirstTimeout<'_> {
        FirstTimeout { view, lead: view.hz.jiffies_to_usecs(view.rto), count }
    }

    fn unanswered(judged_ms: Option<u64>, counted_ms: u64) -> Unanswered {
        Unanswered { after: Micros(0), judged: judged_ms.map(Millis), counted: Millis(counted_ms) }
    }

    #[test]
    fn the_usual_values_as_section_2_of_the_kernel_has_them() {
        let view = view(51);
        let found = usual(&[timeouts(&view, 1)], &[]);
        let of = |retries| found.iter().find(|found| found.retries == retries).expect("usual");
        assert_eq!((of(3).budget_ms, of(8).budget_ms, of(15).budget_ms), (3000, 102_200, 924_600));
        let max_ms = |retries| of(retries).detection.expect("some").max_ms;
        assert!((6320.0..6700.0).contains(&max_ms(3)), "{}", max_ms(3));
        assert!((12_850.0..13_400.0).contains(&max_ms(5)), "{}", max_ms(5));
        assert!((104_000.0..108_000.0).contains(&max_ms(8)), "{}", max_ms(8));
        assert!((937_000.0..953_000.0).contains(&max_ms(15)), "{}", max_ms(15));
    }

    #[test]
    fn the_longest_that_is_in_time() {
        let view = view(51);
        let choice = within(&[timeouts(&view, 1)], &[], 30_000).expect("a timer");
        assert_eq!(choice.retries2.expect("one").retries, 6);
        let user_timeout = choice.user_timeout.expect("one");
        let detection_ms = user_timeout.detection.expect("some").max_ms;
        assert!((28_000..30_000).contains(&user_timeout.timeout_ms) && detection_ms <= 30_000.0);
        assert_eq!(within(&[], &[], 30_000), None);
        let too_soon = within(&[timeouts(&view, 1)], &[], 300).expect("a timer");
        assert_eq!((too_soon.retries2, too_soon.user_timeout.map(|it| it.timeout_ms)), (None, None));
    }

    #[test]
    fn the_slowest_flow_decides() {
        let (quick, slow) = (view(51), view(750));
        let of = |timeouts: &[FirstTimeout<'_>]| within(timeouts, &[], 30_000).expect("a timer");
        let both = of(&[timeouts(&quick, 99), timeouts(&slow, 1)]);
        let alone = of(&[timeouts(&slow, 1)]);
        assert_eq!(both.retries2.map(|it| it.retries), alone.retries2.map(|it| it.retries));
    }

    #[test]
    fn who_recovered_counts() {
        let view = view(51);
        let recovered = [unanswered(None, 1), unanswered(Some(12_600), 13_000), unanswered(Some(3000), 3100)];
        let found = usual(&[timeouts(&view, 1)], &recovered);
        let cut_off: Vec<(u32, usize)> = found.iter().map(|found| (found.retries, found.cut_off)).collect();
        assert_eq!(cut_off, [(3, 2), (5, 1), (6, 0), (8, 0), (10, 0), (15, 0)]);
        let choice = within(&[timeouts(&view, 1)], &recovered, 5000).expect("a timer");
        let retries2 = choice.retries2.expect("one");
        assert!(retries2.cut_off > 0 && retries2.retries < 5);
        assert_eq!(choice.harmless_retries2.expect("one").retries, 6);
        assert_eq!(choice.user_timeout.expect("one").cut_off, 1);
    }
}
