//! What the doctor found: data for the text and the JSON form alike.

use serde::Serialize;

/// How good or bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// As it should be.
    Ok,
    /// Tracing works, and something is not seen.
    Degraded,
    /// Tracing does not work.
    Missing,
    /// Could not be found out by this process.
    Unknown,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Item {
    /// What.
    pub name: String,
    /// How it is.
    pub state: State,
    /// One sentence for people.
    pub detail: String,
}

impl Item {
    /// A finding.
    pub(crate) fn new(name: impl Into<String>, state: State, detail: impl Into<String>) -> Item {
        Item { name: name.into(), state, detail: detail.into() }
    }
}

/// Things that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Section {
    /// Its heading.
    pub name: &'static str,
    /// What is in it.
    pub items: Vec<Item>,
}

/// A sysctl in one network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Setting {
    /// Its name below net.ipv4.
    pub name: &'static str,
    /// Its value.
    pub value: i64,
    /// What the kernel sets it to.
    pub default: i64,
    /// What it means for a connection.
    pub meaning: String,
}

/// A network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct NamespaceSettings {
    /// Inode number.
    pub netns: u32,
    /// How people know it.
    pub label: String,
    /// Its settings; empty if it could not be entered.
    pub sysctls: Vec<Setting>,
    /// Why it could not be entered.
    pub error: Option<String>,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Findings {
    /// Of tcpretrans.
    pub version: &'static str,
    /// `uname -r`
    pub kernel: String,
    /// Timer ticks a second; `None`: not found.
    pub hz: Option<u32>,
    /// What was looked at.
    pub sections: Vec<Section>,
    /// Settings by namespace, this process's own first.
    pub namespaces: Vec<NamespaceSettings>,
    /// Namespaces that were left out because there are so many.
    pub namespaces_left_out: usize,
    /// The conclusion, for programs.
    pub can_trace: bool,
    /// The conclusion, for people.
    pub verdict: String,
}

impl Findings {
    /// The findings in this state.
    pub(crate) fn count(sections: &[Section], state: State) -> usize {
        sections.iter().flat_map(|section| &section.items).filter(|item| item.state == state).count()
    }
}
