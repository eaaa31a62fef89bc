//! Installing a BPF toolchain, and how to.

use std::{fmt::Write, process::Command, thread, time::Duration};

use anyhow::{Context, Result, bail};

use super::toolchain::{self, LINKER_VERSION, Route, Toolchain};
use crate::workspace::{self, find_in_path};

/// Debian 12's packages of a rustc with a precompiled `core` for BPF.
const DEBIAN_COMPILER: [&str; 3] = ["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"];
/// bpf-linker is built against this LLVM where no compiler is there to ask: Debian's rustc-web 1.96 has it.
const USUAL_LLVM: &str = "22";
const APT_ATTEMPTS: u32 = 4;

fn linker_features(llvm: &str) -> [String; 6] {
    let words = ["--locked", "--no-default-features", "--features"];
    let [locked, no_default, features] = words.map(str::to_owned);
    [
        format!("--version=~{LINKER_VERSION}"),
        locked,
        no_default,
        features,
        format!("llvm-{llvm}"),
        "--force".into(),
    ]
}

/// What to install, for people.
pub(super) fn advice(wanted: Option<Route>) -> String {
    let linker = |llvm: &str| {
        let arguments = linker_features(llvm).join(" ");
        format!("LLVM_PREFIX=/usr/lib/llvm-{llvm} cargo install bpf-linker {arguments}")
    };
    let mut text = String::new();
    if wanted != Some(Route::Rustup) {
        let _ = write!(
            text,
            "On Debian 12 (what `cargo xtask bpf-toolchain --install` does):\n\
             \x20   apt-get install --no-install-recommends {} llvm-{USUAL_LLVM}-dev\n\
             \x20   {}\n",
            DEBIAN_COMPILER.join(" "),
            linker(USUAL_LLVM),
        );
    }
    if wanted != Some(Route::Debian) {
        let _ = write!(
            text,
            "Anywhere else, with rustup:\n\
             \x20   rustup toolchain install nightly --profile minimal --component rust-src\n\
             \x20   rustc +nightly -vV        # shows its LLVM version; N is the first number\n\
             \x20   LLVM_PREFIX=/usr/lib/llvm-N cargo install bpf-linker {}\n\
             \x20 LLVM N's development files are llvm-N-dev of your distribution, or of https://apt.llvm.org\n",
            linker_features("N").join(" "),
        );
    }
    text.push_str("Without one, everything but rebuilding the BPF object works: the built one is committed.");
    text
}

/// Finds a toolchain, and installs Debian's where there is none.
///
/// # Errors
/// If this is no machine with apt, or something cannot be installed.
pub fn find_or_install(wanted: Option<Route>) -> Result<Toolchain> {
    let missing = match toolchain::find(wanted) {
        Ok(toolchain) => return Ok(toolchain),
        Err(missing) => missing,
    };
    if wanted == Some(Route::Rustup) || find_in_path("apt-get").is_none() {
        return Err(missing.context("--install installs Debian's packages only"));
    }
    if toolchain::debian_compiler().is_err() {
        apt_install(&DEBIAN_COMPILER)?;
    }
    let compiler = toolchain::debian_compiler().context(
        "Debian's packages are installed, but are not what is needed (Debian 12 or later has them)",
    )?;
    let llvm = toolchain::major(&compiler.llvm);
    match toolchain::find(Some(Route::Debian)) {
        Ok(toolchain) => return Ok(toolchain),
        Err(_) => install_linker(llvm)?,
    }
    toolchain::find(Some(Route::Debian))
}

fn install_linker(llvm: &str) -> Result<()> {
    let prefix = format!("/usr/lib/llvm-{llvm}");
    if !std::path::Path::new(&prefix).join("include/llvm-c/Core.h").exists() {
        apt_install(&[&format!("llvm-{llvm}-dev")])?;
    }
    println!("installing bpf-linker for LLVM {llvm} (about a minute)");
    let mut command = workspace::cargo();
    // Outside the workspace, whose settings are not the linker's.
    command
        .current_dir("/")
        .env("LLVM_PREFIX", &prefix)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .args(["install", "bpf-linker"])
        .args(linker_features(llvm));
    workspace::run(&mut command)
}

/// Installs Debian packages, patiently: mirrors fail now and then.
fn apt_install(packages: &[&str]) -> Result<()> {
    println!("installing {}", packages.join(" "));
    let apt = |arguments: &[&str]| -> Result<()> {
        let mut command = if workspace::is_root() {
            Command::new("env")
        } else {
            let sudo = find_in_path("sudo").context("installing packages needs root or sudo")?;
            let mut command = Command::new(sudo);
            command.arg("env");
            command
        };
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", "DPkg::Lock::Timeout=300"]);
        command.args(arguments);
        workspace::run(&mut command)
    };
    let install = [&["install", "--yes", "--no-install-recommends"], packages].concat();
    for attempt in 1..=APT_ATTEMPTS {
        // An update can fail for a source that has nothing to do with these packages: the install decides.
        if let Err(error) = apt(&["update"]) {
            eprintln!("warning: {error:#}");
        }
        match apt(&install) {
            Ok(()) => return Ok(()),
            Err(error) if attempt < APT_ATTEMPTS => {
                eprintln!("warning: {error:#}; trying again");
                thread::sleep(Duration::from_secs(5 * u64::from(attempt)));
            }
            Err(error) => return Err(error),
        }
    }
    bail!("no attempt to install {} was made", packages.join(" "))
}
