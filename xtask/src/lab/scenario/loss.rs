//! Packets that get lost, or late, on a path that works.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::{PORT, Stage};
use crate::lab::{Connection, Family, Packets, netem::Path, trouble::Fate};

/// Data both ways under random loss, slowly enough to read along: some ten retransmissions a second.
pub(super) fn random(stage: &Stage<'_>) -> Result<()> {
    let lab = stage.lab;
    lab.one_segment_a_packet()?;
    let mut connection = lab.connect(Family::V4, PORT)?;
    let packets = Packets::all().chance(0.05);
    let _to_right = lab.right.on_arrival(&packets, Fate::Vanish)?;
    let _to_left = lab.left.on_arrival(&packets, Fate::Vanish)?;
    stage.say("each end sends 40 kB at a time; one packet in 20 is lost");
    let (mut rounds, mut told) = (0, Instant::now());
    while !stage.over() {
        connection.transfer(40_000, 40_000)?;
        stage.pause(Duration::from_millis(250));
        rounds += 1;
        if told.elapsed() > Duration::from_secs(2) {
            let again = lab.left.counters()?.get("RetransSegs") + lab.right.counters()?.get("RetransSegs");
            stage.say(format!("{} kB arrived, {again} segments were retransmitted", rounds * 80));
            told = Instant::now();
        }
    }
    Ok(())
}

/// Requests whose answers lose their last segment: nothing comes after it, so no duplicate ACK tells.
pub(super) fn tail(stage: &Stage<'_>) -> Result<()> {
    let lab = stage.lab;
    lab.one_segment_a_packet()?;
    let mut connection = lab.connect(Family::V4, PORT)?;
    connection.warm_up()?;
    let Connection { mut client, mut server } = connection;
    stage.say("the client asks once a second; the server answers with three segments, and the last is lost");
    stage.repeat(|| {
        let third = Packets::all().from_port(PORT).at_least(1000).nth(2);
        let trouble = lab.left.on_arrival(&third, Fate::Vanish)?;
        client.write_all(b"?").context("the request")?;
        read_exactly(&mut server, 1)?;
        server.write_all(&[b'.'; 3 * 1400]).context("the answer")?;
        let asked = Instant::now();
        read_exactly(&mut client, 3 * 1400)?;
        stage.say(format!("the answer took {} ms", asked.elapsed().as_millis()));
        trouble.heal()
    })
}

fn read_exactly(from: &mut TcpStream, bytes: usize) -> Result<()> {
    from.set_read_timeout(Some(Duration::from_secs(20)))?;
    from.read_exact(&mut vec![0; bytes]).context("nothing arrived for 20 s")
}

/// The round trip jumps from microseconds to 600 ms: the RTO expires although nothing is lost.
pub(super) fn delay(stage: &Stage<'_>) -> Result<()> {
    let lab = stage.lab;
    let Connection { mut client, mut server } = lab.connect(Family::V4, PORT)?;
    stage.repeat(|| {
        lab.right.impair(Path::slow(Duration::from_millis(1)))?;
        for _ in 0..20 {
            client.write_all(b"?").context("the request")?;
            read_exactly(&mut server, 1)?;
        }
        lab.right.impair(Path::slow(Duration::from_millis(600)))?;
        stage.say("what the server sends now takes 600 ms; the client's RTO is shorter");
        client.write_all(b"?").context("the request")?;
        stage.pause(Duration::from_secs(3));
        read_exactly(&mut server, 1)
    })
}
