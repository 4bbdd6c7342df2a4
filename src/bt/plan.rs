//! The plan of a run: the maps, the compiled programs and the layout of the records that they send. Lowering makes it,
//! the run half loads, attaches and decodes by it.
//!
//! ```text
//! let program: hir::Program = check(…);
//! let maps = MapPlan::new(&program, &target)?;           // owns the specs of all maps
//! let plan = lower::lower(&program, &maps, &target)?;    // owns the code, which names those specs
//! let mut loader = Loader::new();
//! for one in &plan.programs { loader.load(&ProgramSpec { code: one.code.code_with_fields(), … })?; }
//! let globals = loader.map(maps.globals())?;             // fill in: see `Globals`
//! ```
//!
//! The loader creates a map when the first program names it. Those that no program names need not exist, but for user
//! maps that are printed at the end ([`Loader::map`](crate::program::Loader::map) creates them).
//!
//! # Records
//!
//! Programs send everything that user space does through one ring buffer, in order. A record begins with a `u64`, its
//! index in [`Plan::records`]; then come the fields, each at its offset, laid out as [`types`](super::types) says. Bytes
//! behind the zero of a string, and padding, are not cleared.
//!
//! # Losses
//!
//! A record that found no room, an element that found none in its map or could not be stored for another reason, and a run that
//! found no free scratch memory each count in a `u64` of the [`Globals`], which only grows.

use super::diagnostic::Diagnostic;
use super::hir::{Async, ExprKind, Map, MapId, MapKind, Program, StatementKind};
use super::hir::{Builtin, Call};
use super::probe::{AttachPoint, Kind};
use super::source::Span;
pub(crate) use super::target::{Feature, Target};
use super::types::{Space, Type};
use super::visit::{self, Node};
use crate::codegen::Compiled;
use crate::spec::MapSpec;
use crate::uapi::{AttachType, MapFlags, MapType, ProgramType};
use std::collections::{HashMap, HashSet};

/// The layout of the one value of the map of globals ([`MapPlan::globals`]). It begins as zeros; the run half
/// writes the numbers up to [`Globals::LOST_RUNS`] after the programs were loaded and before the first is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Globals {
    /// The number of user maps.
    maps: u32,
    /// The number of zero bytes behind their counters.
    zeros: u32,
    /// The number of counters of lost records: CPUs, rounded up to a power of two.
    cpus: u32,
}

/// The most rounds of a loop: those of the helper `loop` (`BPF_MAX_LOOPS`).
pub(crate) const MOST_ROUNDS: u32 = 8 << 20;

impl Globals {
    /// `u64`: `CLOCK_BOOTTIME` when the run began, for `elapsed`, in nanoseconds.
    pub(crate) const START: u32 = 0;
    /// `u64`: the offset of TAI from the boot clock, for `nsecs(sw_tai)`.
    pub(crate) const TAI_OFFSET: u32 = 8;
    /// `u64`: the process id of the command of `-c`, 0 if there is none.
    pub(crate) const COMMAND: u32 = 16;
    /// `u64`: 0, a value that is unknown to the verifier.
    pub(crate) const OPAQUE_ZERO: u32 = 24;
    /// `u64`: how many runs of programs ended early because no scratch memory was free.
    pub(crate) const LOST_RUNS: u32 = 32;
    /// `u32`: the status of an `exit()` whose record found the ring buffer full; and behind it a `u32` that is 1 if there was
    /// one.
    pub(crate) const LOST_EXIT: u32 = 40;
    /// `u64`: 1 when `exit()` was called. What probes send after it is not printed, and so not lost.
    pub(crate) const EXITED: u32 = 48;
    /// `u64`: how many loops ended because the kernel runs no more rounds.
    pub(crate) const CUT_LOOPS: u32 = 56;
    /// The offset of the first of the counters of [`Globals::results`].
    const FIRST_RESULT: u32 = 64;
    /// The number of counters of a map: one for each result of an update, a power of two. Error numbers that an update returns are
    /// smaller.
    pub(crate) const RESULTS: u32 = 128;

    /// Returns the offset of the counters of a map. Each is a `u64`: how many updates had the result whose low bits are its index,
    /// of those after which the element was not there.
    pub(crate) fn results(self, map: MapId) -> u32 {
        Self::FIRST_RESULT + map.0 * Self::RESULTS * 8
    }

    /// Returns the error number of the updates that a counter counts; none if these did not fail.
    pub(crate) fn error_of(index: u32) -> Option<i32> {
        let error = (Self::RESULTS - index).cast_signed();
        (index != 0 && error != libc::EEXIST).then_some(error)
    }

    /// The distance between two counters of lost records, as a shift: a cache line each, so that CPUs which lose records at the same
    /// time do not wait for each other.
    pub(crate) const LOST_RECORDS_SHIFT: u32 = 6;

    /// Returns the offset of the counters of lost records, and their number, a power of two. Each is a `u64`: how many records were
    /// lost on a CPU because the ring buffer was full.
    pub(crate) fn lost_records(self) -> (u32, u32) {
        let (offset, zeros) = self.zeros();
        ((offset + zeros).next_multiple_of(1 << Self::LOST_RECORDS_SHIFT), self.cpus)
    }

    /// Returns the offset and the number of zero bytes, which are never written.
    pub(crate) fn zeros(self) -> (u32, u32) {
        (Self::FIRST_RESULT + self.maps * Self::RESULTS * 8, self.zeros)
    }

    /// Returns the size of the value.
    pub(crate) fn size(self) -> u32 {
        let (offset, cpus) = self.lost_records();
        offset + (cpus << Self::LOST_RECORDS_SHIFT)
    }
}

/// The layout in which the elements of a map of the script are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Storage {
    /// One value: an array with one element, in which a `u64` at this offset is 1 if there is a value. Removing the value is
    /// to store zeros.
    Single {
        /// The offset of the `u64`: behind the value, aligned to 8.
        present: u32,
    },
    /// One value: a hash table with one element, whose key is a `u64` of 0.
    SingleHash,
    /// A hash table by the map's key.
    Hash,
}

/// A map of the script.
#[derive(Debug, Clone)]
pub(crate) struct UserMap<'p> {
    /// Its declaration with the types of key and value.
    pub map: &'p Map,
    /// The layout in which its elements are stored.
    pub storage: Storage,
    /// Whether there is a value for each CPU, to be merged.
    pub per_cpu: bool,
    /// Whether the programs that change it can interrupt each other on a CPU.
    pub nested: bool,
    /// The map.
    pub spec: MapSpec<'p>,
}

/// A map of stacks.
#[derive(Debug, Clone)]
pub(crate) struct StackMap<'p> {
    /// The address space of the stacks: kernel or user.
    pub space: Space,
    /// The most frames.
    pub depth: u32,
    /// The map, a `stack_trace`: the id of a [`Type::Stack`] is its key.
    pub spec: MapSpec<'p>,
}

/// The maps of a run.
#[derive(Debug, Clone)]
pub(crate) struct MapPlan<'p> {
    /// The maps of the script, by [`MapId`].
    pub user: Vec<UserMap<'p>>,
    /// The maps of stacks.
    pub stacks: Vec<StackMap<'p>>,
    /// The ring buffer.
    pub ring: MapSpec<'p>,
    /// The layout of the globals.
    pub layout: Globals,
    globals: MapSpec<'p>,
    /// Scratch memory, the smaller first. Private to lowering.
    pub(super) scratch: Vec<MapSpec<'p>>,
}

/// The sizes of the values of scratch maps, owner's word included.
const SCRATCH: [u32; 4] = [1 << 9, 1 << 11, 1 << 13, 1 << 15];

/// The number of program runs that can hold scratch memory on one CPU at the same time: programs that interrupt each
/// other, and uprobes of tasks that preempt each other.
const SCRATCH_SLOTS: u32 = 8;

/// The most CPUs that get a counter of lost records of their own, as many as `CONFIG_NR_CPUS` may be.
const MOST_CPUS: u32 = 1 << 13;

/// The largest value of a per-CPU map (`PCPU_MIN_UNIT_SIZE`).
const MAX_PERCPU_VALUE: u32 = 32 << 10;

/// The largest key of a hash table in kernels before 5.11 (`MAX_BPF_STACK`).
const MAX_SMALL_KEY: u32 = 512;

/// From so many bytes on, elements of hash tables are allocated when they are needed, if the kernel can do that in any
/// context (`bpf_mem_alloc`, Linux 6.1): to allocate the default of 4,096 keys in advance takes 2 ms of each start.
const PREALLOCATED: u64 = 64 << 10;

/// Elements with larger values for each CPU are not. The kernel takes them from the few pages of per-CPU memory that are
/// there, until a worker has made more: of 4,000 histograms that a probe adds at once, 1,600 are stored; of `stats()`, on Linux
/// 6.1, not all; of counters, all, if interrupts are enabled. Where they are not, as in the scheduler, there is memory for one to
/// three elements (`init_refill_work` in kernel/bpf/memalloc.c, Linux 6.8), until an interrupt has made more.
const ALLOCATED_PER_CPU: u32 = 8;

/// But if the map has more bytes than that, they are: it may never be filled.
const MOST_PREALLOCATED: u64 = 64 << 20;

impl<'p> MapPlan<'p> {
    /// Plans the maps of a program.
    ///
    /// # Errors
    /// A map that cannot be stored on this kernel.
    pub(crate) fn new(
        program: &'p Program,
        target: &Target<'_>,
    ) -> Result<MapPlan<'p>, Diagnostic> {
        let uses = Uses::of(program);
        let mut user = Vec::new();
        for (map, id) in program.maps.iter().zip(0..) {
            user.push(user_map(program, map, MapId(id), &uses, target)?);
        }
        let stacks = uses.stacks.iter().map(|&(space, depth)| {
            let name = if space == Space::Kernel { "bt.kstack" } else { "bt.ustack" };
            let element = depth.saturating_mul(8).saturating_add(32);
            let entries = (MAX_STACK_BYTES / element.max(1)).clamp(1 << 10, 1 << 16);
            let entries = 1 << entries.ilog2();
            StackMap { space, depth, spec: MapSpec::stack_trace(name, depth, entries) }
        });
        let zeros = program
            .maps
            .iter()
            .map(|map| map.value.size(&program.structs).saturating_add(8))
            .chain([program.config.max_strlen, 1 << 10])
            .max()
            .unwrap_or(0)
            .saturating_add(8)
            & !7;
        // More CPUs than any kernel has would be a mistake of the reader; those beyond count as others.
        let cpus = target.cpus.clamp(1, MOST_CPUS).next_power_of_two();
        let layout = Globals { maps: program.maps.len() as u32, zeros, cpus };
        let scratch = SCRATCH.iter().map(|&size| {
            MapSpec::percpu_array("bt.scratch", size.min(MAX_PERCPU_VALUE), SCRATCH_SLOTS)
        });
        Ok(MapPlan {
            user,
            stacks: stacks.collect(),
            ring: MapSpec::ring_buffer("bt.ring", ring_bytes(program, target)),
            layout,
            globals: MapSpec::bss("bt.globals", layout.size()),
            scratch: scratch.collect(),
        })
    }

    /// Returns the map of globals.
    pub(crate) fn globals(&'p self) -> &'p MapSpec<'p> {
        &self.globals
    }

    /// Returns a map of the script.
    pub(crate) fn user(&self, map: MapId) -> Option<&UserMap<'p>> {
        self.user.get(map.0 as usize)
    }

    /// Returns the map of stacks of a [`Type::Stack`].
    pub(crate) fn stack(&self, space: Space, depth: u32) -> Option<&StackMap<'p>> {
        self.stacks.iter().find(|map| map.space == space && map.depth == depth)
    }
}

/// The most bytes of a map of stacks, which the kernel allocates at once.
const MAX_STACK_BYTES: u32 = 8 << 20;

/// The size of the ring buffer: a power of two and whole pages.
fn ring_bytes(program: &Program, target: &Target<'_>) -> u32 {
    let page = target.page_size.max(1 << 12);
    let pages = match program.config.ring_pages {
        0 => (1 << 20) / page + target.cpus.saturating_mul(16),
        pages => pages,
    };
    let most = (1 << 30) / page;
    pages.clamp(1, most).next_power_of_two().min(most).saturating_mul(page)
}

/// Properties of a program that decide the types and layouts of its maps.
#[derive(Debug, Default)]
struct Uses {
    /// Maps whose aggregated value is read in a probe.
    read: HashSet<MapId>,
    /// Single values that a probe deletes.
    deleted: HashSet<MapId>,
    /// Maps that are iterated over in a probe.
    iterated: HashSet<MapId>,
    /// Maps that are changed by programs which can interrupt each other.
    nested: HashSet<MapId>,
    /// Maps that are changed by programs which may run with interrupts disabled.
    uninterrupted: HashSet<MapId>,
    stacks: Vec<(Space, u32)>,
}

impl Uses {
    fn of(program: &Program) -> Uses {
        let mut uses = Uses::default();
        visit::program(program, &mut |node| match node {
            Node::Statement(statement) => {
                if let StatementKind::ForMap { map, .. } = statement.kind {
                    uses.iterated.insert(map);
                }
            }
            Node::Expr(expr) => match &expr.kind {
                ExprKind::Map { map, .. } => {
                    uses.read.insert(*map);
                }
                ExprKind::Builtin(Builtin::Stack) => {
                    if let Type::Stack(stack) = &expr.ty
                        && !uses.stacks.contains(&(stack.space, stack.depth))
                    {
                        uses.stacks.push((stack.space, stack.depth));
                    }
                }
                ExprKind::Call(call) => {
                    if let Call::Delete { map, key: None } = &**call {
                        uses.deleted.insert(*map);
                    }
                }
                _ => {}
            },
        });
        uses.find_changed(program);
        uses
    }

    /// Finds maps that are changed with interrupts disabled, and those that are changed by programs that interrupt each other.
    /// Programs of uprobes are preempted by each other. Those of raw tracepoints and of `fentry` are interrupted by other ones.
    /// All others do not run while another one does on their CPU: the kernel skips them.
    fn find_changed(&mut self, program: &Program) {
        let mut changed: HashMap<MapId, Vec<Kind>> = HashMap::new();
        for probe in program.probes.iter().filter(|probe| probe.kind != Kind::Special) {
            let mut here = HashSet::new();
            visit::statements(&probe.body, &mut |node| {
                let map = match node {
                    Node::Statement(one) => match one.kind {
                        StatementKind::Aggregate { map, .. }
                        | StatementKind::UpdateMap { map, .. } => Some(map),
                        _ => None,
                    },
                    Node::Expr(expr) => match expr.kind {
                        ExprKind::StepMap { map, .. } => Some(map),
                        _ => None,
                    },
                };
                here.extend(map);
            });
            if !probe.attach_points.iter().all(has_interrupts) {
                self.uninterrupted.extend(&here);
            }
            here.into_iter().for_each(|map| changed.entry(map).or_default().push(probe.kind));
        }
        let interrupted =
            |kind: &Kind| matches!(kind, Kind::RawTracepoint | Kind::Fentry | Kind::Fexit);
        for (map, kinds) in changed {
            let several = kinds.len() > 1 && kinds.iter().any(interrupted);
            if several || kinds.iter().any(|kind| kind.is_user()) {
                self.nested.insert(map);
            }
        }
    }
}

/// Whether programs at a place always run with interrupts enabled: between two of them the kernel can make new memory for
/// elements.
fn has_interrupts(point: &AttachPoint) -> bool {
    match point {
        AttachPoint::Tracepoint { category, .. } => {
            matches!(&**category, "syscalls" | "raw_syscalls")
        }
        AttachPoint::RawTracepoint { name, .. } => matches!(&**name, "sys_enter" | "sys_exit"),
        other => other.kind().is_user(),
    }
}

fn user_map<'p>(
    program: &'p Program,
    map: &'p Map,
    id: MapId,
    uses: &Uses,
    target: &Target<'_>,
) -> Result<UserMap<'p>, Diagnostic> {
    let size = map.value.size(&program.structs).max(1);
    // What probes read, over all CPUs, is shared by them: atomic operations, and no merging in the kernel.
    let aggregate = map.value.is_aggregate();
    let asked = match map.kind {
        Some(MapKind::PercpuHash | MapKind::PercpuLruHash) => true,
        Some(MapKind::PercpuArray | MapKind::Hash | MapKind::LruHash) | None => false,
    };
    let shared = uses.read.contains(&id) || uses.iterated.contains(&id);
    let per_cpu = (aggregate || asked) && !shared;
    let nested = uses.nested.contains(&id);
    if per_cpu && size > MAX_PERCPU_VALUE - 8 {
        let problem = format!("large values for each CPU: {} has {size} bytes", map.name);
        return Err(Diagnostic::unsupported(map.span, problem)
            .hint(format!("at most {} bytes are possible", MAX_PERCPU_VALUE - 8)));
    }
    let name = &*map.name;
    let Some(key) = &map.key else {
        let single_hash = per_cpu && uses.deleted.contains(&id);
        let (storage, spec) = if single_hash {
            (Storage::SingleHash, MapSpec::percpu_hash(name, 8, size, 1))
        } else {
            let present = size.next_multiple_of(8);
            let spec = match per_cpu {
                true => MapSpec::percpu_array(name, present + 8, 1),
                false => MapSpec::array(name, present + 8, 1),
            };
            (Storage::Single { present }, spec)
        };
        return Ok(UserMap { map, storage, per_cpu, nested, spec });
    };
    let key_size = key.size(&program.structs);
    if key_size > MAX_SMALL_KEY && !target.has(Feature::LargeKeys) {
        let problem = format!("large keys on this kernel: {} has {key_size} bytes", map.name);
        return Err(Diagnostic::unsupported(map.span, problem)
            .hint("keys of more than 512 bytes need Linux 5.11; a smaller max_strlen makes strings shorter"));
    }
    let lru = matches!(map.kind, Some(MapKind::LruHash | MapKind::PercpuLruHash));
    let kind = match (lru, per_cpu) {
        (false, false) => MapType::Hash,
        (false, true) => MapType::PercpuHash,
        (true, false) => MapType::LruHash,
        (true, true) => MapType::LruPercpuHash,
    };
    let mut spec = MapSpec::new(name, kind, key_size.max(1), size, map.max_entries);
    let copies = if per_cpu { target.cpus.max(1) } else { 1 };
    let bytes = u64::from(size) * u64::from(copies) + u64::from(key_size) + 64;
    let bytes = bytes.saturating_mul(map.max_entries.into());
    let few = size <= ALLOCATED_PER_CPU && !uses.uninterrupted.contains(&id);
    let allocates_well = !per_cpu || few || bytes > MOST_PREALLOCATED;
    if !lru && bytes > PREALLOCATED && allocates_well && target.has(Feature::AllocatingHash) {
        spec = spec.with_flags(MapFlags::NO_PREALLOC);
    }
    Ok(UserMap { map, storage: Storage::Hash, per_cpu, nested, spec })
}

/// The programs of a run.
#[derive(Debug)]
pub(crate) struct Plan<'p> {
    /// The programs, in the order of the script's probes.
    pub programs: Vec<ProgramPlan<'p>>,
    /// The layouts of records, by the index that each record begins with.
    pub records: Vec<Record<'p>>,
    /// All attach points. A [`Type::Probe`] is an index in this, printed as the attach point; a [`Type::Function`] too, printed as
    /// its [`function`](AttachPoint::function).
    pub points: Vec<&'p AttachPoint>,
    /// The place of each of them in the script.
    pub point_spans: Vec<Span>,
}

/// A program and where it is attached.
#[derive(Debug)]
pub(crate) struct ProgramPlan<'p> {
    /// Its name.
    pub name: String,
    /// The index of its probe in [`Program::probes`].
    pub probe: usize,
    /// Its attach points in [`Plan::points`]: several links. `BEGIN`, `END` and `self` are among them and are not attached but
    /// run.
    pub points: std::ops::Range<u32>,
    /// Its type.
    pub kind: ProgramType,
    /// The expected attach type, for program types that have one at load time. For `fentry`, `fexit` and raw
    /// tracepoints with BTF, the target is to be set from the attach point.
    pub attach_type: Option<AttachType>,
    /// Whether each attach point has to have its index in [`Plan::points`] as its cookie.
    pub cookies: bool,
    /// Its code.
    pub code: Compiled<'p>,
    /// The place of its probe.
    pub span: Span,
}

/// The layout of a kind of record.
#[derive(Debug, Clone)]
pub(crate) struct Record<'p> {
    /// The action that the record asks for.
    pub kind: RecordKind<'p>,
    /// Its size in bytes.
    pub size: u32,
    /// Its fields.
    pub fields: Vec<RecordField>,
    /// The place in the script.
    pub span: Span,
}

/// The meanings of records.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RecordKind<'p> {
    /// Something to do. The fields are its arguments in their order. Of [`Async::Join`]: a `u64`, how many strings, and then
    /// [`JOINED`] strings. Of [`Async::Exit`]: the status.
    Async(&'p Async),
    /// A division or remainder by 0.
    DivisionByZero,
    /// A helper failed: a string constant for its name, and its result as an `int64`.
    Helper(&'static str),
}

/// The most strings that `join()` joins.
pub(crate) const JOINED: u32 = 16;

/// A field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordField {
    /// Its offset.
    pub offset: u32,
    /// Its type, which is also its layout.
    pub ty: Type,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bt::check::tests::typed;
    use crate::codegen::Isa;

    /// Maps of counters that probes change while interrupts are disabled: there the kernel has memory for one to three new elements, and
    /// further ones would be lost.
    #[test]
    fn counters_of_uninterrupted_probes_are_allocated_in_advance() {
        let has = |feature| feature == Feature::AllocatingHash;
        let target = Target {
            isa: Isa::V3,
            cpus: 64,
            page_size: 4096,
            pid_namespace: None,
            direct_loads: true,
            virtual_code: None,
            has: &has,
        };
        let (call, function) = ("tracepoint:syscalls:sys_enter_openat", "kprobe:vfs_read");
        let count = "{ @[pid] = count(); }";
        for (script, on_demand) in [
            (format!("{call} {count}"), true),
            (format!("BEGIN {count}"), true),
            (format!("{function} {count}"), false),
            (format!("profile:hz:99 {count}"), false),
            (format!("{call} {count} {function} {count}"), false),
            (format!("{call} {count} {function} {{ @other = 1; }}"), true),
            // Of other maps there is memory for many.
            (format!("{function} {{ @[pid] = 1; }}"), true),
            (format!("{function} {{ @[pid]++; }}"), true),
        ] {
            let program = typed(&script);
            let maps = MapPlan::new(&program, &target).unwrap();
            let keyed = maps.user.iter().find(|map| map.map.key.is_some()).unwrap();
            let flags = keyed.spec.flags;
            assert_eq!(flags.contains(MapFlags::NO_PREALLOC), on_demand, "{script}");
        }
    }
}
