//! Transfers both ways under random loss.

use std::thread;

use anyhow::Result;

use super::{
    rules::Untold,
    scenario::{Played, both_ends, settle},
};
use crate::lab::{Family, Lab, Packets, socket::Options, trouble::Fate};

/// One such transfer.
#[derive(Debug, Clone)]
pub struct Bulk {
    congestion: String,
    /// Packets lost of 1,000.
    loss_permille: u32,
    /// Skbs of many segments cross the wire, and are lost, as one.
    offload: bool,
    family: Family,
}

/// As many as two cores carry without stalls of their own making.
const CONNECTIONS: usize = 6;

/// Each congestion control at each loss, with and without segmentation offload, the families in turn.
pub(super) fn matrix(controls: &[String]) -> Vec<Bulk> {
    let mut all = Vec::new();
    for congestion in controls {
        for loss_permille in [5, 20, 100] {
            for offload in [false, true] {
                let family = if all.len() % 4 == 1 || all.len() % 4 == 2 { Family::V6 } else { Family::V4 };
                all.push(Bulk { congestion: congestion.clone(), loss_permille, offload, family });
            }
        }
    }
    all
}

impl Bulk {
    fn percent(&self) -> f64 {
        f64::from(self.loss_permille) / 10.0
    }

    pub(super) fn name(&self) -> String {
        let offload = if self.offload { "tso" } else { "no-tso" };
        let family = if self.family == Family::V4 { "ipv4" } else { "ipv6" };
        format!("{}-{}-{offload}-{family}", self.congestion, self.percent())
    }

    pub(super) fn about(&self) -> String {
        format!("{CONNECTIONS} transfers both ways, {} % of packets lost", self.percent())
    }

    /// Bytes each way and connection: enough for some hundred retransmitted segments in all.
    fn bytes(&self) -> u64 {
        match (self.loss_permille, self.offload) {
            (..10, false) => 2_000_000,
            (..10, true) => 6_000_000,
            (..50, false) => 500_000,
            (..50, true) => 1_000_000,
            (_, false) => 100_000,
            (_, true) => 150_000,
        }
    }

    pub(super) fn play(&self, lab: &Lab) -> Result<Played> {
        lab.segmentation_offload(self.offload)?;
        let mut connections = lab.connect_many(self.family, CONNECTIONS)?;
        for connection in &mut connections {
            for socket in [&mut connection.client, &mut connection.server] {
                *socket = socket.try_clone()?.congestion(&self.congestion)?;
            }
        }
        let packets = Packets::all().chance(self.percent() / 100.0);
        let troubles =
            [lab.right.on_arrival(&packets, Fate::Vanish)?, lab.left.on_arrival(&packets, Fate::Vanish)?];
        let bytes = self.bytes();
        thread::scope(|scope| {
            let transfers: Vec<_> = connections
                .iter_mut()
                .map(|connection| scope.spawn(move || connection.transfer(bytes, bytes)))
                .collect();
            transfers.into_iter().try_for_each(|transfer| match transfer.join() {
                Ok(result) => result,
                Err(payload) => std::panic::resume_unwind(payload),
            })
        })?;
        for trouble in troubles {
            trouble.heal()?;
        }
        let sockets = both_ends(connections)?;
        settle(&sockets)?;
        Ok(Played { sockets, untold: Untold::PROBES })
    }
}
