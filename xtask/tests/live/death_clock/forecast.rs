//! What the tracer foretold, held against what happened.

use serde_json::Value;

use super::{
    Failure,
    fact::Fact,
    kinds::{Act, Kind},
    table::Row,
};
use crate::tracer::number;

const NS_PER_MS: u64 = 1_000_000;

/// A deadline, on the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Forecast<'a> {
    pub event: &'a Value,
    pub at_ns: u64,
    pub earliest_ns: u64,
    pub expected_ns: u64,
    pub latest_ns: u64,
}

impl<'a> Forecast<'a> {
    /// The event's, if it has one.
    pub fn of(event: &'a Value) -> Option<Self> {
        let deadline = event.get("deadline").filter(|deadline| deadline.is_object())?;
        let at_ns = number(event, "mono_ns");
        let wall_ns = |time: &Value| {
            let time: jiff::Timestamp = time.as_str().expect("a time").parse().expect("RFC 3339");
            time.as_nanosecond() as i64
        };
        let mono_ns = |name: &str| (at_ns as i64 + wall_ns(&deadline[name]) - wall_ns(&event["ts"])) as u64;
        Some(Self {
            event,
            at_ns,
            earliest_ns: mono_ns("earliest"),
            expected_ns: mono_ns("expected"),
            latest_ns: mono_ns("latest"),
        })
    }

    /// Was it made at a timeout, or of a socket that was found between two of them?
    fn is_on_the_ladder(&self) -> bool {
        let timeout = ["rto", "syn", "synack"].iter().any(|ty| self.event["type"] == *ty);
        timeout || self.event["event"] == "in_backoff"
    }

    /// How far `expected` is from a moment that is known within bounds, ms.
    fn off_ms(&self, (from_ns, to_ns): (u64, u64)) -> f64 {
        let off_ns = self.expected_ns as i64 - self.expected_ns.clamp(from_ns, to_ns) as i64;
        off_ns as f64 / NS_PER_MS as f64
    }
}

/// Compares. What the issue demands: within 50 ms or 0.5 % at the first timeout, within two jiffies at the last, and
/// the bounds always hold.
pub fn compare(kind: &Kind, events: &[&Value], fact: &Fact, tick_ms: f64) -> Result<Row, Failure> {
    let closed = events.iter().find(|event| event["event"] == "closed" && fact.closes).copied();
    let moment = fact.moment(closed.map(|closed| number(closed, "mono_ns"))).map_err(Failure::Late)?;
    let wrong = |why: String| match lateness(events) {
        0 => Failure::Wrong(why),
        jiffies => Failure::Late(format!("a timer was served {jiffies} jiffies late ({why})")),
    };
    let fail = |why: String| Err(wrong(why));

    if fact.closes {
        let Some(closed) = closed else { return Err(Failure::Late("no `closed` was heard of".into())) };
        // An orphan has nobody to tell.
        if kind.act != Act::SendsAndCloses && fact.errno != Some(libc::ETIMEDOUT) {
            return fail(format!("the socket's error is {:?}", fact.errno));
        }
        if closed["error"] != "ETIMEDOUT" || closed["knob"] != kind.knob.0 {
            return fail(format!("it died of something else: {closed}"));
        }
    }
    let forecasts: Vec<Forecast<'_>> = events.iter().filter_map(|event| Forecast::of(event)).collect();
    for forecast in &forecasts {
        if forecast.earliest_ns > moment.1 || forecast.latest_ns < moment.0 {
            return fail(format!(
                "it died {} ms after `earliest` and {} ms before `latest` of {}",
                (moment.0 as i64 - forecast.earliest_ns as i64) / NS_PER_MS as i64,
                (forecast.latest_ns as i64 - moment.1 as i64) / NS_PER_MS as i64,
                forecast.event
            ));
        }
    }
    let ladder: Vec<Forecast<'_>> = forecasts.into_iter().filter(Forecast::is_on_the_ladder).collect();
    let (Some(first), Some(last)) = (ladder.first(), ladder.last()) else {
        return fail("no timeout had a deadline".into());
    };
    if kind.before_the_trace && first.event["event"] != "in_backoff" {
        // Or a timeout came between attaching the programs and looking through the sockets.
        return Err(Failure::Late(format!("it was in backoff before: {}", first.event)));
    }
    for pair in ladder.windows(2) {
        let [before, after] = [0, 1].map(|n| number(pair[n].event, "retransmits"));
        // Where the kernel does not run a tracepoint, nobody hears of it; but it must be a rare exception.
        if after != before + 1 {
            let why = format!("after timeout {before} came {after}: {}", pair[1].event);
            return Err(if after > before { Failure::Late(why) } else { Failure::Wrong(why) });
        }
    }
    let deadline = &first.event["deadline"];
    if (&deadline["knob"], &deadline["limit"]) != (&kind.knob.0.into(), &kind.knob.1.into()) {
        return fail(format!("knob and limit: {deadline}"));
    }
    let tries = ladder.len() as u64 - 1;
    let flips = is_close_call(&ladder, moment, tick_ms);
    let allowed_ms = 50_f64.max((moment.0.saturating_sub(first.at_ns)) as f64 / NS_PER_MS as f64 * 0.005);
    if !flips {
        if first.off_ms(moment).abs() > allowed_ms {
            return fail(format!(
                "the first forecast is off by {:.1} ms: {}",
                first.off_ms(moment),
                first.event
            ));
        }
        if last.off_ms(moment).abs() > 2.0 * tick_ms {
            return fail(format!(
                "the last forecast is off by {:.1} ms: {}",
                last.off_ms(moment),
                last.event
            ));
        }
        if deadline["retransmissions_left"] != tries {
            return fail(format!("{tries} tries were left, not as in {deadline}"));
        }
    }
    Ok(Row {
        name: kind.name,
        knob: kind.knob.0,
        tries,
        foretold_ms: relative_ms(first.expected_ns, first.at_ns),
        range_ms: relative_ms(first.latest_ns, first.earliest_ns),
        took_ms: relative_ms(moment.0.midpoint(moment.1), first.at_ns),
        unseen_ms: relative_ms(moment.1, moment.0) / 2.0,
        first_off_ms: first.off_ms(moment),
        last_off_ms: last.off_ms(moment),
        close_call: flips,
    })
}

fn relative_ms(ns: u64, from_ns: u64) -> f64 {
    (ns as i64 - from_ns as i64) as f64 / NS_PER_MS as f64
}

/// Was a timeout's verdict within about a jiffy of being another? Then a moment of the machine's decides, which no
/// forecast can know; the bounds hold all the same.
fn is_close_call(ladder: &[Forecast<'_>], moment: (u64, u64), tick_ms: f64) -> bool {
    let Some(last) = ladder.last() else { return false };
    let deadline = &last.event["deadline"];
    // TCP_USER_TIMEOUT sets its own last timeout, right after its time. Requests are counted.
    let (Some(budget_ms), true) = (deadline["budget_ms"].as_f64(), deadline["knob"] != "TCP_USER_TIMEOUT")
    else {
        return false;
    };
    let elapsed_ms =
        |forecast: &Forecast<'_>| forecast.event["deadline"]["elapsed_ms"].as_f64().unwrap_or(0.0);
    let at_death_ms = elapsed_ms(last) + relative_ms(moment.0, last.at_ns);
    let near = |elapsed_ms: f64| (elapsed_ms - budget_ms).abs() <= tick_ms + 2.0;
    near(at_death_ms) || ladder.iter().any(|forecast| near(elapsed_ms(forecast)))
}

/// By how many jiffies at most a timer was served late, from the second timeout on, by the kernel's own account: what
/// it was armed for, the bucket of the timer wheel that this comes into, and when its handler ran.
fn lateness(events: &[&Value]) -> u64 {
    let mut armed_at = None;
    let mut most = 0;
    for event in events {
        let kernel = &event["kernel"];
        let timeout = ["rto", "syn", "synack"].iter().any(|ty| event["type"] == *ty);
        let closing = event["tracepoint"] == "inet_sock_set_state" && kernel["new"] == 7;
        let Some(jiffies) = kernel["jiffies"].as_u64().filter(|_| timeout || closing) else { continue };
        let expires = match kernel["req_expires"].as_u64() {
            Some(low) if event["type"] == "synack" => (jiffies & !0xffff_ffff) | low,
            _ => kernel["timer_expires"].as_u64().unwrap_or(jiffies),
        };
        if let Some(armed_at) = armed_at {
            most = most.max(jiffies.saturating_sub(bucket(expires, armed_at)));
        }
        armed_at = Some(jiffies);
    }
    most
}

/// When the wheel serves a timer that its own handler arms (`calc_wheel_index`, with `base->clk` one ahead).
fn bucket(expires: u64, armed_at: u64) -> u64 {
    let reach = expires.saturating_sub(armed_at + 1);
    let shift = (0..8).find(|level| reach < 63 << (3 * level)).unwrap_or(8) * 3;
    ((expires >> shift) + 1) << shift
}
