//! How to set a floor.

use serde::Serialize;

use super::PrefixAdvice;

/// More prefixes than this are a case for the sysctl.
const MOST_ROUTES: usize = 5;

/// The ways to set one floor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Commands {
    /// The floor, ms.
    pub rto_min_ms: u32,
    /// For one part of the network each; connections that exist follow within some round trips.
    pub routes: Vec<RouteCommands>,
    /// For all new connections of a network namespace.
    pub sysctl: String,
    /// Does the recorded kernel have that sysctl?
    pub sysctl_available: Available,
}

/// Setting the floor by route.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RouteCommands {
    /// The part of the network.
    pub prefix: String,
    /// Shows the route in force: what the next command changes.
    pub show: String,
    /// Changes the route in force, whatever else it leads to.
    pub change: String,
    /// Makes a route of the prefix's own, like the one in force.
    pub own_route: String,
    /// The network namespaces that these belong in.
    pub netns: Vec<u32>,
}

/// Is it there?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Available {
    /// Yes, by the kernel's version.
    Yes,
    /// No, unless a distribution brought it back.
    No,
    /// The recording does not say, or has several kernels that differ.
    Unknown,
}

impl Commands {
    /// For these prefixes, on these kernels (`uname -r`).
    pub(super) fn of(rto_min_ms: u32, prefixes: &[PrefixAdvice], kernels: &[String]) -> Commands {
        let routes = prefixes.iter().filter_map(|advice| {
            let prefix = advice.prefix?.to_string();
            let ip = if advice.address.is_ipv4() { "ip" } else { "ip -6" };
            let show = format!("{ip} route get fibmatch {}", advice.address);
            // `ip` does not read what it writes: a floor that the route has already must not come twice.
            let without_floor = "s/rto_min lock [^ ]*//";
            Some(RouteCommands {
                change: format!("{ip} route change $({show} | sed '{without_floor}') rto_min {rto_min_ms}ms"),
                // What comes after the route's own destination: its gateway, device and attributes.
                own_route: format!(
                    "{ip} route replace {prefix} $({show} | sed 's/^[^ ]* //; {without_floor}') rto_min {rto_min_ms}ms"
                ),
                prefix,
                show,
                netns: advice.netns.clone(),
            })
        });
        Commands {
            rto_min_ms,
            routes: routes.take(MOST_ROUTES).collect(),
            sysctl: format!("sysctl -w net.ipv4.tcp_rto_min_us={}", u64::from(rto_min_ms) * 1000),
            sysctl_available: Available::of(kernels),
        }
    }
}

impl Available {
    /// `tcp_rto_min_us` came with Linux 6.11.
    fn of(kernels: &[String]) -> Available {
        let mut known = kernels.iter().map(|release| version(release).map(|version| version >= (6, 11)));
        let Some(first) = known.next() else { return Available::Unknown };
        match first {
            Some(has) if known.all(|other| other == first) => {
                if has {
                    Available::Yes
                } else {
                    Available::No
                }
            }
            _ => Available::Unknown,
        }
    }
}

/// `6.18.44-x` is 6.18.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sysctl_is_known_by_version() {
        let of = |kernels: &[&str]| Available::of(&kernels.iter().map(|&k| k.to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["6.18.44-fc"]), Available::Yes);
        assert_eq!(of(&["6.11.0", "7.0.1"]), Available::Yes);
        assert_eq!(of(&["6.8.0-31-generic"]), Available::No);
        assert_eq!(of(&["5.15.1", "6.12.3"]), Available::Unknown);
        assert_eq!(of(&["custom"]), Available::Unknown);
        assert_eq!(of(&[]), Available::Unknown);
    }
}
