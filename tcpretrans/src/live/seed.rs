//! Connections that were in RTO backoff before the trace began.

use std::io::Read;

use crate::{
    filter::Filter,
    kernel::{netns, programs::Programs},
};

/// Namespaces that are looked through at most: each costs a pass over its sockets.
const MOST_NAMESPACES: usize = 4096;

/// Has the programs look through the sockets of every network namespace that is traced. What they find comes out
/// of the ring. A namespace that cannot be entered is skipped with a message.
pub(super) fn look_through(programs: &mut Programs, filter: &Filter) {
    let (namespaces, skipped) = match netns::visible(MOST_NAMESPACES) {
        Ok(found) => found,
        Err(error) => {
            log::warn!("connections that are already in RTO backoff are not shown: {error}");
            return;
        }
    };
    if skipped > 0 {
        log::warn!("{skipped} network namespaces were not searched for connections already in RTO backoff");
    }
    for namespace in namespaces {
        if !filter.netns.is_empty() && !filter.netns.contains(&namespace.inum) {
            continue;
        }
        let link = match programs.seed_link() {
            Ok(link) => link,
            Err(error) => {
                log::warn!("connections that are already in RTO backoff are not shown: {error}");
                return;
            }
        };
        // The iterator walks the namespace of the thread that opens it.
        let walked = namespace.run(move || {
            let mut nothing = Vec::new();
            link.into_file().map_err(std::io::Error::other)?.read_to_end(&mut nothing)
        });
        if let Err(error) = walked.and_then(|inner| inner) {
            log::warn!("network namespace {} was not searched: {error}", namespace.label);
        }
    }
}
