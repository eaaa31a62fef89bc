//! A path with properties: slow, out of order, duplicating (tc-netem(8)). Not every kernel has it.

use std::time::Duration;

use anyhow::{Context, Result};

use super::{DEVICE, Namespace};

/// What befalls everything that leaves a namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Path {
    delay: Duration,
    jitter: Duration,
    early: f64,
    twice: f64,
    lost: f64,
}

impl Path {
    /// Each packet takes so long.
    pub fn slow(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }

    /// More or less by so much, evenly distributed. Packets may overtake each other.
    pub fn jitter(self, jitter: Duration) -> Self {
        Self { jitter, ..self }
    }

    /// This share (0 to 1) is not delayed: it overtakes the others.
    pub fn overtaken_by(self, early: f64) -> Self {
        Self { early, ..self }
    }

    /// This share arrives twice.
    pub fn duplicated(self, twice: f64) -> Self {
        Self { twice, ..self }
    }

    /// This share is lost.
    pub fn lossy(self, lost: f64) -> Self {
        Self { lost, ..self }
    }

    fn words(self) -> Vec<String> {
        let percent = |share: f64| format!("{}%", share * 100.0);
        let us = |time: Duration| format!("{}us", time.as_micros());
        // A queue that is full would lose packets that nobody meant.
        let mut words: Vec<String> = ["limit", "100000", "delay"].map(str::to_owned).into();
        words.push(us(self.delay));
        if !self.jitter.is_zero() {
            words.push(us(self.jitter));
        }
        for (name, share) in [("reorder", self.early), ("duplicate", self.twice), ("loss", self.lost)] {
            if share > 0.0 {
                words.extend([name.to_owned(), percent(share)]);
            }
        }
        words
    }
}

impl Namespace {
    /// Gives the path from here these properties, in place of earlier ones.
    ///
    /// # Errors
    /// Says so where the kernel has no netem.
    pub fn impair(&self, path: Path) -> Result<()> {
        let words = path.words();
        let words = ["qdisc", "replace", "dev", DEVICE, "root", "netem"]
            .into_iter()
            .chain(words.iter().map(String::as_str));
        self.command("tc", &words.collect::<Vec<_>>()).map(drop).context(
            "this kernel cannot impair a path: it has no netem (CONFIG_NET_SCH_NETEM, module sch_netem)",
        )
    }

    /// Takes the properties away again. What is under way still arrives or not, as the path was.
    ///
    /// # Errors
    /// Names the command that failed.
    pub fn repair(&self) -> Result<()> {
        self.impair(Path::default())
    }

    /// Whether this kernel has netem.
    pub fn can_impair(&self) -> bool {
        self.repair().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_is_said() {
        let path = Path::slow(Duration::from_millis(20));
        assert_eq!(path.words().join(" "), "limit 100000 delay 20000us");
        let path = path.jitter(Duration::from_micros(500)).overtaken_by(0.25).duplicated(1.0).lossy(0.5);
        let expected = "limit 100000 delay 20000us 500us reorder 25% duplicate 100% loss 50%";
        assert_eq!(path.words().join(" "), expected);
    }
}
