//! Detection of the kernel features that the compiler asks for.

use crate::bt::plan::Feature;
use crate::features::Features;
use std::cell::RefCell;
use std::collections::HashMap;

/// The kernel's features, each asked for once.
#[derive(Debug, Default)]
pub(super) struct Kernel {
    features: Features,
    known: RefCell<HashMap<Feature, bool>>,
}

impl Kernel {
    /// Returns whether the kernel has a feature; `false` if that cannot be determined.
    pub(super) fn has(&self, feature: Feature) -> bool {
        if let Some(known) = self.known.borrow().get(&feature) {
            return *known;
        }
        let found = feature.is_in(&self.features);
        self.known.borrow_mut().insert(feature, found);
        found
    }
}

/// The features and their names.
#[cfg(feature = "bt-cli")]
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

/// Returns the features of this kernel that the compiler can use.
#[cfg(feature = "bt-cli")]
pub(crate) fn capabilities() -> Vec<(&'static str, bool)> {
    let kernel = Kernel::default();
    NAMES.iter().map(|(feature, name)| (*name, kernel.has(*feature))).collect()
}
