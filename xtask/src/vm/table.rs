//! The table of kernels and tests: for the terminal, and for the documentation.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::report::{Outcome, Report, Verdict};

/// Tests down, kernels across.
#[derive(Debug)]
pub(super) struct Table<'a> {
    reports: &'a [Report],
    tests: BTreeSet<&'a str>,
}

impl<'a> Table<'a> {
    pub(super) fn of(reports: &'a [Report]) -> Table<'a> {
        let tests = reports.iter().flat_map(|report| report.outcomes.keys().map(String::as_str)).collect();
        Table { reports, tests }
    }

    fn cell(&self, report: &Report, test: &str) -> &'static str {
        match (&report.verdict, report.outcomes.get(test)) {
            (Verdict::Unavailable(_) | Verdict::Broken(_), _) => "untested",
            (_, Some(Outcome::Passed)) => "ok",
            (_, Some(Outcome::Limited(_))) => "unknown",
            (_, Some(Outcome::Failed)) => "FAILED",
            (_, Some(Outcome::NotRun) | None) => "not run",
        }
    }

    /// Names of the expected unknowns of a test, over all kernels.
    fn limits_of(&self, test: &str) -> BTreeSet<&'a str> {
        let outcomes = self.reports.iter().filter_map(|report| report.outcomes.get(test));
        let limits = outcomes.filter_map(|outcome| match outcome {
            Outcome::Limited(limits) => Some(limits),
            _ => None,
        });
        limits.flatten().map(String::as_str).collect()
    }

    fn limits(&self) -> BTreeMap<&'a str, &'a str> {
        let limits = self.reports.iter().flat_map(|report| &report.limits);
        limits.map(|(name, meaning)| (name.as_str(), meaning.as_str())).collect()
    }

    fn count(&self, report: &Report, suits: impl Fn(&Outcome) -> bool) -> usize {
        report.outcomes.values().filter(|outcome| suits(outcome)).count()
    }

    /// Kernels with what came of them; what they cannot tell; then every test.
    pub(super) fn markdown(&self) -> String {
        let mut text = String::from(
            "| kernel | from | tests | passed | passed with an expected unknown |\n|---|---|---|---|---|\n",
        );
        for report in self.reports {
            let release = report.release.as_deref().unwrap_or(report.kernel.name);
            let limited = self.count(report, |outcome| matches!(outcome, Outcome::Limited(_)));
            let passed = self.count(report, |outcome| *outcome == Outcome::Passed);
            let tests = report.outcomes.len();
            let verdict = match &report.verdict {
                Verdict::Passed => format!("{tests} | {passed} | {limited}"),
                Verdict::Failed(_) => format!("{tests} | {passed}, others FAILED | {limited}"),
                Verdict::Broken(_) | Verdict::Unavailable(_) => "untested | | ".into(),
            };
            text += &format!("| {release} | {} | {verdict} |\n", report.kernel.origin());
        }
        let limits = self.limits();
        if !limits.is_empty() {
            text += "\nExpected unknowns:\n\n| name | why | kernels |\n|---|---|---|\n";
            for (name, meaning) in limits {
                let has = |report: &&Report| report.limits.contains_key(name);
                let kernels: Vec<&str> =
                    self.reports.iter().filter(has).map(|report| report.kernel.name).collect();
                text += &format!("| {name} | {meaning} | {} |\n", kernels.join(", "));
            }
        }
        let names: Vec<&str> = self.reports.iter().map(|report| report.kernel.name).collect();
        text += &format!(
            "\n| test | {} | unknown |\n|---|{}---|\n",
            names.join(" | "),
            "---|".repeat(names.len())
        );
        for test in &self.tests {
            let cells: Vec<&str> = self.reports.iter().map(|report| self.cell(report, test)).collect();
            let limits: Vec<&str> = self.limits_of(test).into_iter().collect();
            text += &format!("| {test} | {} | {} |\n", cells.join(" | "), limits.join(", "));
        }
        text
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.tests.iter().map(|test| test.len()).max().unwrap_or(0).max(7);
        let line = |f: &mut fmt::Formatter<'_>, test: &str, cells: Vec<String>, note: String| {
            let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:9}")).collect();
            writeln!(f, "{}", format!("{test:width$}  {} {note}", cells.join(" ")).trim_end())
        };
        let of_each = |text: &dyn Fn(&Report) -> String| self.reports.iter().map(text).collect::<Vec<_>>();
        line(f, "", of_each(&|report| report.kernel.name.to_owned()), String::new())?;
        for test in &self.tests {
            let limits: Vec<&str> = self.limits_of(test).into_iter().collect();
            let note = if limits.is_empty() { String::new() } else { format!("({})", limits.join(", ")) };
            line(f, test, of_each(&|report| self.cell(report, test).to_owned()), note)?;
        }
        line(
            f,
            "seconds",
            of_each(&|report| format!("{:.0}", report.duration.as_secs_f64())),
            String::new(),
        )?;
        for (name, meaning) in self.limits() {
            writeln!(f, "unknown: {name}: {meaning}")?;
        }
        for report in self.reports {
            let release = report.release.as_deref().unwrap_or("?");
            writeln!(f, "{} ({release}): {}", report.kernel.name, report.verdict)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::kernels::ALL;

    fn reports() -> Vec<Report> {
        let mut old = Report::unavailable(&ALL[0], String::new());
        old.verdict = Verdict::Passed;
        old.release = Some("5.10.0-39".into());
        old.outcomes.insert("a".into(), Outcome::Limited(vec!["spurious".into()]));
        old.outcomes.insert("b".into(), Outcome::Passed);
        old.limits.insert("spurious".into(), "why not".into());
        vec![old, Report::unavailable(&ALL[1], "no network".into())]
    }

    #[test]
    fn untested_is_not_failed() {
        let reports = reports();
        let text = Table::of(&reports).to_string();
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["5.10", "6.1"]);
        assert_eq!(rows[1], ["a", "unknown", "untested", "(spurious)"]);
        assert_eq!(rows[2], ["b", "ok", "untested"]);
        assert!(text.contains("6.1 (?): UNAVAILABLE, nothing was tested: no network"), "{text}");
    }

    #[test]
    fn the_document_has_what_and_why() {
        let reports = reports();
        let text = Table::of(&reports).markdown();
        assert!(
            text.contains("| 5.10.0-39 | Debian bullseye, linux-image-cloud-amd64 | 2 | 1 | 1 |"),
            "{text}"
        );
        assert!(text.contains("| spurious | why not | 5.10 |"), "{text}");
        assert!(text.contains("| a | unknown | untested | spurious |"), "{text}");
    }
}
