//! The retransmission timeout under another floor: `tcp_rtt_estimator` and `__tcp_set_rto`, asked "what if".
//!
//! The kernel's RTO is a sum: `srtt + rttvar`. The floor (RTO_MIN) is a floor of `rttvar`, not of the RTO, and mostly
//! `rttvar` lies on it: the RTO of a calm connection is its round-trip time plus the floor. Three variables tell how
//! far it would go down without that floor:
//!
//! * `rttvar_us` is what the RTO has now. Above the floor, the path itself made it so, and no floor changes it soon.
//! * `mdev_us` is the deviation without any floor.
//! * `mdev_max_us` is reset to the floor once in a round trip, so that a calm connection shows the floor in it, whether
//!   route, sysctl or socket option set it.

use tcpretrans_ebpf::Snapshot;

use crate::socket::jiffies::Kernel;

/// Wire value of a field that a kernel lacks.
const ABSENT: u32 = u32::MAX;
/// `TCP_RTO_MIN`
const DEFAULT_FLOOR_US: u64 = 200_000;
/// `rttvar -= (rttvar - mdev_max) >> 2` stops short of the floor, and a peak takes some round trips to fade: within
/// this part of the floor, `rttvar` is on it.
const ON_FLOOR_SHIFT: u32 = 6;

/// What a connection has shown so far of its floor and of its calmness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Past {
    /// The floor as `mdev_max_us` last showed it, us.
    shown_floor_us: Option<u32>,
    /// The highest deviation seen (`mdev_us`), us.
    mdev_us: u32,
}

/// Where the present floor is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FloorSource {
    /// The connection's own variables showed it.
    Shown,
    /// `icsk_rto_min`: the socket's; a route may overrule it.
    Socket,
    /// Linux's default: this kernel has no `icsk_rto_min`.
    Default,
}

/// The estimator of one connection at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimator {
    /// HZ.
    pub kernel: Kernel,
    /// Smoothed round-trip time, us.
    pub srtt_us: u64,
    /// `rttvar_us`
    pub rttvar_us: u64,
    /// The highest `mdev_us` seen of this connection.
    pub mdev_us: u64,
    /// The floor in force, us.
    pub floor_us: u64,
    /// Where that is known from.
    pub source: FloorSource,
    /// `icsk_rto_max`, jiffies.
    pub rto_max_jiffies: u64,
}

impl Past {
    /// Learns from one more look at the socket.
    pub fn learn(&mut self, sock: &Snapshot, kernel: Kernel) {
        if sock.srtt_us == 0 {
            return;
        }
        self.mdev_us = self.mdev_us.max(sock.mdev_us);
        if sock.mdev_us <= sock.mdev_max_us && is_whole_jiffies(sock.mdev_max_us, kernel) {
            self.shown_floor_us = Some(sock.mdev_max_us);
        }
    }

    fn floor(&self, sock: &Snapshot, kernel: Kernel) -> (u64, FloorSource) {
        match (self.shown_floor_us, sock.icsk_rto_min) {
            (Some(floor_us), _) => (floor_us.into(), FloorSource::Shown),
            (None, 0 | ABSENT) => (DEFAULT_FLOOR_US, FloorSource::Default),
            (None, jiffies) => (jiffies_to_us(jiffies.into(), kernel), FloorSource::Socket),
        }
    }
}

/// `jiffies_to_usecs`
fn jiffies_to_us(jiffies: u64, kernel: Kernel) -> u64 {
    jiffies * 1_000_000 / u64::from(kernel.hz)
}

/// A floor is set in jiffies (`tcp_rto_min_us()`); a measured deviation is a whole number of them by rare chance.
fn is_whole_jiffies(us: u32, kernel: Kernel) -> bool {
    let jiffies = kernel.us_to_jiffies(us.into());
    us > 0 && jiffies_to_us(jiffies, kernel) == u64::from(us)
}

/// A floor as a route or sysctl sets it and the kernel keeps it: in whole jiffies, rounded up.
pub fn floor_in_force_us(floor_ms: u32, kernel: Kernel) -> u64 {
    jiffies_to_us(kernel.ms_to_jiffies(floor_ms.into()), kernel)
}

impl Estimator {
    /// `None` before the first round-trip time was measured: then the RTO is no sum of these.
    pub fn of(sock: &Snapshot, past: &Past, kernel: Kernel) -> Option<Estimator> {
        if sock.srtt_us == 0 || sock.rttvar_us == 0 {
            return None;
        }
        let (floor_us, source) = past.floor(sock, kernel);
        Some(Estimator {
            kernel,
            srtt_us: u64::from(sock.srtt_us >> 3),
            rttvar_us: sock.rttvar_us.into(),
            mdev_us: past.mdev_us.max(sock.mdev_us).into(),
            // It was lowered a moment ago, or is not what it seemed.
            floor_us: floor_us.min(sock.rttvar_us.into()),
            source,
            rto_max_jiffies: match sock.icsk_rto_max {
                0 | ABSENT => kernel.rto_max_jiffies().into(),
                max => max.into(),
            },
        })
    }

    /// Does the path's own variance decide, and not the floor?
    pub fn is_variance_dominated(&self) -> bool {
        self.rttvar_us > self.floor_us + (self.floor_us >> ON_FLOOR_SHIFT)
    }

    /// `rttvar_us` under another floor, best estimate. On the floor it would sink to the new one, or to what the
    /// deviation seen holds up. Above it, it stays: when the peak was that it remembers is not known.
    fn rttvar_us_at(&self, floor_us: u64) -> u64 {
        if floor_us >= self.floor_us || self.is_variance_dominated() {
            self.rttvar_us.max(floor_us)
        } else {
            floor_us.max(self.mdev_us).min(self.rttvar_us)
        }
    }

    /// The RTO without backoff under another floor, jiffies: `usecs_to_jiffies((srtt_us >> 3) + rttvar_us)`.
    pub fn rto_jiffies(&self, floor_us: u64) -> u64 {
        let rto = self.kernel.us_to_jiffies(self.srtt_us + self.rttvar_us_at(floor_us));
        rto.clamp(1, self.rto_max_jiffies.max(1))
    }

    /// The wait before a tail loss probe under another floor, jiffies (`tcp_schedule_loss_probe`): two round trips, and
    /// the floor on top if a single packet is in flight, whose ACK the peer may delay. Never longer than the RTO.
    pub fn probe_jiffies(&self, floor_us: u64, one_packet: bool) -> u64 {
        /// `TCP_TIMEOUT_MIN_US`
        const LEAST_US: u64 = 2000;
        let margin_us = if one_packet { floor_us } else { LEAST_US };
        self.kernel.us_to_jiffies(2 * self.srtt_us + margin_us).clamp(1, self.rto_jiffies(floor_us))
    }

    /// Is the RTO that the kernel had what the model says, to a jiffy? Else something else made it (a SYN that was
    /// lost, remembered metrics, a thin stream), and what another floor would do is not known.
    pub fn explains(&self, rto_jiffies: u64) -> bool {
        self.rto_jiffies(self.floor_us).abs_diff(rto_jiffies) <= 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HZS: [u32; 4] = [100, 250, 300, 1000];

    fn sock(srtt_us: u32, rttvar_us: u32, mdev_us: u32, mdev_max_us: u32) -> Snapshot {
        Snapshot {
            srtt_us: srtt_us << 3,
            rttvar_us,
            mdev_us,
            mdev_max_us,
            icsk_rto_min: ABSENT,
            icsk_rto_max: ABSENT,
            ..Snapshot::default()
        }
    }

    fn estimator(sock: &Snapshot, hz: u32) -> Estimator {
        let kernel = Kernel::new(hz);
        let mut past = Past::default();
        past.learn(sock, kernel);
        Estimator::of(sock, &past, kernel).expect("measured")
    }

    #[test]
    fn a_calm_connection_follows_the_floor() {
        let calm = estimator(&sock(340, 200_000, 90, 200_000), 250);
        assert_eq!((calm.floor_us, calm.source), (200_000, FloorSource::Shown));
        assert_eq!(calm.rto_jiffies(200_000), 51, "204 ms, as ss shows it everywhere at HZ 250");
        assert_eq!(
            calm.rto_jiffies(floor_in_force_us(50, calm.kernel)),
            14,
            "52 ms of floor and a round trip"
        );
        let hz1000 = estimator(&sock(340, 200_000, 90, 200_000), 1000);
        assert_eq!([200_000, 50_000, 10_000].map(|floor| hz1000.rto_jiffies(floor)), [201, 51, 11]);
    }

    #[test]
    fn the_deviation_seen_holds_the_rto_up() {
        let restless = estimator(&sock(10_000, 200_000, 60_000, 200_000), 1000);
        assert!(!restless.is_variance_dominated());
        assert_eq!(restless.rto_jiffies(50_000), 70);
        assert_eq!(restless.rto_jiffies(100_000), 110);
        // Once seen, it may come again.
        let kernel = Kernel::new(1000);
        let mut past = Past::default();
        past.learn(&sock(10_000, 200_000, 60_000, 200_000), kernel);
        let later = sock(10_000, 200_000, 1000, 200_000);
        past.learn(&later, kernel);
        assert_eq!(Estimator::of(&later, &past, kernel).expect("measured").rto_jiffies(50_000), 70);
    }

    #[test]
    fn where_variance_decides_no_floor_helps() {
        let rough = estimator(&sock(80_000, 320_001, 150_000, 320_001), 250);
        assert_eq!((rough.floor_us, rough.source), (200_000, FloorSource::Default));
        assert!(rough.is_variance_dominated());
        assert_eq!(rough.rto_jiffies(10_000), rough.rto_jiffies(200_000));
        // A little above the floor is on it: the kernel's division leaves a rest.
        assert!(!estimator(&sock(80_000, 200_003, 20, 200_000), 250).is_variance_dominated());
    }

    #[test]
    fn a_routes_floor_shows_although_the_socket_says_otherwise() {
        let mut lowered = sock(340, 52_000, 90, 52_000);
        lowered.icsk_rto_min = 50;
        let lowered = estimator(&lowered, 250);
        assert_eq!((lowered.floor_us, lowered.source), (52_000, FloorSource::Shown));
        let mut rough = sock(340, 310_123, 90_000, 250_077);
        rough.icsk_rto_min = 25;
        assert_eq!(estimator(&rough, 250).source, FloorSource::Socket);
        assert_eq!(estimator(&rough, 250).floor_us, 100_000);
    }

    #[test]
    fn floors_are_whole_jiffies() {
        let in_force = |ms| HZS.map(|hz| floor_in_force_us(ms, Kernel::new(hz)));
        assert_eq!(in_force(50), [50_000, 52_000, 50_000, 50_000]);
        assert_eq!(in_force(10), [10_000, 12_000, 10_000, 10_000]);
        assert_eq!(in_force(1), [10_000, 4000, 3333, 1000]);
    }

    #[test]
    fn a_probe_of_one_packet_waits_for_the_floor_too() {
        let calm = estimator(&sock(340, 200_000, 90, 200_000), 250);
        assert_eq!(calm.probe_jiffies(200_000, true), 51);
        assert_eq!(calm.probe_jiffies(52_000, true), 14);
        assert_eq!(calm.probe_jiffies(200_000, false), 1);
        let far = estimator(&sock(100_000, 200_000, 90, 200_000), 250);
        assert_eq!(far.probe_jiffies(200_000, true), 75, "not longer than the RTO");
        assert_eq!(far.probe_jiffies(12_000, false), 28, "nor than a lower one");
    }

    #[test]
    fn without_a_sample_there_is_no_estimator() {
        let none = Snapshot::default();
        assert_eq!(Estimator::of(&none, &Past::default(), Kernel::new(250)), None);
    }

    proptest! {
        #[test]
        fn monotone_and_bounded(
            srtt in 1u32..3_000_000, rttvar in 1u32..4_000_000, mdev in 0u32..1_000_000, calm in any::<bool>(),
            hz in proptest::sample::select(HZS.to_vec()), low in 1u64..1_000_000, more in 0u64..1_000_000,
        ) {
            let rttvar = if calm { 200_000 } else { rttvar };
            let it = estimator(&sock(srtt, rttvar, mdev, rttvar), hz);
            let (less, greater) = (it.rto_jiffies(low), it.rto_jiffies(low + more));
            prop_assert!(less <= greater, "{it:?}: {less} > {greater}");
            prop_assert!(it.probe_jiffies(low, true) <= it.probe_jiffies(low + more, true));
            prop_assert!(it.probe_jiffies(low, true) <= less);
            // A sum, not a maximum.
            prop_assert!(less >= it.kernel.us_to_jiffies(u64::from(srtt)).min(it.rto_max_jiffies));
            prop_assert!(less >= it.kernel.us_to_jiffies(u64::from(srtt) + low).min(it.rto_jiffies(it.floor_us)));
        }

        #[test]
        fn the_present_floor_gives_the_present_rto(
            srtt in 1u32..3_000_000, rttvar in 1u32..4_000_000, mdev in 0u32..1_000_000,
            hz in proptest::sample::select(HZS.to_vec()),
        ) {
            let it = estimator(&sock(srtt, rttvar, mdev, rttvar), hz);
            let kernels = it.kernel.us_to_jiffies(u64::from(srtt) + u64::from(rttvar)).min(it.rto_max_jiffies);
            prop_assert_eq!(it.rto_jiffies(it.floor_us), kernels);
            prop_assert!(it.explains(kernels));
        }
    }
}
