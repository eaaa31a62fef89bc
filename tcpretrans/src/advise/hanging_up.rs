//! When an application had waited long enough.

use crate::{
    event::Closed,
    socket::{Micros, Millis},
};

/// How long after the original transmission an end of the connection closed; `None`: neither did. The socket may
/// have closed much later. `first_wait` is from the original transmission to the first retransmission.
pub(super) fn hung_up_after(closed: &Closed, first_wait: Micros) -> Option<Micros> {
    let hung_up = closed.hung_up.as_ref()?;
    match (hung_up.into_backoff_ms, hung_up.waited_ms) {
        (Some(ms), _) => Some(first_wait + Millis(ms).to_micros()),
        (None, Some(ms)) => Some(Millis(ms).to_micros()),
        (None, None) => None,
    }
}
