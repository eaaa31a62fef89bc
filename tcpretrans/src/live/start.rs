//! The `start` event: what is known of kernel, tracer and options when a trace begins.

use std::collections::BTreeMap;

use crate::{
    event::{Clock, FeatureMap, Start},
    kernel::features::{Features, Tracepoint},
    live::config::Config,
};

/// The `start` event of a trace that begins now.
pub(super) fn start(config: &Config, features: &Features, hz: u32, clock: Clock) -> Start {
    let kernel = nix::sys::utsname::uname()
        .map(|name| name.release().to_string_lossy().into_owned())
        .unwrap_or_default();
    Start {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel,
        hz,
        command: config.command.clone(),
        filters: config.filter.describe(),
        clock_ns: clock.wall_minus_mono_ns,
        features: feature_map(features),
        reset_reasons: features.reset_reasons.iter().map(|(&number, name)| (number, name.clone())).collect(),
        warn_at_percent: Some(config.warn_at_percent),
        all_closes: Some(config.output.all_closes),
        part: Some(1),
    }
}

/// What this kernel lets us see, by name (`docs/kernels.md`).
fn feature_map(features: &Features) -> FeatureMap {
    // Each by its name, so that one that is added has to be told here, or left out on purpose.
    let &Features {
        retransmit_err,
        reset_reason,
        socket_cookie,
        recovery_exit,
        seed,
        request_rto_max,
        // Whether tracing is allowed, which it was.
        maps_are_locked_memory: _,
        tracepoints: _,
        locations: _,
        reset_reasons: _,
        attach_types: _,
    } = features;
    let more = [
        ("retransmit_err", retransmit_err),
        ("reset_reason", reset_reason),
        ("socket_cookie", socket_cookie),
        ("seed", seed),
        ("request_rto_max", request_rto_max),
        ("recovery_exit", recovery_exit),
    ];
    let mut map: BTreeMap<_, _> =
        Tracepoint::all().map(|tracepoint| (tracepoint.name.into(), features.has(tracepoint.name))).collect();
    map.extend(more.map(|(name, is_there)| (name.into(), is_there)));
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERNELS: &str = include_str!("../../../docs/kernels.md");

    #[test]
    fn every_feature_is_explained() {
        for name in feature_map(&Features::none()).keys() {
            assert!(
                KERNELS.contains(&format!("`{name}`")),
                "docs/kernels.md does not name the feature {name}"
            );
        }
    }
}
