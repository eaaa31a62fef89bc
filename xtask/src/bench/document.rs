//! The table, put into the documents that show it.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::table::{Row, render};
use crate::workspace;

/// The documents, and the same markers in each.
const DOCUMENTS: [&str; 2] = ["README.md", "docs/cost.md"];
const BEGIN: &str = "<!-- cargo xtask bench --write: begin -->\n";
const END: &str = "<!-- cargo xtask bench --write: end -->\n";

/// Replaces what stands between the markers.
pub(super) fn write(root: &Path, rows: &[Row]) -> Result<()> {
    let text = format!("{}\n{}", machine()?, render(rows));
    for document in DOCUMENTS {
        let path = root.join(document);
        let old = fs::read_to_string(&path).with_context(|| format!("cannot read {document}"))?;
        let new = replaced(&old, &text).with_context(|| format!("{document} has no place for the table"))?;
        fs::write(&path, new).with_context(|| format!("cannot write {document}"))?;
    }
    Ok(())
}

/// One line that says what the figures are of.
fn machine() -> Result<String> {
    let kernel = nix::sys::utsname::uname()?.release().to_string_lossy().into_owned();
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let of_cpu = |name: &str| {
        cpu.lines().find_map(|line| Some(line.strip_prefix(name)?.split_once(':')?.1.trim().to_owned()))
    };
    let model = of_cpu("model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let virtual_machine = if cpu.contains(" hypervisor") { ", virtual machine" } else { "" };
    let cpus = std::thread::available_parallelism()?;
    let day = workspace::output(std::process::Command::new("date").args(["-u", "+%Y-%m-%d"]))?;
    Ok(format!("{model}, {cpus} CPUs{virtual_machine}, Linux {kernel}, {day}:\n"))
}

fn replaced(document: &str, text: &str) -> Option<String> {
    let begin = document.find(BEGIN)? + BEGIN.len();
    let end = begin + document[begin..].find(END)?;
    Some(format!("{}{text}{}", &document[..begin], &document[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let old = format!("before\n{BEGIN}old\n{END}after\n");
        let new = replaced(&old, "new\n").unwrap();
        assert_eq!(new, format!("before\n{BEGIN}new\n{END}after\n"));
        assert_eq!(replaced(&new, "new\n"), Some(new.clone()));
        assert_eq!(replaced("no markers", "new"), None);
    }

    #[test]
    fn the_documents_have_a_place_for_it() {
        for document in DOCUMENTS {
            let text = fs::read_to_string(workspace::root().join(document)).unwrap();
            assert!(replaced(&text, "").is_some(), "{document}");
        }
    }
}
