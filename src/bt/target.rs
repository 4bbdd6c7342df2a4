//! The target of code generation: the properties of a kernel that decide which instructions are chosen.

use crate::bpf;
use crate::codegen::{Function, Isa, Options, Unit};
use crate::features::{self, Features};
use crate::map::Map;
use crate::program::Loader;
use crate::spec::{MapSpec, ProgramSpec};
use crate::uapi::{MapFlags, ProgramType};

/// A kernel feature that decides which code is generated. Probed, never inferred from the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Feature {
    /// Atomic operations with results: `cmpxchg`, `xadd` that fetches. Linux 5.12
    Atomics,
    /// The helper `for_each_map_elem` (164), and callbacks at all. Linux 5.13, with a JIT
    ForEachMapElem,
    /// The helper `loop` (181). Linux 5.17, with a JIT
    Loop,
    /// The helper `get_attach_cookie` (174) in kprobes, uprobes, tracepoints and perf events. Linux 5.15
    Cookie,
    /// The same in `fentry` and `fexit`. Linux 5.19
    TracingCookie,
    /// The same in raw tracepoints, with BTF or without. Linux 6.12
    RawTracepointCookie,
    /// The helper `get_current_task_btf` (158). Linux 5.11
    CurrentTaskBtf,
    /// Keys of more than 512 bytes. Linux 5.11
    LargeKeys,
    /// Hash tables that allocate elements on demand are safe in tracing programs. Linux 6.1
    AllocatingHash,
    /// The helper `ktime_get_tai_ns` (208). Linux 6.1
    TaiClock,
    /// The helper `jiffies64` (118) in tracing programs. Linux 5.19
    Jiffies,
}

/// The target of code generation.
#[derive(Clone, Copy)]
pub(crate) struct Target<'t> {
    /// The instruction set. v3 is right on every kernel from 5.10 on.
    pub isa: Isa,
    /// The number of CPUs that there can be: one more than the highest number of a CPU.
    pub cpus: u32,
    /// The size of a page.
    pub page_size: u32,
    /// Device and inode of the PID namespace of `pid` and `tid`; none if it is the initial one.
    pub pid_namespace: Option<(u64, u64)>,
    /// Whether memory is read directly through pointers whose types the verifier tracks. If a kernel rejects such a
    /// program, lower again without: all memory is read by helpers then.
    pub direct_loads: bool,
    /// Receives the code before register allocation, program by program, if it is to be shown.
    pub virtual_code: Option<&'t std::cell::RefCell<Vec<String>>>,
    /// Whether the kernel has a feature. Queried only for features that the program needs, maybe more than once.
    pub has: &'t dyn Fn(Feature) -> bool,
}

impl Target<'_> {
    /// Whether the kernel has a feature.
    pub(crate) fn has(&self, feature: Feature) -> bool {
        (self.has)(feature)
    }
}

/// A key that kernels before 5.11 reject (`MAX_BPF_STACK`).
static LARGE_KEY: MapSpec = MapSpec::hash("large_key", 520, 8, 1);

/// A hash table that allocates its elements on demand. Kernels before 6.1 refuse it in programs of perf events, which run in
/// NMIs, where they cannot allocate.
static ALLOCATING: MapSpec = MapSpec::hash("allocating", 8, 8, 1).with_flags(MapFlags::NO_PREALLOC);

static ALLOCATES: ProgramSpec = ProgramSpec::new(
    "allocates",
    ProgramType::PerfEvent,
    bpf! {
        *(u64 *)(r10 - 8) = 0;
        r1 = ALLOCATING ll;
        r2 = r10;
        r2 += -8;
        call map_lookup_elem;
        r0 = 0;
        exit;
    },
);

/// The helper `for_each_map_elem`.
pub(crate) const FOR_EACH_MAP_ELEM: i32 = 164;
/// The helper `loop`.
pub(crate) const LOOP: i32 = 181;

static VISITED: MapSpec = MapSpec::array("visited", 8, 1);

/// Whether the kernel takes a program whose helper calls a function back: `for_each_map_elem` or `loop`. Only a whole program
/// shows that: a kernel without a JIT, as Debian's for s390x, has the helpers, knows functions as values, and refuses the
/// program in the end.
fn calls_back(helper: i32) -> bool {
    let mut unit = Unit::new();
    let mut body = Function::new("each", if helper == LOOP { 2 } else { 4 });
    body.ret(0);
    let body = unit.add(body);
    let mut main = Function::new("main", 1);
    let first = match helper {
        LOOP => 1.into(),
        _ => main.map(&VISITED).into(),
    };
    let function = main.function_address(body);
    main.call_helper(helper, &[first, function.into(), 0.into(), 0.into()]);
    main.ret(0);
    let Ok(compiled) = unit.compile(main, &Options::new().isa(Isa::V3)) else { return false };
    // As scripts are loaded: the other resolver would be in the smallest binary for this alone.
    let spec = ProgramSpec::new("calls_back", ProgramType::Kprobe, compiled.code_with_fields());
    Loader::new().load(&spec).is_ok()
}

impl Feature {
    /// Detects the features of the running kernel. A feature that cannot be determined counts as missing: the code
    /// without it is right everywhere.
    pub(crate) fn is_in(self, kernel: &Features) -> bool {
        let has = |feature: features::Feature| kernel.has(feature).unwrap_or(false);
        let helper = |kind, name| kernel.has_helper(kind, name).unwrap_or(false);
        match self {
            Feature::Atomics => has(features::Feature::Atomics),
            Feature::ForEachMapElem => calls_back(FOR_EACH_MAP_ELEM),
            Feature::Loop => calls_back(LOOP),
            Feature::Cookie => has(features::Feature::Cookies),
            Feature::TracingCookie => helper(ProgramType::Tracing, "get_attach_cookie"),
            Feature::RawTracepointCookie => helper(ProgramType::RawTracepoint, "get_attach_cookie"),
            Feature::CurrentTaskBtf => helper(ProgramType::Kprobe, "get_current_task_btf"),
            Feature::LargeKeys => Map::create(&LARGE_KEY).is_ok(),
            Feature::AllocatingHash => Loader::new().load(&ALLOCATES).is_ok(),
            Feature::TaiClock => helper(ProgramType::Kprobe, "ktime_get_tai_ns"),
            Feature::Jiffies => helper(ProgramType::Kprobe, "jiffies64"),
        }
    }
}
