//! Kernels from Debian, by apt, without installing anything: a private apt directory for each suite, with the mirror of
//! the machine's own sources and Debian's installed keys.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail, ensure};

use super::kernels::{Kernel, Suite};
use crate::workspace;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Package lists younger than this are taken as they are.
const FRESH: Duration = Duration::from_secs(6 * 3600);

/// What is needed of a kernel, unpacked.
#[derive(Debug, Clone)]
pub(super) struct KernelFiles {
    /// `uname -r`
    pub(super) release: String,
    pub(super) image: PathBuf,
    /// Holds `lib/modules/RELEASE`, with the lists that depmod makes.
    pub(super) root: PathBuf,
}

/// A package's name and version.
type Package = (String, String);

/// Gets a kernel, from the cache under `directory` or from Debian.
///
/// # Errors
/// If Debian, or the way to it, does not have it.
pub(super) fn get(kernel: &Kernel, directory: &Path) -> Result<KernelFiles> {
    let apt = Apt::of(kernel.suite, directory)?;
    let resolved = directory.join(format!("{}.packages", kernel.name));
    let packages = match apt.update().and_then(|()| apt.resolve(kernel.package)) {
        Ok(packages) => {
            fs::write(&resolved, lines_of(&packages))?;
            packages
        }
        // Without the network, the last known will do if it is here.
        Err(error) => match fs::read_to_string(&resolved).ok().and_then(|text| parse_lines(&text)) {
            Some(packages) => {
                println!(
                    "warning: using the packages of the last download, as Debian cannot be reached: {error:#}"
                );
                packages
            }
            None => return Err(error),
        },
    };
    let (_, version) = packages.last().context("no package")?;
    let root = directory.join("kernels").join(format!("{}_{version}", kernel.name));
    if !root.exists() {
        let partial = directory.join("kernels").join(format!("{}.partial", kernel.name));
        let _ = fs::remove_dir_all(&partial);
        fs::create_dir_all(&partial)?;
        for package in &packages {
            apt.unpack(package, &partial)?;
        }
        prepare(&partial)?;
        fs::rename(&partial, &root)?;
    }
    files(root)
}

fn lines_of(packages: &[Package]) -> String {
    packages.iter().map(|(name, version)| format!("{name} {version}\n")).collect()
}

fn parse_lines(text: &str) -> Option<Vec<Package>> {
    text.lines()
        .map(|line| line.split_once(' ').map(|(name, version)| (name.into(), version.into())))
        .collect()
}

/// Gives both layouts of Debian's packages the same shape, and lists the modules' dependencies.
fn prepare(root: &Path) -> Result<()> {
    if !root.join("lib").exists() {
        std::os::unix::fs::symlink("usr/lib", root.join("lib"))?;
    }
    let release = release_in(root)?;
    workspace::run(Command::new(depmod()?).arg("--basedir").arg(root).arg(&release))
}

/// Where depmod is: not on every user's path.
pub(super) fn depmod() -> Result<PathBuf> {
    workspace::find_program("depmod").context("there is no depmod (package kmod)")
}

fn release_in(root: &Path) -> Result<String> {
    let modules = root.join("lib/modules");
    let mut entries = fs::read_dir(&modules).with_context(|| format!("no {}", modules.display()))?;
    let entry = entries.next().context("the packages hold no modules")??;
    entry.file_name().into_string().map_err(|name| anyhow::anyhow!("{} is not UTF-8", name.display()))
}

fn files(root: PathBuf) -> Result<KernelFiles> {
    let release = release_in(&root)?;
    // As a package of its own since 6.19; beside the modules then.
    let places =
        [root.join(format!("boot/vmlinuz-{release}")), root.join(format!("lib/modules/{release}/vmlinuz"))];
    let image = places.into_iter().find(|path| path.is_file());
    let image = image.with_context(|| format!("the packages hold no vmlinuz for {release}"))?;
    Ok(KernelFiles { release, image, root })
}

/// apt, with a directory of its own.
struct Apt {
    directory: PathBuf,
    suite: &'static Suite,
    options: Vec<OsString>,
}

impl Apt {
    fn of(suite: &'static Suite, directory: &Path) -> Result<Apt> {
        let directory = directory.join("apt").join(suite.name);
        for part in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(directory.join(part))?;
        }
        fs::write(directory.join("status"), "")?;
        ensure!(
            Path::new(KEYRING).exists(),
            "no {KEYRING} (package debian-archive-keyring) to verify packages with"
        );
        let mirror = Mirror::of_this_machine();
        let signed = format!("deb [signed-by={KEYRING}]");
        let mut sources = format!("{signed} {} {} main\n", mirror.main, suite.name);
        if let Some(security) = suite.security {
            sources += &format!("{signed} {} {security} main\n", mirror.security);
        }
        fs::write(directory.join("sources.list"), sources)?;
        let mut options: Vec<OsString> = Vec::new();
        for (name, place) in [
            ("Dir::Etc::sourcelist", directory.join("sources.list")),
            ("Dir::Etc::sourceparts", "/dev/null".into()),
            ("Dir::State", directory.join("state")),
            ("Dir::State::status", directory.join("status")),
            ("Dir::Cache", directory.join("cache")),
        ] {
            let mut option = OsString::from(format!("{name}="));
            option.push(place);
            options.extend(["-o".into(), option]);
        }
        for option in [
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
            "Acquire::Languages=none",
            "Acquire::Retries=3",
            // An update that got nothing is an error, not a warning.
            "APT::Update::Error-Mode=any",
            // The directory belongs to whoever runs this, not to apt's own user.
            "APT::Sandbox::User=",
        ] {
            options.extend(["-o".into(), option.into()]);
        }
        Ok(Apt { directory, suite, options })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(&self.options).env("LC_ALL", "C").stdin(Stdio::null());
        command
    }

    fn update(&self) -> Result<()> {
        let stamp = self.directory.join("updated");
        let age = stamp
            .metadata()
            .and_then(|metadata| metadata.modified())
            .map(|then| SystemTime::now().duration_since(then).unwrap_or(Duration::MAX));
        if age.is_ok_and(|age| age < FRESH) {
            return Ok(());
        }
        workspace::output(self.command("apt-get").args(["--quiet", "update"]))
            .with_context(|| format!("cannot get Debian's package lists of {}", self.suite.name))?;
        Ok(fs::write(stamp, "")?)
    }

    /// A kernel's image and the packages that belong to it, the image's own last.
    fn resolve(&self, package: &str) -> Result<Vec<Package>> {
        let mut open = vec![package.to_owned()];
        let mut found: Vec<Package> = Vec::new();
        while let Some(name) = open.pop() {
            if found.iter().any(|(known, _)| *known == name) {
                continue;
            }
            let shown =
                workspace::output(self.command("apt-cache").args(["show", "--no-all-versions", &name]))
                    .with_context(|| format!("Debian {} has no {name}", self.suite.name))?;
            let stanza = Stanza(&shown);
            let Some(version) = stanza.field("Version") else {
                // Of releases that are no longer the latest, the mirror may lack the lists of what is built in, which
                // the image alone does without.
                ensure!(!found.is_empty(), "Debian {} has no {name} any more", self.suite.name);
                continue;
            };
            open.extend(stanza.kernel_packages());
            found.push((name, version.to_owned()));
        }
        found.retain(|(name, _)| is_of_one_release(name));
        // The image is named in the cache's path, whichever package was asked for.
        found.sort_by_key(|(name, _)| name.starts_with("linux-image-"));
        match found.last() {
            Some((name, _)) if name.starts_with("linux-image-") => Ok(found),
            _ => bail!("{package} depends on no kernel"),
        }
    }

    /// Downloads a package and unpacks it.
    fn unpack(&self, (name, version): &Package, into: &Path) -> Result<()> {
        let downloads = into.join("downloads");
        fs::create_dir_all(&downloads)?;
        println!("getting {name} {version}");
        workspace::output(
            self.command("apt-get")
                .args(["--quiet", "download", &format!("{name}={version}")])
                .current_dir(&downloads),
        )
        .with_context(|| format!("cannot download {name}"))?;
        let is_package = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "deb");
        let entries: io::Result<Vec<_>> = fs::read_dir(&downloads)?.map(|entry| Ok(entry?.path())).collect();
        let package =
            entries?.into_iter().find(is_package).with_context(|| format!("{name} did not come"))?;
        workspace::run(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(into))?;
        Ok(fs::remove_dir_all(&downloads)?)
    }
}

/// What `apt-cache show` says.
struct Stanza<'a>(&'a str);

impl Stanza<'_> {
    fn field(&self, name: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Those of its dependencies that are parts of a kernel.
    fn kernel_packages(&self) -> Vec<String> {
        let depends = ["Depends", "Pre-Depends"].iter().filter_map(|name| self.field(name));
        let names =
            depends.flat_map(|list| list.split(',')).filter_map(|item| item.split_whitespace().next());
        names.filter(|name| is_kernel_part(name)).map(str::to_owned).collect()
    }
}

/// Before 6.19 the image has it all; later it depends on a binary, modules, and lists of what is built in.
fn is_kernel_part(name: &str) -> bool {
    let kinds = ["linux-image-", "linux-binary-", "linux-modules-", "linux-base-"];
    kinds.iter().any(|kind| name.starts_with(kind)) && name.contains("-cloud-")
}

/// Metapackages have no full release in their names.
fn is_of_one_release(name: &str) -> bool {
    name.matches('.').count() >= 2
}

/// Where Debian's archives are.
#[derive(Debug, PartialEq, Eq)]
struct Mirror {
    main: String,
    security: String,
}

impl Mirror {
    /// Those of the machine's own sources, if it is a Debian, else the public ones.
    fn of_this_machine() -> Mirror {
        let mut text = fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
        for entry in fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten() {
            text += "\n";
            text += &fs::read_to_string(entry.path()).unwrap_or_default();
        }
        Mirror::of(&text)
    }

    fn of(sources: &str) -> Mirror {
        let lines = sources.lines().filter(|line| !line.trim_start().starts_with('#'));
        let addresses: Vec<&str> =
            lines.flat_map(str::split_whitespace).filter(|word| word.contains("://")).collect();
        let ending = |name: &str| {
            let found = addresses.iter().find(|address| address.trim_end_matches('/').ends_with(name));
            found.map(|address| address.trim_end_matches('/').to_owned())
        };
        Mirror {
            main: ending("/debian").unwrap_or_else(|| "http://deb.debian.org/debian".into()),
            security: ending("/debian-security")
                .unwrap_or_else(|| "http://deb.debian.org/debian-security".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_mirror_is_taken() {
        let sources = "# http://snapshot.example/debian\nTypes: deb\nURIs: http://mirror.example/debian/\n\
                       deb [arch=amd64] https://secure.example/debian-security bookworm-security main\n\
                       deb https://packages.example/apt x main\n";
        let mirror = Mirror::of(sources);
        assert_eq!(mirror.main, "http://mirror.example/debian");
        assert_eq!(mirror.security, "https://secure.example/debian-security");
        assert_eq!(Mirror::of("").main, "http://deb.debian.org/debian");
    }

    #[test]
    fn a_kernels_parts_are_followed_and_nothing_else() {
        let stanza = Stanza(
            "Package: linux-image-7.3.4+deb13-cloud-amd64\nVersion: 7.3.4-1~bpo13+1\n\
             Depends: linux-base-7.3.4+deb13-cloud-amd64 (= 7.3.4-1), linux-binary-7.3.4+deb13-cloud-amd64 (= 7.3.4-1), \
             linux-modules-7.3.4+deb13-cloud-amd64, initramfs-tools | dracut\nPre-Depends: linux-base (>= 4.12~)\n",
        );
        assert_eq!(stanza.field("Version"), Some("7.3.4-1~bpo13+1"));
        let parts = [
            "linux-base-7.3.4+deb13-cloud-amd64",
            "linux-binary-7.3.4+deb13-cloud-amd64",
            "linux-modules-7.3.4+deb13-cloud-amd64",
        ];
        assert_eq!(stanza.kernel_packages(), parts);
    }

    #[test]
    fn metapackages_are_told_by_their_names() {
        assert!(is_of_one_release("linux-image-5.10.0-39-cloud-amd64"));
        assert!(!is_of_one_release("linux-image-6.12-cloud-amd64"));
        assert!(!is_of_one_release("linux-image-cloud-amd64"));
    }

    #[test]
    fn what_was_resolved_is_remembered() {
        let packages = vec![("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2~x".to_owned())];
        assert_eq!(parse_lines(&lines_of(&packages)), Some(packages));
        assert_eq!(parse_lines("broken"), None);
    }
}
