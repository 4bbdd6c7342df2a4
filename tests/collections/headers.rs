//! Objects of clang's that end early, or whose headers are damaged: each is refused, with the name of the section that is at fault, or it is
//! the collection that it was.

use crate::common::Folder;
use crate::common::requires::needs_tried;
use crate::objects::{compiled_as, compilers, no_compiler};
use crate::programs::big_endian;
use rawbpf::Collection;
use rawbpf::asm::{CollectionProgram, Section};
use rawbpf::object::Object;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is made of a damaged object.
#[derive(Debug, Clone, PartialEq)]
enum Verdict {
    Refused(String),
    Same,
    /// It is another collection: in what.
    Other(&'static str),
}

fn number(file: &[u8], at: usize, size: usize) -> usize {
    file[at..at + size].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// A section by its header.
#[derive(Debug, Clone)]
struct Place {
    name: String,
    header: usize,
    kind: usize,
    offset: usize,
    size: usize,
}

fn sections(file: &[u8]) -> Vec<Place> {
    // `e_shoff`, `e_shnum` and `e_shstrndx` of `Elf64_Ehdr`; `Elf64_Shdr` has 64 bytes.
    let (table, count, names) = (number(file, 40, 8), number(file, 60, 2), number(file, 62, 2));
    let field = |section: usize, at, size| number(file, table + section * 64 + at, size);
    let names = field(names, 24, 8);
    let name = |at: usize| {
        let bytes: Vec<u8> =
            file[names + at..].iter().copied().take_while(|byte| *byte != 0).collect();
        String::from_utf8(bytes).unwrap()
    };
    let place = |section| Place {
        name: name(field(section, 0, 4)),
        header: table + section * 64,
        kind: field(section, 4, 4),
        offset: field(section, 24, 8),
        size: field(section, 32, 8),
    };
    (0..count).map(place).collect()
}

/// What of two collections differs.
fn difference(one: &Collection<'_>, other: &Collection<'_>) -> Option<&'static str> {
    let (data, others) = (one.data(), other.data());
    let names = |collection: &Collection<'_>| -> Vec<String> {
        collection.programs().iter().map(|program| program.name().to_owned()).collect()
    };
    let checks = [
        ("license", one.license() == other.license()),
        ("maps", one.maps() == other.maps()),
        ("data", Section::ALL.iter().all(|of| data.section(*of) == others.section(*of))),
        ("types of data", data.types == others.types),
        ("more data", data.more == others.more),
        ("variables", one.variables() == other.variables()),
        ("programs", names(one) == names(other)),
        ("externs", one.externs().eq(other.externs())),
    ];
    let wrong = checks.into_iter().find(|(_, same)| !same);
    wrong.map(|(what, _)| what).or_else(|| {
        one.programs().iter().zip(other.programs()).find_map(|(one, other)| in_program(one, other))
    })
}

fn in_program(one: &CollectionProgram<'_>, other: &CollectionProgram<'_>) -> Option<&'static str> {
    let (code, others) = (one.code(), other.code());
    let (object, others_object) = (code.object.unwrap(), others.object.unwrap());
    let labels = |code: &rawbpf::asm::Code<'_>| -> Vec<(u32, String)> {
        code.labels.iter().map(|(slot, name)| (slot, name.to_owned())).collect()
    };
    let checks = [
        ("section", one.section() == other.section()),
        ("target", one.target() == other.target()),
        ("autoload", one.autoload() == other.autoload()),
        ("instructions", one.slots() == other.slots()),
        ("relocations", one.relocations() == other.relocations()),
        ("names of functions", labels(&code) == labels(&others)),
        ("types", object.types == others_object.types),
        ("functions", object.functions == others_object.functions),
        ("lines", object.lines == others_object.lines),
    ];
    checks.into_iter().find(|(_, same)| !same).map(|(what, _)| what)
}

fn verdict(whole: &Collection<'_>, bytes: &[u8]) -> Verdict {
    let object = match Object::read(bytes) {
        Ok(object) => object,
        Err(error) => return Verdict::Refused(error.to_string()),
    };
    match object.collection("object.o") {
        Ok(collection) => difference(whole, &collection).map_or(Verdict::Same, Verdict::Other),
        Err(error) => Verdict::Refused(error.to_string()),
    }
}

/// Fields of headers: name, offset, size.
type Field = (&'static str, usize, usize);

/// `Elf64_Ehdr`.
const FILE: [Field; 18] = [
    ("EI_MAG", 0, 4),
    ("EI_CLASS", 4, 1),
    ("EI_DATA", 5, 1),
    ("EI_VERSION", 6, 1),
    ("EI_OSABI", 7, 1),
    ("e_type", 16, 2),
    ("e_machine", 18, 2),
    ("e_version", 20, 4),
    ("e_entry", 24, 8),
    ("e_phoff", 32, 8),
    ("e_shoff", 40, 8),
    ("e_flags", 48, 4),
    ("e_ehsize", 52, 2),
    ("e_phentsize", 54, 2),
    ("e_phnum", 56, 2),
    ("e_shentsize", 58, 2),
    ("e_shnum", 60, 2),
    ("e_shstrndx", 62, 2),
];

/// `Elf64_Shdr`.
const SECTION: [Field; 10] = [
    ("sh_name", 0, 4),
    ("sh_type", 4, 4),
    ("sh_flags", 8, 8),
    ("sh_addr", 16, 8),
    ("sh_offset", 24, 8),
    ("sh_size", 32, 8),
    ("sh_link", 40, 4),
    ("sh_info", 44, 4),
    ("sh_addralign", 48, 8),
    ("sh_entsize", 56, 8),
];

/// `struct btf_header`.
const BTF: [Field; 8] = [
    ("magic", 0, 2),
    ("version", 2, 1),
    ("flags", 3, 1),
    ("hdr_len", 4, 4),
    ("type_off", 8, 4),
    ("type_len", 12, 4),
    ("str_off", 16, 4),
    ("str_len", 20, 4),
];

/// `struct btf_ext_header`.
const BTF_EXT: [Field; 10] = [
    ("magic", 0, 2),
    ("version", 2, 1),
    ("flags", 3, 1),
    ("hdr_len", 4, 4),
    ("func_info_off", 8, 4),
    ("func_info_len", 12, 4),
    ("line_info_off", 16, 4),
    ("line_info_len", 20, 4),
    ("core_relo_off", 24, 4),
    ("core_relo_len", 28, 4),
];

/// Other values of a field.
fn damaged(whole: &[u8], at: usize, size: usize) -> Vec<Vec<u8>> {
    let is = number(whole, at, size) as u64;
    let most = u64::MAX >> (64 - 8 * size);
    let mut values = vec![is ^ 1, is.wrapping_add(8) & most, 0, most];
    values.dedup();
    values.retain(|value| *value != is);
    let with = |value: u64| {
        let mut bytes = whole.to_vec();
        bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
        bytes
    };
    values.into_iter().map(with).collect()
}

#[test]
fn explore() {
    let folder = std::env::var("EXPLORE").unwrap();
    let mut tally: BTreeMap<(String, &str, String), usize> = BTreeMap::new();
    let mut count = 0;
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        let whole = fs::read(&file).unwrap();
        let object = Object::read(&whole).unwrap();
        let Ok(collection) = object.collection("object.o") else { continue };
        let mut note = |of: &str, field: &'static str, verdict: Verdict| {
            count += 1;
            let text = match verdict {
                Verdict::Refused(why) => format!(
                    "refused: {}",
                    why.replace(|c: char| c.is_ascii_digit(), "")
                        .chars()
                        .take(150)
                        .collect::<String>()
                ),
                Verdict::Same => "same".into(),
                Verdict::Other(what) => format!("OTHER {what}"),
            };
            let text = if text.starts_with("OTHER") {
                format!("{text} {}", file.file_stem().unwrap().to_str().unwrap())
            } else {
                text
            };
            *tally.entry((of.into(), field, text)).or_default() += 1;
        };
        for (field, at, size) in FILE {
            for bytes in damaged(&whole, at, size) {
                note("file", field, verdict(&collection, &bytes));
            }
        }
        for place in sections(&whole) {
            let kind = match place.name.as_str() {
                name if name.starts_with(".rel") => ".rel",
                "" | ".text" | ".BTF" | ".BTF.ext" | "license" | ".maps" | ".symtab"
                | ".strtab" | ".llvm_addrsig" | ".bss" | ".rodata" | ".data" => &place.name,
                name if name.starts_with(".debug") => "debug",
                name if name.starts_with(".") => ".other",
                _ => "program",
            };
            for (field, at, size) in SECTION {
                for bytes in damaged(&whole, place.header + at, size) {
                    note(kind, field, verdict(&collection, &bytes));
                }
            }
            let fields = match kind {
                ".BTF" => &BTF[..],
                ".BTF.ext" => &BTF_EXT[..],
                _ => &[],
            };
            for (field, at, size) in fields {
                for bytes in damaged(&whole, place.offset + at, *size) {
                    note(
                        "header of",
                        Box::leak(format!("{kind} {field}").into_boxed_str()),
                        verdict(&collection, &bytes),
                    );
                }
            }
            for end in [
                place.offset,
                place.offset + place.size,
                place.offset + place.size / 2,
                place.header,
            ] {
                if end < whole.len() {
                    note(kind, "truncated", verdict(&collection, &whole[..end]));
                }
            }
        }
    }
    for ((of, field, text), count) in tally {
        println!("{of}\t{field}\t{count}\t{text}");
    }
    println!("{count}");
}
