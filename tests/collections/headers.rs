//! Objects of clang's that end early, or whose headers are damaged: each is refused, with the name of the section that is at fault, or it is
//! the collection that it was.

use crate::common::Folder;
use crate::common::requires::needs_tried;
use crate::objects::{compiled_as, compilers, no_compiler};
use crate::programs::big_endian;
use rawbpf::Collection;
use rawbpf::asm::{CollectionProgram, Section};
use rawbpf::object::Object;
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

/// The object with other values of a field.
fn damaged(whole: &[u8], at: usize, size: usize) -> Vec<Vec<u8>> {
    let is = number(whole, at, size) as u64;
    let most = u64::MAX >> (64 - 8 * size);
    let mut values = vec![is ^ 1, most];
    values.sort_unstable();
    values.dedup();
    values.retain(|value| *value != is);
    let with = |value: u64| {
        let mut bytes = whole.to_vec();
        bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
        bytes
    };
    values.into_iter().map(with).collect()
}

/// What is wrong with a verdict, if something is.
fn wrong(verdict: &Verdict, may_differ: bool, named: Option<&str>) -> Option<String> {
    match verdict {
        Verdict::Same => None,
        Verdict::Other(_) if may_differ => None,
        Verdict::Other(what) => Some(format!("it is another one: {what}")),
        Verdict::Refused(why) => {
            let name = named?;
            let says = why.contains("section `") || why.contains(name);
            (!says).then(|| format!("no section is named: {why}"))
        }
    }
}

/// Damages an object in all these ways; returns what is wrong, and how many ways there were.
fn check(file: &Path, with_debug: bool) -> (Vec<String>, usize) {
    let whole = fs::read(file).unwrap();
    let object = Object::read(&whole).unwrap();
    let Ok(collection) = object.collection("object.o") else { return (Vec::new(), 0) };
    assert_eq!(verdict(&collection, &whole), Verdict::Same);
    let (mut problems, mut count) = (Vec::new(), 0);
    let mut note = |what: &str, bytes: &[u8], may_differ: bool, named: Option<&str>| {
        count += 1;
        if let Some(wrong) = wrong(&verdict(&collection, bytes), may_differ, named) {
            problems.push(format!("{}: {what}: {wrong}", file.display()));
        }
    };
    for (field, at, size) in FILE {
        for bytes in damaged(&whole, at, size) {
            note(field, &bytes, false, None);
        }
    }
    for place in sections(&whole) {
        let Place { name, header, offset, .. } = &place;
        let debug = name.starts_with(".debug") || name.starts_with(".rel.debug");
        for end in [*offset, offset + place.size, *header] {
            if end < whole.len() {
                note(&format!("up to {end} ({name})"), &whole[..end], false, None);
            }
        }
        if debug && !with_debug {
            continue;
        }
        for (field, at, size) in SECTION {
            for bytes in damaged(&whole, header + at, size) {
                // A section of another name is another section, one that is larger has more in it if nothing is behind it, an empty one
                // is none if nothing names it, and bytes that belong to no section can be in one. Of texts that only addresses in data
                // lead to, which are not filled in, nobody knows how long they are.
                let is = number(&bytes, header + at, size);
                let resized = is == 0 || is > number(&whole, header + at, size);
                let may_differ = match field {
                    "sh_name" | "sh_offset" => true,
                    "sh_size" => resized || name.starts_with(".rodata.str"),
                    _ => false,
                };
                // Tables of names and symbols are for the file as a whole, and no name is one.
                let of_file = matches!(&**name, "" | ".strtab" | ".symtab") || field == "sh_name";
                let named = (!of_file).then_some(&**name);
                note(&format!("{field} of {name}"), &bytes, may_differ, named);
            }
        }
        let fields = match &**name {
            ".BTF" => &BTF[..],
            ".BTF.ext" => &BTF_EXT,
            _ => continue,
        };
        for (field, at, size) in fields {
            for bytes in damaged(&whole, offset + at, *size) {
                note(&format!("{field} in {name}"), &bytes, false, Some(".BTF"));
            }
        }
    }
    (problems, count)
}

#[test]
fn a_damaged_header_is_refused_or_changes_nothing() {
    needs_tried!("clang", no_compiler());
    needs_tried!("little-endian objects", big_endian());
    let folder = Folder::new();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/object_load");
    let names = fs::read_dir(sources).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<_> =
        names.map(|name| name.into_string().unwrap()).filter(|name| name.ends_with(".c")).collect();
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            let object = folder.path().join(name).with_extension("o");
            let options: &[&str] = match &**name {
                "section.c" => &["-DSECTION=\"xdp\"", "-DRETURNS=2"],
                "code_atomics.c" => &["-mcpu=v3"],
                _ => &[],
            };
            compiled_as(compilers()[0], name, options, &object);
            results.lock().unwrap().push(check(&object, name == "core.c"));
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    let results = results.into_inner().unwrap();
    let count: usize = results.iter().map(|(_, count)| count).sum();
    let problems: Vec<_> = results.into_iter().flat_map(|(problems, _)| problems).collect();
    assert!(problems.is_empty(), "{} of {count}:\n{}", problems.len(), problems.join("\n"));
    assert!(count > 20_000, "{count}");
}
