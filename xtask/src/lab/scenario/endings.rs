//! Connections that end: in a race, or with a RST.

use std::{
    io::Write,
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result};

use super::{PORT, Stage};
use crate::lab::{Connection, Family, Lab, RIGHT, socket::Options};

/// Both FINs get lost, so their retransmissions cross: CLOSING on at least one side.
pub(super) fn close_race(stage: &Stage<'_>) -> Result<()> {
    let lab = stage.lab;
    stage.repeat(|| {
        let connection = lab.connect(Family::V4, PORT)?;
        let (left, right) = (lab.left.unreachable()?, lab.right.unreachable()?);
        stage.say("both ends close at once, and both FINs are lost");
        drop(connection);
        // Long enough for one retransmission (the RTO is some 200 ms), which gets lost as well.
        stage.pause(Duration::from_millis(300));
        left.heal()?;
        right.heal()?;
        stage.pause(Duration::from_secs(2));
        Ok(())
    })
}

/// The ways to end with a RST, one after another.
pub(super) fn resets(stage: &Stage<'_>) -> Result<()> {
    type Way = (&'static str, fn(&Lab) -> Result<()>);
    const WAYS: [Way; 5] = [
        ("the client closes with SO_LINGER 0", |lab| {
            let connection = warm(lab)?;
            drop(connection.client.linger(0)?);
            Ok(())
        }),
        ("the client closes with unread data", |lab| {
            let mut connection = warm(lab)?;
            connection.server.write_all(b"please read me").context("write()")?;
            wait_for_data(&connection.client)
        }),
        ("the server closes, the client continues to send", |lab| {
            let mut connection = warm(lab)?;
            drop(connection.server);
            for _ in 0..3 {
                // The second write finds the RST that the first one provoked.
                let _ = connection.client.write_all(b"are you listening?");
                std::thread::sleep(Duration::from_millis(50));
            }
            Ok(())
        }),
        ("the server closes without having accepted", |lab| {
            let listener = lab.listen(Family::V4, PORT)?;
            let client = lab.left.run(|| TcpStream::connect(listener.local_addr()?));
            drop(listener);
            client.map(drop).context("connect()")
        }),
        ("the client connects to a port where nobody listens", |lab| {
            let nobody = SocketAddr::new(RIGHT.v4.into(), PORT);
            let refused = lab.left.run(|| TcpStream::connect(nobody));
            anyhow::ensure!(refused.is_err(), "somebody listens on {nobody}");
            Ok(())
        }),
    ];
    stage.repeat(|| {
        for (about, way) in WAYS {
            if stage.over() {
                break;
            }
            stage.say(about);
            way(stage.lab)?;
            stage.pause(Duration::from_millis(500));
        }
        Ok(())
    })
}

fn warm(lab: &Lab) -> Result<Connection> {
    let mut connection = lab.connect(Family::V4, PORT)?;
    connection.warm_up()?;
    Ok(connection)
}

fn wait_for_data(socket: &TcpStream) -> Result<()> {
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    socket.peek(&mut [0]).context("no data came")?;
    Ok(())
}
