//! The `start` event: what is known of kernel, tracer and options when a trace begins.

use std::collections::BTreeMap;

use crate::{
    event::{Clock, FeatureMap, Start},
    kernel::features::{Features, Tracepoint},
    live::config::Config,
};

/// The `start` event of a trace that begins now.
pub fn start(config: &Config, features: &Features, hz: u32, clock: Clock) -> Start {
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
    let mut map: BTreeMap<_, _> =
        Tracepoint::all().map(|tracepoint| (tracepoint.name.into(), features.has(tracepoint.name))).collect();
    map.insert("retransmit_err".into(), features.retransmit_err);
    map.insert("reset_reason".into(), features.reset_reason);
    map.insert("socket_cookie".into(), features.socket_cookie);
    map.insert("seed".into(), features.seed);
    map.insert("request_rto_max".into(), features.request_rto_max);
    map.insert("recovery_exit".into(), features.recovery_exit);
    map
}
