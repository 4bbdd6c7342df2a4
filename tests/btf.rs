//! BTF against those who know it: the kernel's own blob, `bpftool`, and the kernel as judge of what is written.

mod common;

#[path = "common/btf_bytes.rs"]
mod btf_bytes;
#[path = "common/btf_load.rs"]
mod btf_load;

use common::requires::{Thing, needs, needs_tried};
use common::{Folder, said};
use proptest::prelude::*;
use rawbpf::btf::{
    Body, Btf, Builder, Enumerator, FieldDesc, KernelTypes, Kind, Member, Parameter, TypeDesc,
    Variable,
};
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

fn no_bpftool() -> Option<String> {
    let answer = Command::new("bpftool").arg("version").output();
    answer.err().map(|error| format!("bpftool: {error}"))
}

fn dump(file: &Path) -> String {
    let output = Command::new("bpftool").args(["btf", "dump", "file"]).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn kernel() -> Btf {
    Btf::new(std::fs::read(VMLINUX).unwrap()).unwrap()
}

#[test]
fn every_type_of_this_kernel_is_read() -> Result {
    needs!(Btf);
    let types = KernelTypes::new();
    let btf = types.vmlinux()?;
    let mut kinds = std::collections::BTreeMap::new();
    for (found, number) in btf.types().zip(1..) {
        let found = found?;
        assert_eq!(found.id, number);
        *kinds.entry(found.kind.word()).or_insert(0u32) += 1;
        match found.body {
            Body::Composite { members, .. } => {
                for member in members {
                    assert!(member?.of < btf.end());
                }
            }
            Body::Enum { values, .. } => {
                for value in values {
                    assert!(!value?.name.is_empty());
                }
            }
            Body::Prototype { parameters, .. } => {
                for parameter in parameters {
                    assert!(parameter?.of < btf.end());
                }
            }
            Body::Section { variables, .. } => {
                for variable in variables {
                    assert_eq!(btf.get(variable.of)?.kind, Kind::Variable);
                }
            }
            Body::Unknown => panic!("type {number} is of a kind that is not known"),
            _ => {}
        }
    }
    for kind in ["int", "ptr", "array", "struct", "union", "enum", "typedef", "func", "func_proto"]
    {
        assert!(kinds.get(kind).is_some_and(|count| *count > 10), "{kind}: {kinds:?}");
    }
    // By its number each is what it was in order.
    for found in btf.types().step_by(97) {
        let found = found?;
        let again = btf.get(found.id)?;
        assert_eq!((again.id, again.name, again.kind), (found.id, found.name, found.kind));
    }
    Ok(())
}

#[test]
fn fields_of_this_kernel_are_found() -> Result {
    needs!(Btf);
    let types = KernelTypes::new();
    let pid = types.field("task_struct.pid")?;
    let tgid = types.field("task_struct.tgid")?;
    assert_eq!((tgid.size, tgid.kind, tgid.bits), (4, Kind::Int, None));
    assert_eq!(tgid.offset, pid.offset + 4, "they have been neighbours since 1999");
    let comm = types.field("task_struct.comm")?;
    assert_eq!((comm.size, comm.kind, comm.is_scalar()), (16, Kind::Array, false));
    assert_eq!(types.field("task_struct.comm[3]")?.offset, comm.offset + 3);
    let parent = types.field("task_struct.real_parent")?;
    assert_eq!((parent.size, parent.kind), (size_of::<usize>() as u32, Kind::Pointer));
    let entity = types.field("task_struct.se")?;
    let runtime = types.field("task_struct.se.vruntime")?;
    assert_eq!(runtime.offset - entity.offset, types.field("sched_entity.vruntime")?.offset);
    // An anonymous union within an anonymous struct.
    assert_eq!(types.field("sk_buff.next")?.offset, 0);
    assert_eq!(types.field("task_struct___old.tgid")?, tgid);
    assert_eq!(types.size_of("unsigned int")?, 4);
    assert_eq!(types.size_of("u64")?, 8);
    assert!(types.size_of("task_struct")? > comm.offset);
    assert_eq!(types.enumerator("pid_type", "PIDTYPE_TGID")?, 1);
    assert_eq!(types.any_enumerator("BPF_MAP_TYPE_HASH")?, 1);
    assert!(types.exists("task_struct.pid")?);
    assert!(!types.exists("task_struct.pidd")?);
    assert!(!types.exists("task_structt")?);
    Ok(())
}

#[test]
fn what_is_not_there_is_said_with_what_is_near() -> Result {
    needs!(Btf);
    let types = KernelTypes::new();
    let message = |path| types.field(path).map_err(|error| error.to_string());
    let said = message("task_struct.tgidd").unwrap_err();
    assert!(said.starts_with("`task_struct` has no field `tgidd`; the nearest: tgid"), "{said}");
    let said = message("task_strukt.tgid").unwrap_err();
    assert!(said.contains("the nearest: task_struct"), "{said}");
    assert_eq!(
        message("task_struct.real_parent.tgid").unwrap_err(),
        "`task_struct.real_parent` is a pointer, which one instruction cannot follow: load it first, then \
         `task_struct.tgid`"
    );
    let said = types.any_enumerator("BPF_MAP_TYPE_HASHH").unwrap_err().to_string();
    assert!(said.contains("the nearest: BPF_MAP_TYPE_HASH"), "{said}");
    Ok(())
}

/// A member as `bpftool` prints it.
#[derive(Debug, Clone)]
struct Printed {
    owner: String,
    name: String,
    of: u32,
    bit_offset: u32,
    bits: Option<u32>,
}

/// `key=value` in a line of bpftool's.
fn number(line: &str, key: &str) -> Option<u32> {
    line.split([' ', '\t']).find_map(|word| word.strip_prefix(key)?.strip_prefix('=')?.parse().ok())
}

fn quoted(line: &str) -> &str {
    line.split('\'').nth(1).unwrap_or_default()
}

/// `bpftool` is the oracle: every size, and some hundred members picked at random, are at its offsets.
#[test]
fn offsets_are_those_that_bpftool_prints() {
    needs!(Btf);
    needs_tried!("bpftool", no_bpftool());
    let text = dump(Path::new(VMLINUX));
    let mut sizes: HashMap<String, Vec<u32>> = HashMap::new();
    let mut members = Vec::new();
    let mut owner = None;
    for line in text.lines() {
        if line.starts_with('[') {
            let word = line.split(' ').nth(1).unwrap();
            owner = match word {
                "STRUCT" | "UNION" if quoted(line) != "(anon)" => {
                    let name = format!("{} {}", word.to_lowercase(), quoted(line));
                    sizes.entry(name.clone()).or_default().push(number(line, "size").unwrap());
                    Some(name)
                }
                _ => None,
            };
        } else if let (Some(owner), false) = (&owner, quoted(line) == "(anon)") {
            members.push(Printed {
                owner: owner.clone(),
                name: quoted(line).into(),
                of: number(line, "type_id").unwrap(),
                bit_offset: number(line, "bits_offset").unwrap(),
                bits: number(line, "bitfield_size").filter(|bits| *bits != 0),
            });
        }
    }
    // Members of structs whose name is unique: of several, ours takes the first.
    members.retain(|member| sizes[&member.owner].len() == 1);
    assert!(members.len() > 5_000, "{}", members.len());
    let btf = kernel();
    for found in btf.types() {
        let found = found.unwrap();
        if let (Body::Composite { size, .. }, false) = (found.body, found.name.is_empty()) {
            let printed = &sizes[&format!("{} {}", found.kind.word(), found.name)];
            assert!(printed.contains(&size), "{}", found.name);
        }
    }
    let seed: u64 = std::process::id().into();
    let mut state = seed;
    let mut bit_fields = 0;
    for turn in 0..300 {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let start = (state >> 33) as usize % members.len();
        // Every third time the next bit-field after it: there are few.
        let wanted = |member: &&Printed| turn % 3 != 0 || member.bits.is_some();
        let Some(member) = members[start..].iter().find(wanted) else { continue };
        let path = format!("{}.{}", member.owner, member.name);
        let field = btf.field(&path).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let bits = field.bits.map(|bits| bits.size);
        let bit_offset = field.offset * 8 + field.bits.map_or(0, |bits| bits.offset);
        assert_eq!(
            (field.type_id, bit_offset, bits),
            (member.of, member.bit_offset, member.bits),
            "seed {seed}: {path}"
        );
        if let Some(bits) = field.bits {
            bit_fields += 1;
            assert!(bits.offset + bits.size <= field.size * 8, "{path}: {field:?}");
            assert!(matches!(field.size, 1 | 2 | 4 | 8) && field.offset.is_multiple_of(field.size));
        }
    }
    assert!(bit_fields > 20, "{bit_fields}");
}

/// All that can be written, in one blob.
fn written() -> Vec<u8> {
    let mut b = Builder::new();
    let int = b.int("int", 4, true);
    let byte = b.int("char", 1, true);
    let void_pointer = b.pointer(0);
    let text = b.array(byte, int, 16);
    let number = b.typedef("number", int);
    let member = |name, of, bit_offset| Member { name, of, bit_offset, bits: None };
    let inner = b.composite("either", true, 16, &[member("text", text, 0), member("n", number, 0)]);
    let outer = b.composite(
        "outer",
        false,
        24,
        &[member("pointer", void_pointer, 0), member("either", inner, 64)],
    );
    let flags = [("four", 4, 0), ("five", 5, 4)].map(|(name, bits, bit_offset)| Member {
        name,
        of: int,
        bit_offset,
        bits: Some(bits),
    });
    b.composite("flags", false, 4, &flags);
    b.enumeration(
        "color",
        &[Enumerator { name: "RED", value: 0 }, Enumerator { name: "MINUS", value: -1 }],
    );
    let prototype = b.prototype(
        int,
        &[Parameter { name: "first", of: void_pointer }, Parameter { name: "n", of: number }],
    );
    b.function("work", prototype);
    let (counter, whole) = (b.variable("counter", int), b.variable("whole", outer));
    let variables =
        [(counter, 0, 4), (whole, 8, 24)].map(|(of, offset, size)| Variable { of, offset, size });
    b.section(".data", 32, &variables);
    assert_eq!(b.int("int", 4, true), int, "the same type again");
    b.finish().unwrap()
}

/// bpftool reads what is written as it was meant.
#[test]
fn bpftool_reads_what_is_written() {
    needs_tried!("bpftool", no_bpftool());
    let folder = Folder::new();
    let file = folder.path().join("written");
    std::fs::write(&file, written()).unwrap();
    let expected = "\
[1] INT 'int' size=4 bits_offset=0 nr_bits=32 encoding=SIGNED
[2] INT 'char' size=1 bits_offset=0 nr_bits=8 encoding=SIGNED
[3] PTR '(anon)' type_id=0
[4] ARRAY '(anon)' type_id=2 index_type_id=1 nr_elems=16
[5] TYPEDEF 'number' type_id=1
[6] UNION 'either' size=16 vlen=2
\t'text' type_id=4 bits_offset=0
\t'n' type_id=5 bits_offset=0
[7] STRUCT 'outer' size=24 vlen=2
\t'pointer' type_id=3 bits_offset=0
\t'either' type_id=6 bits_offset=64
[8] STRUCT 'flags' size=4 vlen=2
\t'four' type_id=1 bits_offset=0 bitfield_size=4
\t'five' type_id=1 bits_offset=4 bitfield_size=5
[9] ENUM 'color' encoding=UNSIGNED size=4 vlen=2
\t'RED' val=0
\t'MINUS' val=4294967295
[10] FUNC_PROTO '(anon)' ret_type_id=1 vlen=2
\t'first' type_id=3
\t'n' type_id=5
[11] FUNC 'work' type_id=10 linkage=static
[12] VAR 'counter' type_id=1, linkage=global
[13] VAR 'whole' type_id=7, linkage=global
[14] DATASEC '.data' size=32 vlen=2
\ttype_id=12 offset=0 size=4 (VAR 'counter')
\ttype_id=13 offset=8 size=24 (VAR 'whole')
";
    assert_eq!(dump(&file), expected);
}

#[test]
fn the_kernel_takes_what_is_written() {
    needs!(Bpf);
    btf_load::load(&written()).unwrap_or_else(|log| panic!("{log}"));
}

/// The kernel takes a described type, of any name that Rust has.
#[test]
fn the_kernel_takes_what_is_described() {
    needs!(Bpf);
    let ints = [
        TypeDesc::U8,
        TypeDesc::U16,
        TypeDesc::U32,
        TypeDesc::U64,
        TypeDesc::U128,
        TypeDesc::I8,
        TypeDesc::I16,
        TypeDesc::I32,
        TypeDesc::I64,
        TypeDesc::I128,
        TypeDesc::CHAR,
    ];
    let names: Vec<String> = (0..ints.len()).map(|number| number.to_string()).collect();
    let fields: Vec<FieldDesc<'_>> = ints
        .iter()
        .zip(&names)
        .zip((0..).step_by(16))
        .map(|((desc, name), offset)| FieldDesc { name, offset, desc: *desc })
        .collect();
    let size = ints.len() as u32 * 16;
    let tuple = TypeDesc::Struct { name: "Tuple<'a, [u8; 4]>", size, fields: &fields };
    let mut builder = Builder::new();
    builder.describe(&TypeDesc::Array { element: &tuple, len: 3 });
    btf_load::load(&builder.finish().unwrap()).unwrap_or_else(|log| panic!("{log}"));
}

/// The kernel refuses an invalid blob, so that its acceptance of others means something.
#[test]
fn the_kernel_refuses_what_is_wrong() {
    needs!(Bpf);
    let mut builder = Builder::new();
    builder.typedef("not a name", 0);
    let log = btf_load::load(&builder.finish().unwrap()).unwrap_err();
    assert!(log.contains("Invalid name"), "{log}");
}

#[test]
fn what_is_written_reads_back() {
    let btf = Btf::new(written()).unwrap();
    assert_eq!(btf.field("outer.either.text[3]").unwrap().offset, 11);
    assert_eq!(
        btf.field("flags.five").unwrap().bits.map(|bits| (bits.offset, bits.size)),
        Some((4, 5))
    );
    btf_bytes::read_all(btf.as_bytes());
}

proptest! {
    /// The body of the fuzz target, over damaged blobs.
    #[test]
    fn damaged_blobs_do_no_harm(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        words in prop::collection::vec((any::<prop::sample::Index>(), 0u32..40), 0..4),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut bytes = written();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        for (place, word) in words {
            // Numbers of types, offsets and lengths that could be.
            let place = place.index(bytes.len() / 4 - 1) * 4;
            bytes[place..place + 4].copy_from_slice(&word.to_ne_bytes());
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        btf_bytes::read_all(&bytes);
    }

    /// Damage to the types alone, so that the header does not end it at once.
    #[test]
    fn damaged_types_do_no_harm(
        words in prop::collection::vec((any::<prop::sample::Index>(), 0u32..32, 0u32..40), 1..20),
    ) {
        let mut bytes = written();
        let types = u32::from_ne_bytes(bytes[12..16].try_into().unwrap()) as usize;
        for (place, shift, word) in words {
            let place = 24 + place.index(types / 4) * 4;
            let old = u32::from_ne_bytes(bytes[place..place + 4].try_into().unwrap());
            let new = if shift < 8 { word } else { old ^ 1 << shift };
            bytes[place..place + 4].copy_from_slice(&new.to_ne_bytes());
        }
        btf_bytes::read_all(&bytes);
    }
}
