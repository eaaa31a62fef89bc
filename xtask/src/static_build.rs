//! Release builds that need no shared library: one file runs on every machine of its architecture.
//!
//! By default for this machine's own target: glibc with `crt-static` needs no musl to be installed.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail};

use crate::{
    artifacts::{self, Artifacts},
    target::Target,
    tracer::build::TRACER,
    workspace,
};

/// The live tests, and the tracer that they run.
#[derive(Debug, Clone)]
pub struct LiveTests {
    /// The test program.
    pub tests: PathBuf,
    /// The tracer.
    pub tracer: PathBuf,
}

/// Builds the tracer as one file without any library.
///
/// # Errors
/// If it does not build, or if what was built still asks for a loader.
pub fn static_tracer(target: &Target) -> Result<PathBuf> {
    let built = build(target, &["build", "--package", TRACER, "--bin", TRACER])?;
    statically_linked(built.binary(TRACER)?)
}

/// Builds the live tests and their tracer likewise.
///
/// # Errors
/// As [`static_tracer`].
pub fn static_live_tests(target: &Target) -> Result<LiveTests> {
    let built = build(target, &["test", "--no-run", "--package", "xtask", "--test", "live"])?;
    Ok(LiveTests { tests: statically_linked(built.test("live")?)?, tracer: static_tracer(target)? })
}

/// What a static release build gives.
fn build(target: &Target, words: &[&str]) -> Result<Artifacts> {
    let mut command = workspace::cargo();
    // With `--target`, the flags reach neither build scripts nor procedural macros, which cannot be static.
    command.args(words).args(["--locked", "--release", "--target", target.triple()]);
    command.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    command.envs(target.static_environment());
    command.env_remove("CARGO_ENCODED_RUSTFLAGS");
    artifacts::read(&workspace::output(&mut command)?)
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

    use super::*;

    #[test]
    fn a_dynamic_executable_is_told_by_its_interpreter() {
        let shell = Path::new("/bin/sh");
        let dynamic = Command::new("ldd").arg(shell).output().is_ok_and(|output| output.status.success());
        assert_eq!(has_interpreter(shell).unwrap(), dynamic);
    }
}
