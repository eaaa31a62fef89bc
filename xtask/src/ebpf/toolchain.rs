//! Compilers that can build for BPF, and whether this machine has one.
//!
//! `bpfel-unknown-none` is a tier 3 target: rustup ships no `core` for it, and aya-ebpf needs one unstable
//! feature. Two ways lead there: Debian's `rustc-web`, which has a precompiled `core`, or a nightly with
//! `rust-src`, which builds it. Either needs bpf-linker, standing on the same LLVM major as the compiler.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, anyhow, bail};

use crate::workspace::{self, find_in_path};

/// The target that the programs are compiled for.
pub const TARGET: &str = "bpfel-unknown-none";
/// The bpf-linker release line that the object is built with.
pub const LINKER_VERSION: &str = "0.13";
/// Where Debian's packages put their compiler. Not by `PATH`: a rustup in front would hide it.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
/// The workspace's `rust-version`.
const OLDEST_RUSTC_MINOR: u32 = 95;

/// The two ways to a compiler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Route {
    /// Debian's `rustc-web` with `libstd-rust-web-dev-bpf`.
    Debian,
    /// A rustup nightly with `rust-src`.
    Rustup,
}

/// A compiler that can build the object.
#[derive(Debug, Clone)]
pub struct Compiler {
    /// Which way.
    pub route: Route,
    /// `rustc`
    pub rustc: PathBuf,
    /// `cargo`
    pub cargo: PathBuf,
    /// `rustc --version`, without the leading word.
    pub version: String,
    /// The LLVM that it stands on, `22.1.8`.
    pub llvm: String,
}

/// A compiler and its linker.
#[derive(Debug, Clone)]
pub struct Toolchain {
    /// The compiler.
    pub compiler: Compiler,
    /// `bpf-linker`
    pub linker: PathBuf,
    /// `bpf-linker --version`, without the leading word.
    pub linker_version: String,
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Compiler { route, rustc, version, llvm, .. } = &self.compiler;
        let core = match route {
            Route::Debian => "precompiled core",
            Route::Rustup => "core built from rust-src",
        };
        write!(
            f,
            "BPF toolchain: {} (rustc {version}, LLVM {llvm}, {core}), {} ({})",
            rustc.display(),
            self.linker.display(),
            self.linker_version
        )
    }
}

/// `22` of `22.1.8`.
pub fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or(version)
}

/// Finds a complete toolchain.
///
/// # Errors
/// If there is none: what is missing on each way, and the commands that install it.
pub fn find(wanted: Option<Route>) -> Result<Toolchain> {
    let mut reasons = Vec::new();
    for route in [Route::Debian, Route::Rustup] {
        if wanted.is_some_and(|wanted| wanted != route) {
            continue;
        }
        let found = match route {
            Route::Debian => debian_compiler().map(|compiler| vec![compiler]),
            Route::Rustup => nightly_compilers(),
        };
        for candidate in found.unwrap_or_else(|error| {
            reasons.push(error);
            Vec::new()
        }) {
            match with_linker(candidate) {
                Ok(toolchain) => return Ok(toolchain),
                Err(error) => reasons.push(error),
            }
        }
    }
    let mut message = String::from("no toolchain that can build the BPF object:\n");
    for reason in reasons {
        message.push_str(&format!("  - {reason:#}\n"));
    }
    message.push_str(&super::install::advice(wanted));
    Err(anyhow!(message))
}

/// Debian's compiler, if it can build for BPF.
pub(super) fn debian_compiler() -> Result<Compiler> {
    let rustc = Path::new(DEBIAN_RUSTC);
    for tool in [DEBIAN_RUSTC, DEBIAN_CARGO] {
        if !Path::new(tool).exists() {
            bail!("Debian: there is no {tool}");
        }
    }
    let compiler = describe(Route::Debian, rustc.into(), DEBIAN_CARGO.into())?;
    let minor: u32 = compiler.version.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(0);
    if minor < OLDEST_RUSTC_MINOR {
        bail!("Debian: {DEBIAN_RUSTC} is {}, and 1.{OLDEST_RUSTC_MINOR} is needed", compiler.version);
    }
    let lib = sysroot(rustc)?.join("lib/rustlib").join(TARGET).join("lib");
    if !contains_file(&lib, |name| name.starts_with("libcore-") && name.ends_with(".rlib")) {
        bail!("Debian: {DEBIAN_RUSTC} has no core for {TARGET} in {}", lib.display());
    }
    Ok(compiler)
}

/// The nightlies of rustup that have `core`'s source.
fn nightly_compilers() -> Result<Vec<Compiler>> {
    let rustup = find_in_path("rustup").context("rustup: there is no rustup")?;
    let list = workspace::output(Command::new(&rustup).args(["toolchain", "list", "--quiet"]))?;
    let mut found = Vec::new();
    let mut without_source = Vec::new();
    for name in list.lines().filter(|name| name.starts_with("nightly")) {
        let rustc = workspace::output(Command::new(&rustup).args(["which", "--toolchain", name, "rustc"]))?;
        let rustc = PathBuf::from(rustc);
        if sysroot(&rustc)?.join("lib/rustlib/src/rust/library/core/Cargo.toml").exists() {
            let cargo = rustc.with_file_name("cargo");
            found.push(describe(Route::Rustup, rustc, cargo)?);
        } else {
            without_source.push(name);
        }
    }
    if found.is_empty() {
        match without_source.as_slice() {
            [] => bail!("rustup: no nightly is installed"),
            names => bail!("rustup: {} lacks the component rust-src", names.join(", ")),
        }
    }
    Ok(found)
}

fn describe(route: Route, rustc: PathBuf, cargo: PathBuf) -> Result<Compiler> {
    let text = workspace::output(Command::new(&rustc).arg("-vV"))?;
    let version = text.lines().next().and_then(|line| line.strip_prefix("rustc "));
    let llvm = text.lines().find_map(|line| line.strip_prefix("LLVM version: "));
    let unclear = || format!("`{} -vV` does not show its versions:\n{text}", rustc.display());
    let version = version.with_context(unclear)?.to_owned();
    let llvm = llvm.with_context(unclear)?.to_owned();
    Ok(Compiler { route, rustc, cargo, version, llvm })
}

fn sysroot(rustc: &Path) -> Result<PathBuf> {
    workspace::output(Command::new(rustc).args(["--print", "sysroot"])).map(PathBuf::from)
}

fn contains_file(dir: &Path, wanted: impl Fn(&str) -> bool) -> bool {
    std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| entry.file_name().to_str().is_some_and(&wanted))
}

/// Adds bpf-linker to a compiler.
fn with_linker(compiler: Compiler) -> Result<Toolchain> {
    let wanted = major(&compiler.llvm);
    let linker = find_linker().with_context(|| {
        format!("rustc {} with LLVM {} is here, but bpf-linker is not", compiler.version, compiler.llvm)
    })?;
    let text = workspace::output(Command::new(&linker).arg("--version"))?;
    let linker_version = text.strip_prefix("bpf-linker ").unwrap_or(&text).to_owned();
    // A linker that carries its LLVM inside does not tell its version; a mismatch shows when it links.
    if let Some(found) = shared_llvm_major(&linker).filter(|found| found != wanted) {
        bail!(
            "{} stands on LLVM {found}, but rustc {} on LLVM {}: bpf-linker cannot read its bitcode",
            linker.display(),
            compiler.version,
            compiler.llvm
        );
    }
    Ok(Toolchain { compiler, linker, linker_version })
}

fn find_linker() -> Option<PathBuf> {
    find_in_path("bpf-linker")
        .or_else(|| Some(cargo_home()?.join("bin/bpf-linker")).filter(|path| path.is_file()))
}

/// `$CARGO_HOME`, or where it is by default.
pub(super) fn cargo_home() -> Option<PathBuf> {
    std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))
}

/// The major version of the libLLVM that an executable is linked to, if it is a shared one.
fn shared_llvm_major(executable: &Path) -> Option<String> {
    let libraries = workspace::output(Command::new("ldd").arg(executable)).ok()?;
    llvm_major_of_libraries(&libraries)
}

/// From what `ldd` prints: `libLLVM.so.22.1 => ...` (LLVM 18 and later) or `libLLVM-17.so.1 => ...`.
fn llvm_major_of_libraries(libraries: &str) -> Option<String> {
    libraries.lines().find_map(|line| {
        let rest = line.trim_start().strip_prefix("libLLVM")?;
        let digits = rest.trim_start_matches(|c: char| !c.is_ascii_digit());
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        (end > 0).then(|| digits[..end].to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llvm_is_found_among_the_linker_s_libraries() {
        let new =
            "\tlinux-vdso.so.1 (0x7f)\n\tlibLLVM.so.22.1 => /usr/lib/llvm-22/lib/libLLVM.so.22.1 (0x7f)\n";
        assert_eq!(llvm_major_of_libraries(new).as_deref(), Some("22"));
        let old = "\tlibLLVM-17.so.1 => /usr/lib/libLLVM-17.so.1 (0x7f)\n";
        assert_eq!(llvm_major_of_libraries(old).as_deref(), Some("17"));
        let inside = "\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x7f)\n";
        assert_eq!(llvm_major_of_libraries(inside), None);
    }

    #[test]
    fn major_is_the_first_number() {
        assert_eq!(major("22.1.8"), "22");
        assert_eq!(major("23"), "23");
    }
}
