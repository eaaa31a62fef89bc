//! Connections across the wire, and what flows through them.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::{
    Lab, RIGHT, patient,
    socket::{await_info, named},
};

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

/// How long a call into a healthy network may take on a machine that is busy elsewhere.
fn patience() -> Duration {
    patient(Duration::from_secs(20))
}

/// An established connection with both its ends.
#[derive(Debug)]
pub struct Connection {
    /// Opened on the left.
    pub client: TcpStream,
    /// Accepted on the right.
    pub server: TcpStream,
}

impl Lab {
    /// A listener on the right; port 0: any.
    ///
    /// # Errors
    /// As bind() does.
    pub fn listen(&self, family: Family, port: u16) -> Result<TcpListener> {
        self.right.run(|| listener(RIGHT.of(family), port))
    }

    /// A connection from left to right.
    ///
    /// # Errors
    /// As connect() and accept() do.
    pub fn connect(&self, family: Family, port: u16) -> Result<Connection> {
        self.connect_to(&self.listen(family, port)?)
    }

    /// A connection from left to a listener on the right.
    ///
    /// # Errors
    /// As connect() and accept() do.
    pub fn connect_to(&self, listener: &TcpListener) -> Result<Connection> {
        let address = listener.local_addr()?;
        let client = self.left.run(|| TcpStream::connect_timeout(&address, patience()));
        let client = client.with_context(|| format!("connect() to {address}"))?;
        let (server, _) = listener.accept().context("accept()")?;
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
        }
        Ok(Connection { client: named(client)?, server: named(server)? })
    }

    /// Many connections to one listener.
    ///
    /// # Errors
    /// As [`Lab::connect_to`].
    pub fn connect_many(&self, family: Family, count: usize) -> Result<Vec<Connection>> {
        let listener = self.listen(family, 0)?;
        (0..count).map(|_| self.connect_to(&listener)).collect()
    }
}

/// A listener in the calling thread's namespace.
///
/// # Errors
/// As bind() does.
pub fn listener(address: IpAddr, port: u16) -> Result<TcpListener> {
    TcpListener::bind((address, port)).with_context(|| format!("could not listen on {address} port {port}"))
}

impl Connection {
    /// The client's two ends: local, remote.
    ///
    /// # Errors
    /// If it is not connected.
    pub fn ends(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.client.local_addr()?, self.client.peer_addr()?))
    }

    /// A few bytes there and back: afterwards RTT is measured, and everything acknowledged (the last ACK may be a
    /// delayed one; lost, it would make the other side retransmit).
    ///
    /// # Errors
    /// If the network is not healthy.
    pub fn warm_up(&mut self) -> Result<()> {
        for _ in 0..3 {
            pass(&mut self.client, &mut self.server)?;
            pass(&mut self.server, &mut self.client)?;
        }
        for socket in [&self.client, &self.server] {
            await_info(socket, patience(), |info| info.unacked == 0)?;
        }
        Ok(())
    }

    /// Sends so many bytes each way at once and waits until all have arrived.
    ///
    /// # Errors
    /// If nothing arrives for a long time, or something else than was sent.
    pub fn transfer(&mut self, to_server: u64, to_client: u64) -> Result<()> {
        let (client, server) = (&self.client, &self.server);
        thread::scope(|scope| {
            let pumps = [
                scope.spawn(move || push(client, to_server)),
                scope.spawn(move || pull(server, to_server)),
                scope.spawn(move || push(server, to_client)),
                scope.spawn(move || pull(client, to_client)),
            ];
            pumps.into_iter().try_for_each(|pump| match pump.join() {
                Ok(result) => result,
                Err(payload) => std::panic::resume_unwind(payload),
            })
        })
    }
}

fn pass(from: &mut TcpStream, to: &mut TcpStream) -> Result<()> {
    to.set_read_timeout(Some(patience()))?;
    from.write_all(b"ping").context("write()")?;
    let mut heard = [0; 4];
    to.read_exact(&mut heard).context("read()")?;
    ensure!(&heard == b"ping", "{heard:?} arrived instead of a ping");
    Ok(())
}

/// Bytes of a write. The content tells its place, so that a misplaced byte would be noticed.
const CHUNK: usize = 16 * 1024;
const STRIDE: u64 = 251;
/// With heavy loss the kernel may back off this long between two bytes of progress.
fn stall() -> Duration {
    patient(Duration::from_secs(120))
}

fn pattern(at: u64) -> u8 {
    (at % STRIDE) as u8
}

fn push(mut to: &TcpStream, bytes: u64) -> Result<()> {
    to.set_write_timeout(Some(stall()))?;
    let source: Vec<u8> = (0..CHUNK as u64 + STRIDE).map(pattern).collect();
    let mut sent = 0;
    while sent < bytes {
        let from = usize::from(pattern(sent));
        let len = (bytes - sent).min(CHUNK as u64) as usize;
        to.write_all(&source[from..from + len]).context("write()")?;
        sent += len as u64;
    }
    Ok(())
}

fn pull(mut from: &TcpStream, bytes: u64) -> Result<()> {
    from.set_read_timeout(Some(stall()))?;
    let mut buffer = vec![0; CHUNK];
    let mut received = 0;
    while received < bytes {
        let want = (bytes - received).min(CHUNK as u64) as usize;
        let len = match from.read(&mut buffer[..want]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other.context("read()")?,
        };
        ensure!(len > 0, "the connection ended {} bytes early", bytes - received);
        let intact = (received..).zip(&buffer[..len]).all(|(at, &byte)| byte == pattern(at));
        ensure!(intact, "other bytes arrived than were sent");
        received += len as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_carries_every_byte_both_ways() {
        let listener = listener("127.0.0.1".parse().unwrap(), 0).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut connection = Connection { client, server: listener.accept().unwrap().0 };
        connection.warm_up().unwrap();
        connection.transfer(100_001, 33_333).unwrap();
    }

    #[test]
    fn a_short_transfer_is_an_error() {
        let listener = listener("127.0.0.1".parse().unwrap(), 0).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        drop(listener.accept().unwrap());
        let error = pull(&client, 10).unwrap_err().to_string();
        assert!(error.contains("10 bytes early"), "{error}");
    }
}
