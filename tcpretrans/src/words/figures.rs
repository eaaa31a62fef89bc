//! Numbers as people read them.

/// `1,234,567`: for sentences.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 byte`, `1,448 bytes`, `2 losses`: words that take an s or, after an s, es. [`counted`] for all others.
pub(crate) fn count(number: u64, word: &str) -> String {
    let ending = match word.ends_with('s') {
        _ if number == 1 => "",
        true => "es",
        false => "s",
    };
    format!("{} {word}{ending}", thousands(number))
}

/// `1 recovery`, `12,345 recoveries`, `2 sessions have`
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number), if number == 1 { one } else { many })
}

/// `31`, `9999`, `48.2k`, `3.1M`: for columns.
pub(crate) fn short(number: u64) -> String {
    let (text, unit) = scaled(number, 10_000);
    format!("{text}{unit}")
}

/// `850 B`, `48.2 kB`: for sentences.
pub(crate) fn bytes(bytes: u64) -> String {
    let (text, unit) = scaled(bytes, 1000);
    format!("{text} {unit}B")
}

fn scaled(number: u64, exact_below: u64) -> (String, &'static str) {
    if number < exact_below {
        return (number.to_string(), "");
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
    (format!("{scaled:.digits$}"), units[unit])
}

/// `7 %`: so much of the whole. `0 %` only if it is nothing, `100 %` only if it is all.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    let percent = (part as f64 * 100.0 / whole as f64).round() as u64;
    match part {
        0 => "0 %".to_owned(),
        _ if part >= whole => "100 %".to_owned(),
        _ => format!("{} %", percent.clamp(1, 99)),
    }
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
            assert_eq!(thousands(number), text);
        }
    }

    #[test]
    fn counts() {
        assert_eq!((count(1, "byte"), count(1448, "byte")), ("1 byte".into(), "1,448 bytes".into()));
        assert_eq!((count(1, "loss"), count(41, "loss")), ("1 loss".into(), "41 losses".into()));
        let recoveries = |number| counted(number, "recovery", "recoveries");
        assert_eq!((recoveries(1), recoveries(0)), ("1 recovery".into(), "0 recoveries".into()));
    }

    #[test]
    fn percentages_do_not_round_to_none_or_all() {
        assert_eq!(
            (percent(0, 9), percent(9, 9), percent(1, 14)),
            ("0 %".into(), "100 %".into(), "7 %".into())
        );
        assert_eq!((percent(1, 100_000), percent(99_999, 100_000)), ("1 %".into(), "99 %".into()));
    }
}
