//! Times as JSON has them: RFC 3339, UTC, always nine digits of nanoseconds, so that they sort as text.

use std::{fmt, str};

use jiff::tz::Offset;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// `2026-11-22T07:03:00.123456789Z`
const LEN: usize = 30;

const NS_PER_S: i64 = 1_000_000_000;

/// A wall-clock time: ns since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// ns since 1970.
    pub wall_ns: i64,
}

/// Writes `value` in decimal over all of `digits`.
fn put(digits: &mut [u8], mut value: u32) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

impl Timestamp {
    /// By hand: this is done up to four times a line, and jiff's printer, which asks for less and more
    /// digits, takes several times as long.
    fn text(self) -> [u8; LEN] {
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        let second = self.wall_ns.div_euclid(NS_PER_S);
        // Nanoseconds in an i64 reach from 1677 to 2262, all of which jiff has.
        let at = Offset::UTC.to_datetime(jiff::Timestamp::from_second(second).unwrap_or_default());
        put(&mut text[0..4], at.year().unsigned_abs().into());
        put(&mut text[5..7], at.month().unsigned_abs().into());
        put(&mut text[8..10], at.day().unsigned_abs().into());
        put(&mut text[11..13], at.hour().unsigned_abs().into());
        put(&mut text[14..16], at.minute().unsigned_abs().into());
        put(&mut text[17..19], at.second().unsigned_abs().into());
        put(&mut text[20..29], self.wall_ns.rem_euclid(NS_PER_S) as u32);
        text
    }
}

/// The number that decimal digits make; `None`: they are not all digits.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number: u32, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0'))
    })
}

impl Timestamp {
    /// Reads the form that is written here; `None`: it is another, or no time. By hand for the same reason.
    pub fn from_text(text: &[u8]) -> Option<Timestamp> {
        let text: &[u8; LEN] = text.try_into().ok()?;
        let marks = [text[4], text[7], text[10], text[13], text[16], text[19], text[29]];
        if marks != *b"--T::.Z" {
            return None;
        }
        let field = |range: std::ops::Range<usize>| i8::try_from(number(&text[range])?).ok();
        let year = i16::try_from(number(&text[0..4])?).ok()?;
        let date = jiff::civil::Date::new(year, field(5..7)?, field(8..10)?).ok()?;
        // 23:59:60 is refused here, and read as jiff reads it.
        let time = jiff::civil::Time::new(field(11..13)?, field(14..16)?, field(17..19)?, 0).ok()?;
        let second = Offset::UTC.to_timestamp(date.to_datetime(time)).ok()?.as_second();
        let wall_ns = second.checked_mul(NS_PER_S)?.checked_add(number(&text[20..29])?.into())?;
        Some(Timestamp { wall_ns })
    }

    /// `07:03:00 UTC`, for sentences.
    pub fn utc_second(self) -> String {
        let text = self.text();
        format!("{} UTC", str::from_utf8(&text[11..19]).unwrap_or_default())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Timestamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time such as 2026-11-22T07:03:00.123456789Z")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                if let Some(time) = Timestamp::from_text(text.as_bytes()) {
                    return Ok(time);
                }
                let time: jiff::Timestamp =
                    text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))?;
                let wall_ns = i64::try_from(time.as_nanosecond())
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &"a time before 2262"))?;
                Ok(Timestamp { wall_ns })
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nine_digits_whatever_they_are() {
        let shown = |wall_ns| Timestamp { wall_ns }.to_string();
        assert_eq!(shown(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(shown(1_700_000_000_000_000_001), "2023-11-14T22:13:20.000000001Z");
        assert_eq!(shown(951_782_400_120_000_000), "2000-02-29T00:00:00.120000000Z");
        assert_eq!(shown(-1), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(shown(i64::MAX), "2262-04-11T23:47:16.854775807Z");
        assert_eq!(shown(i64::MIN), "1677-09-21T00:12:43.145224192Z");
    }

    #[test]
    fn other_forms_of_rfc_3339_are_read() {
        let read = |text: &str| serde_json::from_str::<Timestamp>(text).map(|time| time.wall_ns);
        assert_eq!(read(r#""1970-01-01T01:00:01+01:00""#).unwrap(), NS_PER_S);
        assert!(read(r#""3000-01-01T00:00:00Z""#).unwrap_err().to_string().contains("before 2262"));
        assert!(read(r#""yesterday""#).unwrap_err().to_string().contains("a time such as"));
    }

    proptest! {
        #[test]
        fn as_jiff_writes_it_and_back(wall_ns: i64) {
            let time = Timestamp { wall_ns };
            let jiff = jiff::Timestamp::from_nanosecond(wall_ns.into()).unwrap();
            prop_assert_eq!(time.to_string(), format!("{jiff:.9}"));
            let json = serde_json::to_string(&time).unwrap();
            prop_assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), time);
            // Before 1678 the seconds alone do not fit.
            prop_assume!(wall_ns > i64::MIN + NS_PER_S);
            prop_assert_eq!(Timestamp::from_text(time.to_string().as_bytes()), Some(time));
        }

        #[test]
        fn what_is_read_by_hand_jiff_reads_the_same(at in 0..LEN, byte: u8) {
            let mut text = *b"2026-11-30T23:58:59.123456789Z";
            text[at] = byte;
            let by_hand = Timestamp::from_text(&text).map(|time| i128::from(time.wall_ns));
            let jiff = str::from_utf8(&text).ok().and_then(|text| text.parse::<jiff::Timestamp>().ok());
            if let Some(by_hand) = by_hand {
                prop_assert_eq!(Some(by_hand), jiff.map(jiff::Timestamp::as_nanosecond));
            }
        }
    }
}
