//! When things happened, as the report writes it.

use jiff::tz::TimeZone;

use crate::words::time::{date_and_time, local, time_of_day};

/// Writes times of a recording: local, and with their date if it has several.
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
        date_and_time(local(wall_ns, self.zone))
    }

    /// `03:04:05`; `11-22 03:04:05` where the recording has several days.
    pub(super) fn short(&self, wall_ns: i64) -> String {
        let at = local(wall_ns, self.zone);
        let time = time_of_day(at);
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

#[cfg(test)]
mod tests {
    use super::*;

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
