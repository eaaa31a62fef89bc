//! Paragraphs, tables and commands, within a number of columns.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr;

use crate::advise::distribution::{Distribution, FEW_FOR_P99};

/// How it is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// With colours.
    pub colour: bool,
    /// Columns of the terminal.
    pub columns: usize,
}

/// Longer lines are hard to read.
const MOST_COLUMNS: usize = 100;
/// On narrower terminals the tables would not fit.
const LEAST_COLUMNS: usize = 80;

/// Columns to fill: those of the terminal, within reason.
pub fn columns(asked: Option<String>) -> usize {
    let asked = asked.and_then(|columns| columns.trim().parse().ok());
    let terminal = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    asked.or_else(terminal).unwrap_or(LEAST_COLUMNS).clamp(LEAST_COLUMNS, MOST_COLUMNS)
}

/// A page that grows.
#[derive(Debug)]
pub struct Page {
    text: String,
    look: Look,
}

impl Page {
    /// An empty one.
    pub fn new(look: Look) -> Page {
        Page { text: String::new(), look }
    }

    /// The whole.
    pub fn finish(self) -> String {
        self.text
    }

    fn line(&mut self, line: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{}", line.trim_end());
    }

    fn styled(&mut self, style: Style, line: &str) {
        if self.look.colour {
            let _ = writeln!(self.text, "{style}{}{style:#}", line.trim_end());
        } else {
            self.line(line);
        }
    }

    fn wrapped(&self, text: &str, first: &str, rest: &str) -> Vec<String> {
        let options = textwrap::Options::new(self.look.columns).initial_indent(first).subsequent_indent(rest);
        textwrap::wrap(text, options).into_iter().map(|line| line.into_owned()).collect()
    }

    /// A heading.
    pub fn heading(&mut self, text: &str) {
        self.line("");
        self.styled(Style::new().bold(), text);
    }

    /// A paragraph at the margin.
    pub fn paragraph(&mut self, text: &str) {
        for line in self.wrapped(text, "", "") {
            self.line(&line);
        }
    }

    /// A paragraph of a section.
    pub fn words(&mut self, text: &str) {
        for line in self.wrapped(text, "  ", "  ") {
            self.line(&line);
        }
    }

    /// Something to mind.
    pub fn warning(&mut self, text: &str) {
        for line in self.wrapped(text, "  ! ", "    ") {
            self.styled(AnsiColor::Yellow.on_default(), &line);
        }
    }

    /// What stands out.
    pub fn result(&mut self, text: &str) {
        for line in self.wrapped(text, "  > ", "    ") {
            self.styled(AnsiColor::Green.on_default(), &line);
        }
    }

    /// An empty line.
    pub fn gap(&mut self) {
        self.line("");
    }

    /// A command to copy: on one line, however long.
    pub fn command(&mut self, command: &str) {
        self.styled(AnsiColor::Cyan.on_default(), &format!("      {command}"));
    }

    /// Columns of which the first is flush left, the others flush right; the first `heads` rows are the head.
    pub fn table(&mut self, heads: usize, rows: &[Vec<String>]) {
        let count = rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..count).map(width).collect();
        for (at, row) in rows.iter().enumerate() {
            let mut line = String::from(" ");
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let blank = " ".repeat(width - cell.width());
                let _ = if column == 0 {
                    write!(line, " {cell}{blank}")
                } else {
                    write!(line, "  {blank}{cell}")
                };
            }
            if at < heads { self.styled(Style::new().dimmed(), &line) } else { self.line(&line) }
        }
    }
}

/// `3 flows`, `1 flow`
pub fn count(number: u64, word: &str) -> String {
    let plural = match word.strip_suffix("loss") {
        _ if number == 1 => word.to_owned(),
        Some(_) => format!("{word}es"),
        None => format!("{word}s"),
    };
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped} {plural}")
}

/// A time for people: `56 ms`, `1.4 s`, `15 min 25 s`.
pub fn time(ms: f64) -> String {
    let sign = if ms < 0.0 { "-" } else { "" };
    let ms = ms.abs();
    let shown = if ms < 0.5 {
        return if ms == 0.0 { "0".to_owned() } else { "<1 ms".to_owned() };
    } else if ms < 999.5 {
        format!("{ms:.0} ms")
    } else if ms < 99_950.0 {
        let seconds = format!("{:.1}", ms / 1000.0);
        format!("{} s", seconds.strip_suffix(".0").unwrap_or(&seconds))
    } else {
        let seconds = (ms / 1000.0).round() as u64;
        match (seconds / 60, seconds % 60) {
            (minutes, 0) => format!("{minutes} min"),
            (minutes, seconds) => format!("{minutes} min {seconds} s"),
        }
    };
    format!("{sign}{shown}")
}

/// What the column of the high values is called.
pub fn high_name(distribution: Option<&Distribution>) -> &'static str {
    match distribution {
        Some(distribution) if distribution.count >= FEW_FOR_P99 => "p99",
        _ => "max",
    }
}

/// `206 ms (median; p99 1.4 s)`
pub fn median_and_high(distribution: &Distribution) -> String {
    if distribution.count == 1 {
        return time(distribution.p50_ms);
    }
    format!(
        "{} (median; {} {})",
        time(distribution.p50_ms),
        high_name(Some(distribution)),
        time(distribution.p99_ms)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_for_people() {
        for (ms, text) in [
            (0.0, "0"),
            (0.3, "<1 ms"),
            (56.4, "56 ms"),
            (999.4, "999 ms"),
            (999.9, "1 s"),
            (1432.0, "1.4 s"),
            (-148.0, "-148 ms"),
            (99_000.0, "99 s"),
            (120_000.0, "2 min"),
            (924_600.0, "15 min 25 s"),
        ] {
            assert_eq!(time(ms), text, "{ms}");
        }
    }

    #[test]
    fn counts_for_people() {
        assert_eq!(count(1, "loss"), "1 loss");
        assert_eq!(count(41, "loss"), "41 losses");
        assert_eq!(count(1_234_567, "event"), "1,234,567 events");
    }

    #[test]
    fn columns_within_reason() {
        assert_eq!(columns(Some("200".to_owned())), 100);
        assert_eq!(columns(Some("20".to_owned())), 80);
        assert_eq!(columns(Some("93".to_owned())), 93);
    }

    #[test]
    fn tables_are_aligned() {
        let mut page = Page::new(Look { colour: false, columns: 80 });
        let row = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
        page.table(1, &[row(&["a", "long", "b"]), row(&["abc", "1", "22"])]);
        assert_eq!(page.finish(), "  a    long   b\n  abc     1  22\n");
    }
}
