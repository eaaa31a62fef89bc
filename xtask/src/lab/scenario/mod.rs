//! Stories that the lab can play, for people who want to see the tracer at work (`cargo xtask lab`).

mod endings;
mod loss;
mod silence;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::Lab;

/// The server's port in every scenario.
pub const PORT: u16 = 9000;

/// A story.
#[derive(Debug)]
pub struct Scenario {
    /// For the command line.
    pub name: &'static str,
    /// One line.
    pub about: &'static str,
    /// Plays it until the stage is over.
    pub play: fn(&Stage<'_>) -> Result<()>,
}

/// All of them, in the order in which they are best seen.
pub const ALL: &[Scenario] = &[
    Scenario { name: "loss", about: "transfers both ways, one packet in 20 lost", play: loss::random },
    Scenario { name: "tail-loss", about: "the last segment of each answer is lost: TLP", play: loss::tail },
    Scenario { name: "delay", about: "the path becomes slow at once: spurious RTOs", play: loss::delay },
    Scenario {
        name: "blackhole",
        about: "the peer stops answering; timed out by tcp_retries2",
        play: silence::blackhole,
    },
    Scenario {
        name: "user-timeout",
        about: "the same under TCP_USER_TIMEOUT 3 s",
        play: silence::user_timeout,
    },
    Scenario { name: "syn-void", about: "connect() to a host that never answers", play: silence::syn_void },
    Scenario { name: "synack", about: "a server whose SYN-ACKs are lost", play: silence::synack },
    Scenario {
        name: "zero-window",
        about: "a server that does not read, then stops answering",
        play: silence::zero_window,
    },
    Scenario {
        name: "keepalive",
        about: "an idle connection whose peer stops answering",
        play: silence::keepalive,
    },
    Scenario {
        name: "unreachable",
        about: "a router answers with ICMP host unreachable",
        play: silence::unreachable,
    },
    Scenario { name: "unplug", about: "the peer's network cable is pulled", play: silence::unplug },
    Scenario {
        name: "orphan",
        about: "close() with data unacknowledged and a peer that does not answer",
        play: silence::orphan,
    },
    Scenario { name: "close-race", about: "both ends close while FINs are lost", play: endings::close_race },
    Scenario { name: "resets", about: "five ways to end with a RST", play: endings::resets },
];

/// The scenario of that name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}

/// Where a scenario plays, and for how long.
#[derive(Debug)]
pub struct Stage<'a> {
    /// The network.
    pub lab: &'a Lab,
    /// `net.ipv4.tcp_retries2` for the scenarios that wait for its end.
    pub retries2: u8,
    start: Instant,
    length: Duration,
    stop: &'a AtomicBool,
}

impl<'a> Stage<'a> {
    /// A stage for so long, or until `stop` is set.
    pub fn new(lab: &'a Lab, length: Duration, retries2: u8, stop: &'a AtomicBool) -> Self {
        Self { lab, retries2, start: Instant::now(), length, stop }
    }

    /// Tells the audience, with the time since the start.
    pub fn say(&self, text: impl AsRef<str>) {
        println!("{:7.3} s  {}", self.start.elapsed().as_secs_f64(), text.as_ref());
    }

    /// Is it time to go?
    pub fn over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.start.elapsed() >= self.length
    }

    /// Waits, at most until the stage is over.
    pub fn pause(&self, time: Duration) {
        let start = Instant::now();
        self.wait_until(|| start.elapsed() >= time);
    }

    /// Waits until something is so (true), or the stage is over (false).
    pub fn wait_until(&self, mut so: impl FnMut() -> bool) -> bool {
        loop {
            if so() {
                return true;
            }
            if self.over() {
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Plays something over and over until the stage is over.
    ///
    /// # Errors
    /// The first that it makes.
    pub fn repeat(&self, mut round: impl FnMut() -> Result<()>) -> Result<()> {
        while !self.over() {
            round()?;
            self.pause(Duration::from_secs(1));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        let names: BTreeSet<_> = ALL.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(names.iter().all(|name| find(name).is_some()));
        assert!(find("peace").is_none());
    }

    /// Each plays for two seconds and leaves in good order. What it made happen is the live tests' business.
    #[test]
    fn every_scenario_plays_and_ends_in_time() {
        if !super::super::available() {
            return;
        }
        thread::scope(|scope| {
            for scenario in ALL {
                scope.spawn(move || {
                    let lab = Lab::new().unwrap();
                    let stop = AtomicBool::new(false);
                    let stage = Stage::new(&lab, Duration::from_secs(2), 5, &stop);
                    match (scenario.play)(&stage) {
                        Ok(()) => {}
                        Err(error) if format!("{error:#}").contains("no netem") => {}
                        Err(error) => panic!("{}: {error:#}", scenario.name),
                    }
                    let late = stage.start.elapsed();
                    assert!(late < Duration::from_secs(60), "{} took {late:?}", scenario.name);
                });
            }
        });
    }
}
