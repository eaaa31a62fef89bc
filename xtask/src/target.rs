//! The machines that a static program can be built for.

use std::{env, process::Command};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Rust's name of a kind of machine, and what linking statically takes there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    triple: String,
    host: String,
}

impl Target {
    /// This machine's.
    ///
    /// # Errors
    /// If there is no rustc, or it does not tell.
    pub fn host() -> Result<Target> {
        let host = host()?;
        Ok(Target { triple: host.clone(), host })
    }

    /// The one of that name, if its standard library is installed.
    ///
    /// # Errors
    /// If it is not, or if it is not Linux; the message says what to do.
    pub fn named(triple: &str) -> Result<Target> {
        if !triple.contains("-linux-") {
            bail!("{triple} is not Linux, and tcpretrans traces Linux only");
        }
        let mut rustc = Command::new("rustc");
        rustc.args(["--print", "target-libdir", "--target", triple]).current_dir(workspace::root());
        let libraries = workspace::output(&mut rustc)?;
        if !std::path::Path::new(&libraries).is_dir() {
            bail!("no standard library of {triple} is installed: `rustup target add {triple}` gets it");
        }
        Ok(Target { triple: triple.to_owned(), host: host()? })
    }

    /// Rust's name of it.
    pub fn triple(&self) -> &str {
        &self.triple
    }

    /// Do its programs run on this machine?
    pub fn runs_here(&self) -> bool {
        // A static program needs of the machine nothing but its processor.
        architecture(&self.triple) == architecture(&self.host)
    }

    /// What cargo's environment needs, so that no library is asked for at run time.
    pub fn static_environment(&self) -> Vec<(String, String)> {
        let flags = env::var("RUSTFLAGS").unwrap_or_default();
        let mut variables =
            vec![("RUSTFLAGS".to_owned(), format!("{flags} -Ctarget-feature=+crt-static").trim().to_owned())];
        // musl's targets bring their own startup code, and rustc brings a linker for every machine: no C compiler of
        // another machine is needed.
        if !self.runs_here() && self.triple.ends_with("-musl") {
            let name = self.triple.to_uppercase().replace('-', "_");
            variables.push((format!("CARGO_TARGET_{name}_LINKER"), "rust-lld".to_owned()));
        }
        variables
    }
}

fn architecture(triple: &str) -> &str {
    triple.split('-').next().unwrap_or(triple)
}

fn host() -> Result<String> {
    let said = workspace::output(Command::new("rustc").arg("-vV").current_dir(workspace::root()))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("`rustc -vV` names no host")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_machines_program_brings_its_linker() {
        let target =
            |triple: &str| Target { triple: triple.to_owned(), host: "x86_64-unknown-linux-gnu".into() };
        let linker = |target: Target| {
            let variables = target.static_environment();
            assert!(variables[0].1.ends_with("-Ctarget-feature=+crt-static"), "{variables:?}");
            variables.into_iter().find(|(name, _)| name.ends_with("_LINKER"))
        };
        assert_eq!(linker(target("x86_64-unknown-linux-gnu")), None);
        assert_eq!(linker(target("x86_64-unknown-linux-musl")), None);
        let variable = ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER".to_owned(), "rust-lld".to_owned());
        assert_eq!(linker(target("aarch64-unknown-linux-musl")), Some(variable));
    }

    #[test]
    fn what_is_not_installed_is_told_with_its_remedy() {
        assert!(Target::host().unwrap().runs_here());
        let error = Target::named("s390x-unknown-linux-gnu").unwrap_err().to_string();
        assert!(error.contains("rustup target add s390x"), "{error}");
        assert!(Target::named("x86_64-pc-windows-gnu").unwrap_err().to_string().contains("not Linux"));
    }
}
