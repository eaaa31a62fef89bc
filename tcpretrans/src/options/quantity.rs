//! Sizes, times and counts as people write them.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// Bytes: `4096`, `64k`, `100M`, `1GiB`. The letters are powers of 1024, as with logrotate and truncate.
///
/// # Errors
/// What is wrong, as the end of a sentence.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("'{text}' is not a size (a number of bytes, or with K, M or G: 100M)");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let shift = match text[digits..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err(wrong()),
    };
    number.checked_mul(1 << shift).ok_or_else(|| format!("'{text}' is too large a size"))
}

/// A time: `30s`, `5m`, `1h30m`, `2 days`; a bare number is seconds, as with sleep and timeout.
///
/// # Errors
/// What is wrong, as the end of a sentence.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is not a time (30s, 5m, 1h30m)");
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let span: Span =
        if is_number { format!("{text}s").parse() } else { text.parse() }.map_err(|_| wrong())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    if duration.is_zero() {
        return Err("must be more than zero".to_owned());
    }
    Duration::try_from(duration).map_err(|_| wrong())
}

/// A count of at least one.
///
/// # Errors
/// What is wrong, as the end of a sentence.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
        _ => Err(format!("'{text}' is not a whole number")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_sizes() {
        for (text, bytes) in
            [("0", 0), ("512", 512), ("64k", 65_536), ("100M", 104_857_600), ("1GiB", 1 << 30), ("2kb", 2048)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "M", "1.5M", "-1", "1T", "1 M", "+1", "ä"] {
            let message = format!("'{text}' is not a size (a number of bytes, or with K, M or G: 100M)");
            assert_eq!(size(text), Err(message), "{text}");
        }
        assert_eq!(size("99999999999G"), Err("'99999999999G' is too large a size".to_owned()));
    }

    #[test]
    fn reads_times() {
        for (text, seconds) in [("30s", 30), ("30", 30), ("5m", 300), ("1h30m", 5400), ("2 days", 172_800)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for text in ["", "soon", "5 parsecs", "-5s", "5s ago", "99999999999999999999"] {
            assert_eq!(duration(text), Err(format!("'{text}' is not a time (30s, 5m, 1h30m)")), "{text}");
        }
        assert_eq!(duration("0"), Err("must be more than zero".to_owned()));
        assert_eq!(duration("0s"), Err("must be more than zero".to_owned()));
    }

    #[test]
    fn reads_counts() {
        assert_eq!(count("12"), Ok(12));
        assert_eq!(count("0"), Err("must be at least 1".to_owned()));
        for text in ["", "+1", "-1", "1.5", "ten", "99999999999999999999"] {
            assert_eq!(count(text), Err(format!("'{text}' is not a whole number")), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*") {
            let _ = (size(&text), duration(&text), count(&text));
        }

        #[test]
        fn a_size_is_its_number_times_its_unit(number in 0u64..1 << 20, unit in 0usize..4) {
            let letter = ["", "k", "M", "G"][unit];
            prop_assert_eq!(size(&format!("{number}{letter}")), Ok(number << (10 * unit)));
        }
    }
}
