//! Timers: probes of both kinds, closed windows, and the last expiry of all.

use std::{
    io::{Read, Write},
    time::Duration,
};

use anyhow::{Context, Result};

use super::{
    patience,
    rules::Untold,
    scenario::{Played, both_ends, settle},
};
use crate::lab::{
    Connection, Family, Lab, Packets,
    socket::{self, Options, await_info},
    trouble::Fate,
};

fn warm(lab: &Lab, family: Family, count: usize) -> Result<Vec<Connection>> {
    let mut connections = lab.connect_many(family, count)?;
    connections.iter_mut().try_for_each(Connection::warm_up)?;
    Ok(connections)
}

/// Answers of three segments whose last one gets lost. Nothing else is waiting to be sent.
pub(super) fn tail_loss(lab: &Lab) -> Result<Played> {
    const ROUNDS: u32 = 20;
    lab.segmentation_offload(false)?;
    let mut connection = warm(lab, Family::V6, 1)?.remove(0);
    connection.client.set_read_timeout(Some(patience()))?;
    for _ in 0..ROUNDS {
        let third = Packets::all().family(Family::V6).at_least(1000).nth(2);
        let trouble = lab.left.on_arrival(&third, Fate::Vanish)?;
        connection.server.write_all(&[b'.'; 3 * 1400]).context("the answer")?;
        connection.client.read_exact(&mut [0; 3 * 1400]).context("the answer does not come")?;
        trouble.heal()?;
    }
    let sockets = both_ends(vec![connection])?;
    settle(&sockets)?;
    Ok(Played { sockets, untold: Untold::NOTHING })
}

/// More is waiting than the first flight carries, and all of that is lost: the probe sends something new.
pub(super) fn new_data_probes(lab: &Lab) -> Result<Played> {
    const CONNECTIONS: usize = 8;
    // Less than a send buffer, for nothing leaves it.
    const BYTES: usize = 40_000;
    lab.segmentation_offload(false)?;
    let mut connections = warm(lab, Family::V4, CONNECTIONS)?;
    let trouble = lab.right.unreachable()?;
    for connection in &mut connections {
        connection.client.write_all(&[b'.'; BYTES]).context("write()")?;
    }
    for connection in &connections {
        await_info(&connection.client, patience(), |info| info.retransmits > 0).context("no timeout")?;
    }
    // One probe each, for a timeout ends the matter. On the way back to health, there are none any more.
    lab.left.sysctl("net.ipv4.tcp_early_retrans", "0")?;
    trouble.heal()?;
    for connection in &mut connections {
        connection.server.set_read_timeout(Some(patience()))?;
        connection.server.read_exact(&mut [0; BYTES]).context("read()")?;
    }
    let sockets = both_ends(connections)?;
    settle(&sockets)?;
    let untold = Untold { new_data_probes: Some(CONNECTIONS as u64), ..Untold::NOTHING };
    Ok(Played { sockets, untold })
}

/// The timer probes the window with a retransmission, and does not count itself.
pub(super) fn zero_window(lab: &Lab) -> Result<Played> {
    lab.left.sysctl("net.ipv4.tcp_early_retrans", "0")?;
    let mut connections = warm(lab, Family::V4, 10)?;
    let trouble = lab.right.unreachable()?;
    for connection in &mut connections {
        connection.client.write_all(b"hello").context("write()")?;
        connection.client.close_peers_window()?;
    }
    for connection in &connections {
        await_info(&connection.client, patience(), |info| info.total_retrans >= 3).context("no probe")?;
    }
    trouble.heal()?;
    let sockets = both_ends(connections)?;
    settle(&sockets)?;
    Ok(Played { sockets, untold: Untold::NOTHING })
}

/// The last expiry retransmits nothing: it gives up.
pub(super) fn user_timeout(lab: &Lab) -> Result<Played> {
    let mut connections = warm(lab, Family::V4, 20)?;
    let trouble = lab.right.unreachable()?;
    for connection in &mut connections {
        let client = connection.client.try_clone()?;
        client.user_timeout(Duration::from_millis(1500))?;
        connection.client.write_all(b"hello").context("write()")?;
    }
    // Their addresses, while they have some.
    let sockets = both_ends(connections)?;
    for watched in sockets.iter().step_by(2) {
        await_info(&watched.socket, patience(), |info| info.state == socket::CLOSE).context("no end")?;
    }
    trouble.heal()?;
    settle(&sockets)?;
    Ok(Played { sockets, untold: Untold::NOTHING })
}
