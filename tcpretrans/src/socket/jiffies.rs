//! The running kernel's tick (`CONFIG_HZ`), and the conversions that round as the kernel's own do
//! (`include/linux/jiffies.h`, `kernel/time/time.c`).

use super::units::{Jiffies, Micros, Millis, Nanos};

/// Timer ticks a second. At least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hz(u32);

impl Hz {
    /// So many ticks a second; none is taken for one.
    pub const fn new(hz: u32) -> Self {
        Self(if hz == 0 { 1 } else { hz })
    }

    /// Ticks a second.
    pub const fn get(self) -> u32 {
        self.0
    }

    fn per_second(self) -> u64 {
        self.0.into()
    }

    /// `TICK_NSEC`: the length of a jiffy, rounded to the nearest as the kernel does.
    pub fn tick(self) -> Nanos {
        Nanos((1_000_000_000 + self.per_second() / 2) / self.per_second())
    }

    /// So many ticks, as far as the clock is concerned.
    pub fn jiffies_to_nanos(self, jiffies: Jiffies) -> Nanos {
        self.tick() * jiffies.0
    }

    /// `jiffies_to_msecs`: rounds up where a jiffy is no whole number of ms. The kernel's budgets are built on it
    /// (`tcp_model_timeout`); what users see of a timer is [`Hz::displayed`].
    pub fn jiffies_to_msecs(self, jiffies: Jiffies) -> Millis {
        Millis(jiffies.0.saturating_mul(1000).div_ceil(self.per_second()))
    }

    /// `jiffies_to_usecs`: cuts.
    pub fn jiffies_to_usecs(self, jiffies: Jiffies) -> Micros {
        Micros(jiffies.0.saturating_mul(1_000_000) / self.per_second())
    }

    /// `msecs_to_jiffies`: rounds up.
    pub fn msecs_to_jiffies(self, ms: Millis) -> Jiffies {
        Jiffies(ms.0.saturating_mul(self.per_second()).div_ceil(1000))
    }

    /// `usecs_to_jiffies`: rounds up.
    pub fn usecs_to_jiffies(self, us: Micros) -> Jiffies {
        Jiffies(us.0.saturating_mul(self.per_second()).div_ceil(1_000_000))
    }

    /// A timer's wait, or another span of jiffies, as users see it: what `ss` shows of it, to the nearest ms.
    ///
    /// `ss` prints `tcpi_rto`, which is `jiffies_to_usecs(icsk_rto)`: 61 jiffies at HZ 300 are `rto:203.333`, where
    /// `jiffies_to_msecs` would say 204.
    pub fn displayed(self, jiffies: Jiffies) -> Millis {
        self.jiffies_to_usecs(jiffies).round_to_millis()
    }

    /// `TCP_RTO_MAX`: 120 s, the cap of every kernel without `icsk_rto_max`.
    pub fn rto_max(self) -> Jiffies {
        Jiffies(120 * self.per_second())
    }

    /// `TCP_RTO_MIN`: 200 ms. The budgets are built on this constant, whatever the route or sysctl says.
    pub fn rto_min(self) -> Jiffies {
        Jiffies((self.per_second() / 5).max(1))
    }

    /// `TCP_TIMEOUT_INIT`: 1 s, the first RTO of a handshake.
    pub fn timeout_init(self) -> Jiffies {
        Jiffies(self.per_second())
    }

    /// `TCP_RESOURCE_PROBE_INTERVAL`: half a second, the wait after this host dropped the packet.
    pub fn resource_probe_interval(self) -> Jiffies {
        Jiffies((self.per_second() / 2).max(1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn conversions_round_as_the_kernel_does() {
        let k250 = Hz::new(250);
        assert_eq!(k250.tick(), Nanos(4_000_000));
        assert_eq!([200, 201].map(|ms| k250.msecs_to_jiffies(Millis(ms)).0), [50, 51]);
        assert_eq!(k250.jiffies_to_msecs(Jiffies(51)), Millis(204));
        assert_eq!(k250.usecs_to_jiffies(Micros(200_340)), Jiffies(51));
        // HZ 300: `DIV_ROUND_UP(j * 10, 3)`
        let k300 = Hz::new(300);
        assert_eq!(k300.tick(), Nanos(3_333_333));
        assert_eq!([60, 61].map(|jiffies| k300.jiffies_to_msecs(Jiffies(jiffies)).0), [200, 204]);
        assert_eq!(
            [1, 60, 61].map(|jiffies| k300.jiffies_to_usecs(Jiffies(jiffies)).0),
            [3333, 200_000, 203_333]
        );
        assert_eq!((k300.rto_min(), k300.rto_max()), (Jiffies(60), Jiffies(36_000)));
    }

    #[test]
    fn milliseconds_are_exact_where_hz_allows() {
        let displayed = |jiffies, hz| Hz::new(hz).displayed(Jiffies(jiffies)).0;
        assert_eq!(displayed(51, 250), 204);
        assert_eq!(displayed(201, 1000), 201);
        assert_eq!(displayed(21, 100), 210);
        assert_eq!(displayed(61, 300), 203);
    }

    proptest! {
        #[test]
        fn what_is_displayed_is_what_ss_shows(jiffies in 0u64..1 << 24, hz in prop::sample::select(vec![100, 250, 300, 1000])) {
            let hz = Hz::new(hz);
            let ss_ms = hz.jiffies_to_usecs(Jiffies(jiffies)).0 as f64 / 1000.0;
            prop_assert!((hz.displayed(Jiffies(jiffies)).0 as f64 - ss_ms).abs() <= 0.5);
            prop_assert_eq!(hz.msecs_to_jiffies(hz.jiffies_to_msecs(Jiffies(jiffies))).0.max(jiffies), hz.msecs_to_jiffies(hz.jiffies_to_msecs(Jiffies(jiffies))).0);
        }
    }
}
