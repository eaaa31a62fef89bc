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
    result: Result<Outcome>,
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

    /// Runs a step, unless one that it needs has failed. Under CI a step that could not be done is a failure.
    pub(super) fn step(
        &mut self,
        name: &'static str,
        needs: &[&str],
        work: impl FnOnce() -> Result<Outcome>,
    ) {
        let failed = |step: &&Step| step.result.is_err() && needs.contains(&step.name);
        if let Some(Step { name: needed, .. }) = self.steps.iter().find(failed) {
            let result = Err(anyhow!("not run: it needs the step `{needed}`"));
            self.steps.push(Step { name, result, duration: Duration::ZERO });
            return;
        }
        println!("\n==> {name}");
        let started = Instant::now();
        let mut result = work();
        if let Ok(Outcome::Partly(reason) | Outcome::Skipped(reason)) = &result
            && !self.may_skip
        {
            result = Err(anyhow!("skipped ({reason}), and CI may skip nothing"));
        }
        let duration = started.elapsed();
        match &result {
            Ok(outcome) => println!("==> {name}: {outcome} ({})", seconds(duration)),
            Err(error) => println!("==> {name}: FAILED ({}): {error:#}", seconds(duration)),
        }
        self.steps.push(Step { name, result, duration });
    }

    /// Notes that a step was not wanted.
    pub(super) fn skip(&mut self, name: &'static str, reason: &str) {
        let result = Ok(Outcome::Skipped(reason.into()));
        self.steps.push(Step { name, result, duration: Duration::ZERO });
    }

    /// Prints the summary.
    ///
    /// # Errors
    /// Names the steps that failed, with their reasons.
    pub(super) fn finish(self) -> Result<()> {
        println!("{self}");
        let failures = self.steps.iter().filter_map(|step| Some((step.name, step.result.as_ref().err()?)));
        let (names, reasons): (Vec<_>, Vec<_>) =
            failures.map(|(name, error)| (format!("`{name}`"), format!("{error:#}"))).unzip();
        if !names.is_empty() {
            let steps = if names.len() == 1 { "step" } else { "steps" };
            let context = format!("FAILED in the {steps} {}", names.join(", "));
            return Err(anyhow!(reasons.join("; ")).context(context));
        }
        let undone = self.steps.iter().filter(|step| matches!(step.result, Ok(Outcome::Skipped(_)))).count();
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
        for Step { name, result, duration } in &self.steps {
            write!(f, "\n  {name:width$}  {:>8}  ", seconds(*duration))?;
            match result {
                Ok(outcome) => write!(f, "{outcome}")?,
                Err(_) => write!(f, "FAILED")?,
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

    fn finished(ci: bool, steps: impl FnOnce(&mut Suite)) -> Result<()> {
        let mut suite = Suite::new(ci);
        steps(&mut suite);
        suite.finish()
    }

    #[test]
    fn a_skip_is_a_failure_under_ci_only() {
        assert!(finished(false, |suite| suite.step("live tests", &[], skipped)).is_ok());
        let error = finished(true, |suite| suite.step("live tests", &[], skipped)).unwrap_err();
        assert_eq!(error.to_string(), "FAILED in the step `live tests`");
        assert!(format!("{error:#}").contains("needs root"), "{error:#}");
        assert!(finished(true, |suite| suite.skip("live tests", "--no-live")).is_err());
    }

    #[test]
    fn the_summary_has_a_line_for_each_step() {
        let mut suite = Suite::new(false);
        suite.step("format", &[], || Ok(Outcome::Passed));
        suite.step("live tests", &[], skipped);
        suite.step("clippy", &[], || bail!("no"));
        let text = suite.to_string();
        let ends: Vec<_> = text.lines().skip(2).map(|line| line.rsplit("  ").next().unwrap()).collect();
        assert_eq!(ends, ["passed", "skipped: needs root", "FAILED"]);
    }

    #[test]
    fn a_failure_stops_only_what_needs_it() {
        let mut ran = Vec::new();
        let error = finished(false, |suite| {
            suite.step("build", &[], || bail!("no compiler"));
            suite.step("live tests", &["build"], || unreachable!("it needs the build"));
            suite.step("format", &[], || {
                ran.push("format");
                bail!("untidy")
            });
            suite.step("documentation", &["clippy"], || {
                ran.push("documentation");
                Ok(Outcome::Passed)
            });
        });
        let error = error.unwrap_err();
        assert_eq!(ran, ["format", "documentation"]);
        assert_eq!(error.to_string(), "FAILED in the steps `build`, `live tests`, `format`");
        let reasons = "no compiler; not run: it needs the step `build`; untidy";
        assert!(format!("{error:#}").ends_with(reasons), "{error:#}");
    }
}
