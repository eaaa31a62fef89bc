//! What is wrong with a recording, and what is not known because of it.

use std::io::{self, Write};

/// Damaged lines that are named one by one; of the rest, how many.
const NAMED: usize = 10;

/// What was skipped, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Damage {
    count: u64,
    first: Vec<String>,
    unknown_events: u64,
    notes: Vec<String>,
    more_notes: u64,
}

impl Damage {
    /// Lines that were skipped because they are damaged.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first of them: `FILE:LINE: why`.
    pub fn first(&self) -> &[String] {
        &self.first
    }

    /// Lines that were skipped because a newer version wrote them. They are no damage.
    pub fn unknown_events(&self) -> u64 {
        self.unknown_events
    }

    /// What else there is to know: files that are missing, sessions without an end. No damage either.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Is anything damaged, so that the exit code has to say so?
    pub fn is_any(&self) -> bool {
        self.count > 0
    }

    /// Writes all of it, a sentence a line.
    ///
    /// # Errors
    /// From writing.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        for line in &self.first {
            writeln!(out, "tcpretrans: {line}")?;
        }
        let rest = self.count - self.first.len() as u64;
        if rest > 0 {
            writeln!(out, "tcpretrans: and {rest} more damaged {}", plural(rest, "line"))?;
        }
        if self.unknown_events > 0 {
            let lines = plural(self.unknown_events, "line");
            writeln!(
                out,
                "tcpretrans: {} {lines} of a newer tcpretrans skipped: this one does not know such events",
                self.unknown_events
            )?;
        }
        for note in &self.notes {
            writeln!(out, "tcpretrans: {note}")?;
        }
        if self.more_notes > 0 {
            writeln!(
                out,
                "tcpretrans: and {} more such {}",
                self.more_notes,
                plural(self.more_notes, "remark")
            )?;
        }
        Ok(())
    }

    pub(super) fn line(&mut self, file: &str, number: u64, why: impl std::fmt::Display) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(format!("{file}:{number}: {why}"));
        }
    }

    pub(super) fn unknown_event(&mut self) {
        self.unknown_events += 1;
    }

    pub(super) fn note(&mut self, note: String) {
        match self.notes.contains(&note) {
            true => {}
            false if self.notes.len() < NAMED => self.notes.push(note),
            false => self.more_notes += 1,
        }
    }
}

fn plural(count: u64, word: &str) -> String {
    format!("{word}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ones_are_named_and_the_rest_counted() {
        let mut damage = Damage::default();
        for number in 1..=12 {
            damage.line("x.jsonl", number, "cut short");
        }
        damage.unknown_event();
        for number in [1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] {
            damage.note(format!("remark {number}"));
        }
        let mut written = Vec::new();
        damage.write(&mut written).unwrap();
        let written = String::from_utf8(written).unwrap();
        let lines: Vec<&str> = written.lines().collect();
        assert_eq!(lines.len(), 23, "{written}");
        assert_eq!(lines[0], "tcpretrans: x.jsonl:1: cut short");
        assert_eq!(
            lines[10..13],
            [
                "tcpretrans: and 2 more damaged lines",
                "tcpretrans: 1 line of a newer tcpretrans skipped: this one does not know such events",
                "tcpretrans: remark 1",
            ]
        );
        assert_eq!(lines[22], "tcpretrans: and 2 more such remarks");
        assert!(damage.is_any());
    }
}
