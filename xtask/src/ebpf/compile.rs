//! Compiling the BPF programs, so that the same sources give the same bytes.

use std::{env, ffi::OsString, fs, path::Path, process::Command};

use anyhow::{Context, Result};

use super::{
    object, sources,
    toolchain::{Route, TARGET, Toolchain, cargo_home},
};
use crate::workspace;

const BINARY: &str = "tcpretrans-bpf";
const FEATURE: &str = "programs";
const PROFILE: &str = "bpf";

/// The profile is given here and not in `Cargo.toml`, so that no change made for the host's sake changes the object.
/// Debug information costs the committed object nothing (it is stripped) and keeps the verifier's log readable
/// where someone loads the unstripped one.
const PROFILE_SETTINGS: [&str; 9] = [
    "inherits=\"release\"",
    "opt-level=3",
    "debug=2",
    "strip=false",
    "lto=\"thin\"",
    "codegen-units=1",
    "incremental=false",
    "overflow-checks=false",
    "debug-assertions=false",
];

/// The architecture only matters to programs that read `pt_regs`, which these do not: the object runs anywhere, and
/// is the same wherever it was built.
const RUST_FLAGS: [&str; 3] = ["--cfg=bpf_target_arch=\"x86_64\"", "-Clinker=bpf-linker", "-Clink-arg=--btf"];

/// The options that decide the object's bytes, as text.
pub(super) fn recipe() -> String {
    [&[TARGET, BINARY, FEATURE], PROFILE_SETTINGS.as_slice(), RUST_FLAGS.as_slice()].concat().join("\n")
}

/// Builds and strips the object.
///
/// # Errors
/// If the compiler or the linker fails.
pub fn object(toolchain: &Toolchain) -> Result<Vec<u8>> {
    let root = workspace::root();
    // Of its own: the host's builds and these would otherwise throw away each other's work.
    let target_dir = workspace::target_dir(&workspace::metadata()?)?.join("bpf");
    let mut command = command(toolchain, &root, &target_dir)?;
    let hint = || {
        format!(
            "the BPF object does not build with rustc {} (LLVM {}) and bpf-linker {}; \
             if the linker speaks of bitcode or a producer, it was built for another LLVM than {}",
            toolchain.compiler.version,
            toolchain.compiler.llvm,
            toolchain.linker_version,
            super::toolchain::major(&toolchain.compiler.llvm)
        )
    };
    workspace::run(&mut command).with_context(hint)?;
    let unstripped = target_dir.join(TARGET).join(PROFILE).join(BINARY);
    let bytes = fs::read(&unstripped).with_context(|| format!("cannot read {}", unstripped.display()))?;
    object::strip(&bytes)
}

/// Clippy on the programs, for the host: cargo leaves them out of the workspace's, as they need their feature.
///
/// # Errors
/// If clippy finds anything.
pub fn lint() -> Result<()> {
    let mut command = workspace::cargo();
    command.args([
        "clippy",
        "--locked",
        "--package",
        sources::PACKAGE,
        "--bin",
        BINARY,
        "--features",
        FEATURE,
    ]);
    // They have a panic handler and nothing to unwind with. Of their own, or host builds would be thrown away.
    command.args(["--config", "profile.dev.panic=\"abort\"", "--", "--deny", "warnings"]);
    workspace::run(&mut command)
}

fn command(toolchain: &Toolchain, root: &Path, target_dir: &Path) -> Result<Command> {
    let compiler = &toolchain.compiler;
    let mut command = Command::new(&compiler.cargo);
    command.current_dir(root);
    workspace::without_package_variables(&mut command);
    // Nothing of the calling cargo's or the user's environment may reach the object.
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let is_setting =
            ["CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_"].iter().any(|p| text.starts_with(p));
        if is_setting
            || ["RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTUP_TOOLCHAIN"].contains(&text)
        {
            command.env_remove(&name);
        }
    }
    command.args([
        "build",
        "--locked",
        "--package",
        sources::PACKAGE,
        "--bin",
        BINARY,
        "--features",
        FEATURE,
    ]);
    command.args(["--target", TARGET, "--profile", PROFILE]).arg("--target-dir").arg(target_dir);
    for setting in PROFILE_SETTINGS {
        command.arg("--config").arg(format!("profile.{PROFILE}.{setting}"));
    }
    if compiler.route == Route::Rustup {
        command.args(["-Z", "build-std=core"]);
    }
    // aya-ebpf alone needs an unstable feature (`asm_experimental_arch`), and Debian's compiler is a stable one.
    command.env("RUSTC", &compiler.rustc).env("RUSTC_BOOTSTRAP", "aya_ebpf");
    command.env("CARGO_ENCODED_RUSTFLAGS", rust_flags(root)?.join(std::ffi::OsStr::new("\x1f")));
    // By name and not by path in the flags, which must be the same everywhere.
    let linker_dir = toolchain.linker.parent().unwrap_or(Path::new("/")).to_owned();
    let path = env::var_os("PATH").unwrap_or_default();
    command.env("PATH", env::join_paths(std::iter::once(linker_dir).chain(env::split_paths(&path)))?);
    Ok(command)
}

fn rust_flags(root: &Path) -> Result<Vec<OsString>> {
    let cargo_home = cargo_home().context("neither CARGO_HOME nor HOME is set")?;
    let mut flags: Vec<OsString> = RUST_FLAGS.iter().map(OsString::from).collect();
    // Paths are in the log messages' file names and in the symbols' hashes.
    for (from, to) in [(root, "/src"), (cargo_home.as_path(), "/cargo")] {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(from);
        flag.push("=");
        flag.push(to);
        flags.push(flag);
    }
    Ok(flags)
}
