//! What a guest said about the tests.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::{
    Kernel,
    boot::{Boot, Ending, tail},
};

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Passed,
    /// As it should, with something that this kernel cannot tell: the limits' names.
    Limited(Vec<String>),
    /// Not as it should.
    Failed,
    /// The guest did not come so far.
    NotRun,
}

/// What came of a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every test passed, or the job did.
    Passed,
    /// Tests failed, or the guest crashed while they ran.
    Failed(String),
    /// The guest did not come up, twice: nothing is known of the tests.
    Broken(String),
    /// The kernel could not be had: nothing is known of the tests.
    Unavailable(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Passed => f.write_str("passed"),
            Verdict::Failed(why) => write!(f, "FAILED: {why}"),
            Verdict::Broken(why) => write!(f, "INFRASTRUCTURE, not the tests: {why}"),
            Verdict::Unavailable(why) => write!(f, "UNAVAILABLE, nothing was tested: {why}"),
        }
    }
}

/// A kernel's report.
#[derive(Debug, Clone)]
pub struct Report {
    /// Which.
    pub kernel: &'static Kernel,
    /// `uname -r`, once it is known.
    pub release: Option<String>,
    /// In short.
    pub verdict: Verdict,
    /// By test.
    pub outcomes: BTreeMap<String, Outcome>,
    /// What this kernel cannot tell: the limits' names and what they mean.
    pub limits: BTreeMap<String, String>,
    /// Instructions that the verifier processed, by program.
    pub verified: BTreeMap<String, u64>,
    /// From the download to the end.
    pub duration: Duration,
}

/// What a live test prints where the kernel limits it: `live test NAME: expected unknown: LIMIT: what it means`.
const LIMIT_PREFIX: &str = "live test ";
const LIMIT_INFIX: &str = ": expected unknown: ";
/// What a live test prints of each program: `verifier: PROGRAM: N instructions`.
const VERIFIER_PREFIX: &str = "verifier: ";

impl Report {
    fn empty(kernel: &'static Kernel, verdict: Verdict) -> Report {
        Report {
            kernel,
            release: None,
            verdict,
            outcomes: BTreeMap::new(),
            limits: BTreeMap::new(),
            verified: BTreeMap::new(),
            duration: Duration::ZERO,
        }
    }

    pub(super) fn unavailable(kernel: &'static Kernel, why: String) -> Report {
        Report::empty(kernel, Verdict::Unavailable(why))
    }

    /// Judges a run; `wanted` are the tests that it should have reported.
    pub(super) fn of(kernel: &'static Kernel, boot: Boot, wanted: &[String]) -> Report {
        let mut report = Report::empty(kernel, Verdict::Passed);
        report.outcomes = wanted.iter().map(|name| (name.clone(), Outcome::NotRun)).collect();
        for line in boot.output.lines() {
            report.read(line);
        }
        let named = |outcome: Outcome| {
            let tests = report.outcomes.iter().filter(|(_, other)| **other == outcome);
            tests.map(|(name, _)| name.as_str()).collect::<Vec<_>>()
        };
        let (failed, not_run) = (named(Outcome::Failed), named(Outcome::NotRun));
        let console = || format!("\n{}", tail(&boot.console, 60));
        report.verdict = match &boot.ending {
            ending if !boot.ready => Verdict::Broken(format!("{ending:?}{}", console())),
            Ending::Done(_) if !failed.is_empty() => Verdict::Failed(failed.join(", ")),
            Ending::Done(0) if not_run.is_empty() => Verdict::Passed,
            Ending::Done(code) if not_run.is_empty() => Verdict::Failed(format!("exit code {code}")),
            Ending::Done(_) => Verdict::Failed(format!("not run: {}", not_run.join(", "))),
            ending => Verdict::Failed(format!("{ending:?}; not run: {}{}", not_run.join(", "), console())),
        };
        report
    }

    fn read(&mut self, line: &str) {
        if let Some((name, outcome)) = parse_outcome(line) {
            let known = self.outcomes.remove(name);
            let outcome = match (known, outcome) {
                (Some(Outcome::Limited(limits)), Outcome::Passed) => Outcome::Limited(limits),
                (_, outcome) => outcome,
            };
            self.outcomes.insert(name.to_owned(), outcome);
        } else if let Some((test, limit, meaning)) = parse_limit(line) {
            self.limits.insert(limit.to_owned(), meaning.to_owned());
            let outcome = self.outcomes.entry(test.to_owned()).or_insert(Outcome::NotRun);
            match outcome {
                Outcome::Limited(limits) if limits.iter().any(|known| known == limit) => {}
                Outcome::Limited(limits) => limits.push(limit.to_owned()),
                other => *other = Outcome::Limited(vec![limit.to_owned()]),
            }
        } else if let Some((program, count)) = parse_verified(line) {
            self.verified.insert(program.to_owned(), count);
        }
    }
}

/// `test NAME ... ok`; a test that says nothing of its end is no outcome.
fn parse_outcome(line: &str) -> Option<(&str, Outcome)> {
    let (name, word) = line.strip_prefix("test ")?.split_once(" ... ")?;
    match word {
        "ok" => Some((name, Outcome::Passed)),
        "FAILED" => Some((name, Outcome::Failed)),
        "ignored" => Some((name, Outcome::NotRun)),
        _ => None,
    }
}

fn parse_limit(line: &str) -> Option<(&str, &str, &str)> {
    let (test, rest) = line.strip_prefix(LIMIT_PREFIX)?.split_once(LIMIT_INFIX)?;
    let (limit, meaning) = rest.split_once(": ")?;
    Some((test, limit, meaning))
}

fn parse_verified(line: &str) -> Option<(&str, u64)> {
    let (program, rest) = line.strip_prefix(VERIFIER_PREFIX)?.split_once(": ")?;
    Some((program, rest.strip_suffix(" instructions")?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::kernels::ALL;

    fn report(output: &str, ending: Ending, ready: bool) -> Report {
        let boot = Boot { ready, ending, output: output.to_owned(), console: "the console".to_owned() };
        Report::of(&ALL[0], boot, &["a::x".to_owned(), "b".to_owned()])
    }

    #[test]
    fn limits_and_instructions_are_read_beside_outcomes() {
        let output = "live test a::x: expected unknown: spurious: it has no tcp_cong_state_set\n\
                      test a::x ... ok\nverifier: tcp_seed: 123 instructions\ntest b ... ok\n";
        let report = report(output, Ending::Done(0), true);
        assert_eq!(report.verdict, Verdict::Passed);
        assert_eq!(report.outcomes["a::x"], Outcome::Limited(vec!["spurious".into()]));
        assert_eq!(report.outcomes["b"], Outcome::Passed);
        assert_eq!(report.limits["spurious"], "it has no tcp_cong_state_set");
        assert_eq!(report.verified["tcp_seed"], 123);
    }

    #[test]
    fn a_failure_is_a_failure_although_limited() {
        let output = "live test b: expected unknown: y: z\ntest b ... FAILED\ntest a::x ... ok\n";
        let report = report(output, Ending::Done(101), true);
        assert_eq!(report.verdict, Verdict::Failed("b".into()));
        assert_eq!(report.outcomes["b"], Outcome::Failed);
    }

    #[test]
    fn a_test_that_nobody_heard_of_fails_the_run() {
        let report = report("test b ... ok\n", Ending::Done(0), true);
        assert_eq!(report.verdict, Verdict::Failed("not run: a::x".into()));
    }

    #[test]
    fn a_crash_before_the_tests_is_nobodys_failure() {
        let crash = || Ending::Crashed("Kernel panic".into());
        let before = report("", crash(), false);
        assert!(matches!(&before.verdict, Verdict::Broken(why) if why.contains("the console")), "{before:?}");
        assert!(matches!(report("", crash(), true).verdict, Verdict::Failed(_)));
    }
}
