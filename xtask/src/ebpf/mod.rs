//! The compiled BPF object: how it is built, what proves that it comes from the sources beside it.
//!
//! The object is committed, so that users need nothing but stable Rust. See `docs/building.md`.

pub mod check;
pub mod compile;
pub mod install;
pub mod manifest;
pub mod object;
pub mod sources;
pub mod toolchain;

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use manifest::Manifest;
use sha2::{Digest, Sha256};
use toolchain::Toolchain;

use crate::workspace;

/// The committed object.
pub fn object_path() -> PathBuf {
    workspace::root().join("tcpretrans/bpf/tcpretrans-bpfel.o")
}

/// The manifest beside it.
pub fn manifest_path() -> PathBuf {
    workspace::root().join("tcpretrans/bpf/tcpretrans-bpfel.manifest")
}

/// SHA-256 in hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Builds the object from source and puts it and its manifest into place (`cargo xtask build-ebpf`).
///
/// # Errors
/// If there is no toolchain, or it fails; the message says what to install.
pub fn build(toolchain: &Toolchain) -> Result<()> {
    println!("{toolchain}");
    let object = compile::object(toolchain)?;
    let before = fs::read(object_path()).ok();
    put_into_place(&object, toolchain)?;
    let sha256 = sha256_hex(&object);
    let change = match before {
        Some(before) if before == object => "unchanged",
        Some(_) => "changed",
        None => "new",
    };
    println!("{}: {} bytes, sha256 {sha256}, {change}", object_path().display(), object.len());
    Ok(())
}

/// Writes an object and its manifest to where they are committed.
fn put_into_place(object: &[u8], toolchain: &Toolchain) -> Result<()> {
    let manifest = Manifest::of(object, toolchain)?;
    let write = |path: PathBuf, bytes: &[u8]| {
        // Renamed into place, so that an interrupted build leaves the old pair or a mismatch that the check finds.
        let temporary = path.with_extension("tmp");
        fs::write(&temporary, bytes)
            .and_then(|()| fs::rename(&temporary, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    };
    write(object_path(), object)?;
    write(manifest_path(), manifest.to_string().as_bytes())
}
