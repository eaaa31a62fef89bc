//! Every filter, in and out: many tracers look at the same troubled connections, each through its own filter, and
//! each must show what an unfiltered one shows of the flows that its filter means. No more, no less.

use std::{
    collections::BTreeSet,
    io::Write,
    net::{TcpListener, TcpStream},
};

use serde_json::Value;
use xtask::lab::{Family, Lab};

use crate::{
    process::{Cgroup, Client},
    tracer::{Tracer, netns, number},
};

/// The flows: IPv4 and IPv6, each end; the clients are processes of their own.
const CLIENT_4: &str = "client-4";
const SERVER_4: &str = "server-4";
const CLIENT_6: &str = "client-6";
const SERVER_6: &str = "server-6";
const ALL: [&str; 4] = [CLIENT_4, SERVER_4, CLIENT_6, SERVER_6];
const PORT_4: u16 = 9001;
const PORT_6: u16 = 9002;
/// Every type that these flows show.
const ANY_TYPE: &str = "any";

fn name_of(event: &Value) -> &'static str {
    let port = |field: &str| event["flow"][field].as_u64().map(|port| port as u16);
    match (port("lport"), port("rport")) {
        (_, Some(PORT_4)) => CLIENT_4,
        (Some(PORT_4), _) => SERVER_4,
        (_, Some(PORT_6)) => CLIENT_6,
        (Some(PORT_6), _) => SERVER_6,
        _ => panic!("whose is this? {event}"),
    }
}

/// What tells one retransmission from another, whoever saw it.
type Key = (&'static str, String, u64, u64);

fn keys(events: &[Value]) -> BTreeSet<Key> {
    let told = events.iter().filter(|event| event["event"] == "retransmit");
    told.map(|event| {
        let ty = event["type"].as_str().unwrap().to_owned();
        (name_of(event), ty, number(event, "retransmits"), number(event, "seq"))
    })
    .collect()
}

/// A filter, the flows that it means, and the one type that it means or [`ANY_TYPE`].
struct Case {
    args: Vec<String>,
    flows: &'static [&'static str],
    ty: &'static str,
}

fn case(args: &[&str], flows: &'static [&'static str]) -> Case {
    Case { args: args.iter().map(|&arg| arg.to_owned()).collect(), flows, ty: ANY_TYPE }
}

fn of_type(ty: &'static str, case: Case) -> Case {
    Case { ty, ..case }
}

impl Case {
    fn means(&self, (name, ty, ..): &Key) -> bool {
        self.flows.contains(name) && (self.ty == ANY_TYPE || self.ty == ty)
    }
}

struct Scene {
    lab: Lab,
    clients: [Client; 2],
    listeners: [TcpListener; 2],
    cgroup: Option<Cgroup>,
}

impl Scene {
    fn set() -> Scene {
        let lab = Lab::new().unwrap();
        let listeners = [lab.listen(Family::V4, PORT_4).unwrap(), lab.listen(Family::V6, PORT_6).unwrap()];
        let start =
            |name, listener: &TcpListener| Client::start(&lab.left, name, listener.local_addr().unwrap());
        let clients = [start("lab-alpha", &listeners[0]), start("lab-beta", &listeners[1])];
        let cgroup = Cgroup::new("tcpretrans-live-filters");
        if let Some(cgroup) = &cgroup {
            cgroup.adopt(clients[1].pid());
        }
        Scene { lab, clients, listeners, cgroup }
    }

    fn cases(&self) -> Vec<Case> {
        let [alpha, beta] = [0, 1].map(|i| self.clients[i].pid().to_string());
        let (left, right) = (netns(&self.lab.left), netns(&self.lab.right));
        let here =
            |args: &[&str], flows| case(&[&["--netns", &left, "--netns", &right], args].concat(), flows);
        let mut cases = vec![
            here(&["--port", "9001"], &[CLIENT_4, SERVER_4]),
            here(&["-p", "9001", "-p", "9002"], &ALL),
            here(&["-p", "1-9000,9003"], &[]),
            here(&["--lport", "9001"], &[SERVER_4]),
            here(&["--rport", "8999,9001-9002"], &[CLIENT_4, CLIENT_6]),
            here(&["--addr", "10.77.0.2"], &[CLIENT_4, SERVER_4]),
            here(&["-a", "10.77.0.0/24,fd77::/64"], &ALL),
            here(&["-a", "10.77.1.0/24,fd77:1::/64"], &[]),
            here(&["--laddr", "10.77.0.2"], &[SERVER_4]),
            here(&["--laddr", "fd77::1"], &[CLIENT_6]),
            here(&["--raddr", "10.77.0.2,fd77::/64"], &[CLIENT_4, CLIENT_6, SERVER_6]),
            here(&["-4"], &[CLIENT_4, SERVER_4]),
            here(&["-6"], &[CLIENT_6, SERVER_6]),
            here(&["--pid", &alpha], &[CLIENT_4]),
            here(&["--pid", &format!("{alpha},{beta}")], &[CLIENT_4, CLIENT_6]),
            here(&["--comm", "lab-beta"], &[CLIENT_6]),
            here(&["--comm", "lab-gamma"], &[]),
            case(&["--netns", &left], &[CLIENT_4, CLIENT_6]),
            case(&["--netns", &alpha], &[CLIENT_4, CLIENT_6]),
            case(&["--netns", self.lab.right.path().to_str().unwrap()], &[SERVER_4, SERVER_6]),
            of_type("rto", here(&["--type", "rto"], &ALL)),
            of_type("tlp", here(&["-t", "tlp,synack"], &ALL)),
            here(&["-t", "syn,fast"], &[]),
            of_type("rto", here(&["-4", "--rport", "9001-9002", "-t", "rto"], &[CLIENT_4])),
            here(&["-6", "--port", "9001"], &[]),
        ];
        match &self.cgroup {
            Some(cgroup) => cases.push(here(&["--cgroup", cgroup.path.to_str().unwrap()], &[CLIENT_6])),
            None => eprintln!("no cgroup2 hierarchy to write to: --cgroup is not tried"),
        }
        cases
    }
}

#[test]
fn each_filter_shows_what_it_means_and_nothing_else() {
    require_lab!();
    let mut scene = Scene::set();
    // Older than the tracers: its owner is to be found out afterwards. The other one is younger.
    scene.clients[0].connect();
    let everything =
        Tracer::start(&["--netns", &netns(&scene.lab.left), "--netns", &netns(&scene.lab.right)]);
    let cases = scene.cases();
    let tracers: Vec<Tracer> = cases
        .iter()
        .map(|case| Tracer::start(&case.args.iter().map(String::as_str).collect::<Vec<_>>()))
        .collect();
    scene.clients[1].connect();
    let servers: Vec<TcpStream> =
        scene.listeners.iter().map(|listener| listener.accept().unwrap().0).collect();
    let _troubles = [scene.lab.left.unreachable().unwrap(), scene.lab.right.unreachable().unwrap()];
    scene.clients.iter_mut().for_each(Client::write);
    servers.iter().for_each(|mut server| server.write_all(b"hello").unwrap());

    everything.wait_until("a probe and two RTOs of each flow", |events| {
        let keys = keys(events);
        ALL.iter().all(|flow| keys.iter().any(|(name, _, retransmits, _)| name == flow && *retransmits >= 2))
    });
    let certain = keys(&everything.events());
    let outcomes: Vec<_> = tracers.into_iter().map(Tracer::finish).collect();
    let everything = everything.finish();
    everything.assert_clean();
    let possible = keys(&everything.events);
    for ty in ["tlp", "rto"] {
        assert!(certain.iter().any(|key| key.1 == ty), "{certain:?}");
    }

    for (case, outcome) in cases.iter().zip(&outcomes) {
        outcome.assert_clean();
        let shown = keys(&outcome.events);
        let must: BTreeSet<_> = certain.iter().filter(|key| case.means(key)).cloned().collect();
        let may: BTreeSet<_> = possible.iter().filter(|key| case.means(key)).cloned().collect();
        let missing: Vec<_> = must.difference(&shown).collect();
        let extra: Vec<_> = shown.difference(&may).collect();
        assert!(missing.is_empty(), "{:?} did not show {missing:?}", case.args);
        assert!(extra.is_empty(), "{:?} showed {extra:?}", case.args);
        let alien = outcome
            .events
            .iter()
            .find(|event| !event["flow"].is_null() && !case.flows.contains(&name_of(event)));
        assert_eq!(alien, None, "{:?}", case.args);
    }
    check_owners(&scene, &everything.events);
}

fn check_owners(scene: &Scene, events: &[Value]) {
    for event in events.iter().filter(|event| event["event"] == "retransmit") {
        let flow = &event["flow"];
        let (pid, comm) = match name_of(event) {
            CLIENT_4 => (scene.clients[0].pid(), Some("lab-alpha")),
            CLIENT_6 => (scene.clients[1].pid(), Some("lab-beta")),
            _ => (std::process::id(), None),
        };
        assert_eq!(flow["pid"], pid, "{event}");
        if let Some(comm) = comm {
            assert_eq!(flow["comm"], comm, "{event}");
        }
        if let (Some(cgroup), CLIENT_6) = (&scene.cgroup, name_of(event)) {
            assert_eq!(flow["cgroup"], cgroup.name.as_str(), "{event}");
        }
    }
}
