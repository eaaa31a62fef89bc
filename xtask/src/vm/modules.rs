//! The kernel modules that a guest gets: what the lab needs, and what that needs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use anyhow::{Context, Result};

use super::packages::KernelFiles;
use crate::workspace;

/// Directories, and modules without `.ko`, under `kernel/`. By directory, since which of many small netfilter modules
/// serves a rule differs from kernel to kernel.
const WANTED: [&str; 7] = [
    "net/netfilter/",
    "net/ipv4/",
    "net/ipv6/",
    "net/sched/",
    "drivers/net/veth",
    "drivers/net/dummy",
    "drivers/net/tun",
];
/// Of those, what no lab needs: tunnels, and what would pull half of the kernel in.
const UNWANTED: [&str; 3] = ["net/netfilter/ipvs/", "net/netfilter/ipset/", "net/sched/act_"];

/// A module's place in the guest, and its content.
pub(super) type Module = (String, Vec<u8>);

/// The guest's `lib/modules/RELEASE`: uncompressed modules, and the lists that modprobe reads.
pub(super) fn closure(kernel: &KernelFiles, scratch: &Path) -> Result<Vec<Module>> {
    let from = kernel.root.join("lib/modules").join(&kernel.release);
    let listed = fs::read_to_string(from.join("modules.dep")).context("no modules.dep")?;
    let root = scratch.join("modules");
    let to = root.join("lib/modules").join(&kernel.release);
    let mut taken = BTreeSet::new();
    for module in chosen(&dependencies(&listed)) {
        let place = to.join(bare(module)).with_extension("ko");
        fs::create_dir_all(place.parent().context("a module outside of any directory")?)?;
        fs::write(&place, content(&from.join(module))?)?;
        taken.insert(place);
    }
    // depmod wants these to know the order and what is built in.
    for list in ["modules.order", "modules.builtin", "modules.builtin.modinfo"] {
        let source = from.join(list);
        if source.exists() {
            fs::copy(source, to.join(list))?;
        }
    }
    workspace::run(
        Command::new(super::packages::depmod()?).arg("--basedir").arg(&root).arg(&kernel.release),
    )?;
    for entry in fs::read_dir(&to)? {
        let path = entry?.path();
        if path.is_file() {
            taken.insert(path);
        }
    }
    let name = |path: &Path| {
        let within = path.strip_prefix(&root).unwrap_or(path);
        Path::new("/usr").join(within).to_string_lossy().into_owned()
    };
    taken.iter().map(|path| Ok((name(path), fs::read(path)?))).collect()
}

/// `modules.dep`: each module's path, and the paths of those that it needs.
fn dependencies(listed: &str) -> BTreeMap<&str, Vec<&str>> {
    let lines = listed.lines().filter_map(|line| line.split_once(':'));
    lines.map(|(module, needs)| (module, needs.split_whitespace().collect())).collect()
}

/// The wanted modules and all that they need; depmod lists the needs of needs as well.
fn chosen<'a>(dependencies: &BTreeMap<&'a str, Vec<&'a str>>) -> BTreeSet<&'a str> {
    let is_of = |module: &str, names: &[&str]| {
        let path = bare(module).strip_prefix("kernel/").unwrap_or(module);
        names
            .iter()
            .any(|name| if name.ends_with(['/', '_']) { path.starts_with(name) } else { path == *name })
    };
    let wanted =
        dependencies.iter().filter(|(module, _)| is_of(module, &WANTED) && !is_of(module, &UNWANTED));
    wanted.flat_map(|(module, needs)| needs.iter().chain([module])).copied().collect()
}

/// A module's path without `.ko` and its compression.
fn bare(module: &str) -> &str {
    module.rsplit_once(".ko").map_or(module, |(path, _)| path)
}

fn content(path: &Path) -> Result<Vec<u8>> {
    let decompressor = match path.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        Some("gz") => "gzip",
        _ => return fs::read(path).with_context(|| format!("cannot read {}", path.display())),
    };
    let output = Command::new(decompressor)
        .args(["--decompress", "--stdout"])
        .arg(path)
        .output()
        .with_context(|| format!("cannot start {decompressor}"))?;
    anyhow::ensure!(output.status.success(), "{decompressor} cannot read {}", path.display());
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_comes_with_what_it_needs() {
        let listed = "kernel/net/sched/sch_netem.ko.xz:\n\
                      kernel/net/netfilter/xt_length.ko.xz: kernel/net/netfilter/x_tables.ko.xz\n\
                      kernel/net/sched/act_x.ko: kernel/huge.ko\n\
                      kernel/net/ipv6/nf_y.ko: kernel/lib/crc.ko\n\
                      kernel/drivers/net/veth.ko.xz:\nkernel/drivers/net/veth_other.ko.xz:\nkernel/huge.ko:\n";
        let found: Vec<_> = chosen(&dependencies(listed)).into_iter().collect();
        let expected = [
            "kernel/drivers/net/veth.ko.xz",
            "kernel/lib/crc.ko",
            "kernel/net/ipv6/nf_y.ko",
            "kernel/net/netfilter/x_tables.ko.xz",
            "kernel/net/netfilter/xt_length.ko.xz",
            "kernel/net/sched/sch_netem.ko.xz",
        ];
        assert_eq!(found, expected);
    }
}
