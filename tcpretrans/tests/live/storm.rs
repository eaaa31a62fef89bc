//! Many connections whose peers vanish at once: hundreds of retransmissions within a second or two.

use std::io::Write;

use xtask::lab::{Connection, Family, Lab};

/// Connections of a [`Lab`], before and after their peers vanish.
pub struct Storm {
    connections: Vec<Connection>,
}

impl Storm {
    /// Gathers: connections are made, nothing is wrong yet.
    pub fn gather(lab: &Lab, connections: usize) -> Storm {
        Storm { connections: lab.connect_many(Family::V4, connections).unwrap() }
    }

    /// Breaks: from now on each connection retransmits on its own, from left to right.
    pub fn break_out(&mut self, lab: &Lab) {
        // Stays in force without its handle.
        lab.right.unreachable().unwrap();
        for connection in &mut self.connections {
            connection.client.write_all(b"is anybody there?").unwrap();
        }
    }
}
