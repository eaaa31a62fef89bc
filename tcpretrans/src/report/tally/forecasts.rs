//! Predicted timeouts, compared with the real ones.

use super::{episode::FirstForecast, spread::Spread};
use crate::event::Closed;

/// How far off forecasts were.
#[derive(Debug, Clone, Default)]
pub(crate) struct Deviation {
    /// Without the sign, us.
    pub off_us: Spread,
    /// The timeout that came soonest before its forecast (negative) or least after it, us.
    pub earliest_us: i64,
    /// The timeout that came latest after its forecast, us.
    pub latest_us: i64,
}

impl Deviation {
    fn record(&mut self, actual_ns: u64, expected_ns: u64) {
        let off_us = (i128::from(actual_ns) - i128::from(expected_ns)) / 1000;
        let off_us = i64::try_from(off_us).unwrap_or(if off_us < 0 { i64::MIN } else { i64::MAX });
        let first = self.off_us.count() == 0;
        self.earliest_us = if first { off_us } else { self.earliest_us.min(off_us) };
        self.latest_us = if first { off_us } else { self.latest_us.max(off_us) };
        self.off_us.record(off_us.unsigned_abs());
    }
}

/// Timeouts by the kernel's own timers, and how they were predicted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Forecasts {
    /// Timeouts of which there was a forecast.
    pub predicted: u64,
    /// Timeouts of which there was none.
    pub not_predicted: u64,
    /// The forecast made at the first RTO of the last episode, compared with the real timeout.
    pub first: Deviation,
    /// Of those, how many came within the range that it gave.
    pub within_window: u64,
    /// How long before the timeout it was made, ms.
    pub lead_ms: Spread,
    /// The last forecast before the timeout.
    pub last: Deviation,
}

impl Forecasts {
    /// A connection ended; `first` is the forecast made at the first RTO of the episode that it ended in.
    pub(crate) fn closed(&mut self, closed: &Closed, closed_ns: u64, first: Option<FirstForecast>) {
        if !closed.cause.is_kernel_timeout() {
            return;
        }
        let Some(predicted_ns) = closed.predicted_at_ns else {
            self.not_predicted += 1;
            return;
        };
        self.predicted += 1;
        self.last.record(closed_ns, predicted_ns);
        // Nobody can predict that another knob will matter: that the application closes, say.
        if let Some(first) = first.filter(|first| Some(first.knob) == closed.knob) {
            self.first.record(closed_ns, first.expected_ns);
            self.within_window += u64::from((first.earliest_ns..=first.latest_ns).contains(&closed_ns));
            self.lead_ms.record(closed_ns.saturating_sub(first.made_ns) / 1_000_000);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Cause, Knob, samples as sample, samples::NOW_NS};

    fn forecast(knob: Knob) -> FirstForecast {
        let made_ns = NOW_NS - 10_000_000_000;
        let [earliest_ns, expected_ns, latest_ns] = [NOW_NS - 5_000_000, NOW_NS - 4_000_000, NOW_NS];
        FirstForecast { knob, made_ns, earliest_ns, expected_ns, latest_ns }
    }

    #[test]
    fn first_and_last_forecast_are_held_against_the_death() {
        let mut forecasts = Forecasts::default();
        let closed = Closed { predicted_at_ns: Some(NOW_NS + 7_000), ..sample::closed() };
        forecasts.closed(&closed, NOW_NS, Some(forecast(Knob::TcpRetries2)));
        assert_eq!((forecasts.predicted, forecasts.within_window, forecasts.not_predicted), (1, 1, 0));
        assert_eq!((forecasts.first.earliest_us, forecasts.first.latest_us), (4000, 4000));
        assert_eq!((forecasts.last.earliest_us, forecasts.last.latest_us), (-7, -7));
        assert_eq!((forecasts.last.off_us.max(), forecasts.lead_ms.max()), (Some(7), Some(10_000)));
        forecasts.closed(&closed, NOW_NS + 1, Some(forecast(Knob::TcpOrphanRetries)));
        assert_eq!((forecasts.predicted, forecasts.first.off_us.count()), (2, 1), "another knob's forecast");
        forecasts.closed(&closed, NOW_NS + 1, Some(forecast(Knob::TcpRetries2)));
        assert_eq!(forecasts.within_window, 1, "too late");
    }

    #[test]
    fn only_the_kernels_own_timeouts_can_be_predicted() {
        let mut forecasts = Forecasts::default();
        let reset = Closed { cause: Cause::ResetByPeer, ..sample::closed() };
        forecasts.closed(&reset, NOW_NS, Some(forecast(Knob::TcpRetries2)));
        assert_eq!((forecasts.predicted, forecasts.not_predicted), (0, 0));
        forecasts.closed(&Closed { predicted_at_ns: None, ..sample::closed() }, NOW_NS, None);
        assert_eq!((forecasts.predicted, forecasts.not_predicted), (0, 1));
    }
}
