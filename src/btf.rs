//! BTF, the types of a kernel: offsets of fields, sizes of structs, values of enumerators; and BTF that this library
//! writes, so that tools can show the types of its maps and programs.
//!
//! The kernel describes its own types in `/sys/kernel/btf/vmlinux` (Linux 5.4, `CONFIG_DEBUG_INFO_BTF`) and those of
//! a module in `/sys/kernel/btf/NAME` (Linux 5.11). [`KernelTypes`] finds a name in them, [`Btf`] reads one such
//! blob of bytes. Nothing is decoded in advance: one pass counts the types, another finds a name, and the
//! types that are asked for are decoded in place.
//!
//! ```no_run
//! use rawbpf::btf::KernelTypes;
//!
//! let types = KernelTypes::new();
//! let tgid = types.field("task_struct.tgid")?;
//! println!("task_struct.tgid: {} bytes at {}", tgid.size, tgid.offset);
//! # Ok::<(), rawbpf::Error>(())
//! ```
//!
//! # Paths
//!
//! A path is the name of a type and the steps from there to a field: `task_struct.se.vruntime`,
//! `task_struct.comm[3]`. It goes through anonymous structs and unions, typedefs, `const` and the like as C does, but
//! not through a pointer: that is another load. `struct `, `union ` or `enum ` before the name distinguishes it from a
//! typedef of the same name. `NAME___ANYTHING` stands for `NAME`, as with libbpf, for programs that describe
//! several forms of one struct.
//!
//! The format: `Documentation/bpf/btf.rst` and `include/uapi/linux/btf.h` of the kernel.

mod builder;
mod context;
#[cfg(feature = "elf")]
mod contexts;
#[cfg(feature = "elf")]
mod copy;
mod core;
mod declare;
#[cfg(feature = "bt")]
mod define;
mod describe;
mod error;
#[cfg(feature = "elf")]
mod fixup;
mod kernel;
mod lookup;
#[cfg(feature = "elf")]
mod merge;
mod module;
#[cfg(feature = "elf")]
mod order;
mod path;
mod program;
mod reader;
mod search;
mod types;

pub use builder::Builder;
pub(crate) use context::context_name;
#[cfg(feature = "elf")]
pub(crate) use contexts::with_contexts;
#[cfg(feature = "elf")]
pub(crate) use copy::TypeCopy;
pub(crate) use core::{Budget, CoreValue, Resize, essential_name, resolve, types_are_compatible};
pub(crate) use describe::map_types;
pub use error::BtfError;
#[cfg(feature = "elf")]
pub(crate) use fixup::{Layout, for_kernels};
pub use kernel::{KernelTypes, TypeOrigin};
pub use lookup::{Bits, Field, Function};
#[cfg(feature = "elf")]
pub(crate) use merge::{Merge, Merged, MergedSection, Origin};
pub(crate) use module::{btf_name, module_btf};
#[cfg(feature = "elf")]
pub(crate) use order::swapped;
pub(crate) use program::{
    About, Entry, FunctionAt, Likeness, LineAt, MOST_COLUMN, ProgramTypes, Source, describe_program,
};
pub use reader::{Btf, Types};
pub use types::{
    Body, Enumerator, Enumerators, Kind, Linkage, Member, Members, Parameter, Parameters, Type,
    Variable, Variables,
};

pub use crate::util::{FieldDesc, TypeDesc};

#[cfg(test)]
mod kernel_tests;
#[cfg(test)]
mod tests;
