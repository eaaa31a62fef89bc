//! What is played between the two hosts while both are traced.

use std::net::TcpStream;

use anyhow::{Context, Result};

use super::{bulk, handshakes, refusals, rules::Untold, timers, traced::Ends};
use crate::{
    lab::{
        Connection, Lab,
        socket::{self, Info, Options},
    },
    running::patience,
};

/// One row of the matrix.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// For the command line.
    pub name: String,
    /// One line.
    pub about: String,
    play: Play,
}

#[derive(Debug, Clone)]
enum Play {
    Bulk(bulk::Bulk),
    Story(fn(&Lab) -> Result<Played>),
}

/// What there is to compare afterwards. Nothing is in trouble any more.
#[derive(Debug)]
pub struct Played {
    /// All ends of all connections.
    pub sockets: Vec<Watched>,
    /// What no tracepoint shows.
    pub untold: Untold,
}

/// A socket, and the addresses that it had while it lived.
#[derive(Debug)]
pub struct Watched {
    /// The socket.
    pub socket: TcpStream,
    /// Its local and remote end.
    pub ends: Ends,
}

impl Watched {
    /// A connected socket.
    ///
    /// # Errors
    /// If it has no address.
    pub fn new(socket: TcpStream) -> Result<Watched> {
        let ends = (socket.local_addr()?, socket.peer_addr()?);
        Ok(Watched { socket, ends })
    }

    /// What the kernel thinks of it.
    ///
    /// # Errors
    /// As [`Options::info`].
    pub fn info(&self) -> Result<Info> {
        self.socket.info()
    }
}

/// Both ends of each connection.
pub(super) fn both_ends(connections: Vec<Connection>) -> Result<Vec<Watched>> {
    connections
        .into_iter()
        .flat_map(|Connection { client, server }| [client, server])
        .map(Watched::new)
        .collect()
}

/// Waits until everything that was sent is acknowledged: no retransmission can follow.
pub(super) fn settle(sockets: &[Watched]) -> Result<()> {
    for Watched { socket, .. } in sockets {
        let settled = |info: &Info| {
            info.state == socket::CLOSE || info.unacked == 0 && info.notsent_bytes == 0 && info.ca_state < 3
        };
        socket::await_info(socket, patience(), settled).context("the traffic does not end")?;
    }
    Ok(())
}

impl Scenario {
    fn story(name: &str, about: &str, play: fn(&Lab) -> Result<Played>) -> Scenario {
        Scenario { name: name.to_owned(), about: about.to_owned(), play: Play::Story(play) }
    }

    /// Plays it in a fresh lab.
    ///
    /// # Errors
    /// If the lab does not do what it should.
    pub fn play(&self, lab: &Lab) -> Result<Played> {
        match &self.play {
            Play::Bulk(bulk) => bulk.play(lab),
            Play::Story(play) => play(lab),
        }
    }
}

/// The whole matrix. `controls` are the congestion controls of this machine.
pub fn matrix(controls: &[String]) -> Vec<Scenario> {
    let bulks = bulk::matrix(controls).into_iter().map(|bulk| Scenario {
        name: bulk.name(),
        about: bulk.about(),
        play: Play::Bulk(bulk),
    });
    let stories = [
        Scenario::story(
            "syn-void",
            "SYNs to nobody, IPv4 and IPv6, until connect() gives up",
            handshakes::syn_void,
        ),
        Scenario::story("syn-loss", "every second SYN is lost", handshakes::syn_loss),
        Scenario::story("synack-loss", "every second SYN-ACK is lost", handshakes::synack_loss),
        Scenario::story(
            "request-expiry",
            "clients that send a SYN and then do not answer",
            handshakes::request_expiry,
        ),
        Scenario::story(
            "firewall",
            "the sender's own firewall drops retransmissions (EPERM)",
            refusals::firewall,
        ),
        Scenario::story("no-route", "the route goes away (EHOSTUNREACH)", refusals::no_route),
        Scenario::story("full-queue", "the sender's own queue is full (NET_XMIT_DROP)", refusals::full_queue),
        Scenario::story(
            "slow-queue",
            "segments wait in the sender's own queue (EBUSY)",
            refusals::slow_queue,
        ),
        Scenario::story("slow-queue-probes", "the same, with tail loss probes", refusals::slow_queue_probes),
        Scenario::story("tail-loss", "the last segment of each answer is lost (TLP)", timers::tail_loss),
        Scenario::story("new-data-probes", "probes that carry new data", timers::new_data_probes),
        Scenario::story("zero-window", "the window is closed with data in flight", timers::zero_window),
        Scenario::story("user-timeout", "blackholes, until TCP_USER_TIMEOUT ends them", timers::user_timeout),
    ];
    bulks.chain(stories).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_is_of_one_scenario() {
        let all = matrix(&["cubic".to_owned(), "reno".to_owned(), "bbr".to_owned()]);
        let names: BTreeSet<_> = all.iter().map(|scenario| &scenario.name).collect();
        assert_eq!(names.len(), all.len());
        assert!(all.len() > 25, "{}", all.len());
    }
}
