//! Flows as many lines have them, letter for letter: read once.

use std::{collections::HashMap, sync::Arc};

use crate::{
    event::Flow,
    form::{meaning, schema::FlowObject},
};

/// Texts that are remembered: some 20 MB.
const MOST: usize = 1 << 16;

/// Flows by their text.
#[derive(Debug, Default)]
pub(super) struct Flows(HashMap<Box<str>, Arc<Flow>>);

impl Flows {
    /// The flow that a whole object describes; `None`: the text is none, or something is wrong with it.
    pub(super) fn of_text(&mut self, text: &str) -> Option<Arc<Flow>> {
        if let Some(flow) = self.0.get(text) {
            return Some(flow.clone());
        }
        let object: FlowObject<'_> = serde_json::from_str(text).ok()?;
        let flow = Arc::new(meaning::flow(object).ok()?);
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert(text.into(), flow.clone());
        Some(flow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_is_the_same_flow() {
        let text = |lport: u32| {
            format!(
                r#"{{"family":"ipv4","laddr":"10.0.0.1","lport":{lport},"raddr":"10.0.0.2","rport":9,"netns":null,"id":"1a","pid":null,"comm":null,"uid":null,"cgroup":null}}"#
            )
        };
        let mut flows = Flows::default();
        let first = flows.of_text(&text(1)).expect("a flow");
        assert!(Arc::ptr_eq(&first, &flows.of_text(&text(1)).expect("the same")));
        assert_ne!(first, flows.of_text(&text(2)).expect("another"));
        assert_eq!(flows.of_text(&text(65_536)), None);
        for lport in 0..MOST as u32 + 10 {
            flows.of_text(&text(lport % 65_536).replace("1a", &format!("{lport:x}")));
        }
        assert!(flows.0.len() <= MOST);
    }
}
