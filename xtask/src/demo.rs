//! `cargo xtask record-demo`: the incident that `tcpretrans demo` shows, played in the lab and recorded by the tracer.

use std::{
    ffi::CString,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{self, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::wait::{WaitStatus, waitpid},
    unistd::{ForkResult, Pid, fork},
};

use crate::{
    lab::{
        self, Connection, Family, Lab, Packets, VOID,
        socket::{self, CLOSE, Options},
        trouble::Fate,
    },
    running::{Running, patience},
    tracer::{
        self,
        build::{Profile, build},
    },
    workspace,
};

/// Where the recording is committed, compressed.
const RECORDING: &str = "tcpretrans/src/demo/incident.jsonl.zlib";
/// The binary carries it.
const MOST_BYTES: usize = 60_000;

/// Play the incident of `tcpretrans demo` in the lab, record it, and put the recording into place
#[derive(Debug, clap::Args)]
pub struct Args {
    /// This tracer instead of one that is built now
    #[arg(long, value_name = "PATH")]
    tracer: Option<PathBuf>,
}

/// Records.
///
/// # Errors
/// Without root, and where the lab, the tracer or the story fails.
pub fn record(args: &Args) -> Result<()> {
    lab::ready()?;
    let tracer = match &args.tracer {
        Some(path) => fs::canonicalize(path).with_context(|| format!("there is no {}", path.display()))?,
        None => build(Profile::Release)?,
    };
    let lab = Lab::new()?;
    // So that a death takes seconds; the recording says so wherever it matters.
    lab.left.sysctl("net.ipv4.tcp_retries2", "5")?;
    lab.left.sysctl("net.ipv4.tcp_syn_retries", "2")?;
    lab.left.sysctl("net.ipv4.tcp_orphan_retries", "4")?;
    lab.one_segment_a_packet()?;
    let mut tracer = start(&tracer, &lab)?;
    play(&lab)?;
    tracer.interrupt().context("the tracer")?;
    let recording = fs::read(tracer.path("incident.jsonl"))?;
    let compressed = miniz_oxide::deflate::compress_to_vec_zlib(&recording, 10);
    if compressed.len() > MOST_BYTES {
        bail!("the recording has {} bytes compressed, more than {MOST_BYTES}", compressed.len());
    }
    let path = workspace::root().join(RECORDING);
    fs::write(&path, &compressed)?;
    println!("{RECORDING}: {} bytes, {} uncompressed", compressed.len(), recording.len());
    Ok(())
}

/// Starts the tracer as a user would, so that the recorded command line is one to learn from.
fn start(program: &Path, lab: &Lab) -> Result<Running> {
    let scratch = tempfile::tempdir()?;
    let mut command = Command::new(program);
    command.arg0("tcpretrans").current_dir(scratch.path());
    command.args(["-q", "-o", "incident.jsonl", "--warn-at", "40", "--netns"]);
    command.arg(lab.left.inode().to_string()).args(["--ready-file", tracer::READY]);
    tracer::attached(Running::start(command, scratch)?)
}

/// A lossy path that TCP copes with; then an outage that some connections live through, some do not, and one
/// application does not wait for.
fn play(lab: &Lab) -> Result<()> {
    program("backup", lab, lossy_transfer)?.wait()?;
    thread::sleep(Duration::from_millis(700));
    let others = [
        program("search", lab, short_outage)?,
        program("checkout", lab, blackhole)?,
        program("billing", lab, impatient)?,
        program("mailer", lab, void)?,
    ];
    others.into_iter().try_for_each(Program::wait)
}

/// A process of the story.
struct Program(&'static str, Pid);

/// Starts one. A socket's owner is the process that opened it, by its name.
fn program(name: &'static str, lab: &Lab, work: fn(&Lab) -> Result<()>) -> Result<Program> {
    let c_name = CString::new(name)?;
    // SAFETY: no other thread is running here that could hold a lock which the child waits for.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(Program(name, child)),
        ForkResult::Child => {
            let done = nix::sys::prctl::set_name(&c_name).map_err(Into::into).and_then(|()| work(lab));
            if let Err(error) = &done {
                eprintln!("{name}: {error:#}");
            }
            // Without dropping anything: the lab is the parent's.
            process::exit(i32::from(done.is_err()));
        }
    }
}

impl Program {
    fn wait(self) -> Result<()> {
        match waitpid(self.1, None)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            other => bail!("{} failed: {other:?}", self.0),
        }
    }
}

fn lossy_transfer(lab: &Lab) -> Result<()> {
    let mut connection = lab.connect(Family::V4, 873)?;
    let lossy = Packets::all().to_port(873).at_least(1000).chance(0.03);
    let trouble = lab.right.on_arrival(&lossy, Fate::Vanish)?;
    for _ in 0..4 {
        connection.transfer(80_000, 0)?;
        thread::sleep(Duration::from_millis(150));
    }
    trouble.heal()
}

/// Connects, makes one exchange, then nothing to that port arrives any more.
fn cut_off(lab: &Lab, port: u16, request: &[u8], then: impl FnOnce(Connection) -> Result<()>) -> Result<()> {
    let mut connection = lab.connect(Family::V4, port)?;
    connection.warm_up()?;
    let trouble = lab.right.on_arrival(&Packets::all().to_port(port), Fate::Vanish)?;
    (&connection.client).write_all(request).context("write()")?;
    then(connection)?;
    trouble.heal()
}

fn short_outage(lab: &Lab) -> Result<()> {
    let mut connection = lab.connect(Family::V4, 9200)?;
    connection.warm_up()?;
    let trouble = lab.right.on_arrival(&Packets::all().to_port(9200), Fate::Vanish)?;
    (&connection.client).write_all(&[b'?'; 420]).context("write()")?;
    thread::sleep(Duration::from_millis(2500));
    trouble.heal()?;
    // The answer takes the last ACK with it, so that this one ends in peace.
    connection.server.read_exact(&mut [0; 420]).context("the request")?;
    connection.server.write_all(b"found").context("the answer")?;
    connection.client.read_exact(&mut [0; 5]).context("the answer")
}

fn blackhole(lab: &Lab) -> Result<()> {
    cut_off(lab, 443, &[b'!'; 1300], |connection| await_death(&connection.client))
}

fn impatient(lab: &Lab) -> Result<()> {
    cut_off(lab, 8080, &[b'$'; 900], |connection| {
        thread::sleep(Duration::from_secs(1));
        drop(connection.client);
        // The kernel goes on alone for a while.
        thread::sleep(Duration::from_secs(8));
        Ok(())
    })
}

fn void(lab: &Lab) -> Result<()> {
    let socket = lab.left.run(|| socket::unconnected(Family::V4))?;
    socket::start_connect(&socket, SocketAddr::new(VOID.v4.into(), 25))?;
    await_death(&socket)
}

fn await_death(socket: &TcpStream) -> Result<()> {
    wait_until("its timeout", || Ok(socket.info()?.state == CLOSE))
}

fn wait_until(what: &str, so: impl Fn() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !so()? {
        if begun.elapsed() > patience() {
            bail!("waited {} s for {what}", patience().as_secs());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
