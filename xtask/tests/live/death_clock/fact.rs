//! What was to be seen of a connection's end without the tracer.

/// Seen from outside, with the watcher's own delays.
pub struct Fact {
    /// The last time that it was seen alive; 0: nobody looked.
    pub seen_alive_ns: u64,
    /// When it was first seen dead.
    pub seen_dead_ns: u64,
    /// What its owner was told.
    pub errno: Option<i32>,
    /// Does its end pass `inet_sock_set_state`? A request's does not.
    pub closes: bool,
}

/// How long a thread of this test may take to be scheduled.
const SLACK_NS: u64 = 250_000_000;
/// Before 6.9 the error is reported before the state changes.
const ORDER_NS: u64 = 5_000_000;

impl Fact {
    /// The bounds of the moment at which the kernel gave up: a point where the tracer saw it, which must agree with
    /// what was seen from outside.
    pub fn moment(&self, closed_ns: Option<u64>) -> Result<(u64, u64), String> {
        let Some(closed_ns) = closed_ns else { return Ok((self.seen_alive_ns, self.seen_dead_ns)) };
        let after_ns = self.seen_dead_ns as i64 - closed_ns as i64;
        if closed_ns < self.seen_alive_ns || !(-(ORDER_NS as i64)..=SLACK_NS as i64).contains(&after_ns) {
            return Err(format!(
                "`closed` is {} ms before it was seen dead, and {} ms after it was last seen alive",
                after_ns / 1_000_000,
                (closed_ns as i64 - self.seen_alive_ns as i64) / 1_000_000
            ));
        }
        Ok((closed_ns, closed_ns))
    }
}
