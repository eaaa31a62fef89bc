//! What kernel, privileges and BTF say, before anything is loaded.

use std::fs;

use tcpretrans_ebpf::{Field, Kind};

use super::{
    findings::{Item, Section, State},
    missing_fields,
};
use crate::kernel::{
    btf::{self, Btf},
    cgroup::Hierarchy,
    features::{Features, RECOVERY_EXIT, Tracepoint},
    privileges::{CannotTrace, Standing, capability},
};

/// The kernel's release; `unknown` without /proc.
pub(super) fn release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

/// The kernel and this process's rights.
pub(super) fn foundations(standing: &Standing) -> Section {
    let mut items = vec![btf_item(standing)];
    let obstacles = standing.obstacles();
    let first = |test: fn(&CannotTrace) -> bool| obstacles.iter().find(|&obstacle| test(obstacle));
    items.push(match first(|obstacle| matches!(obstacle, CannotTrace::Lockdown)) {
        Some(obstacle) => Item::new("lockdown", State::Missing, obstacle.to_string()),
        None => Item::new("lockdown", State::Ok, standing.lockdown.name()),
    });
    let privileges = |obstacle: &CannotTrace| {
        matches!(obstacle, CannotTrace::Privileges { .. } | CannotTrace::UserNamespace)
    };
    items.push(match first(privileges) {
        Some(obstacle) => Item::new("privileges", State::Missing, obstacle.to_string()),
        None if standing.capabilities.is_none() => {
            Item::new("privileges", State::Unknown, "/proc does not show which capabilities this process has")
        }
        None => Item::new("privileges", State::Ok, "BPF programs may be loaded"),
    });
    if standing.unprivileged_bpf_disabled.is_none() {
        items.push(Item::new(
            "bpf()",
            State::Unknown,
            "no kernel.unprivileged_bpf_disabled: is the kernel built with CONFIG_BPF_SYSCALL=y, and /proc mounted?",
        ));
    }
    items.push(owners(standing));
    items.push(match Hierarchy::find() {
        Ok(hierarchy) => Item::new("cgroup v2", State::Ok, format!("at {}", hierarchy.mount().display())),
        Err(error) => Item::new(
            "cgroup v2",
            State::Degraded,
            format!("flows have no cgroup, and --cgroup cannot be used: {error}"),
        ),
    });
    Section { name: "Kernel and privileges", items }
}

fn btf_item(standing: &Standing) -> Item {
    match &standing.btf {
        Some(trouble) => Item::new("BTF", State::Missing, trouble.to_string()),
        None => {
            let kib = fs::metadata(btf::VMLINUX).map_or(0, |metadata| metadata.len() / 1024);
            Item::new("BTF", State::Ok, format!("{}, {kib} KiB", btf::VMLINUX))
        }
    }
}

fn owners(standing: &Standing) -> Item {
    match standing.has(capability::SYS_PTRACE) {
        Some(false) => Item::new(
            "process names",
            State::Degraded,
            "for connections that are older than the trace, only processes of this user are known (needs CAP_SYS_PTRACE)",
        ),
        _ => Item::new("process names", State::Ok, "of all users' processes"),
    }
}

/// The tracepoints that the programs go on.
pub(super) fn tracepoints(btf: &Btf) -> Section {
    let item = |tracepoint: Tracepoint| match btf.tracepoint_args(tracepoint.name) {
        Some(args) => Item::new(tracepoint.name, State::Ok, detail(tracepoint.kind, args)),
        None if tracepoint.kind == Kind::CongState && btf.has_function(RECOVERY_EXIT) => Item::new(
            tracepoint.name,
            State::Ok,
            format!("not in this kernel: the end of a loss recovery is seen in {RECOVERY_EXIT} instead"),
        ),
        None => {
            let state = if tracepoint.required { State::Missing } else { State::Degraded };
            Item::new(tracepoint.name, state, format!("not in this kernel: {}", tracepoint.without))
        }
    };
    Section { name: "Tracepoints", items: Tracepoint::all().map(item).collect() }
}

/// Arguments that came late, which `Features` asks for by their number as well.
fn detail(kind: Kind, args: usize) -> &'static str {
    match kind {
        Kind::Retransmit if args >= 3 => "failed attempts are seen, with their error",
        Kind::Retransmit => "only what was sent is seen, not the attempts that failed locally",
        Kind::SendReset if args >= 3 => "with the kernel's reason for the reset",
        Kind::SendReset => {
            "without the kernel's reason: why this side sent a reset is derived from the socket"
        }
        Kind::SynAck | Kind::State | Kind::ReceiveReset | Kind::CongState | Kind::Destroy => "",
        Kind::ErrorReport | Kind::Calibrate | Kind::Seed => "",
    }
}

/// Fields of the kernel's structures, and what else depends on the version.
pub(super) fn details(btf: &Btf) -> Section {
    let items = match Features::detect(btf) {
        Err(unsupported) => vec![Item::new("fields", State::Missing, unsupported.to_string())],
        Ok(features) => of_features(&features),
    };
    Section { name: "What events contain", items }
}

fn of_features(features: &Features) -> Vec<Item> {
    // Each by its name, so that one that is added has to be shown here, or left out on purpose.
    let Features {
        reset_reasons,
        socket_cookie,
        // Shown with the tracepoints.
        tracepoints: _,
        retransmit_err: _,
        reset_reason: _,
        recovery_exit: _,
        // Shown with the privileges.
        maps_are_locked_memory: _,
        // In the `start` event alone: too small a matter for this page.
        seed: _,
        request_rto_max: _,
        // Shown by field.
        locations: _,
        attach_types: _,
    } = features;
    let mut items = Vec::new();
    let lost: Vec<Item> = features
        .missing_fields()
        .filter(|&field| !has_alternative(features, field))
        .filter_map(|field| {
            let lost = missing_fields::without(field.name()).err()?;
            Some(Item::new(field.name(), State::Degraded, format!("not in this kernel: {lost}")))
        })
        .collect();
    let found = Field::COUNT - features.missing_fields().count();
    let summary = format!("{found} of {} fields of kernel structures found", Field::COUNT);
    items.push(Item::new("fields", State::Ok, summary));
    items.extend(lost);
    for pair in
        [[Field::sk_cgroup, Field::sk_cgroup_val], [Field::cgroup_ancestors, Field::cgroup_ancestor_ids]]
    {
        if pair.iter().all(|&field| !features.has_field(field)) {
            let lost = "not in this kernel: flows have no cgroup, and --cgroup matches nothing";
            items.push(Item::new(pair[0].name(), State::Degraded, lost));
        }
    }
    items.push(if reset_reasons.is_empty() {
        Item::new(
            "reset reasons",
            State::Degraded,
            "this kernel has no enum sk_rst_reason: resets have no reason",
        )
    } else {
        Item::new("reset reasons", State::Ok, format!("{} known by name", reset_reasons.len()))
    });
    items.push(if *socket_cookie {
        Item::new("flow id", State::Ok, "the socket's cookie, as in ss -e")
    } else {
        let lost =
            "BPF programs cannot read the socket's cookie: ids are tcpretrans's own, unless ss -e was run before";
        Item::new("flow id", State::Degraded, lost)
    });
    items
}

/// A field that is missing because the kernel has its twin.
fn has_alternative(features: &Features, field: Field) -> bool {
    match field {
        Field::sk_cgroup => features.has_field(Field::sk_cgroup_val),
        Field::sk_cgroup_val => features.has_field(Field::sk_cgroup),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tcpretrans_ebpf::Location;

    use super::*;

    fn features(missing: &[&str]) -> Features {
        let location = |field: &Field| match missing.contains(&field.name()) {
            true => Location::ABSENT,
            false => Location::whole(0, 1),
        };
        Features {
            locations: Field::ALL.iter().map(location).collect(),
            retransmit_err: true,
            reset_reason: true,
            seed: true,
            socket_cookie: true,
            reset_reasons: HashMap::from([(1, "NO_SOCKET".to_owned())]),
            ..Features::none()
        }
    }

    fn degraded(features: &Features) -> Vec<String> {
        let items = of_features(features).into_iter();
        items.filter(|item| item.state == State::Degraded).map(|item| item.name).collect()
    }

    #[test]
    fn only_real_losses_are_degradations() {
        assert_eq!(degraded(&features(&[])), [""; 0]);
        let elsewhere = features(&["sk_ino", "sk_cgroup_val", "cgroup_ancestor_ids", "icsk_rto_max"]);
        assert_eq!(degraded(&elsewhere), [""; 0]);
        assert_eq!(degraded(&features(&["req_timeout"])), ["req_timeout"]);
        assert_eq!(degraded(&features(&["sk_cgroup", "sk_cgroup_val"])), ["sk_cgroup"]);
    }

    #[test]
    fn what_old_kernels_lack_is_told() {
        let old = Features { socket_cookie: false, reset_reasons: HashMap::new(), ..features(&[]) };
        assert_eq!(degraded(&old), ["reset reasons", "flow id"]);
        let all_but_one = format!("{} of {} ", Field::COUNT - 1, Field::COUNT);
        assert!(of_features(&features(&["sk_ino"]))[0].detail.starts_with(&all_but_one));
    }
}
