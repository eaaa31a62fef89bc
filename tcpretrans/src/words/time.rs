//! Durations and wall-clock times, each in one form wherever people read them.
//!
//! A duration is a number, a space and a unit, as in SI: `204 ms`, `3.3 s`, `4 min 43 s`. The space keeps the digits
//! apart from the letters (`1 s`, not `1s`), and a minute is `min`, because `m` alone may be a metre or a million.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// A duration in milliseconds: see [`micros`].
pub(crate) fn millis(ms: u64) -> String {
    micros(ms.saturating_mul(1000))
}

/// A duration in microseconds: `0.2 ms`, `204 ms`, `3.3 s`, `4 min 43 s`, `2 h 11 min`, `3 d 4 h`. Rounded to what is
/// shown; a part that is zero is left out.
pub(crate) fn micros(us: u64) -> String {
    let (seconds, minutes, hours) =
        (nearest(us, 1_000_000), nearest(us, 60_000_000), nearest(us, 3_600_000_000));
    match us {
        0..9_950 => format!("{} ms", tenths(nearest(us, 100))),
        9_950..999_500 => format!("{} ms", nearest(us, 1000)),
        999_500..59_950_000 => format!("{} s", tenths(nearest(us, 100_000))),
        _ if seconds < 3600 => two_units(seconds, 60, "min", "s"),
        _ if minutes < 24 * 60 => two_units(minutes, 60, "h", "min"),
        _ => two_units(hours, 24, "d", "h"),
    }
}

/// A duration in milliseconds by its largest unit alone, where there is no room for [`millis`]: `15 min` for 15 min 37 s.
/// Cut, not rounded.
pub(crate) fn largest_unit(ms: u64) -> String {
    let whole = millis(ms);
    let second_unit = whole.match_indices(' ').nth(1);
    second_unit.map_or(whole.as_str(), |(at, _)| &whole[..at]).to_owned()
}

/// A duration that is computed, and may be negative: `-148 ms`.
pub(crate) fn signed_millis(ms: f64) -> String {
    let shown = micros((ms.abs() * 1000.0).round() as u64);
    if ms < 0.0 && shown != micros(0) { format!("-{shown}") } else { shown }
}

/// The retransmission timeout that expired and the next one, ms, in one unit: `204->408 ms`, `0.8->1.6 s`.
pub(crate) fn step(from_ms: u64, to_ms: u64) -> String {
    match from_ms.max(to_ms) {
        0..1000 => format!("{from_ms}->{to_ms} ms"),
        _ => format!("{}->{} s", in_seconds(from_ms), in_seconds(to_ms)),
    }
}

/// Retransmission timeouts one after the other, ms, each with how many times it was in force. The unit stands where
/// it changes: `204->408->816 ms->1.6->3.3 s`, `60->120 s (8 times)`.
pub(crate) fn steps(steps: &[(u64, u64)]) -> String {
    let in_ms = |ms: u64| ms < 1000;
    let mut text = String::new();
    for (at, &(ms, times)) in steps.iter().enumerate() {
        if at > 0 {
            text.push_str("->");
        }
        text.push_str(&if in_ms(ms) { ms.to_string() } else { in_seconds(ms) });
        if steps.get(at + 1).is_none_or(|&(next, _)| in_ms(next) != in_ms(ms)) {
            text.push_str(if in_ms(ms) { " ms" } else { " s" });
        }
        if times > 1 {
            text.push_str(&format!(" ({times} times)"));
        }
    }
    text
}

/// Seconds without their unit: `0.8`, `6.5`, `13`. Timeouts double, so more digits would say nothing.
fn in_seconds(ms: u64) -> String {
    if ms < 9_950 { tenths(nearest(ms, 100)) } else { nearest(ms, 1000).to_string() }
}

fn nearest(number: u64, unit: u64) -> u64 {
    number / unit + u64::from(number % unit >= unit.div_ceil(2))
}

/// `3.3` for 33, `3` for 30.
fn tenths(tenths: u64) -> String {
    match tenths % 10 {
        0 => (tenths / 10).to_string(),
        tenth => format!("{}.{tenth}", tenths / 10),
    }
}

fn two_units(number: u64, size: u64, large: &str, small: &str) -> String {
    match number % size {
        0 => format!("{} {large}", number / size),
        rest => format!("{} {large} {rest} {small}", number / size),
    }
}

/// A moment (ns since 1970) as the wall clock of that zone shows it.
pub(crate) fn local(wall_ns: i64, zone: &TimeZone) -> DateTime {
    zone.to_datetime(Timestamp::from_nanosecond(wall_ns.into()).unwrap_or_default())
}

/// `15:04:07`
pub(crate) fn time_of_day(at: DateTime) -> String {
    format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())
}

/// `15:04:07.123`
pub(crate) fn time_of_day_ms(at: DateTime) -> String {
    format!("{}.{:03}", time_of_day(at), at.millisecond())
}

/// `2026-11-22 15:04:07`
pub(crate) fn date_and_time(at: DateTime) -> String {
    format!("{} {}", at.date(), time_of_day(at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations() {
        for (ms, text) in [
            (0, "0 ms"),
            (5, "5 ms"),
            (999, "999 ms"),
            (1000, "1 s"),
            (1432, "1.4 s"),
            (9_949, "9.9 s"),
            (9_950, "10 s"),
            (26_120, "26.1 s"),
            (59_949, "59.9 s"),
            (59_950, "1 min"),
            (63_000, "1 min 3 s"),
            (283_000, "4 min 43 s"),
            (924_600, "15 min 25 s"),
            (3_599_499, "59 min 59 s"),
            (3_599_500, "1 h"),
            (7_875_000, "2 h 11 min"),
            (61_380_000, "17 h 3 min"),
            (86_369_999, "23 h 59 min"),
            (86_370_000, "1 d"),
            (273_600_000, "3 d 4 h"),
        ] {
            assert_eq!(millis(ms), text);
        }
        for (us, text) in [(0, "0 ms"), (24, "0 ms"), (201, "0.2 ms"), (4000, "4 ms"), (9_949, "9.9 ms")] {
            assert_eq!(micros(us), text);
        }
        assert_eq!((micros(9_950), micros(35_400), micros(999_499)), {
            ("10 ms".into(), "35 ms".into(), "999 ms".into())
        });
        for (ms, text) in [(-148.0, "-148 ms"), (0.3, "0.3 ms"), (-0.001, "0 ms"), (999.9, "1 s")] {
            assert_eq!(signed_millis(ms), text);
        }
    }

    #[test]
    fn the_largest_unit_alone() {
        assert_eq!(
            [204, 12_900, 937_000, 7_860_000].map(largest_unit),
            ["204 ms", "12.9 s", "15 min", "2 h"]
        );
    }

    #[test]
    fn timeouts_in_a_row() {
        assert_eq!(step(204, 408), "204->408 ms");
        assert_eq!(step(816, 1632), "0.8->1.6 s");
        assert_eq!(step(6528, 13_056), "6.5->13 s");
        assert_eq!(step(120_000, 120_000), "120->120 s");
        let once = |all: &[u64]| steps(&all.iter().map(|&ms| (ms, 1)).collect::<Vec<_>>());
        assert_eq!(once(&[204, 408, 816, 1632, 3264]), "204->408->816 ms->1.6->3.3 s");
        assert_eq!(once(&[204, 408]), "204->408 ms");
        assert_eq!(once(&[]), "");
        assert_eq!(steps(&[(1000, 3), (2000, 1)]), "1 (3 times)->2 s");
        assert_eq!(steps(&[(60_000, 1), (120_000, 8)]), "60->120 s (8 times)");
    }

    #[test]
    fn moments() {
        let at = local(1_795_359_847_123_456_789, &TimeZone::fixed(jiff::tz::offset(1)));
        assert_eq!((time_of_day(at), time_of_day_ms(at)), ("16:04:07".into(), "16:04:07.123".into()));
        assert_eq!(date_and_time(at), "2026-11-22 16:04:07");
    }

    proptest! {
        #[test]
        fn every_duration_is_short_and_longer_ones_never_read_as_shorter(one: u64, other: u64) {
            let value = |text: &str| -> f64 {
                let words: Vec<&str> = text.split(' ').collect();
                let unit = |unit: &str| match unit {
                    "ms" => 0.001, "s" => 1.0, "min" => 60.0, "h" => 3600.0, _ => 86_400.0,
                };
                words.chunks(2).map(|part| part[0].parse::<f64>().unwrap() * unit(part[1])).sum()
            };
            for exponent in 0..64 {
                let (one, other) = (one >> exponent, other >> exponent);
                let (low, high) = (micros(one.min(other)), micros(one.max(other)));
                prop_assert!(value(&low) <= value(&high), "{low} {high}");
                prop_assert!(one >> 49 != 0 || micros(one).len() <= 11, "{}", micros(one));
            }
        }
    }
}
