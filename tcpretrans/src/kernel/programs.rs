//! Loading the BPF programs and attaching them.

use std::{
    os::fd::{AsFd, AsRawFd},
    path::Path,
    thread,
};

use aya::{
    Ebpf, EbpfLoader, Endianness, include_bytes_aligned,
    maps::{
        Array, HashMap, MapData, PerCpuArray, RingBuf,
        lpm_trie::{Key, LpmTrie},
    },
    programs::{
        BtfTracePoint, FExit, Iter, Program, ProgramError, fexit::FExitLinkId, iter::IterLink,
        tp_btf::BtfTracePointLinkId,
    },
};
use tcpretrans_ebpf::{
    Field, Form, Kind, Location,
    filter::{PortSet, address, port_set},
};

use super::{
    excerpt::excerpt,
    features::{Features, RECOVERY_EXIT, Tracepoint},
    hz,
    specialise::{SpecialiseError, specialise},
};
use crate::filter::kernel_maps::KernelFilter;

/// The compiled programs. `cargo xtask build-ebpf` makes them from `tcpretrans-ebpf`.
#[cfg(target_endian = "little")]
static OBJECT: &[u8] = include_bytes_aligned!("../../bpf/tcpretrans-bpfel.o");
#[cfg(target_endian = "big")]
compile_error!("the committed BPF object is little-endian; no big-endian machine was ever tried");
#[cfg(not(target_pointer_width = "64"))]
compile_error!(
    "BPF programs read the kernel's pointers and longs as 64-bit; no 32-bit machine was ever tried"
);

/// The program that looks at the sockets that were there before the trace.
const SEED: &str = Kind::Seed.name();

/// Default size of the ring buffer, bytes: some 8,000 records.
pub(crate) const DEFAULT_RING_BYTES: u32 = 4 << 20;

/// Why the programs could not be put to work.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// aya could not read what it was given of the kernel's type information.
    #[error("cannot read the kernel's BTF: {0}")]
    AyaBtf(#[from] aya::BtfError),
    /// The object, or one of its maps.
    #[error("cannot load the BPF object: {0}")]
    Object(#[from] aya::EbpfError),
    /// The object again.
    #[error("the BPF object was not built from these sources: {0}")]
    Specialise(#[from] SpecialiseError),
    /// The limit of locked memory, which maps count against on this kernel.
    #[error(
        "no privilege to create BPF maps as large as tracing needs: this kernel counts them as locked memory. Raise the \
         limit (ulimit -l unlimited), run tcpretrans as root, or grant CAP_SYS_RESOURCE as well"
    )]
    LockedMemory,
    /// A map.
    #[error("cannot use the BPF map {map}: {source}")]
    Map {
        /// Its name.
        map: &'static str,
        /// What the system said.
        source: aya::maps::MapError,
    },
    /// A program.
    #[error("cannot {what} the BPF program {program}: {source}")]
    Program {
        /// `load` or `attach`
        what: &'static str,
        /// Its name.
        program: &'static str,
        /// What the system said.
        source: ProgramError,
    },
    /// The object lacks something that it was built with.
    #[error("the BPF object has no {0}: it was not built from these sources")]
    Incomplete(&'static str),
}

/// What the programs are loaded with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Filters that the kernel decides.
    pub filter: KernelFilter,
    /// Report every socket's close.
    pub all_closes: bool,
    /// Ring buffer size in bytes; a power of two, at least a page.
    pub ring_bytes: u32,
    /// Let the programs log their rare errors.
    pub verbose: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            filter: KernelFilter::default(),
            all_closes: false,
            ring_bytes: DEFAULT_RING_BYTES,
            verbose: false,
        }
    }
}

/// The programs, attached. Dropping it detaches them.
pub struct Programs {
    ebpf: Ebpf,
    sent: PerCpuArray<MapData, u64>,
    lost: PerCpuArray<MapData, u64>,
    links: Vec<(&'static str, BtfTracePointLinkId)>,
    recovery_exit: Option<FExitLinkId>,
}

impl std::fmt::Debug for Programs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Programs({:?})", self.links)
    }
}

/// Counts by record kind.
pub(crate) type KindCounts = [u64; Kind::COUNT as usize];

impl Programs {
    /// Loads and attaches everything that this kernel has tracepoints for.
    ///
    /// # Errors
    /// [`AttachError`]; nothing stays attached then.
    pub fn attach(
        features: &Features,
        settings: &Settings,
    ) -> Result<(Programs, RingBuf<MapData>), AttachError> {
        let kernel_btf = &aya::Btf::parse(&excerpt(&features.attach_types), Endianness::default())?;
        let object = specialise(OBJECT, features)?;
        let locations = location_words(features);
        let filter = settings.filter.settings();
        let filter_words =
            [filter.active, filter.cgroup_level, filter.cgroup_id as u32, (filter.cgroup_id >> 32) as u32];
        let has_err = u32::from(features.retransmit_err);
        let has_reason = u32::from(features.reset_reason);
        let has_cookie = u32::from(features.socket_cookie);
        let watch_recoveries = u32::from(features.recovery_exit);
        let all_closes = u32::from(settings.all_closes);
        let mark_ms = hz::mark_ms();
        let wake_bytes = settings.ring_bytes / 4;
        let log_level = if settings.verbose { u8::MAX } else { 0 };

        let mut loader = EbpfLoader::new();
        if !features.recovery_exit {
            loader.map_max_entries("IN_LOSS", 1);
        }
        let mut ebpf = loader
            // The programs have no relocations that would ask for it.
            .btf(None)
            .override_global("FIELD_LOCATIONS", locations.as_slice(), true)
            .override_global("FILTER", filter_words.as_slice(), true)
            .override_global("RETRANSMIT_HAS_ERR", &has_err, true)
            .override_global("SEND_RESET_HAS_REASON", &has_reason, true)
            .override_global("HAS_COOKIE_HELPER", &has_cookie, true)
            .override_global("WATCH_RECOVERIES", &watch_recoveries, true)
            .override_global("ALL_CLOSES", &all_closes, true)
            .override_global("CALIBRATION_MARK_MS", &mark_ms, true)
            .override_global("WAKE_BYTES", &wake_bytes, true)
            .override_global(aya_log::LEVEL, &log_level, true)
            .map_max_entries("EVENTS", settings.ring_bytes)
            .load(&object)
            .map_err(|source| object_error(features, source))?;

        fill_filter_maps(&mut ebpf, &settings.filter)?;
        let sent = counters(&mut ebpf, "SENT")?;
        let lost = counters(&mut ebpf, "LOST")?;
        let events = ebpf.take_map("EVENTS").ok_or(AttachError::Incomplete("EVENTS"))?;
        let events =
            RingBuf::try_from(events).map_err(|source| AttachError::Map { map: "EVENTS", source })?;

        load_all(&mut ebpf, features, kernel_btf)?;
        // Attached last and together, so that no program runs before all were accepted.
        let recovery_exit =
            if features.recovery_exit { watch_recoveries_end(&mut ebpf, kernel_btf) } else { None };
        let mut links = Vec::new();
        for Tracepoint { name, .. } in Tracepoint::all() {
            if !features.has(name) {
                continue;
            }
            let link = tracepoint_program(&mut ebpf, name)?
                .attach()
                .map_err(|source| AttachError::Program { what: "attach", program: name, source })?;
            links.push((name, link));
        }
        Ok((Programs { ebpf, sent, lost, links, recovery_exit }, events))
    }

    /// Detaches all programs. The counters stay readable.
    ///
    /// # Errors
    /// [`AttachError::Program`] if the kernel refuses, which it never should.
    pub fn detach(&mut self) -> Result<(), AttachError> {
        for (name, link) in std::mem::take(&mut self.links) {
            tracepoint_program(&mut self.ebpf, name)?
                .detach(link)
                .map_err(|source| AttachError::Program { what: "detach", program: name, source })?;
        }
        if let Some(link) = self.recovery_exit.take() {
            let error = |source| AttachError::Program { what: "detach", program: RECOVERY_EXIT, source };
            recovery_exit_program(&mut self.ebpf).and_then(|program| program.detach(link)).map_err(error)?;
        }
        Ok(())
    }

    /// Are the ends of recoveries watched at a function's exit? Not every machine whose kernel has that function can
    /// (arm64 before 6.0 cannot).
    pub fn watches_recovery_exit(&self) -> bool {
        self.recovery_exit.is_some()
    }

    /// An iterator over the TCP sockets of the calling thread's network namespace. Reading it to its end puts a
    /// `Kind::Seed` record for each one in RTO backoff into the ring.
    ///
    /// # Errors
    /// [`AttachError`] if the kernel refuses it.
    pub fn seed_link(&mut self) -> Result<IterLink, AttachError> {
        let error = |what| move |source| AttachError::Program { what, program: SEED, source };
        let program: &mut Iter = self
            .ebpf
            .program_mut(SEED)
            .ok_or(AttachError::Incomplete(SEED))?
            .try_into()
            .map_err(error("find"))?;
        let id = program.attach().map_err(error("attach"))?;
        program.take_link(id).map_err(error("attach"))
    }

    /// The object, for its log.
    pub fn ebpf_mut(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// Records submitted to the ring so far, by kind.
    ///
    /// # Errors
    /// [`AttachError::Map`] if the counters cannot be read.
    pub fn sent(&self) -> Result<KindCounts, AttachError> {
        sum(&self.sent, "SENT")
    }

    /// Records that found the ring full so far, by kind.
    ///
    /// # Errors
    /// [`AttachError::Map`] if the counters cannot be read.
    pub fn lost(&self) -> Result<KindCounts, AttachError> {
        sum(&self.lost, "LOST")
    }

    /// Runs that the kernel skipped because the program was already running on that CPU, by program; none where the
    /// kernel does not count them (before 5.12).
    pub fn recursion_misses(&self) -> impl Iterator<Item = (&str, u64)> {
        self.ebpf.programs().filter_map(|(name, program)| {
            let path = format!("/proc/self/fdinfo/{}", program.fd().ok()?.as_fd().as_raw_fd());
            let text = std::fs::read_to_string(Path::new(&path)).ok()?;
            let count = text.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?;
            Some((name, count.trim().parse().ok()?))
        })
    }
}

/// What the programs get to know of the fields. A bitfield that does not exist is read as all ones, and must stay so.
fn location_words(features: &Features) -> Vec<u32> {
    let word = |&field: &Field| match (field.form(), features.location(field)) {
        (Form::Bits, Location::ABSENT) => Location::ABSENT_BITS.0,
        (_, location) => location.0,
    };
    Field::ALL.iter().map(word).collect()
}

/// Has the verifier read the programs, all at once: it takes a few milliseconds for each.
fn load_all(ebpf: &mut Ebpf, features: &Features, kernel_btf: &aya::Btf) -> Result<(), AttachError> {
    thread::scope(|scope| {
        let mut loading = Vec::new();
        for (name, program) in ebpf.programs_mut() {
            let known = Tracepoint::all().map(|tracepoint| tracepoint.name).find(|known| *known == name);
            let name = match known {
                Some(known) if features.has(known) => known,
                None if name == SEED && features.seed => SEED,
                _ => continue,
            };
            let load = move || match program {
                Program::Iter(program) => program.load("tcp", kernel_btf),
                Program::BtfTracePoint(program) => program.load(name, kernel_btf),
                _ => Err(ProgramError::UnexpectedProgramType),
            };
            loading.push((name, scope.spawn(load)));
        }
        for (program, thread) in loading {
            thread
                .join()
                .unwrap_or_else(|payload| std::panic::resume_unwind(payload))
                .map_err(|source| AttachError::Program { what: "load", program, source })?;
        }
        Ok(())
    })
}

fn recovery_exit_program(ebpf: &mut Ebpf) -> Result<&mut FExit, ProgramError> {
    let missing = || ProgramError::UnexpectedProgramType;
    ebpf.program_mut(RECOVERY_EXIT).ok_or_else(missing)?.try_into()
}

/// A help on older kernels, and nothing that tracing could not do without.
fn watch_recoveries_end(ebpf: &mut Ebpf, kernel_btf: &aya::Btf) -> Option<FExitLinkId> {
    let attached = recovery_exit_program(ebpf).and_then(|program| {
        program.load(RECOVERY_EXIT, kernel_btf)?;
        program.attach()
    });
    attached.inspect_err(|error| log::warn!("cannot watch {RECOVERY_EXIT}: {error}")).ok()
}

/// Where maps are locked memory, the refusal to make one has a reason that its errno does not show.
fn object_error(features: &Features, source: aya::EbpfError) -> AttachError {
    let refused = matches!(&source, aya::EbpfError::MapError(aya::maps::MapError::CreateError { io_error, .. })
        if io_error.raw_os_error() == Some(libc::EPERM));
    if refused && features.maps_are_locked_memory {
        return AttachError::LockedMemory;
    }
    AttachError::Object(source)
}

fn tracepoint_program<'a>(
    ebpf: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut BtfTracePoint, AttachError> {
    ebpf.program_mut(name)
        .ok_or(AttachError::Incomplete(name))?
        .try_into()
        .map_err(|source| AttachError::Program { what: "find", program: name, source })
}

fn counters(ebpf: &mut Ebpf, name: &'static str) -> Result<PerCpuArray<MapData, u64>, AttachError> {
    let map = ebpf.take_map(name).ok_or(AttachError::Incomplete(name))?;
    PerCpuArray::try_from(map).map_err(|source| AttachError::Map { map: name, source })
}

fn sum(counters: &PerCpuArray<MapData, u64>, map: &'static str) -> Result<KindCounts, AttachError> {
    let mut counts = KindCounts::default();
    for (index, count) in counts.iter_mut().enumerate() {
        let per_cpu = counters.get(&(index as u32), 0).map_err(|source| AttachError::Map { map, source })?;
        *count = per_cpu.iter().sum();
    }
    Ok(counts)
}

/// A port set as a map value. aya wants a type of ours to vouch that it is plain data.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct PortSetValue(PortSet);

// SAFETY: an array of integers: no padding, every bit pattern valid.
unsafe impl aya::Pod for PortSetValue {}

fn fill_filter_maps(ebpf: &mut Ebpf, filter: &KernelFilter) -> Result<(), AttachError> {
    let map_error = |map| move |source| AttachError::Map { map, source };
    let sets = [
        (port_set::EITHER, &filter.ports),
        (port_set::LOCAL, &filter.lports),
        (port_set::REMOTE, &filter.rports),
    ];
    let mut ports: Array<_, PortSetValue> = ebpf
        .map_mut("PORT_SETS")
        .ok_or(AttachError::Incomplete("PORT_SETS"))?
        .try_into()
        .map_err(map_error("PORT_SETS"))?;
    for (index, set) in sets {
        if let Some(set) = set {
            ports.set(index, PortSetValue(set.bitmap()), 0).map_err(map_error("PORT_SETS"))?;
        }
    }

    let mut addresses: LpmTrie<_, [u8; 16], u32> = ebpf
        .map_mut("ADDRESSES")
        .ok_or(AttachError::Incomplete("ADDRESSES"))?
        .try_into()
        .map_err(map_error("ADDRESSES"))?;
    let lists = [
        (address::EITHER, &filter.addrs),
        (address::LOCAL, &filter.laddrs),
        (address::REMOTE, &filter.raddrs),
    ];
    for prefix in lists.iter().flat_map(|(_, list)| list.iter()) {
        // The trie answers with the longest match alone, so a prefix carries the flags of all that contain it.
        let flags = lists
            .iter()
            .filter(|(_, list)| list.iter().any(|other| other.contains(prefix)))
            .fold(0, |flags, (flag, _)| flags | flag);
        let (bits, bytes) = prefix.as_mapped();
        addresses.insert(&Key::new(bits, bytes), flags, 0).map_err(map_error("ADDRESSES"))?;
    }

    let mut netns: HashMap<_, u32, u8> = ebpf
        .map_mut("NETNS")
        .ok_or(AttachError::Incomplete("NETNS"))?
        .try_into()
        .map_err(map_error("NETNS"))?;
    for inum in &filter.netns {
        netns.insert(inum, 1, 0).map_err(map_error("NETNS"))?;
    }
    Ok(())
}
