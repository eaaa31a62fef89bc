//! The text beside the committed object that tells what it was made from.

use std::{collections::BTreeMap, fmt, fs, str::FromStr};

use anyhow::{Context, Result, anyhow, bail};

use super::{
    manifest_path, object_path, sha256_hex,
    sources::Sources,
    toolchain::{Route, Toolchain},
};
use crate::workspace;

/// The versions that decide the object's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tools {
    /// `rustc --version`
    pub rustc: String,
    /// The compiler's LLVM.
    pub llvm: String,
    /// Where `core` came from.
    pub core: String,
    /// bpf-linker's version.
    pub linker: String,
}

impl Tools {
    /// Of a toolchain.
    pub fn of(toolchain: &Toolchain) -> Tools {
        let core = match toolchain.compiler.route {
            Route::Debian => "precompiled",
            Route::Rustup => "build-std",
        };
        Tools {
            rustc: toolchain.compiler.version.clone(),
            llvm: toolchain.compiler.llvm.clone(),
            core: core.into(),
            linker: toolchain.linker_version.clone(),
        }
    }
}

impl fmt::Display for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tools { rustc, llvm, core, linker } = self;
        write!(f, "rustc {rustc}, LLVM {llvm}, core {core}, bpf-linker {linker}")
    }
}

/// What an object was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// SHA-256 of the object.
    pub object: String,
    /// What went in.
    pub sources: Sources,
    /// What it was made with.
    pub tools: Tools,
}

impl Manifest {
    /// Of an object that was built just now.
    ///
    /// # Errors
    /// If the sources cannot be read.
    pub fn of(object: &[u8], toolchain: &Toolchain) -> Result<Manifest> {
        Ok(Manifest {
            object: sha256_hex(object),
            sources: Sources::of_workspace(&workspace::root())?,
            tools: Tools::of(toolchain),
        })
    }

    /// The committed one.
    ///
    /// # Errors
    /// If it is missing, or was not written by this program.
    pub fn committed() -> Result<Manifest> {
        let path = manifest_path();
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        text.parse()
            .with_context(|| format!("{} is not a manifest; run `cargo xtask build-ebpf`", path.display()))
    }
}

/// Checks that the committed object is the one that the manifest speaks of, and that both belong to these sources.
///
/// # Errors
/// If one does not, with what differs and what to do.
pub fn check_committed() -> Result<(Vec<u8>, Manifest)> {
    let manifest = Manifest::committed()?;
    let path = object_path();
    let object = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let found = sha256_hex(&object);
    if found != manifest.object {
        bail!(
            "{} has sha256 {found}, but its manifest says {}: one was committed without the other. \
             Run `cargo xtask build-ebpf` and commit both",
            path.display(),
            manifest.object
        );
    }
    let differences = manifest.sources.differences(&Sources::of_workspace(&workspace::root())?);
    if !differences.is_empty() {
        bail!(
            "{} does not come from these sources:\n  {}\nRun `cargo xtask build-ebpf` and commit the object and its \
             manifest",
            path.display(),
            differences.join("\n  ")
        );
    }
    Ok((object, manifest))
}

const HEADER: &str =
    "# What tcpretrans-bpfel.o was made from. Written by `cargo xtask build-ebpf`; see docs/building.md.";
const SOURCE: &str = "source ";

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tools { rustc, llvm, core, linker } = &self.tools;
        writeln!(f, "{HEADER}")?;
        writeln!(f, "object-sha256: {}", self.object)?;
        writeln!(f, "sources-sha256: {}", self.sources.sha256())?;
        writeln!(f, "rustc: {rustc}\nllvm: {llvm}\ncore: {core}\nbpf-linker: {linker}")?;
        for (name, fingerprint) in self.sources.entries() {
            writeln!(f, "{SOURCE}{name}: {fingerprint}")?;
        }
        Ok(())
    }
}

impl FromStr for Manifest {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Manifest> {
        let mut values = BTreeMap::new();
        let mut sources = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (name, value) =
                line.split_once(": ").with_context(|| format!("cannot read the line `{line}`"))?;
            match name.strip_prefix(SOURCE) {
                Some(source) => sources.insert(source.to_owned(), value.to_owned()),
                None => values.insert(name, value.to_owned()),
            };
        }
        let mut take = |name| values.remove(name).ok_or_else(|| anyhow!("it has no line `{name}: `"));
        let sources = Sources::from_entries(sources);
        let sources_sha256 = take("sources-sha256")?;
        if sources_sha256 != sources.sha256() {
            bail!("its list of sources does not have the hash that it says: it was edited or badly merged");
        }
        Ok(Manifest {
            object: take("object-sha256")?,
            sources,
            tools: Tools {
                rustc: take("rustc")?,
                llvm: take("llvm")?,
                core: take("core")?,
                linker: take("bpf-linker")?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Manifest {
        let entries = [("tcpretrans-ebpf/src/main.rs", "aa11"), ("crate aya-ebpf 0.2.1", "from Cargo.lock")];
        Manifest {
            object: "00ff".into(),
            sources: Sources::from_entries(
                entries.iter().map(|(name, hash)| ((*name).into(), (*hash).into())).collect(),
            ),
            tools: Tools {
                rustc: "1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)".into(),
                llvm: "22.1.8".into(),
                core: "precompiled".into(),
                linker: "0.13.0".into(),
            },
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let manifest = example();
        assert_eq!(manifest.to_string().parse::<Manifest>().unwrap(), manifest);
    }

    #[test]
    fn an_edited_source_line_is_noticed() {
        let text = example().to_string().replace("aa11", "bb22");
        let error = text.parse::<Manifest>().unwrap_err();
        assert!(error.to_string().contains("badly merged"), "{error}");
    }

    #[test]
    fn missing_and_foreign_lines_are_named() {
        let text = example().to_string();
        let without_llvm: String =
            text.lines().filter(|line| !line.starts_with("llvm")).map(|l| format!("{l}\n")).collect();
        assert!(without_llvm.parse::<Manifest>().unwrap_err().to_string().contains("`llvm: `"));
        assert!("<<<<<<< HEAD".parse::<Manifest>().unwrap_err().to_string().contains("<<<<<<< HEAD"));
    }
}
