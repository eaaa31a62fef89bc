//! The compatibility table in `docs/kernels.md`: written by `cargo xtask vm-test --write-docs`, between two marks.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::{kernels, report::Report, table::Table};
use crate::workspace;

const FILE: &str = "docs/kernels.md";
const BEGIN: &str = "<!-- written by `cargo xtask vm-test --write-docs`: begin -->";
const END: &str = "<!-- end -->";

/// Puts the reports into the document.
///
/// # Errors
/// If not every kernel was run, or the document has no place for the table.
pub(super) fn write(reports: &[Report]) -> Result<()> {
    ensure!(reports.len() == kernels::ALL.len(), "the documentation is written of all kernels or not at all");
    let path = workspace::root().join(FILE);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {FILE}"))?;
    let table = Table::of(reports).markdown() + &verified(reports);
    fs::write(&path, replaced(&text, &table)?).with_context(|| format!("cannot write {FILE}"))?;
    println!("{FILE} written");
    Ok(())
}

/// What the verifier had to do: its limit is a million instructions since 5.2.
fn verified(reports: &[Report]) -> String {
    let counted: Vec<&Report> = reports.iter().filter(|report| !report.verified.is_empty()).collect();
    let mut programs: Vec<&str> =
        counted.iter().flat_map(|report| report.verified.keys().map(String::as_str)).collect();
    programs.sort_unstable();
    programs.dedup();
    if programs.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = counted.iter().map(|report| report.kernel.name).collect();
    let mut text = format!(
        "\nInstructions that the verifier processed (its limit is 1,000,000):\n\n| program | {} |\n|---|{}\n",
        names.join(" | "),
        "---|".repeat(names.len())
    );
    for program in programs {
        let cells: Vec<String> = counted
            .iter()
            .map(|report| report.verified.get(program).map_or("-".to_owned(), ToString::to_string))
            .collect();
        text += &format!("| `{program}` | {} |\n", cells.join(" | "));
    }
    text
}

fn replaced(text: &str, table: &str) -> Result<String> {
    let place = || format!("{FILE} has no `{BEGIN}` and `{END}` after it");
    let (before, rest) = text.split_once(BEGIN).with_context(place)?;
    let (_, after) = rest.split_once(END).with_context(place)?;
    Ok(format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let text = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let once = replaced(&text, "| new |\n").unwrap();
        assert_eq!(once, format!("before\n{BEGIN}\n\n| new |\n\n{END}\nafter\n"));
        assert_eq!(replaced(&once, "| new |\n").unwrap(), once);
        assert!(replaced("nothing", "x").is_err());
    }

    #[test]
    fn the_document_has_the_marks() {
        let text = fs::read_to_string(workspace::root().join(FILE)).unwrap();
        replaced(&text, "").unwrap();
    }
}
