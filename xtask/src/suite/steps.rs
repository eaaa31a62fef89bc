//! Steps with headings and durations, and one summary of them.

use std::{
    fmt,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, bail};

/// How a step ended that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// As it should.
    Passed,
    /// As it should, with something to know.
    Note(String),
    /// A part of it could not be done here: why.
    Partly(String),
    /// It could not be done here: why.
    Skipped(String),
}

struct Step {
    name: &'static str,
    outcome: Option<Outcome>,
    duration: Duration,
}

pub(super) struct Suite {
    steps: Vec<Step>,
    started: Instant,
    may_skip: bool,
}

impl Suite {
    pub(super) fn new(ci: bool) -> Suite {
        Suite { steps: Vec::new(), started: Instant::now(), may_skip: !ci }
    }

    /// Runs a step. Under CI a step that could not be done is a failure.
    pub(super) fn step(&mut self, name: &'static str, work: impl FnOnce() -> Result<Outcome>) -> Result<()> {
        println!("\n==> {name}");
        let started = Instant::now();
        let mut result = work();
        if let Ok(Outcome::Partly(reason) | Outcome::Skipped(reason)) = &result
            && !self.may_skip
        {
            result = Err(anyhow!("skipped ({reason}), and CI may skip nothing"));
        }
        let duration = started.elapsed();
        match result {
            Ok(outcome) => {
                println!("==> {name}: {outcome} ({})", seconds(duration));
                self.steps.push(Step { name, outcome: Some(outcome), duration });
                Ok(())
            }
            Err(error) => {
                self.steps.push(Step { name, outcome: None, duration });
                println!("{self}");
                Err(error.context(format!("FAILED in the step `{name}`")))
            }
        }
    }

    /// Notes that a step was not wanted.
    pub(super) fn skip(&mut self, name: &'static str, reason: &str) {
        self.steps.push(Step {
            name,
            outcome: Some(Outcome::Skipped(reason.into())),
            duration: Duration::ZERO,
        });
    }

    /// Prints the summary.
    pub(super) fn finish(self) -> Result<()> {
        println!("{self}");
        let undone =
            self.steps.iter().filter(|step| matches!(step.outcome, Some(Outcome::Skipped(_)))).count();
        if undone > 0 && !self.may_skip {
            bail!("FAILED: {undone} of {} steps skipped, and CI may skip nothing", self.steps.len());
        }
        let passed = self.steps.len() - undone;
        let duration = seconds(self.started.elapsed());
        let skipped = if undone > 0 { format!(", {undone} skipped") } else { String::new() };
        println!("cargo xtask test: {passed} steps passed{skipped}, {duration}");
        Ok(())
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Passed => write!(f, "passed"),
            Outcome::Note(note) => write!(f, "passed: {note}"),
            Outcome::Partly(reason) => write!(f, "passed in part: {reason}"),
            Outcome::Skipped(reason) => write!(f, "skipped: {reason}"),
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n==> summary")?;
        let width = self.steps.iter().map(|step| step.name.len()).max().unwrap_or(0);
        for Step { name, outcome, duration } in &self.steps {
            write!(f, "\n  {name:width$}  {:>8}  ", seconds(*duration))?;
            match outcome {
                Some(outcome) => write!(f, "{outcome}")?,
                None => write!(f, "FAILED")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped() -> Result<Outcome> {
        Ok(Outcome::Skipped("needs root".into()))
    }

    #[test]
    fn a_skip_is_a_failure_under_ci_only() {
        assert!(Suite::new(false).step("live tests", skipped).is_ok());
        let error = Suite::new(true).step("live tests", skipped).unwrap_err();
        assert_eq!(error.to_string(), "FAILED in the step `live tests`");
        assert!(format!("{error:#}").contains("needs root"), "{error:#}");
        let mut suite = Suite::new(true);
        suite.skip("live tests", "--no-live");
        assert!(suite.finish().is_err());
    }

    #[test]
    fn the_summary_has_a_line_for_each_step() {
        let mut suite = Suite::new(false);
        suite.step("format", || Ok(Outcome::Passed)).unwrap();
        suite.step("live tests", skipped).unwrap();
        suite.step("clippy", || bail!("no")).unwrap_err();
        let text = suite.to_string();
        let ends: Vec<_> = text.lines().skip(2).map(|line| line.rsplit("  ").next().unwrap()).collect();
        assert_eq!(ends, ["passed", "skipped: needs root", "FAILED"]);
    }
}
