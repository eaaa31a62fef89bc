//! Peers that do not answer, and what the kernel makes of it.

use std::{
    io::{ErrorKind, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::{PORT, Stage};
use crate::lab::{
    Family, Packets, VOID,
    socket::{self, CLOSE, Options},
    trouble::Fate,
};

impl Stage<'_> {
    /// Waits for a connection's end and reports it.
    fn await_death(&self, socket: &TcpStream) -> Result<()> {
        let start = Instant::now();
        if !self.wait_until(|| socket.info().map_or(true, |info| info.state == CLOSE)) {
            return Ok(());
        }
        let error = match socket.pending_error()? {
            Some(errno) => std::io::Error::from_raw_os_error(errno).to_string(),
            None => "no error".to_owned(),
        };
        self.say(format!("it ended after {:.2} s: {error}", start.elapsed().as_secs_f64()));
        Ok(())
    }

    fn connect(&self) -> Result<crate::lab::Connection> {
        self.lab.left.sysctl("net.ipv4.tcp_retries2", &self.retries2.to_string())?;
        let mut connection = self.lab.connect(Family::V4, PORT)?;
        connection.warm_up()?;
        // With a RST instead of a FIN no orphan of the last round mixes with the next one.
        connection.client = connection.client.linger(0)?;
        Ok(connection)
    }
}

pub(super) fn blackhole(stage: &Stage<'_>) -> Result<()> {
    stage.repeat(|| {
        let connection = stage.connect()?;
        let trouble = stage.lab.right.unreachable()?;
        stage.say(format!("the server stops answering, the client sends; tcp_retries2 = {}", stage.retries2));
        (&connection.client).write_all(b"is anybody there?").context("write()")?;
        stage.await_death(&connection.client)?;
        trouble.heal()
    })
}

pub(super) fn user_timeout(stage: &Stage<'_>) -> Result<()> {
    stage.repeat(|| {
        let connection = stage.connect()?;
        let client = connection.client.user_timeout(Duration::from_secs(3))?;
        let trouble = stage.lab.right.unreachable()?;
        stage.say("the server stops answering, the client sends; TCP_USER_TIMEOUT = 3000 ms");
        (&client).write_all(b"is anybody there?").context("write()")?;
        stage.await_death(&client)?;
        trouble.heal()
    })
}

pub(super) fn syn_void(stage: &Stage<'_>) -> Result<()> {
    stage.lab.left.sysctl("net.ipv4.tcp_syn_retries", "2")?;
    let nobody = SocketAddr::new(VOID.v4.into(), PORT);
    stage.repeat(|| {
        let socket = stage.lab.left.run(|| socket::unconnected(Family::V4))?;
        stage.say(format!("connect() to {nobody}, which does not exist; tcp_syn_retries = 2"));
        socket::start_connect(&socket, nobody)?;
        stage.await_death(&socket)
    })
}

pub(super) fn synack(stage: &Stage<'_>) -> Result<()> {
    let lab = stage.lab;
    let listener = lab.listen(Family::V4, PORT)?;
    let server = listener.local_addr()?;
    let lost = Packets::all().from_port(PORT).syn_ack();
    let _trouble = lab.left.on_arrival(&lost, Fate::Vanish)?;
    lab.left.sysctl("net.ipv4.tcp_syn_retries", "2")?;
    stage.repeat(|| {
        let socket = lab.left.run(|| socket::unconnected(Family::V4))?;
        stage.say("the client connects, and every SYN-ACK of the server is lost");
        socket::start_connect(&socket, server)?;
        stage.await_death(&socket)
    })
}

pub(super) fn zero_window(stage: &Stage<'_>) -> Result<()> {
    stage.repeat(|| {
        let connection = stage.connect()?;
        stage.say("the server does not read; the client fills its window");
        connection.client.set_nonblocking(true)?;
        let block = [0; 16 * 1024];
        let mut quiet = Instant::now();
        stage.wait_until(|| {
            match (&connection.client).write(&block) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => quiet = Instant::now(),
            }
            quiet.elapsed() > Duration::from_secs(2)
        });
        let trouble = stage.lab.right.unreachable()?;
        stage.say("now the server stops answering: window probes stay unanswered");
        stage.await_death(&connection.client)?;
        trouble.heal()
    })
}

pub(super) fn keepalive(stage: &Stage<'_>) -> Result<()> {
    stage.repeat(|| {
        let connection = stage.connect()?;
        let client = connection.client.keepalive(2, 3)?;
        let trouble = stage.lab.right.unreachable()?;
        stage.say("idle, and the server stops answering; probes after 2 s, every second, three of them");
        stage.await_death(&client)?;
        trouble.heal()
    })
}

pub(super) fn unreachable(stage: &Stage<'_>) -> Result<()> {
    stage.repeat(|| {
        let connection = stage.connect()?;
        let trouble = stage.lab.right.on_arrival(&Packets::all(), Fate::HostUnreachable)?;
        stage.say("every packet is answered with ICMP host unreachable");
        (&connection.client).write_all(b"is anybody there?").context("write()")?;
        stage.await_death(&connection.client)?;
        trouble.heal()
    })
}

pub(super) fn unplug(stage: &Stage<'_>) -> Result<()> {
    let connection = stage.connect()?;
    stage.lab.right.unplug()?;
    stage.say("the server's cable is pulled: the client's own network card loses its carrier");
    (&connection.client).write_all(b"is anybody there?").context("write()")?;
    stage.await_death(&connection.client)?;
    while !stage.over() {
        stage.pause(Duration::from_secs(1));
    }
    Ok(())
}

pub(super) fn orphan(stage: &Stage<'_>) -> Result<()> {
    // The default, 0, stands for 8 retries: more than a minute.
    stage.lab.left.sysctl("net.ipv4.tcp_orphan_retries", "4")?;
    stage.repeat(|| {
        let mut connection = stage.lab.connect(Family::V4, PORT)?;
        connection.warm_up()?;
        let trouble = stage.lab.right.unreachable()?;
        stage.say(
            "the server stops answering; the client sends and closes: the kernel retransmits without it",
        );
        (&connection.client).write_all(b"last words").context("write()")?;
        drop(connection.client);
        let table = "/proc/thread-self/net/tcp";
        let start = Instant::now();
        let alone = stage.lab.left.run(|| {
            // The listing's first line is a heading; nothing else lives on the left.
            stage.wait_until(|| std::fs::read_to_string(table).is_ok_and(|text| text.lines().count() <= 1))
        });
        if alone {
            stage.say(format!("the orphan timed out after {:.2} s", start.elapsed().as_secs_f64()));
        }
        trouble.heal()
    })
}
