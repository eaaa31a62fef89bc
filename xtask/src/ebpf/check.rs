//! Does the committed object come from the committed sources? (`cargo xtask check-ebpf`)

use anyhow::{Result, bail};

use super::{
    compile,
    manifest::{self, Manifest, Tools},
    object::Contents,
    put_into_place, sha256_hex,
    toolchain::Toolchain,
};

/// What a check found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A rebuild gave the same bytes.
    SameBytes,
    /// Other tools than the manifest's gave another object, with the same programs, maps and globals.
    OtherTools {
        /// Whether the rebuilt object and its manifest were put into place.
        replaced: bool,
    },
    /// Hashes match; nothing was rebuilt for want of a toolchain.
    HashesOnly,
}

/// Checks the hashes and, where there is a toolchain, rebuilds and compares.
///
/// # Errors
/// If the object does not come from the sources, or cannot be rebuilt.
pub fn check(toolchain: Option<&Toolchain>, replace: bool) -> Result<Verdict> {
    let (committed, manifest) = manifest::check_committed()?;
    println!("committed: {} bytes, sha256 {}", committed.len(), manifest.object);
    println!("  the manifest has its hash, and the hash of these sources ({})", manifest.sources.sha256());
    println!("  made with {}", manifest.tools);
    let Some(toolchain) = toolchain else { return Ok(Verdict::HashesOnly) };

    println!("{toolchain}");
    let rebuilt = compile::object(toolchain)?;
    if rebuilt == committed {
        println!("rebuilt: the same, byte for byte");
        return Ok(Verdict::SameBytes);
    }
    let tools = Tools::of(toolchain);
    println!("rebuilt: {} bytes, sha256 {}: not the same", rebuilt.len(), sha256_hex(&rebuilt));
    compare(&committed, &rebuilt, &manifest, &tools)?;
    println!(
        "the tools are others than the manifest's, so other bytes are no surprise:\n  then {}\n  now  {tools}",
        manifest.tools
    );
    if replace {
        put_into_place(&rebuilt, toolchain)?;
        println!("the rebuilt object and its manifest are in place of the committed ones");
    }
    Ok(Verdict::OtherTools { replaced: replace })
}

/// Fails where the difference cannot be the tools' doing.
fn compare(committed: &[u8], rebuilt: &[u8], manifest: &Manifest, tools: &Tools) -> Result<()> {
    let (then, now) = (Contents::read(committed)?, Contents::read(rebuilt)?);
    let differences = then.interface.differences(&now.interface);
    if !differences.is_empty() {
        bail!(
            "the committed object is not made from these sources:\n  {}\nRun `cargo xtask build-ebpf` and commit the \
             object and its manifest",
            differences.join("\n  ")
        );
    }
    let (programs, data) = now.interface.counts();
    println!(
        "  {programs} programs and {data} maps and globals are the same; {} instructions then, {} now",
        then.instructions, now.instructions
    );
    if manifest.tools == *tools {
        bail!(
            "the same sources and the same tools ({tools}) should give the same bytes: the committed object was made \
             from something else, or the build has stopped being reproducible. Run `cargo xtask build-ebpf` and \
             commit the object and its manifest"
        );
    }
    Ok(())
}
