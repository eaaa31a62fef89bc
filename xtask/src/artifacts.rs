//! What cargo has built, by its messages (`--message-format=json`).

use std::path::PathBuf;

use anyhow::{Context, Result};

/// The executables among it.
#[derive(Debug)]
pub struct Artifacts(Vec<Executable>);

#[derive(Debug)]
struct Executable {
    name: String,
    kind: Kind,
    path: PathBuf,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Binary,
    /// An integration test, or a library's or binary's unit tests.
    Test,
}

/// Reads cargo's messages.
///
/// # Errors
/// If they are none.
pub fn read(messages: &str) -> Result<Artifacts> {
    let mut found = Vec::new();
    for line in messages.lines() {
        let message: serde_json::Value =
            serde_json::from_str(line).context("cannot read cargo's messages")?;
        let (name, path) = (message["target"]["name"].as_str(), message["executable"].as_str());
        if let (Some(name), Some(path)) = (name, path) {
            let kind = if message["profile"]["test"] == true { Kind::Test } else { Kind::Binary };
            found.push(Executable { name: name.to_owned(), kind, path: path.into() });
        }
    }
    Ok(Artifacts(found))
}

impl Artifacts {
    /// The binary of that name.
    ///
    /// # Errors
    /// If cargo did not build it.
    pub fn binary(&self, name: &str) -> Result<PathBuf> {
        self.of(&Kind::Binary, name)
    }

    /// The test program of that name.
    ///
    /// # Errors
    /// If cargo did not build it.
    pub fn test(&self, name: &str) -> Result<PathBuf> {
        self.of(&Kind::Test, name)
    }

    fn of(&self, kind: &Kind, name: &str) -> Result<PathBuf> {
        let found = self.0.iter().find(|executable| executable.kind == *kind && executable.name == name);
        Ok(found.with_context(|| format!("cargo built no {kind:?} `{name}`"))?.path.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    #[test]
    fn executables_are_told_by_kind_and_name() {
        let of = |name: &str, test: bool, path: &str| json!({"reason": "compiler-artifact", "target": {"name": name}, "profile": {"test": test}, "executable": path});
        let messages = [
            json!({"reason": "compiler-artifact", "target": {"name": "tcpretrans"}, "profile": {"test": false}, "executable": null}),
            of("tcpretrans", false, "/t/tcpretrans"),
            of("live", true, "/t/live-1"),
            json!({"reason": "build-finished", "success": true}),
        ];
        let text: String = messages.iter().map(|message| format!("{message}\n")).collect();
        let artifacts = read(&text).unwrap();
        assert_eq!(artifacts.binary("tcpretrans").unwrap(), Path::new("/t/tcpretrans"));
        assert_eq!(artifacts.test("live").unwrap(), Path::new("/t/live-1"));
        assert!(artifacts.test("tcpretrans").is_err(), "only test executables are run as tests");
        assert!(artifacts.test("cli").is_err());
        assert!(read("").unwrap().test("live").is_err());
        assert!(read("nonsense").is_err());
    }
}
