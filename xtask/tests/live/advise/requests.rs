//! Requests on connections of which some lose their packet, several times in a row.

use std::{
    io::{Read, Write},
    thread,
    time::{Duration, Instant},
};

use xtask::lab::{Connection, Family, Lab, Packets, trouble::Fate};

use crate::tracer::patience;

/// How many times in a row each request's packet gets lost; the same for each connection.
pub const LOSSES: [u32; 8] = [1, 2, 1, 1, 3, 1, 2, 1];
/// Connections side by side.
pub const CONNECTIONS: usize = 6;

const REQUEST: usize = 64;
/// An ACK alone has 52 bytes in IPv4 and 72 in IPv6.
const LEAST_WITH_DATA: u16 = 100;

/// Lets every connection make its requests; gives how long those took that lost something, in ms.
pub fn ask(lab: &Lab, family: Family, connections: usize, losses: &[u32]) -> Vec<f64> {
    let connections = lab.connect_many(family, connections).unwrap();
    thread::scope(|scope| {
        let asking: Vec<_> = connections
            .into_iter()
            .enumerate()
            // Not in step with each other.
            .map(|(at, connection)| {
                let delay = Duration::from_millis(at as u64 * 37);
                scope.spawn(move || ask_one(lab, family, connection, delay, losses))
            })
            .collect();
        asking.into_iter().flat_map(|asking| asking.join().unwrap()).collect()
    })
}

fn ask_one(
    lab: &Lab,
    family: Family,
    mut connection: Connection,
    delay: Duration,
    losses: &[u32],
) -> Vec<f64> {
    connection.warm_up().unwrap();
    let port = connection.client.local_addr().unwrap().port();
    let Connection { mut client, mut server } = connection;
    for socket in [&client, &server] {
        socket.set_read_timeout(Some(patience())).unwrap();
    }
    let answering = thread::spawn(move || {
        let mut request = [0; REQUEST];
        while server.read_exact(&mut request).is_ok() {
            server.write_all(&request).unwrap();
        }
    });
    let mut request = || {
        let asked = Instant::now();
        client.write_all(&[7; REQUEST]).unwrap();
        client.read_exact(&mut [0; REQUEST]).unwrap();
        asked.elapsed().as_secs_f64() * 1000.0
    };
    thread::sleep(delay);
    let mut took = Vec::new();
    for &losses in losses {
        // Each rule takes the first packet that the ones before it let through.
        let first = || {
            let packets = Packets::all().family(family).from_port(port);
            lab.right.on_arrival(&packets.at_least(LEAST_WITH_DATA).nth(0), Fate::Vanish).unwrap()
        };
        let rules: Vec<_> = (0..losses).map(|_| first()).collect();
        took.push(request());
        rules.into_iter().for_each(|rule| rule.heal().unwrap());
        // Round trips: a floor that was just changed, and what the loss did to the estimator, settle.
        for _ in 0..10 {
            request();
        }
    }
    drop(client);
    answering.join().unwrap();
    took
}
