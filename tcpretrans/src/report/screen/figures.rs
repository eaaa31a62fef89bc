//! Figures as people read them.

use jiff::{civil::DateTime, tz::TimeZone};

use crate::{
    event::Clock,
    report::tally::episode::Ladder,
    sink::table::cells::{local_time, time_of_day},
};

/// `31`, `48.2k`, `3.1M`: for columns.
pub(super) fn short(number: u64) -> String {
    scaled(number, 10_000, "")
}

/// `850 B`, `48.2 kB`: for sentences.
pub(super) fn bytes(bytes: u64) -> String {
    let text = scaled(bytes, 1000, " ");
    if text.ends_with(|c: char| c.is_ascii_digit()) { format!("{text} B") } else { format!("{text}B") }
}

fn scaled(number: u64, exact_below: u64, space: &str) -> String {
    if number < exact_below {
        return number.to_string();
    }
    let units = ["k", "M", "G", "T", "P", "E"];
    let mut unit = 0;
    let mut scaled = number as f64 / 1000.0;
    // What would be shown as 1000 belongs to the next unit.
    while scaled >= 999.5 && unit + 1 < units.len() {
        scaled /= 1000.0;
        unit += 1;
    }
    let digits = usize::from(scaled < 99.95);
    format!("{scaled:.digits$}{space}{}", units[unit])
}

/// `12,345`: for sentences.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 flow`, `12,345 flows`.
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// From microseconds: `0.1ms`, `35ms`, `1.2s`.
pub(super) fn of_us(us: u64) -> String {
    match us {
        0..9_950 => format!("{}.{}ms", (us + 50) / 1000, (us + 50) % 1000 / 100),
        _ => crate::sink::table::cells::duration(us / 1000),
    }
}

/// `204->408->816ms->1.6->3.3s`: a ladder with its units where they change.
pub(super) fn ladder(ladder: &Ladder) -> String {
    let in_ms = |ms: u64| ms < 1000;
    let number = |ms: u64| match ms {
        0..1000 => ms.to_string(),
        1000..9_950 => format!("{}.{}", (ms + 50) / 1000, (ms + 50) % 1000 / 100),
        _ => ((ms + 500) / 1000).to_string(),
    };
    let mut rungs: Vec<(u64, u64)> = Vec::new();
    for &ms in ladder.expired_ms.iter().chain(&ladder.waiting_ms) {
        match rungs.last_mut() {
            Some((last, times)) if *last == ms => *times += 1,
            _ => rungs.push((ms, 1)),
        }
    }
    if let (true, Some((_, times))) = (ladder.more > 0, rungs.last_mut()) {
        *times += u64::from(ladder.more);
    }
    let mut text = String::new();
    for (at, &(ms, times)) in rungs.iter().enumerate() {
        if at > 0 {
            text.push_str("->");
        }
        text.push_str(&number(ms));
        if rungs.get(at + 1).is_none_or(|&(next, _)| in_ms(next) != in_ms(ms)) {
            text.push_str(if in_ms(ms) { "ms" } else { "s" });
        }
        if times > 1 {
            text.push_str(&format!(" ({times} times)"));
        }
    }
    text
}

/// Tells times of a recording: local, and with their date where it has several.
#[derive(Debug)]
pub(super) struct Times<'a> {
    zone: &'a TimeZone,
    with_date: bool,
}

impl Times<'_> {
    /// Of a recording that has events from `first_ns` to `last_ns`.
    pub(super) fn of(first_ns: i64, last_ns: i64, zone: &TimeZone) -> Times<'_> {
        let date = |wall_ns| local(wall_ns, zone).date();
        Times { zone, with_date: date(first_ns) != date(last_ns) }
    }

    /// `2026-11-22 03:04:05`
    pub(super) fn whole(&self, wall_ns: i64) -> String {
        let at = local(wall_ns, self.zone);
        format!("{} {}", at.date(), time_of_day(at, 8))
    }

    /// `03:04:05`; `11-22 03:04:05` where the recording has several days.
    pub(super) fn short(&self, wall_ns: i64) -> String {
        let at = local(wall_ns, self.zone);
        let time = time_of_day(at, 8);
        if self.with_date { format!("{:02}-{:02} {time}", at.month(), at.day()) } else { time }
    }

    /// `03:04:05`; `11-22 03:04`, for times that are not meant to the second.
    pub(super) fn about(&self, wall_ns: i64) -> String {
        let mut text = self.short(wall_ns);
        if self.with_date {
            text.truncate(text.len() - 3);
        }
        text
    }
}

fn local(wall_ns: i64, zone: &TimeZone) -> DateTime {
    local_time(0, &Clock { wall_minus_mono_ns: wall_ns }, zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (number, text) in [
            (0, "0"),
            (9_999, "9999"),
            (10_000, "10.0k"),
            (99_949, "99.9k"),
            (99_950, "100k"),
            (999_600, "1.0M"),
        ] {
            assert_eq!(short(number), text);
        }
        assert_eq!(short(u64::MAX), "18.4E");
        for (number, text) in [(999, "999 B"), (48_212, "48.2 kB"), (3_100_000_000, "3.1 GB")] {
            assert_eq!(bytes(number), text);
        }
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(
            (counted(1, "flow", "flows"), counted(0, "flow", "flows")),
            ("1 flow".into(), "0 flows".into())
        );
        assert_eq!((of_us(24), of_us(4000), of_us(9_949), of_us(12_000)), {
            ("0.0ms".into(), "4.0ms".into(), "9.9ms".into(), "12ms".into())
        });
    }

    #[test]
    fn ladders() {
        let of = |expired_ms: &[u64], waiting_ms, more| {
            ladder(&Ladder { expired_ms: expired_ms.to_vec(), waiting_ms, more })
        };
        assert_eq!(of(&[204, 408, 816, 1632], Some(3264), 0), "204->408->816ms->1.6->3.3s");
        assert_eq!(of(&[204], Some(408), 0), "204->408ms");
        assert_eq!(of(&[1000, 1000, 1000], Some(2000), 0), "1.0 (3 times)->2.0s");
        assert_eq!(of(&[60_000, 120_000, 120_000], Some(120_000), 5), "60->120s (8 times)");
        assert_eq!(of(&[], None, 0), "");
    }

    #[test]
    fn times_have_their_date_where_there_are_several() {
        const DAY_NS: i64 = 86_400_000_000_000;
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let one_day = Times::of(0, DAY_NS / 2, &zone);
        assert_eq!((one_day.short(0), one_day.about(5_000_000_000)), ("01:00:00".into(), "01:00:05".into()));
        let two_days = Times::of(0, DAY_NS, &zone);
        assert_eq!((two_days.short(0), two_days.about(0)), ("01-01 01:00:00".into(), "01-01 01:00".into()));
        assert_eq!(two_days.whole(DAY_NS), "1970-01-02 01:00:00");
    }
}
