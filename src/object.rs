//! Object files, as libbpf, `bpftool prog load` and LLVM's tools have them: a text becomes one, and one becomes a text.
//!
//! The layout is that of clang's objects (`Documentation/bpf/llvm_reloc.rst`, `btf.rst` and `libbpf/` of the kernel); what
//! a text becomes of it is in `docs/objects.md`.

mod arena;
mod collection;
mod cores;
mod data;
mod declared;
mod error;
mod ext;
mod externs;
mod file;
mod format;
mod functions;
mod headers;
mod jump_tables;
mod kconfig;
mod lines;
mod link;
mod listing;
mod maps;
mod merge;
mod names;
mod plan;
mod program;
mod raw;
mod relocated;
mod sections;
mod tables;
mod target;
mod types;
mod variables;
mod write;

pub use crate::spec::{
    DataSection, DataTypes, InnerMap, ObjectCode, ObjectLine, ObjectMap, ObjectTypes,
    StructOpsTable,
};
pub use error::{LinkError, ObjectError};
pub use file::Object;
pub use program::ObjectProgram;
pub use write::{write, write_with};
