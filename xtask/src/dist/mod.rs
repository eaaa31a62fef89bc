//! `cargo xtask dist`: what to copy onto a production machine. One static program, its manual page and completions,
//! in one archive with a checksum.

mod archive;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{static_build, target::Target, workspace};

/// Completions, and where each shell's packages have them.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "completions/tcpretrans.bash"),
    ("zsh", "completions/_tcpretrans"),
    ("fish", "completions/tcpretrans.fish"),
];

/// Texts of the repository that go along.
const TEXTS: [&str; 5] = ["README.md", "CHANGELOG.md", "LICENSE", "LICENSE-APACHE", "LICENSE-MIT"];

/// Builds it for a target, or for this machine; gives the archive's path.
///
/// # Errors
/// If it does not build, is not static, does not run, or cannot be packed.
pub fn dist(target: Option<&str>) -> Result<PathBuf> {
    let target = match target {
        Some(triple) => Target::named(triple)?,
        None => Target::host()?,
    };
    let built = static_build::static_tracer(&target)?;
    // The manual page is the same on every machine; another machine's program cannot be asked for it here.
    let speaker = match target.runs_here() {
        true => built.clone(),
        false => static_build::static_tracer(&Target::host()?)?,
    };
    let version = workspace::output(Command::new(&speaker).arg("--version"))?;
    let version = version.strip_prefix("tcpretrans ").context("`tcpretrans --version` names no version")?;

    let parent = workspace::target_dir(&workspace::metadata()?)?.join("dist");
    let name = format!("tcpretrans-{version}-{}", target.triple());
    let dir = parent.join(&name);
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    let place = |path: &str| -> Result<PathBuf> {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&dir))
            .with_context(|| format!("cannot create the directory of {}", path.display()))?;
        Ok(path)
    };
    let program = place("tcpretrans")?;
    fs::copy(&built, &program).with_context(|| format!("cannot copy {}", built.display()))?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    write(&place("tcpretrans.1")?, &said_by(&speaker, &["man"])?)?;
    for (shell, path) in COMPLETIONS {
        write(&place(path)?, &said_by(&speaker, &["completions", shell])?)?;
    }
    for text in TEXTS {
        fs::copy(workspace::root().join(text), place(text)?)
            .with_context(|| format!("cannot copy {text}"))?;
    }

    let archive = archive::pack(&parent, &name)?;
    let sum = archive::checksum(&archive)?;
    println!("{}\n{}", archive.display(), sum.display());
    Ok(archive)
}

fn said_by(program: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let mut command = Command::new(program);
    let output =
        command.args(arguments).output().with_context(|| format!("cannot run {}", program.display()))?;
    if !output.status.success() || output.stdout.is_empty() {
        bail!("`{}` failed: {}", workspace::line_of(&command), String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
