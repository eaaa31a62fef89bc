//! When an application had enough.

use crate::event::Closed;

/// How long after the original transmission an end of the connection hung up, us; `None`: nobody did. The socket may
/// have closed much later. `first_wait_us` is from the original transmission to the first retransmission.
pub fn hung_up_after_us(closed: &Closed, first_wait_us: i64) -> Option<i64> {
    let hung_up = closed.hung_up.as_ref()?;
    match (hung_up.into_backoff_ms, hung_up.waited_ms) {
        (Some(ms), _) => Some(first_wait_us.saturating_add_unsigned(ms.saturating_mul(1000))),
        (None, Some(ms)) => i64::try_from(ms.saturating_mul(1000)).ok(),
        (None, None) => None,
    }
}
