//! The advice for people: for 80 columns and more, and for three in the morning.

mod give_up;
mod page;
mod rto_min;
mod timeouts;

use jiff::{Timestamp, tz::TimeZone};
use page::Page;
pub use page::{Look, columns};

use super::{Advice, Recording};

/// Renders the advice.
pub fn render(advice: &Advice, look: Look) -> String {
    let mut page = Page::new(look);
    head(&mut page, &advice.recording);
    rto_min::render(&mut page, advice);
    timeouts::render(&mut page, advice);
    give_up::render(&mut page, &advice.give_up);
    page.finish()
}

fn head(page: &mut Page, recording: &Recording) {
    let time = |wall_ns: i64| {
        let timestamp = Timestamp::from_nanosecond(wall_ns.into()).unwrap_or_default();
        timestamp.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
    };
    let span = match (recording.first, recording.last) {
        (Some(first), Some(last)) => format!(", {} to {}", time(first.wall_ns), time(last.wall_ns)),
        _ => String::new(),
    };
    let kernels = match (&recording.kernels[..], &recording.hz[..]) {
        ([kernel], [hz]) => format!(" (Linux {kernel}, HZ {hz})"),
        ([], _) => String::new(),
        (kernels, _) => format!(" (Linux {})", kernels.join(", ")),
    };
    page.paragraph(&format!(
        "{} of {} in trouble{span}{kernels}.",
        page::count(recording.events, "event"),
        page::count(recording.flows as u64, "connection"),
    ));
    if recording.records_lost > 0 {
        page.warning(&format!(
            "{} did not reach the recording: some of what follows is incomplete.",
            page::count(recording.records_lost, "record")
        ));
    }
    page.paragraph(
        "A recording holds connections that lost something. What a change would do to all the others it cannot show: \
         above all, how often a lower RTO_MIN would send again in vain where nothing is lost.",
    );
}
