//! Release builds that need no shared library: one file runs on every machine of its architecture.
//!
//! By default for this machine's own target: glibc with `crt-static` needs no musl to be installed.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail};

use crate::{target::Target, workspace};

/// The package, and its binary.
const TRACER: &str = "tcpretrans";

/// The live tests, and the tracer that they run: its path is compiled into them.
#[derive(Debug, Clone)]
pub struct LiveTests {
    /// The test program.
    pub tests: PathBuf,
    /// The tracer, where the test program looks for it.
    pub tracer: PathBuf,
}

/// Builds the tracer as one file without any library.
///
/// # Errors
/// If it does not build, or if what was built still asks for a loader.
pub fn static_tracer(target: &Target) -> Result<PathBuf> {
    let messages = build(target, &["build", "--bin", TRACER])?;
    statically_linked(executable(&messages, "bin", TRACER)?)
}

/// Builds the live tests and their tracer likewise.
///
/// # Errors
/// As [`static_tracer`].
pub fn static_live_tests(target: &Target) -> Result<LiveTests> {
    let messages = build(target, &["test", "--no-run", "--test", "live"])?;
    Ok(LiveTests {
        tests: statically_linked(executable(&messages, "test", "live")?)?,
        tracer: statically_linked(executable(&messages, "bin", TRACER)?)?,
    })
}

/// Cargo's messages of a static release build.
fn build(target: &Target, words: &[&str]) -> Result<String> {
    let mut command = workspace::cargo();
    // With `--target`, the flags reach neither build scripts nor procedural macros, which cannot be static.
    command.args(words).args(["--locked", "--release", "--package", TRACER, "--target", target.triple()]);
    command.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    command.envs(target.static_environment());
    command.env_remove("CARGO_ENCODED_RUSTFLAGS");
    workspace::output(&mut command)
}

/// The executable of a target that cargo's messages name.
fn executable(messages: &str, kind: &str, name: &str) -> Result<PathBuf> {
    for line in messages.lines() {
        let message: serde_json::Value =
            serde_json::from_str(line).context("cannot read cargo's messages")?;
        let target = &message["target"];
        if target["name"] == name
            && target["kind"][0] == kind
            && let Some(path) = message["executable"].as_str()
        {
            return Ok(path.into());
        }
    }
    bail!("cargo built no {kind} `{name}`")
}

/// The same path, if the file there needs no dynamic loader.
fn statically_linked(path: PathBuf) -> Result<PathBuf> {
    if has_interpreter(&path)? {
        bail!("{} asks for a dynamic loader: this target cannot link statically", path.display());
    }
    Ok(path)
}

fn has_interpreter(path: &Path) -> Result<bool> {
    use object::{
        Endianness, elf,
        read::elf::{FileHeader as _, ProgramHeader as _},
    };
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let wrong = || format!("{} is no 64-bit ELF file", path.display());
    let header = elf::FileHeader64::<Endianness>::parse(&*bytes).with_context(wrong)?;
    let endian = header.endian().with_context(wrong)?;
    let segments = header.program_headers(endian, &*bytes).with_context(wrong)?;
    Ok(segments.iter().any(|segment| segment.p_type(endian) == elf::PT_INTERP))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use serde_json::json;

    use super::*;

    #[test]
    fn executables_are_told_by_kind_and_name() {
        let messages = [
            json!({"reason": "compiler-artifact", "target": {"kind": ["lib"], "name": "tcpretrans"}}),
            json!({"target": {"kind": ["bin"], "name": "tcpretrans"}, "executable": "/t/tcpretrans"}),
            json!({"target": {"kind": ["test"], "name": "live"}, "executable": "/t/live-1"}),
        ];
        let text: String = messages.iter().map(|message| format!("{message}\n")).collect();
        assert_eq!(executable(&text, "bin", "tcpretrans").unwrap(), Path::new("/t/tcpretrans"));
        assert_eq!(executable(&text, "test", "live").unwrap(), Path::new("/t/live-1"));
        assert!(executable(&text, "test", "cli").is_err());
    }

    #[test]
    fn a_dynamic_executable_is_told_by_its_interpreter() {
        let shell = Path::new("/bin/sh");
        let dynamic = Command::new("ldd").arg(shell).output().is_ok_and(|output| output.status.success());
        assert_eq!(has_interpreter(shell).unwrap(), dynamic);
    }
}
