//! Flows as many lines have them, letter for letter: read once.

use std::{collections::HashMap, sync::Arc};

use crate::event::{
    Clock, Flow,
    json::{DecodeError, Reading, Value},
};

/// Texts that are remembered: some 20 MB.
const MOST: usize = 1 << 16;

/// Flows by their text.
#[derive(Debug, Default)]
pub(super) struct Flows(HashMap<Box<str>, Arc<Flow>>);

impl Flows {
    /// The flow that an object describes.
    pub(super) fn of_text(&mut self, text: &str, clock: Clock) -> Result<Arc<Flow>, DecodeError> {
        if let Some(flow) = self.0.get(text) {
            return Ok(flow.clone());
        }
        let line = Reading::new(clock);
        let mut object = serde_json::Deserializer::from_str(text);
        let flow = Arc::new(Flow::read(&mut object, &line).map_err(|error| line.error(error))?);
        object.end()?;
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert(text.into(), flow.clone());
        Ok(flow)
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
        let first = flows.of_text(&text(1), Clock::default()).expect("a flow");
        assert!(Arc::ptr_eq(&first, &flows.of_text(&text(1), Clock::default()).expect("the same")));
        assert_ne!(first, flows.of_text(&text(2), Clock::default()).expect("another"));
        assert!(flows.of_text(&text(65_536), Clock::default()).is_err());
        for lport in 0..MOST as u32 + 10 {
            let text = text(lport % 65_536).replace("1a", &format!("{lport:x}"));
            flows.of_text(&text, Clock::default()).expect("a flow");
        }
        assert!(flows.0.len() <= MOST);
    }
}
