//! Another process with a name of its own, which opens a connection and writes into it on command.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

use tempfile::TempDir;
use xtask::lab::Namespace;

/// Each line on its standard input is a step. A script's `comm` is the script's own name.
const SCRIPT: &str = "#!/bin/bash\n\
                      read step && exec 3<>/dev/tcp/$1/$2 && echo connected\n\
                      read step && echo hello >&3 && echo written\n\
                      read step\n";

/// A client process.
pub struct Client {
    child: Child,
    steps: ChildStdin,
    answers: Box<dyn BufRead>,
    _script: TempDir,
}

impl Client {
    /// Starts it in a namespace. It does nothing yet, so that it can be moved to a cgroup first.
    pub fn start(namespace: &Namespace, name: &str, server: SocketAddr) -> Client {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join(name);
        fs::write(&script, SCRIPT).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        // Another thread's child may hold the script open for writing between its fork and its exec.
        let spawn = || loop {
            let child = Command::new(&script)
                .args([server.ip().to_string(), server.port().to_string()])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn();
            match child {
                Err(error) if error.raw_os_error() == Some(libc::ETXTBSY) => continue,
                other => break other,
            }
        };
        let mut child = namespace.run(spawn).unwrap();
        let (steps, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Client { child, steps, answers: Box::new(BufReader::new(answers)), _script: dir }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn step(&mut self, answer: &str) {
        self.steps.write_all(b"go on\n").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), answer);
    }

    /// Connects.
    pub fn connect(&mut self) {
        self.step("connected");
    }

    /// Writes a few bytes into the connection.
    pub fn write(&mut self) {
        self.step("written");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A cgroup (v2) of this test's own.
pub struct Cgroup {
    /// Its directory.
    pub path: std::path::PathBuf,
    /// Its path within the hierarchy, as `/proc/PID/cgroup` shows it.
    pub name: String,
}

impl Cgroup {
    /// Makes one; `None` where there is no cgroup2 hierarchy to make it in.
    pub fn new(name: &str) -> Option<Cgroup> {
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        let root = mounts.lines().find_map(|line| {
            let mut words = line.split(' ');
            let (_, at, kind) = (words.next()?, words.next()?, words.next()?);
            (kind == "cgroup2").then_some(at)
        })?;
        let name = format!("/{name}-{}", std::process::id());
        let path = Path::new(root).join(&name[1..]);
        fs::create_dir(&path).ok()?;
        Some(Cgroup { path, name })
    }

    /// Moves a process into it.
    pub fn adopt(&self, pid: u32) {
        fs::write(self.path.join("cgroup.procs"), pid.to_string()).unwrap();
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Its processes must be reaped before; a socket does not keep the directory.
        if let Err(error) = fs::remove_dir(&self.path) {
            eprintln!("{} stays behind: {error}", self.path.display());
        }
    }
}
