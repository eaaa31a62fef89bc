//! The retransmission timeout under another floor: `tcp_rtt_estimator` and `__tcp_set_rto`, asked "what if".
//!
//! The kernel's RTO is a sum: `srtt + rttvar`. The floor (RTO_MIN) is a floor of `rttvar`, not of the RTO, and mostly
//! `rttvar` lies on it: the RTO of a connection with steady round-trip times is that time plus the floor. Three variables show how
//! far it would go down without that floor:
//!
//! * `rttvar_us` is what the RTO has now. Above the floor, the path itself made it so, and no floor changes it soon.
//! * `mdev_us` is the deviation without any floor.
//! * `mdev_max_us` is reset to the floor once in a round trip, so that a calm connection shows the floor in it, whether
//!   route, sysctl or socket option set it.

use tcpretrans_ebpf::Snapshot;

use crate::socket::{Hz, Jiffies, Micros, Millis, SnapshotExt};

/// `TCP_RTO_MIN`
const DEFAULT_FLOOR: Micros = Millis(200).to_micros();
/// `rttvar -= (rttvar - mdev_max) >> 2` stops short of the floor, and a peak takes some round trips to fade: within
/// this part of the floor, `rttvar` is on it.
const ON_FLOOR_PART: u64 = 64;

/// What a connection has shown so far of its floor and of its calmness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Past {
    /// The floor as `mdev_max_us` last showed it.
    shown_floor: Option<Micros>,
    /// The highest deviation seen (`mdev_us`).
    mdev: Micros,
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
    /// `CONFIG_HZ`
    pub hz: Hz,
    /// Smoothed round-trip time.
    pub srtt: Micros,
    /// `rttvar_us`
    pub rttvar: Micros,
    /// The highest `mdev_us` seen of this connection.
    pub mdev: Micros,
    /// The floor in force.
    pub floor: Micros,
    /// Where that is known from.
    pub source: FloorSource,
    /// `icsk_rto_max`
    pub rto_max: Jiffies,
}

impl Past {
    /// Learns from one more look at the socket.
    pub fn learn(&mut self, sock: &Snapshot, hz: Hz) {
        if sock.srtt_us == 0 {
            return;
        }
        let (mdev, mdev_max) = (Micros::from(sock.mdev_us), Micros::from(sock.mdev_max_us));
        self.mdev = self.mdev.max(mdev);
        if mdev <= mdev_max && is_whole_jiffies(mdev_max, hz) {
            self.shown_floor = Some(mdev_max);
        }
    }

    fn floor(&self, sock: &Snapshot, hz: Hz) -> (Micros, FloorSource) {
        match (self.shown_floor, sock.rto_min()) {
            (Some(floor), _) => (floor, FloorSource::Shown),
            (None, None) => (DEFAULT_FLOOR, FloorSource::Default),
            (None, Some(rto_min)) => (hz.jiffies_to_usecs(rto_min), FloorSource::Socket),
        }
    }
}

/// A floor is set in jiffies (`tcp_rto_min_us()`); a measured deviation is a whole number of them by rare chance.
fn is_whole_jiffies(us: Micros, hz: Hz) -> bool {
    us.0 > 0 && hz.jiffies_to_usecs(hz.usecs_to_jiffies(us)) == us
}

/// A floor as a route or sysctl sets it and the kernel keeps it: in whole jiffies, rounded up.
pub(crate) fn floor_in_force(floor: Millis, hz: Hz) -> Micros {
    hz.jiffies_to_usecs(hz.msecs_to_jiffies(floor))
}

impl Estimator {
    /// `None` before the first round-trip time was measured: then the RTO is no sum of these.
    pub fn of(sock: &Snapshot, past: &Past, hz: Hz) -> Option<Estimator> {
        let (srtt, rttvar) = (sock.srtt()?, Micros::from(sock.rttvar_us));
        if rttvar.0 == 0 {
            return None;
        }
        let (floor, source) = past.floor(sock, hz);
        Some(Estimator {
            hz,
            srtt,
            rttvar,
            mdev: past.mdev.max(sock.mdev_us.into()),
            // It was lowered a moment ago, or is not what it seemed.
            floor: floor.min(rttvar),
            source,
            rto_max: sock.rto_max(hz),
        })
    }

    /// Does the path's own variance decide, and not the floor?
    pub fn is_variance_dominated(&self) -> bool {
        self.rttvar > self.floor + self.floor / ON_FLOOR_PART
    }

    /// `rttvar_us` under another floor, best estimate. On the floor it would sink to the new one, or to what the
    /// deviation seen holds up. Above it, it stays: when the peak was that it remembers is not known.
    fn rttvar_at(&self, floor: Micros) -> Micros {
        if floor >= self.floor || self.is_variance_dominated() {
            self.rttvar.max(floor)
        } else {
            floor.max(self.mdev).min(self.rttvar)
        }
    }

    /// The RTO without backoff under another floor: `usecs_to_jiffies((srtt_us >> 3) + rttvar_us)`.
    pub fn rto(&self, floor: Micros) -> Jiffies {
        self.hz.usecs_to_jiffies(self.srtt + self.rttvar_at(floor)).min(self.rto_max).max(Jiffies(1))
    }

    /// The wait before a tail loss probe under another floor (`tcp_schedule_loss_probe`): two round trips, and
    /// the floor on top if a single packet is in flight, whose ACK the peer may delay. Never longer than the RTO.
    pub fn probe_wait(&self, floor: Micros, one_packet: bool) -> Jiffies {
        /// `TCP_TIMEOUT_MIN_US`
        const LEAST: Micros = Micros(2000);
        let margin = if one_packet { floor } else { LEAST };
        self.hz.usecs_to_jiffies(self.srtt * 2 + margin).clamp(Jiffies(1), self.rto(floor))
    }

    /// Is the RTO that the kernel had what the model says, to a jiffy? Else something else made it (a SYN that was
    /// lost, remembered metrics, a thin stream), and what another floor would do is not known.
    pub fn explains(&self, rto: Jiffies) -> bool {
        self.rto(self.floor).0.abs_diff(rto.0) <= 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::socket::ABSENT;

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
        let hz = Hz::new(hz);
        let mut past = Past::default();
        past.learn(sock, hz);
        Estimator::of(sock, &past, hz).expect("measured")
    }

    #[test]
    fn a_calm_connection_follows_the_floor() {
        let calm = estimator(&sock(340, 200_000, 90, 200_000), 250);
        assert_eq!((calm.floor, calm.source), (Micros(200_000), FloorSource::Shown));
        assert_eq!(calm.rto(Micros(200_000)), Jiffies(51), "204 ms, as ss shows it everywhere at HZ 250");
        assert_eq!(
            calm.rto(floor_in_force(Millis(50), calm.hz)),
            Jiffies(14),
            "52 ms of floor and a round trip"
        );
        let hz1000 = estimator(&sock(340, 200_000, 90, 200_000), 1000);
        assert_eq!([200_000, 50_000, 10_000].map(|floor| hz1000.rto(Micros(floor)).0), [201, 51, 11]);
    }

    #[test]
    fn the_deviation_seen_holds_the_rto_up() {
        let restless = estimator(&sock(10_000, 200_000, 60_000, 200_000), 1000);
        assert!(!restless.is_variance_dominated());
        assert_eq!(restless.rto(Micros(50_000)), Jiffies(70));
        assert_eq!(restless.rto(Micros(100_000)), Jiffies(110));
        // Once seen, it may come again.
        let hz = Hz::new(1000);
        let mut past = Past::default();
        past.learn(&sock(10_000, 200_000, 60_000, 200_000), hz);
        let later = sock(10_000, 200_000, 1000, 200_000);
        past.learn(&later, hz);
        assert_eq!(Estimator::of(&later, &past, hz).expect("measured").rto(Micros(50_000)), Jiffies(70));
    }

    #[test]
    fn where_variance_decides_no_floor_helps() {
        let rough = estimator(&sock(80_000, 320_001, 150_000, 320_001), 250);
        assert_eq!((rough.floor, rough.source), (Micros(200_000), FloorSource::Default));
        assert!(rough.is_variance_dominated());
        assert_eq!(rough.rto(Micros(10_000)), rough.rto(Micros(200_000)));
        // A little above the floor is on it: the kernel's division leaves a rest.
        assert!(!estimator(&sock(80_000, 200_003, 20, 200_000), 250).is_variance_dominated());
    }

    #[test]
    fn a_routes_floor_shows_although_the_socket_says_otherwise() {
        let mut lowered = sock(340, 52_000, 90, 52_000);
        lowered.icsk_rto_min = 50;
        let lowered = estimator(&lowered, 250);
        assert_eq!((lowered.floor, lowered.source), (Micros(52_000), FloorSource::Shown));
        let mut rough = sock(340, 310_123, 90_000, 250_077);
        rough.icsk_rto_min = 25;
        assert_eq!(estimator(&rough, 250).source, FloorSource::Socket);
        assert_eq!(estimator(&rough, 250).floor, Micros(100_000));
    }

    #[test]
    fn floors_are_whole_jiffies() {
        let in_force = |ms| HZS.map(|hz| floor_in_force(Millis(ms), Hz::new(hz)).0);
        assert_eq!(in_force(50), [50_000, 52_000, 50_000, 50_000]);
        assert_eq!(in_force(10), [10_000, 12_000, 10_000, 10_000]);
        assert_eq!(in_force(1), [10_000, 4000, 3333, 1000]);
    }

    #[test]
    fn a_probe_of_one_packet_waits_for_the_floor_too() {
        let calm = estimator(&sock(340, 200_000, 90, 200_000), 250);
        assert_eq!(calm.probe_wait(Micros(200_000), true), Jiffies(51));
        assert_eq!(calm.probe_wait(Micros(52_000), true), Jiffies(14));
        assert_eq!(calm.probe_wait(Micros(200_000), false), Jiffies(1));
        let far = estimator(&sock(100_000, 200_000, 90, 200_000), 250);
        assert_eq!(far.probe_wait(Micros(200_000), true), Jiffies(75), "not longer than the RTO");
        assert_eq!(far.probe_wait(Micros(12_000), false), Jiffies(28), "nor than a lower one");
    }

    #[test]
    fn without_a_sample_there_is_no_estimator() {
        let none = Snapshot::default();
        assert_eq!(Estimator::of(&none, &Past::default(), Hz::new(250)), None);
    }

    proptest! {
        #[test]
        fn monotone_and_bounded(
            srtt in 1u32..3_000_000, rttvar in 1u32..4_000_000, mdev in 0u32..1_000_000, calm in any::<bool>(),
            hz in proptest::sample::select(HZS.to_vec()), low in 1u64..1_000_000, more in 0u64..1_000_000,
        ) {
            let rttvar = if calm { 200_000 } else { rttvar };
            let it = estimator(&sock(srtt, rttvar, mdev, rttvar), hz);
            let (low, more) = (Micros(low), Micros(more));
            let (less, greater) = (it.rto(low), it.rto(low + more));
            prop_assert!(less <= greater, "{it:?}: {less:?} > {greater:?}");
            prop_assert!(it.probe_wait(low, true) <= it.probe_wait(low + more, true));
            prop_assert!(it.probe_wait(low, true) <= less);
            // A sum, not a maximum.
            let srtt = Micros::from(srtt);
            prop_assert!(less >= it.hz.usecs_to_jiffies(srtt).min(it.rto_max));
            prop_assert!(less >= it.hz.usecs_to_jiffies(srtt + low).min(it.rto(it.floor)));
        }

        #[test]
        fn the_present_floor_gives_the_present_rto(
            srtt in 1u32..3_000_000, rttvar in 1u32..4_000_000, mdev in 0u32..1_000_000,
            hz in proptest::sample::select(HZS.to_vec()),
        ) {
            let it = estimator(&sock(srtt, rttvar, mdev, rttvar), hz);
            let kernels = it.hz.usecs_to_jiffies(Micros::from(srtt) + Micros::from(rttvar)).min(it.rto_max);
            prop_assert_eq!(it.rto(it.floor), kernels);
            prop_assert!(it.explains(kernels));
        }
    }
}
