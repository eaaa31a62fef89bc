//! The table of what was measured.

use std::fmt::Write;

/// Was the target reached?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Yes.
    Reached,
    /// No.
    Missed,
    /// There is none for this row.
    NoTarget,
}

impl Verdict {
    /// Reached if all of them are so.
    pub(super) fn of(reached: bool) -> Verdict {
        if reached { Verdict::Reached } else { Verdict::Missed }
    }

    fn word(self) -> &'static str {
        match self {
            Verdict::Reached => "yes",
            Verdict::Missed => "**no**",
            Verdict::NoTarget => "",
        }
    }
}

/// One line of it.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// What was measured.
    pub(super) what: String,
    /// The tracer's figure.
    pub(super) ours: String,
    /// What it is compared with, and that one's figure.
    pub(super) beside: String,
    /// Ours by theirs.
    pub(super) ratio: String,
    /// The target.
    pub(super) target: String,
    /// Was it reached?
    pub(super) verdict: Verdict,
}

const HEADINGS: [&str; 6] = ["what", "tcpretrans", "beside it", "ratio", "to reach", "reached"];

/// As a Markdown table.
pub(super) fn render(rows: &[Row]) -> String {
    let mut text = format!("| {} |\n|---|---|---|---|---|---|\n", HEADINGS.join(" | "));
    for row in rows {
        let cells = [&row.what, &row.ours, &row.beside, &row.ratio, &row.target];
        let cells: Vec<&str> = cells.iter().map(|cell| cell.as_str()).chain([row.verdict.word()]).collect();
        // Cannot fail: a String takes everything.
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

/// A whole number with its thousands marked.
pub(super) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share of another figure: `1/13`, or `0.98`.
pub(super) fn ratio(ours: f64, theirs: f64) -> String {
    let ratio = ours / theirs;
    if !ratio.is_finite() || theirs <= 0.0 {
        return String::new();
    }
    if ratio < 0.4 { format!("1/{:.0}", 1.0 / ratio) } else { format!("{ratio:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(thousands(999.4), "999");
        assert_eq!(thousands(1000.0), "1,000");
        assert_eq!(thousands(12_345_678.0), "12,345,678");
        assert_eq!(thousands(-123_456.0), "-123,456");
        assert_eq!(ratio(1.0, 13.2), "1/13");
        assert_eq!(ratio(0.98, 1.0), "0.98");
        assert_eq!(ratio(1.0, 0.0), "");
    }

    #[test]
    fn a_row_is_a_line() {
        let row = Row {
            what: "time".into(),
            ours: "1 ns".into(),
            beside: "x: 2 ns".into(),
            ratio: "0.50".into(),
            target: "< 3 ns".into(),
            verdict: Verdict::Reached,
        };
        assert_eq!(render(&[row]).lines().last(), Some("| time | 1 ns | x: 2 ns | 0.50 | < 3 ns | yes |"));
    }
}
