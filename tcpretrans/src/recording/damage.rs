//! What is wrong with a recording, and what is not known because of it.

use std::io::{self, Write};

use crate::words::{
    escape::visible,
    figures::{count, thousands},
};

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

    /// Writes all of it, a sentence a line. Names of files and what damaged lines hold are not ours: escaped.
    ///
    /// # Errors
    /// From writing.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut say = |sentence: &str| writeln!(out, "tcpretrans: {}", visible(sentence));
        self.first.iter().try_for_each(|line| say(line))?;
        match self.count - self.first.len() as u64 {
            0 => {}
            1 => say("and 1 more damaged line")?,
            rest => say(&format!("and {} more damaged lines", thousands(rest)))?,
        }
        if self.unknown_events > 0 {
            let lines = count(self.unknown_events, "line");
            say(&format!("{lines} of a newer tcpretrans skipped: this version does not know such events"))?;
        }
        self.notes.iter().try_for_each(|note| say(note))?;
        match self.more_notes {
            0 => Ok(()),
            1 => say("and 1 more such note"),
            rest => say(&format!("and {} more such notes", thousands(rest))),
        }
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
                "tcpretrans: 1 line of a newer tcpretrans skipped: this version does not know such events",
                "tcpretrans: remark 1",
            ]
        );
        assert_eq!(lines[22], "tcpretrans: and 2 more such notes");
        assert!(damage.is_any());
    }

    #[test]
    fn names_cannot_control_the_terminal() {
        let mut damage = Damage::default();
        damage.line("x\u{1b}[2J.jsonl", 1, "cut short");
        damage.note("y\n.jsonl is empty".to_owned());
        let mut written = Vec::new();
        damage.write(&mut written).unwrap();
        let written = String::from_utf8(written).unwrap();
        assert_eq!(written, "tcpretrans: x\\u{1b}[2J.jsonl:1: cut short\ntcpretrans: y\\n.jsonl is empty\n");
    }
}
