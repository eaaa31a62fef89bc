//! `--since` and `--until`: from what people type to a span of time.

use std::time::Duration;

use jiff::{
    ToSpan, Zoned,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};

use crate::options::{UsageError, quantity};

/// A time as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Moment {
    /// A moment: ns since 1970.
    At(i64),
    /// A time of day, without the day.
    TimeOfDay(Time),
    /// So long before the end of the recording.
    BeforeEnd(Duration),
}

impl Moment {
    /// Reads it; times without an offset are local ones.
    ///
    /// # Errors
    /// A [`UsageError`] that shows the forms that there are.
    pub(crate) fn parse(option: &'static str, text: &str, zone: &TimeZone) -> Result<Moment, UsageError> {
        let text = text.trim();
        let wrong = || {
            UsageError::value(
                option,
                format!(
                    "'{text}' is not a time: give 03:00, '2026-11-22 03:00', 2026-11-22T03:00:00Z, or 2h (before \
                     the recording's end)"
                ),
            )
        };
        if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
            return i64::try_from(timestamp.as_nanosecond()).map(Moment::At).map_err(|_| wrong());
        }
        let date_and_time = text.parse::<DateTime>();
        let local =
            date_and_time.or_else(|error| text.parse::<Date>().map(DateTime::from).map_err(|_| error));
        // `03:00` is no date; `0300` would be a time, and `2026` too.
        if let Ok(local) = local {
            return at(local, zone).ok_or_else(wrong);
        }
        if text.contains(':')
            && let Ok(time) = text.parse::<Time>()
        {
            return Ok(Moment::TimeOfDay(time));
        }
        let has_unit = text.ends_with(|c: char| c.is_alphabetic());
        match quantity::duration(text) {
            Ok(duration) if has_unit => Ok(Moment::BeforeEnd(duration)),
            _ => Err(wrong()),
        }
    }

    /// Does it mean something only if the recording's end is known?
    pub(crate) fn needs_the_end(&self) -> bool {
        !matches!(self, Moment::At(_))
    }
}

fn at(local: DateTime, zone: &TimeZone) -> Option<Moment> {
    let zoned = zone.to_zoned(local).ok()?;
    i64::try_from(zoned.timestamp().as_nanosecond()).ok().map(Moment::At)
}

/// A span of time: from `since_ns`, and before `until_ns`; ns since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Window {
    /// `None`: from the beginning.
    pub since_ns: Option<i64>,
    /// `None`: to the end.
    pub until_ns: Option<i64>,
}

impl Window {
    /// What `--since` and `--until` mean for a recording that ends at `end_ns`.
    ///
    /// A time of day is the last one before the recording's end; but `--until` is after `--since`, if need be on the
    /// next day.
    ///
    /// # Errors
    /// If the end comes before the beginning.
    pub(crate) fn of(
        since: Option<&Moment>,
        until: Option<&Moment>,
        end_ns: i64,
        zone: &TimeZone,
    ) -> Result<Window, UsageError> {
        let since_ns = since.map(|moment| resolve(moment, end_ns, zone));
        let mut until_ns = until.map(|moment| resolve(moment, end_ns, zone));
        if let (Some(since_ns), Some(until), Some(Moment::TimeOfDay(_))) = (since_ns, until_ns, until)
            && until <= since_ns
        {
            until_ns = Some(next_day(until, zone));
        }
        match (since_ns, until_ns) {
            (Some(since_ns), Some(until_ns)) if since_ns >= until_ns => Err(UsageError::conflict(
                "--since and --until leave no time between them: --since must come first",
            )),
            _ => Ok(Window { since_ns, until_ns }),
        }
    }

    /// Is that time in it?
    pub(crate) fn contains(&self, wall_ns: i64) -> bool {
        self.since_ns.is_none_or(|since_ns| since_ns <= wall_ns)
            && self.until_ns.is_none_or(|until_ns| wall_ns < until_ns)
    }

    /// Is it everything?
    pub(crate) fn is_everything(&self) -> bool {
        *self == Window::default()
    }
}

fn zoned(wall_ns: i64, zone: &TimeZone) -> Zoned {
    let time = jiff::Timestamp::from_nanosecond(wall_ns.into()).unwrap_or_default();
    time.to_zoned(zone.clone())
}

fn ns(zoned: &Zoned) -> i64 {
    i64::try_from(zoned.timestamp().as_nanosecond()).unwrap_or(i64::MAX)
}

fn resolve(moment: &Moment, end_ns: i64, zone: &TimeZone) -> i64 {
    match moment {
        Moment::At(wall_ns) => *wall_ns,
        Moment::BeforeEnd(duration) => {
            end_ns.saturating_sub(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
        }
        Moment::TimeOfDay(time) => {
            let end = zoned(end_ns, zone);
            let on = |day: Date| day.to_datetime(*time).to_zoned(zone.clone()).ok();
            let today = on(end.date());
            let yesterday = || end.date().checked_sub(1.day()).ok().and_then(on);
            let last = today.filter(|today| ns(today) <= end_ns).or_else(yesterday);
            last.map_or(end_ns, |last| ns(&last))
        }
    }
}

fn next_day(wall_ns: i64, zone: &TimeZone) -> i64 {
    zoned(wall_ns, zone).checked_add(1.day()).map_or(wall_ns, |next| ns(&next))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One hour ahead of UTC.
    fn zone() -> TimeZone {
        TimeZone::fixed(jiff::tz::offset(1))
    }

    fn utc(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_nanosecond() as i64
    }

    fn window(since: &str, until: &str, end: &str) -> Result<Window, UsageError> {
        let parse = |option, text: &str| match text {
            "" => Ok(None),
            text => Moment::parse(option, text, &zone()).map(Some),
        };
        let (since, until) = (parse("--since", since)?, parse("--until", until)?);
        Window::of(since.as_ref(), until.as_ref(), utc(end), &zone())
    }

    #[test]
    fn every_form_of_a_time() {
        let end = "2026-11-22T09:30:00Z";
        for (text, meaning) in [
            ("2026-11-22T03:00:00Z", "2026-11-22T03:00:00Z"),
            ("2026-11-22T03:00:00.5+02:00", "2026-11-22T01:00:00.5Z"),
            ("2026-11-22 03:00", "2026-11-22T02:00:00Z"),
            ("2026-11-22T03:00:30", "2026-11-22T02:00:30Z"),
            ("2026-11-22", "2026-11-21T23:00:00Z"),
            ("03:00", "2026-11-22T02:00:00Z"),
            ("10:30", "2026-11-22T09:30:00Z"),
            ("10:31", "2026-11-21T09:31:00Z"),
            ("23:00:01", "2026-11-21T22:00:01Z"),
            ("2h", "2026-11-22T07:30:00Z"),
            (" 1h30m ", "2026-11-22T08:00:00Z"),
            ("2 days", "2026-11-20T09:30:00Z"),
        ] {
            let window = window(text, "", end).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(window.since_ns, Some(utc(meaning)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_said_with_the_forms_that_are() {
        for text in
            ["", " ", "yesterday", "25:00", "2026-13-01", "-2h", "0s", "120", "3", "2026", "h", "1e9s"]
        {
            let error = Moment::parse("--since", text, &zone()).expect_err(text).to_string();
            assert!(
                error.starts_with(&format!("--since: '{}' is not a time: give ", text.trim())),
                "{error}"
            );
        }
    }

    #[test]
    fn a_night_goes_over_midnight() {
        let night = window("23:00", "04:00", "2026-11-22T08:00:00Z").unwrap();
        assert_eq!(night.since_ns, Some(utc("2026-11-21T22:00:00Z")));
        assert_eq!(night.until_ns, Some(utc("2026-11-22T03:00:00Z")));
        let unfinished = window("23:00", "04:00", "2026-11-22T01:00:00Z").unwrap();
        assert_eq!(unfinished, night);
    }

    #[test]
    fn the_beginning_is_in_it_and_the_end_is_not() {
        let window = window("2026-11-22T03:00:00Z", "2026-11-22T04:00:00Z", "2026-11-22T08:00:00Z").unwrap();
        assert!(
            window.contains(utc("2026-11-22T03:00:00Z")) && !window.contains(utc("2026-11-22T04:00:00Z"))
        );
        assert!(!window.is_everything() && Window::default().is_everything());
        assert!(Window::default().contains(i64::MIN));
    }

    #[test]
    fn no_time_between_is_an_error() {
        for (since, until) in
            [("2026-11-22 05:00", "2026-11-22 04:00"), ("1h", "2h"), ("2026-11-22 04:00", "2026-11-22 04:00")]
        {
            let error = window(since, until, "2026-11-22T08:00:00Z").expect_err(since);
            assert!(error.to_string().starts_with("--since and --until leave no time"), "{error}");
        }
    }
}
