//! What the object is made of: files, crates, and how it is compiled.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use super::{compile, sha256_hex};

/// The package of the BPF programs; a directory of the workspace.
pub const PACKAGE: &str = "tcpretrans-ebpf";

/// Everything that decides the object's bytes, the toolchain aside: a name and a fingerprint each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources(BTreeMap<String, String>);

impl Sources {
    /// Reads the sources of a workspace.
    ///
    /// # Errors
    /// If a file cannot be read, or `Cargo.lock` is not understood.
    pub fn of_workspace(root: &Path) -> Result<Sources> {
        let package = root.join(PACKAGE);
        let mut files = vec![package.join("Cargo.toml")];
        collect_files(&package.join("src"), &mut files)?;
        let mut entries = BTreeMap::new();
        for file in files {
            let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let name = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().replace('\\', "/");
            entries.insert(name, sha256_hex(&bytes));
        }
        let lock_path = root.join("Cargo.lock");
        let lock =
            fs::read_to_string(&lock_path).with_context(|| format!("cannot read {}", lock_path.display()))?;
        let dependencies = locked_dependencies(&lock, PACKAGE)?;
        // Only what ends up in the object: an update of, say, the macros' parser need not make it stale.
        for (name, version) in dependencies.into_iter().filter(|(name, _)| name.starts_with("aya-")) {
            entries.insert(format!("crate {name} {version}"), "from Cargo.lock".into());
        }
        entries.insert("compiler options".into(), sha256_hex(compile::recipe().as_bytes()));
        Ok(Sources(entries))
    }

    /// From the lines of a manifest.
    pub(super) fn from_entries(entries: BTreeMap<String, String>) -> Sources {
        Sources(entries)
    }

    /// Names and fingerprints, sorted by name.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, fingerprint)| (name.as_str(), fingerprint.as_str()))
    }

    /// One hash over everything.
    pub fn sha256(&self) -> String {
        let text: String =
            self.entries().map(|(name, fingerprint)| format!("{name}\t{fingerprint}\n")).collect();
        sha256_hex(text.as_bytes())
    }

    /// What is not the same in `now`, one line a difference.
    pub fn differences(&self, now: &Sources) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, fingerprint) in self.entries() {
            match now.0.get(name) {
                None => lines.push(format!("gone: {name}")),
                Some(other) if other != fingerprint => lines.push(format!("changed: {name}")),
                Some(_) => {}
            }
        }
        lines.extend(
            now.0.keys().filter(|name| !self.0.contains_key(*name)).map(|name| format!("new: {name}")),
        );
        lines
    }
}

fn collect_files(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let context = || format!("cannot list {}", dir.display());
    for entry in fs::read_dir(dir).with_context(context)? {
        let path = entry.with_context(context)?.path();
        if path.is_dir() {
            collect_files(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// The crates that a package stands on, directly or not, with their versions.
fn locked_dependencies(lock: &str, package: &str) -> Result<Vec<(String, String)>> {
    let packages = parse_lock(lock);
    let mut found = BTreeMap::new();
    let mut open = vec![package.to_owned()];
    while let Some(wanted) = open.pop() {
        // A dependency is `name`, or `name version` where the lock file has several versions of it.
        let mut words = wanted.split(' ');
        let (name, version) = (words.next().unwrap_or_default(), words.next());
        let Some(entry) =
            packages.iter().find(|entry| entry.name == name && version.is_none_or(|v| v == entry.version))
        else {
            bail!("Cargo.lock has no package {wanted}; run `cargo metadata` once to bring it up to date");
        };
        let key = (entry.name.to_owned(), entry.version.to_owned());
        if found.insert(key, ()).is_none() {
            open.extend(entry.dependencies.iter().map(|name| (*name).to_owned()));
        }
    }
    Ok(found.into_keys().filter(|(name, _)| name != package).collect())
}

#[derive(Default)]
struct LockEntry<'a> {
    name: &'a str,
    version: &'a str,
    dependencies: Vec<&'a str>,
}

/// Cargo writes `Cargo.lock` in one fixed layout (one key or list item a line), so lines are enough to read it.
fn parse_lock(lock: &str) -> Vec<LockEntry<'_>> {
    let mut entries: Vec<LockEntry<'_>> = Vec::new();
    for line in lock.lines() {
        if line == "[[package]]" {
            entries.push(LockEntry::default());
        }
        let Some(entry) = entries.last_mut() else { continue };
        if let Some(name) = line.strip_prefix("name = ") {
            entry.name = name.trim_matches('"');
        } else if let Some(version) = line.strip_prefix("version = ") {
            entry.version = version.trim_matches('"');
        } else if let Some(dependency) = line.strip_prefix(" \"") {
            entry.dependencies.push(dependency.trim_end_matches(',').trim_end_matches('"'));
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"version = 4

[[package]]
name = "programs"
version = "0.1.0"
dependencies = [
 "kernel-side",
 "twice 1.0.0",
]

[[package]]
name = "kernel-side"
version = "0.2.1"
source = "registry+https://github.com/rust-lang/crates.io-index"
dependencies = [
 "twice 2.0.0",
]

[[package]]
name = "twice"
version = "1.0.0"

[[package]]
name = "twice"
version = "2.0.0"

[[package]]
name = "unrelated"
version = "9.0.0"
"#;

    fn named(entries: &[(&str, &str)]) -> Sources {
        Sources(entries.iter().map(|(name, hash)| ((*name).into(), (*hash).into())).collect())
    }

    #[test]
    fn dependencies_are_followed_by_name_and_version() {
        let found = locked_dependencies(LOCK, "programs").unwrap();
        let found: Vec<_> = found.iter().map(|(name, version)| (name.as_str(), version.as_str())).collect();
        assert_eq!(found, [("kernel-side", "0.2.1"), ("twice", "1.0.0"), ("twice", "2.0.0")]);
    }

    #[test]
    fn a_missing_package_is_an_error() {
        let error = locked_dependencies(LOCK, "absent").unwrap_err();
        assert!(error.to_string().contains("no package absent"), "{error}");
    }

    #[test]
    fn differences_name_what_changed() {
        let then = named(&[("a.rs", "1"), ("b.rs", "2"), ("c.rs", "3")]);
        let now = named(&[("a.rs", "1"), ("b.rs", "9"), ("d.rs", "4")]);
        assert_eq!(then.differences(&now), ["changed: b.rs", "gone: c.rs", "new: d.rs"]);
        assert_ne!(then.sha256(), now.sha256());
        assert!(then.differences(&then).is_empty());
    }

    #[test]
    fn the_workspace_s_own_sources_are_seen() {
        let sources = Sources::of_workspace(&crate::workspace::root()).unwrap();
        let names: Vec<_> = sources.entries().map(|(name, _)| name).collect();
        for expected in [
            "tcpretrans-ebpf/src/main.rs",
            "tcpretrans-ebpf/src/programs/mod.rs",
            "tcpretrans-ebpf/Cargo.toml",
        ] {
            assert!(names.contains(&expected), "{expected} is not among {names:?}");
        }
        assert!(names.iter().any(|name| name.starts_with("crate aya-ebpf 0.")), "{names:?}");
        assert!(!names.iter().any(|name| name.starts_with("crate aya 0.")), "{names:?}");
    }
}
