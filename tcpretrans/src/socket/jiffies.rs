//! The running kernel's units: HZ, and the conversions that round as the kernel's own do.

const NSEC_PER_SEC: u64 = 1_000_000_000;

/// What a forecast must know of the running kernel beside the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel {
    /// Jiffies a second (`CONFIG_HZ`).
    pub hz: u32,
    /// Are request sockets' timeouts capped at the listener's `icsk_rto_max`? Mainline does so from 7.0;
    /// before, the cap was the constant 120 s. `None`: unknown, the forecast then covers both.
    pub request_rto_max: Option<bool>,
}

impl Kernel {
    /// A kernel of that HZ, of which nothing else is known.
    pub fn new(hz: u32) -> Self {
        Self { hz: hz.max(1), request_rto_max: None }
    }

    /// `TICK_NSEC`: the length of a jiffy, rounded as the kernel does.
    pub fn tick_ns(self) -> u64 {
        let hz = u64::from(self.hz);
        (NSEC_PER_SEC + hz / 2) / hz
    }

    /// `msecs_to_jiffies`: rounds up.
    pub fn ms_to_jiffies(self, ms: u64) -> u64 {
        ms.saturating_mul(u64::from(self.hz)).div_ceil(1000)
    }

    /// `usecs_to_jiffies`: rounds up.
    pub fn us_to_jiffies(self, us: u64) -> u64 {
        us.saturating_mul(u64::from(self.hz)).div_ceil(1_000_000)
    }

    /// `jiffies_to_msecs`: rounds up where a jiffy is no whole number of ms.
    pub fn jiffies_to_ms(self, jiffies: u64) -> u64 {
        jiffies.saturating_mul(1000).div_ceil(u64::from(self.hz))
    }

    /// `TCP_RTO_MAX`: 120 s, the cap of every kernel without `icsk_rto_max`.
    pub fn rto_max_jiffies(self) -> u32 {
        120 * self.hz
    }

    /// `TCP_RTO_MIN`: 200 ms. The budgets are built on this constant, whatever the route or sysctl says.
    pub fn rto_min_jiffies(self) -> u32 {
        (self.hz / 5).max(1)
    }

    /// `TCP_TIMEOUT_INIT`: 1 s, the first RTO of a handshake.
    pub fn timeout_init_jiffies(self) -> u32 {
        self.hz
    }
}

#[cfg(test)]
mod tests {
    use super::Kernel;

    #[test]
    fn conversions_round_as_the_kernel_does() {
        let k250 = Kernel::new(250);
        assert_eq!(k250.tick_ns(), 4_000_000);
        assert_eq!((k250.ms_to_jiffies(200), k250.ms_to_jiffies(201)), (50, 51));
        assert_eq!(k250.jiffies_to_ms(51), 204);
        assert_eq!(k250.us_to_jiffies(200_340), 51);
        // HZ 300: `DIV_ROUND_UP(j * 10, 3)`
        let k300 = Kernel::new(300);
        assert_eq!(k300.tick_ns(), 3_333_333);
        assert_eq!((k300.jiffies_to_ms(60), k300.jiffies_to_ms(61)), (200, 204));
        assert_eq!((k300.rto_min_jiffies(), k300.rto_max_jiffies()), (60, 36_000));
    }
}
