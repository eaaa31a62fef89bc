//! Retransmissions that this host itself refuses.

use std::{
    io::Write,
    net::UdpSocket,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{
    patience,
    rules::Untold,
    scenario::{Played, both_ends, settle},
};
use crate::lab::{Connection, DEVICE, Family, LEFT, Lab, Packets, RIGHT, shell, trouble::Fate};

/// Connections that have measured their RTT.
fn warm(lab: &Lab, count: usize) -> Result<Vec<Connection>> {
    let mut connections = lab.connect_many(Family::V4, count)?;
    connections.iter_mut().try_for_each(Connection::warm_up)?;
    Ok(connections)
}

/// Waits until the left host has counted so many.
fn await_count(lab: &Lab, counter: &str, count: u64) -> Result<()> {
    let start = Instant::now();
    while lab.left.counters()?.get(counter) < count {
        ensure!(start.elapsed() < patience(), "{counter} does not get to {count}");
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn played(connections: Vec<Connection>, untold: Untold) -> Result<Played> {
    let sockets = both_ends(connections)?;
    settle(&sockets)?;
    Ok(Played { sockets, untold })
}

/// The first transmission leaves and is lost on the wire; the next ones do not leave. Counted, although not sent.
pub(super) fn firewall(lab: &Lab) -> Result<Played> {
    let mut connections = warm(lab, 10)?;
    let wire = lab.right.unreachable()?;
    for connection in &mut connections {
        connection.client.write_all(b"hello").context("write()")?;
    }
    let firewall = lab.left.on_departure(&Packets::all(), Fate::Vanish)?;
    await_count(lab, "TCPRetransFail", 30)?;
    firewall.heal()?;
    wire.heal()?;
    played(connections, Untold::NOTHING)
}

/// `rebuild_header` finds no route: neither sent nor counted.
pub(super) fn no_route(lab: &Lab) -> Result<Played> {
    let mut connections = warm(lab, 10)?;
    let wire = lab.right.unreachable()?;
    for connection in &mut connections {
        connection.client.write_all(b"hello").context("write()")?;
    }
    let route = ["10.77.0.0/24", "dev", DEVICE, "src", &LEFT.v4.to_string()].map(str::to_owned);
    let change = |verb: &str| {
        let words: Vec<&str> = ["-n", lab.left.name(), "route", verb]
            .into_iter()
            .chain(route.iter().map(String::as_str))
            .collect();
        shell::ip(&words)
    };
    change("del")?;
    // The timer counts, whatever becomes of the attempt.
    await_count(lab, "TCPTimeouts", 30)?;
    change("add")?;
    wire.heal()?;
    played(connections, Untold::NOTHING)
}

/// Makes the left host's queue so slow, and so short (bytes).
fn narrow(lab: &Lab, rate: &str, limit: &str) -> Result<()> {
    let words = ["qdisc", "add", "dev", DEVICE, "root", "tbf", "rate", rate, "burst", "1600", "limit", limit];
    lab.left.command("tc", &words).map(drop).context("this kernel needs sch_tbf (CONFIG_NET_SCH_TBF)")
}

fn widen(lab: &Lab) -> Result<()> {
    lab.left.command("tc", &["qdisc", "del", "dev", DEVICE, "root"]).map(drop)
}

/// The queueing discipline drops what does not fit: the kernel has counted it by then.
pub(super) fn full_queue(lab: &Lab) -> Result<Played> {
    lab.segmentation_offload(false)?;
    let mut connections = warm(lab, 4)?;
    // A probe that finds its segment still queued is no attempt, and no event tells of it.
    lab.left.sysctl("net.ipv4.tcp_early_retrans", "0")?;
    narrow(lab, "4mbit", "5000")?;
    let loss = lab.right.on_arrival(&Packets::all().chance(0.1), Fate::Vanish)?;
    thread::scope(|scope| {
        let transfers: Vec<_> = connections
            .iter_mut()
            .map(|connection| scope.spawn(move || connection.transfer(150_000, 0)))
            .collect();
        transfers.into_iter().try_for_each(|transfer| match transfer.join() {
            Ok(result) => result,
            Err(payload) => std::panic::resume_unwind(payload),
        })
    })?;
    loss.heal()?;
    widen(lab)?;
    played(connections, Untold::NOTHING)
}

/// Segments wait so long that their timers expire: `skb_still_in_host_queue`. Until the left host has found that so
/// often.
fn wait_in_queue(lab: &Lab, found: u64) -> Result<Vec<Connection>> {
    let mut connections = warm(lab, WAITING)?;
    // 2,000 bytes a second; what is no TCP goes first, and takes some seconds.
    narrow(lab, "16kbit", "100000")?;
    let filler = lab.left.run(|| UdpSocket::bind((LEFT.v4, 0))).context("bind()")?;
    for _ in 0..10 {
        filler.send_to(&[0; 1000], (RIGHT.v4, 9)).context("send()")?;
    }
    for connection in &mut connections {
        connection.client.write_all(b"wait for me").context("write()")?;
    }
    await_count(lab, "TCPSpuriousRtxHostQueues", found)?;
    widen(lab)?;
    Ok(connections)
}

/// Connections whose segments wait.
const WAITING: usize = 10;

pub(super) fn slow_queue(lab: &Lab) -> Result<Played> {
    lab.left.sysctl("net.ipv4.tcp_early_retrans", "0")?;
    let connections = wait_in_queue(lab, 2 * WAITING as u64)?;
    played(connections, Untold::NOTHING)
}

/// With probes: the first thing that each connection's timer finds is that its segment has not left.
pub(super) fn slow_queue_probes(lab: &Lab) -> Result<Played> {
    let connections = wait_in_queue(lab, 3 * WAITING as u64)?;
    played(connections, Untold { queued_probes: Some(WAITING as u64), ..Untold::NOTHING })
}
