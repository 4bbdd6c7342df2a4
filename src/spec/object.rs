//! The parts of an object file that a kernel takes as they are: its BTF, and what refers to that.

use super::Section;
use crate::uapi::{MapFlags, MapType};
use std::sync::Arc;

/// The BTF of an object file as the kernel takes it: sizes and offsets are filled in, and what only a linker looks at is taken out.
/// The numbers of the types are those of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectTypes {
    /// The blob.
    pub blob: Arc<[u8]>,
    /// The same for kernels before 6.0, without the kinds of types that are newer than Linux 5.2. Its functions say whether they are
    /// global, which takes Linux 5.6.
    pub plain: Arc<[u8]>,
}

/// The functions and the source lines of code from an object file (`.BTF.ext`).
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ObjectCode<'a> {
    /// The BTF that they are in, if the object has any.
    pub types: Option<&'a ObjectTypes>,
    /// The section of the object file.
    pub section: &'a str,
    /// The records of `func_info`: slot and BTF id of each function. Empty if the object does not have all of them.
    pub functions: &'a [[u32; 2]],
    /// The records of `line_info`: slot, offsets of file name and source line in the strings, line and column.
    pub lines: &'a [[u32; 4]],
}

/// A line of the source that an object file was compiled from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectLine<'a> {
    /// The name of the file.
    pub file: &'a str,
    /// The number of the line.
    pub line: u32,
    /// The line, without the white space around it.
    pub text: &'a str,
}

impl<'a> ObjectCode<'a> {
    /// Returns the source line that a slot comes from.
    pub fn line(&self, slot: usize) -> Option<ObjectLine<'a>> {
        /// The bits of `line_col` below the number of the line.
        const COLUMN_BITS: u32 = 10;
        let after = self.lines.partition_point(|[start, ..]| *start as usize <= slot);
        // Code that the compiler made of no line has the number 0: it belongs to the line before.
        let before = self.lines.get(..after)?.iter().rev();
        let [_, file, text, position] =
            *before.into_iter().find(|line| line[3] >> COLUMN_BITS > 0)?;
        let blob = &self.types?.blob;
        let (file, text) = (string(blob, file)?, string(blob, text)?.trim());
        Some(ObjectLine { file, line: position >> COLUMN_BITS, text })
    }
}

/// Returns a string of a blob, by its offset in the strings.
fn string(blob: &[u8], offset: u32) -> Option<&str> {
    let word = |at: usize| {
        let bytes = *blob.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_ne_bytes(bytes) as usize)
    };
    // `hdr_len`, `str_off` and `str_len` of `struct btf_header`.
    let start = word(4)?.checked_add(word(16)?)?;
    let strings = blob.get(start..start.checked_add(word(20)?)?)?;
    let rest = strings.get(offset as usize..)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(rest.get(..end)?).ok()
}

/// A map of an object file: the part of its definition that a [`MapSpec`](super::MapSpec) has no field for. The map is created by
/// libbpf's rules: sizes that have only one possible value are filled in, and the size of a ring buffer is rounded up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectMap {
    /// The BTF of the object.
    pub types: Option<ObjectTypes>,
    /// The BTF id of the type of keys; 0 if it is not known.
    pub key_type: u32,
    /// The BTF id of the type of values; 0 if it is not known.
    pub value_type: u32,
    /// The definition of the inner maps.
    pub inner: Option<Box<InnerMap>>,
    /// The initial elements: maps of a map of maps, programs of a program array, by their names.
    pub elements: Vec<(u32, String)>,
    /// The struct that a `struct_ops` map holds.
    pub table: Option<StructOpsTable>,
}

/// The definition of the maps in a map of maps of an object file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InnerMap {
    /// The name of the map that is created to show the kernel what they are like.
    pub name: String,
    /// The map type.
    pub kind: MapType,
    /// The size of a key, in bytes.
    pub key_size: u32,
    /// The size of a value, in bytes.
    pub value_size: u32,
    /// The greatest number of elements.
    pub max_entries: u32,
    /// Flags of `BPF_MAP_CREATE`.
    pub flags: MapFlags,
    /// `map_extra`.
    pub extra: u64,
    /// The NUMA node of its memory.
    pub numa_node: Option<u32>,
    /// Its types.
    pub object: ObjectMap,
}

/// A variable in `.struct_ops`: a struct of the kernel with programs in place of its functions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StructOpsTable {
    /// The name of the struct.
    pub name: String,
    /// The members that are not zero: their names and bytes.
    pub members: Vec<(String, Vec<u8>)>,
    /// The members that are functions, and the names of the programs in their places.
    pub programs: Vec<(String, String)>,
}

/// A data section of an object file with a name of its own, `.rodata.str1.1` or `.data.table`, which is a map of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DataSection {
    /// The name.
    pub name: String,
    /// Whether it is constant, and whether it is initially 0.
    pub section: Section,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The variables in it: name, offset and size.
    pub variables: Vec<(String, u32, u32)>,
    /// The types of its variables.
    pub types: Option<DataTypes>,
    /// The arena that the variables are in, by its name (Linux 6.9). The section has no map of its own then.
    pub arena: Option<String>,
}

/// The types of the variables of a data section of an object file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DataTypes {
    /// The BTF.
    pub types: ObjectTypes,
    /// The BTF id of the section (`BTF_KIND_DATASEC`).
    pub id: u32,
    /// Whether a variable of it is visible outside of the object, so that user space may map the map into its memory.
    pub mmapable: bool,
}
