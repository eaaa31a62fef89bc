//! The archive and its checksum. The same files give the same bytes: names in order, no owner, no time.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::workspace;

/// Packs the directory `name` in `parent` into `name.tar.gz` beside it.
///
/// # Errors
/// If tar or gzip is missing or fails.
pub fn pack(parent: &Path, name: &str) -> Result<PathBuf> {
    let archive = parent.join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--mode=go-w"]);
    // gzip's header has a time unless told otherwise.
    tar.args(["--use-compress-program=gzip -9n", "-C"]).arg(parent).arg("-cf").arg(&archive).arg(name);
    workspace::run(&mut tar)?;
    Ok(archive)
}

/// Writes the archive's SHA-256 beside it, as `sha256sum -c` reads it.
///
/// # Errors
/// If one cannot be read or the other not be written.
pub fn checksum(archive: &Path) -> Result<PathBuf> {
    let bytes = fs::read(archive).with_context(|| format!("cannot read {}", archive.display()))?;
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let name = archive.file_name().context("an archive without a name")?.to_string_lossy();
    let sum = archive.with_file_name(format!("{name}.sha256"));
    fs::write(&sum, format!("{digest}  {name}\n"))
        .with_context(|| format!("cannot write {}", sum.display()))?;
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_give_the_same_archive_and_its_sum_is_right() {
        let pack_in = || {
            let parent = tempfile::tempdir().unwrap();
            fs::create_dir_all(parent.path().join("it/dir")).unwrap();
            fs::write(parent.path().join("it/dir/file"), "text").unwrap();
            let archive = pack(parent.path(), "it").unwrap();
            checksum(&archive).unwrap();
            let mut check = Command::new("sha256sum");
            workspace::run(check.args(["-c", "--quiet", "it.tar.gz.sha256"]).current_dir(parent.path()))
                .unwrap();
            fs::read(archive).unwrap()
        };
        assert_eq!(pack_in(), pack_in());
    }
}
