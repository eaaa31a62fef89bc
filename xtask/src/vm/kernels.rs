//! Which kernels there are to try, and where Debian has them.

/// A Debian suite, with the archive's updates for it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Suite {
    pub(super) name: &'static str,
    /// The suite in the archive of security updates, which has the later kernels.
    pub(super) security: Option<&'static str>,
}

const BULLSEYE: Suite = Suite { name: "bullseye", security: Some("bullseye-security") };
const BOOKWORM: Suite = Suite { name: "bookworm", security: Some("bookworm-security") };
const TRIXIE_BACKPORTS: Suite = Suite { name: "trixie-backports", security: None };

/// A kernel that the tests can run on.
#[derive(Debug, PartialEq, Eq)]
pub struct Kernel {
    /// On the command line and in tables. The release that it really is comes from the package.
    pub name: &'static str,
    pub(super) suite: &'static Suite,
    /// The cloud flavour: small, and with everything that the lab needs.
    pub(super) package: &'static str,
}

/// All of them, the oldest first: the oldest that the tracer supports, Debian's long-lived ones, and the newest.
pub const ALL: &[Kernel] = &[
    Kernel { name: "5.10", suite: &BULLSEYE, package: "linux-image-cloud-amd64" },
    Kernel { name: "6.1", suite: &BOOKWORM, package: "linux-image-cloud-amd64" },
    Kernel { name: "6.12", suite: &BOOKWORM, package: "linux-image-6.12-cloud-amd64" },
    Kernel { name: "6.18", suite: &TRIXIE_BACKPORTS, package: "linux-image-6.18.15+deb13-cloud-amd64" },
    Kernel { name: "newest", suite: &TRIXIE_BACKPORTS, package: "linux-image-cloud-amd64" },
];

impl Kernel {
    /// Where it comes from.
    pub fn origin(&self) -> String {
        format!("Debian {}, {}", self.suite.name, self.package)
    }
}

/// The kernel of that name.
///
/// # Errors
/// Says which there are.
pub fn parse(name: &str) -> Result<&'static Kernel, String> {
    ALL.iter().find(|kernel| kernel.name == name).ok_or_else(|| {
        let names: Vec<&str> = ALL.iter().map(|kernel| kernel.name).collect();
        format!("there are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        let names: BTreeSet<_> = ALL.iter().map(|kernel| kernel.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.iter().all(|kernel| parse(kernel.name) == Ok(kernel)));
        assert!(parse("2.6").unwrap_err().contains("5.10, 6.1"));
    }
}
