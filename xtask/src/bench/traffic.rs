//! What is traced: bulk transfers under loss, connections that come and go, SYNs that nobody answers.

use std::{
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::{
    lab::{
        Connection, Family, Lab, Namespace, Packets, VOID,
        socket::{start_connect, unconnected},
        trouble::Fate,
    },
    workspace,
};

/// Transfers from left to right over `connections` connections, with one segment in `1 / loss` lost.
pub(super) fn transfers_under_loss(lab: &Lab, connections: usize, loss: f64, span: Duration) -> Result<()> {
    lab.one_segment_a_packet()?;
    let connections = lab.connect_many(Family::V4, connections)?;
    let trouble = lab.right.on_arrival(&Packets::all().family(Family::V4).chance(loss), Fate::Vanish)?;
    let deadline = Instant::now() + span;
    thread::scope(|scope| {
        for Connection { client, server } in &connections {
            scope.spawn(move || send_until(client, deadline));
            scope.spawn(move || receive_until(server, deadline));
        }
    });
    trouble.heal()
}

/// A transfer that does not get on for so long looks at the clock.
const LOOK_UP: Duration = Duration::from_millis(200);

fn send_until(mut to: &TcpStream, deadline: Instant) {
    let block = vec![0x55; 64 * 1024];
    let _ = to.set_write_timeout(Some(LOOK_UP));
    while Instant::now() < deadline {
        match to.write(&block) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => return,
            _ => {}
        }
    }
}

fn receive_until(mut from: &TcpStream, deadline: Instant) {
    let mut block = vec![0; 256 * 1024];
    let _ = from.set_read_timeout(Some(LOOK_UP));
    while Instant::now() < deadline {
        match from.read(&mut block) {
            Ok(0) => return,
            Err(error) if error.kind() != ErrorKind::WouldBlock => return,
            _ => {}
        }
    }
}

/// Connections over the loopback of a namespace: opened, accepted, one byte there and back, closed in good order, again
/// and again, on as many threads as there are CPUs. Gives how many there were a second.
pub(super) fn connections_a_second(namespace: &Namespace, span: Duration) -> Result<f64> {
    let threads = thread::available_parallelism()?.get();
    let stop = AtomicBool::new(false);
    let done = AtomicU64::new(0);
    let listeners: Vec<TcpListener> = (0..threads)
        .map(|_| namespace.run(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))))
        .collect::<Result<_, _>>()?;
    let start = Instant::now();
    thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = listeners
            .iter()
            .map(|listener| {
                let (stop, done) = (&stop, &done);
                scope.spawn(move || namespace.run(|| come_and_go(listener, stop, done)))
            })
            .collect();
        thread::sleep(span);
        stop.store(true, Ordering::Relaxed);
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(result) => result,
            Err(payload) => std::panic::resume_unwind(payload),
        })
    })?;
    Ok(done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64())
}

fn come_and_go(listener: &TcpListener, stop: &AtomicBool, done: &AtomicU64) -> Result<()> {
    let port = listener.local_addr()?.port();
    let mut byte = [0];
    // From address to address, so that no pair of ends has to be used again while it lingers in TIME_WAIT.
    for number in 0_u32.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let [_, high, low, last] = (number % 200_000).to_be_bytes();
        let to = SocketAddrV4::new(Ipv4Addr::new(127, high, low, last | 1), port);
        let mut client = TcpStream::connect(to).context("connect() over loopback")?;
        let (mut server, _) = listener.accept().context("accept()")?;
        client.write_all(b"?")?;
        server.read_exact(&mut byte)?;
        server.write_all(b"!")?;
        client.read_exact(&mut byte)?;
        drop(client);
        ensure!(server.read(&mut byte)? == 0, "the client has not closed");
        drop(server);
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Sockets whose SYNs nobody answers, held by processes of their own: one process may not have so many descriptors.
/// They are given up as this is dropped.
#[derive(Debug)]
pub(super) struct Unanswered {
    holders: Vec<Child>,
}

/// Fewer than a process may usually have, and than a port of one address has room for.
const SOCKETS_A_PROCESS: usize = 15_000;
/// What a holder says when it has its sockets.
const OPEN: &str = "open";

/// Opens so many of them, from the left.
pub(super) fn unanswered(lab: &Lab, count: usize) -> Result<Unanswered> {
    lab.left.sysctl("net.ipv4.ip_local_port_range", "1024 65000")?;
    let this = workspace::this_program();
    let mut all = Unanswered { holders: Vec::new() };
    let mut left = count;
    while left > 0 {
        let some = left.min(SOCKETS_A_PROCESS);
        left -= some;
        let port = 9000 + all.holders.len();
        let mut command = Command::new(&this);
        command.args(["bench-unanswered", &some.to_string(), &port.to_string()]);
        let holder = lab.left.run(|| command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn());
        all.holders.push(holder.context("cannot start another process")?);
    }
    for holder in &mut all.holders {
        let mut said = String::new();
        let stdout = holder.stdout.as_mut().context("no standard output")?;
        BufReader::new(stdout).read_line(&mut said)?;
        ensure!(said.trim() == OPEN, "not all sockets could be opened");
    }
    Ok(all)
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        for holder in &mut self.holders {
            // The end of its standard input is its sign to end.
            drop(holder.stdin.take());
        }
        for holder in &mut self.holders {
            let _ = holder.wait();
        }
    }
}

/// A holder: opens the sockets in the namespace that it was started in, and ends when its standard input does.
///
/// # Errors
/// If a socket cannot be opened.
pub(super) fn hold_unanswered(count: usize, port: u16) -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        let socket = unconnected(Family::V4)?;
        start_connect(&socket, SocketAddr::from((VOID.v4, port)))?;
        sockets.push(socket);
    }
    println!("{OPEN}");
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
