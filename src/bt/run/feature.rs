//! What this kernel has of what the compiler asks for.

use crate::bpf;
use crate::bt::plan::Feature;
use crate::features::{self, Features};
use crate::map::Map;
use crate::program::Loader;
use crate::spec::{MapSpec, ProgramSpec};
use crate::uapi::{ProgramType, flags};
use std::cell::RefCell;
use std::collections::HashMap;

/// The kernel's features, each asked for once.
#[derive(Debug, Default)]
pub(super) struct Kernel {
    features: Features,
    known: RefCell<HashMap<Feature, bool>>,
}

impl Kernel {
    /// Returns whether the kernel has something; if that cannot be found out, no.
    pub(super) fn has(&self, feature: Feature) -> bool {
        if let Some(known) = self.known.borrow().get(&feature) {
            return *known;
        }
        let found = self.ask(feature);
        self.known.borrow_mut().insert(feature, found);
        found
    }

    fn ask(&self, feature: Feature) -> bool {
        let helper = |kind, name| self.features.has_helper(kind, name).unwrap_or_default();
        match feature {
            Feature::Atomics => self.features.has(features::Feature::Atomics).unwrap_or_default(),
            Feature::ForEachMapElem => {
                self.features.has(features::Feature::Callbacks).unwrap_or_default()
                    && helper(ProgramType::Kprobe, "for_each_map_elem")
            }
            Feature::Loop => self.features.has(features::Feature::LoopHelper).unwrap_or_default(),
            Feature::Cookie => helper(ProgramType::Kprobe, "get_attach_cookie"),
            Feature::TracingCookie => helper(ProgramType::Tracing, "get_attach_cookie"),
            Feature::RawTracepointCookie => helper(ProgramType::RawTracepoint, "get_attach_cookie"),
            Feature::CurrentTaskBtf => helper(ProgramType::Kprobe, "get_current_task_btf"),
            Feature::LargeKeys => Map::create(&MapSpec::hash("bt.probe", 513, 8, 1)).is_ok(),
            Feature::AllocatingHash => allocating_hash(),
            Feature::TaiClock => helper(ProgramType::Kprobe, "ktime_get_tai_ns"),
            Feature::Jiffies => helper(ProgramType::Kprobe, "jiffies64"),
        }
    }
}

static ALLOCATING: MapSpec =
    MapSpec::hash("bt.probe", 8, 8, 1).with_flags(flags::BPF_F_NO_PREALLOC);

static SAMPLER: ProgramSpec = ProgramSpec::new(
    "bt_probe",
    ProgramType::PerfEvent,
    bpf! {
        r1 = ALLOCATING ll;
        r0 = 0;
        exit;
    },
);

/// Returns whether hash tables that allocate their elements are for all programs. Kernels that cannot allocate everywhere
/// refuse those with such a table that run in interrupts that cannot be masked.
fn allocating_hash() -> bool {
    Loader::new().load(&SAMPLER).is_ok()
}

/// The features and what they are called.
#[cfg(feature = "cli")]
const NAMES: [(Feature, &str); 11] = [
    (Feature::Atomics, "atomic operations with results"),
    (Feature::ForEachMapElem, "loops over maps (for_each_map_elem)"),
    (Feature::Loop, "loops without bound (loop)"),
    (Feature::Cookie, "cookies of kprobes, uprobes, tracepoints and perf events"),
    (Feature::TracingCookie, "cookies of fentry and fexit"),
    (Feature::RawTracepointCookie, "cookies of raw tracepoints"),
    (Feature::CurrentTaskBtf, "typed curtask (get_current_task_btf)"),
    (Feature::LargeKeys, "keys of more than 512 bytes"),
    (Feature::AllocatingHash, "hash tables that allocate their elements"),
    (Feature::TaiClock, "the TAI clock (ktime_get_tai_ns)"),
    (Feature::Jiffies, "jiffies (jiffies64)"),
];

/// Returns what this kernel has of what the compiler can use.
#[cfg(feature = "cli")]
pub(crate) fn capabilities() -> Vec<(&'static str, bool)> {
    let kernel = Kernel::default();
    NAMES.iter().map(|(feature, name)| (*name, kernel.has(*feature))).collect()
}
