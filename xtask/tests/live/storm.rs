//! Many connections whose peers vanish at once: hundreds of retransmissions within a second or two.

use std::{
    io::Write,
    thread,
    time::{Duration, Instant},
};

use xtask::lab::{Connection, Family, Lab};

use crate::{totals, tracer::patience};

/// Connections of a [`Lab`], before and after their peers vanish.
pub struct Storm {
    connections: Vec<Connection>,
}

impl Storm {
    /// Gathers: connections are made, nothing is wrong yet.
    pub fn gather(lab: &Lab, connections: usize) -> Storm {
        Storm { connections: lab.connect_many(Family::V4, connections).unwrap() }
    }

    /// Local ports of the connections, on the left.
    pub fn ports(&self) -> Vec<u16> {
        self.connections.iter().map(|connection| connection.client.local_addr().unwrap().port()).collect()
    }

    /// Waits until all that was sent has arrived after all, and closes the connections: each is heard of once more.
    pub fn calm_down(self, lab: &Lab) {
        lab.right.command("iptables", &["-w", "-F", "INPUT"]).unwrap();
        for connection in &self.connections {
            totals::settle(&connection.client);
        }
        drop(self);
        let start = Instant::now();
        while lab.left.sockets_in_use().unwrap() > 0 {
            assert!(start.elapsed() < patience(), "connections do not go away");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Breaks: from now on each connection retransmits on its own, from left to right.
    pub fn break_out(&mut self, lab: &Lab) {
        self.break_out_slowly(lab, Duration::ZERO);
    }

    /// The same, one connection after the other: their timers fire at all times.
    pub fn break_out_slowly(&mut self, lab: &Lab, pause: Duration) {
        // Stays in force without its handle.
        lab.right.unreachable().unwrap();
        for connection in &mut self.connections {
            connection.client.write_all(b"is anybody there?").unwrap();
            thread::sleep(pause);
        }
    }
}
