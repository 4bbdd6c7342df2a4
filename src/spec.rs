//! Specs: what a program and a map are to be, as plain data that can sit in a `static`.
//!
//! A spec is the same on every machine and asks nothing of the kernel. What a kernel makes of it is an
//! object: [`Program`](crate::Program), [`Map`](crate::Map).

use crate::asm::Code;
use std::fmt;

/// A program to be: its code and what the kernel must know to load it.
///
/// ```
/// use rawbpf::{ProgramSpec, ProgramType, bpf};
///
/// static RETURN_ONE: ProgramSpec = ProgramSpec::new("one", ProgramType::Kprobe, bpf! {
///     r0 = 1;
///     exit;
/// });
/// assert_eq!(RETURN_ONE.code.slots.len(), 2);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ProgramSpec<'a> {
    /// Its name, in messages whole; the kernel keeps the first 15 bytes, letters, digits, `_` and `.`.
    pub name: &'a str,
    /// Where it can be attached, and so which helpers and context it has.
    pub kind: ProgramType,
    /// The license it declares. Many tracing helpers are only for programs whose license is compatible
    /// with the GPL; [`ProgramSpec::new`] declares `GPL`.
    pub license: &'a str,
    /// What it does.
    pub code: Code<'a>,
}

impl<'a> ProgramSpec<'a> {
    /// A program under the license `GPL`, which opens all helpers to it.
    pub const fn new(name: &'a str, kind: ProgramType, code: Code<'a>) -> Self {
        ProgramSpec { name, kind, license: "GPL", code }
    }

    /// The same program under another license.
    pub const fn with_license(mut self, license: &'a str) -> Self {
        self.license = license;
        self
    }

    /// The same program as another type, for instance to attach it to a tracepoint instead of a kprobe.
    pub const fn with_kind(mut self, kind: ProgramType) -> Self {
        self.kind = kind;
        self
    }
}

/// A map to be. Naming its `static` in an instruction of `bpf!` is all it takes to have it created at
/// load. Two programs that name the same `static` share one map.
///
/// ```
/// use rawbpf::MapSpec;
///
/// static EVENTS: MapSpec = MapSpec::perf_event_array("events");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapSpec<'a> {
    /// Its name, in messages whole; the kernel keeps the first 15 bytes, letters, digits, `_` and `.`.
    pub name: &'a str,
    /// What kind of map.
    pub kind: MapType,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// How many elements it holds at most. 0 in a perf event array means one for every possible CPU.
    pub max_entries: u32,
    /// `BPF_F_*` flags of `BPF_MAP_CREATE`.
    pub flags: u32,
}

impl<'a> MapSpec<'a> {
    /// The perf event array through which `perf_event_output` reaches user space, one element a CPU
    /// (Linux 4.3).
    pub const fn perf_event_array(name: &'a str) -> Self {
        MapSpec {
            name,
            kind: MapType::PerfEventArray,
            key_size: 4,
            value_size: 4,
            max_entries: 0,
            flags: 0,
        }
    }

    /// An array of `max_entries` values of `value_size` bytes, by `u32` index (Linux 3.19).
    pub const fn array(name: &'a str, value_size: u32, max_entries: u32) -> Self {
        MapSpec { name, kind: MapType::Array, key_size: 4, value_size, max_entries, flags: 0 }
    }

    /// A hash table (Linux 3.19).
    pub const fn hash(name: &'a str, key_size: u32, value_size: u32, max_entries: u32) -> Self {
        MapSpec { name, kind: MapType::Hash, key_size, value_size, max_entries, flags: 0 }
    }
}

/// Makes a type of the kernel's numbered enums: the variant, its number and its name in the field.
macro_rules! kernel_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u32)]
        #[non_exhaustive]
        pub enum $name { $($(#[$vdoc])* $variant = $number,)* }

        impl $name {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The name the field uses for it.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

kernel_enum! {
    /// The type of a program (`enum bpf_prog_type`).
    ProgramType {
        /// Network packets on a socket. Linux 3.19.
        SocketFilter = 1 "socket_filter",
        /// Kernel and user functions, by kprobe and uprobe. Linux 4.1.
        Kprobe = 2 "kprobe",
        /// Static tracepoints of the kernel. Linux 4.7.
        Tracepoint = 5 "tracepoint",
    }
}

kernel_enum! {
    /// The type of a map (`enum bpf_map_type`).
    MapType {
        /// A hash table. Linux 3.19.
        Hash = 1 "hash",
        /// An array. Linux 3.19.
        Array = 2 "array",
        /// Perf events by CPU, to send samples to user space. Linux 4.3.
        PerfEventArray = 4 "perf_event_array",
    }
}
