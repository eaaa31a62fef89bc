//! SYNs and SYN-ACKs that get lost.

use std::{
    net::{SocketAddr, TcpListener},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{
    patience,
    rules::Untold,
    scenario::{Played, Watched, settle},
};
use crate::lab::{
    Family, Lab, Namespace, Packets, VOID,
    socket::{self, ESTABLISHED, await_info, start_connect, unconnected},
    trouble::Fate,
};

const BOTH: [Family; 2] = [Family::V4, Family::V6];
/// A connect() that is under way.
fn call(lab: &Lab, family: Family, to: SocketAddr) -> Result<Watched> {
    let socket = lab.left.run(|| unconnected(family))?;
    start_connect(&socket, to)?;
    let local = socket.local_addr()?;
    Ok(Watched { socket, ends: (local, to) })
}

pub(super) fn syn_void(lab: &Lab) -> Result<Played> {
    lab.left.sysctl("net.ipv4.tcp_syn_retries", "1")?;
    // Linux 6.5 and newer repeat the first ones every second.
    let _ = lab.left.sysctl("net.ipv4.tcp_syn_linear_timeouts", "1");
    let calls = (0..40).map(|number| {
        let family = BOTH[number % 2];
        call(lab, family, SocketAddr::new(VOID.of(family), 9000))
    });
    let sockets: Vec<Watched> = calls.collect::<Result<_>>()?;
    for Watched { socket, .. } in &sockets {
        await_info(socket, patience(), |info| info.state == socket::CLOSE)
            .context("connect() does not end")?;
    }
    Ok(Played { sockets, untold: Untold::NOTHING })
}

/// Connects while every second one of `packets` gets lost on its way to one side.
fn connect_under_loss(lab: &Lab, to: &Namespace, packets: &Packets) -> Result<Played> {
    const CALLS: usize = 30;
    /// After that, whoever was unlucky so often has luck.
    const TROUBLE: Duration = Duration::from_millis(3500);
    let listeners: Vec<TcpListener> =
        BOTH.map(|family| lab.listen(family, 0)).into_iter().collect::<Result<_>>()?;
    let trouble = to.on_arrival(&packets.clone().chance(0.5), Fate::Vanish)?;
    let mut sockets = Vec::new();
    for number in 0..CALLS {
        let at = number % 2;
        sockets.push(call(lab, BOTH[at], listeners[at].local_addr()?)?);
    }
    thread::sleep(TROUBLE);
    trouble.heal()?;
    for Watched { socket, .. } in &sockets {
        await_info(socket, patience(), |info| info.state == ESTABLISHED).context("no connection")?;
    }
    for number in 0..CALLS {
        let (server, _) = listeners[number % 2].accept().context("accept()")?;
        sockets.push(Watched::new(server)?);
    }
    settle(&sockets)?;
    Ok(Played { sockets, untold: Untold::NOTHING })
}

pub(super) fn syn_loss(lab: &Lab) -> Result<Played> {
    connect_under_loss(lab, &lab.right, &Packets::all().syn())
}

pub(super) fn synack_loss(lab: &Lab) -> Result<Played> {
    connect_under_loss(lab, &lab.left, &Packets::all().syn_ack())
}

/// Each request's timer expires twice: one SYN-ACK more, and then it is dropped, which no tracepoint shows.
pub(super) fn request_expiry(lab: &Lab) -> Result<Played> {
    const CALLS: u64 = 10;
    lab.right.sysctl("net.ipv4.tcp_synack_retries", "1")?;
    let _trouble = lab.left.on_arrival(&Packets::all().syn_ack(), Fate::Vanish)?;
    let listener = lab.listen(Family::V4, 0)?;
    for _ in 0..CALLS {
        // A close() in SYN_SENT sends nothing.
        drop(call(lab, Family::V4, listener.local_addr()?)?);
    }
    let start = Instant::now();
    while lab.right.counters()?.get("TCPTimeouts") < 2 * CALLS {
        ensure!(start.elapsed() < patience(), "the requests do not time out");
        thread::sleep(Duration::from_millis(50));
    }
    let untold = Untold { expired_requests: Some(CALLS), ..Untold::NOTHING };
    Ok(Played { sockets: Vec::new(), untold })
}
