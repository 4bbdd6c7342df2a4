//! Debug information that compilers make, whole and damaged. What is expected is what the compiled programs say of themselves.

use super::abi::{Class, Leaf, Machine};
use super::*;
use crate::requires;
use proptest::prelude::*;
use std::fs;
use std::process::Command;

pub(crate) const SOURCE: &str = r#"
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum color { RED, GREEN = 7, BLUE = -2 };
typedef struct { int x; short y; } point;
typedef point *place;
union both { long number; char text[12]; };
struct declared;
struct outer {
    char first;
    struct outer *next;
    char name[10];
    int grid[2][3];
    unsigned low : 3, high : 9;
    long long wide : 40;
    enum color color;
    point where;
    union { int left; float right; };
    struct { char deep; } named;
    union both both;
    struct declared *unknown;
    int (*call)(int);
    unsigned char bytes[4];
    _Bool yes;
    int more[];
};

int function(struct outer *o, const char *text, unsigned char c, double d, enum color color, place at, int (*call)(int, ...),
             long on_stack, float f, _Bool b, volatile short *behind)
{
    return o->first + text[0] + c + (int)d + color + at->x + call(1) + on_stack + f + b + *behind;
}

static int by_value(point p, int after) { return p.x + after; }

static int hidden(int n) { struct local { int a; } l = { n }; return l.a; }

/* The bits that a bit-field has: those that are set if it is all ones. */
#define BITS(field) do { struct outer o; memset(&o, 0, sizeof o); o.field = -1; printf("bits " #field); \
    for (size_t i = 0; i < offsetof(struct outer, color); i++) for (int bit = 0; bit < 8; bit++) \
        if (((unsigned char *)&o)[i] >> bit & 1) printf(" %zu", i * 8 + bit); printf("\n"); } while (0)
#define MEMBER(field) printf("member " #field " %zu\n", offsetof(struct outer, field))

int main(int argc, char **argv)
{
    if (argc > 1) { struct outer o; return function(&o, "", 0, 0, RED, 0, 0, 0, 0, 0, 0); }
    printf("size outer %zu\nsize both %zu\nsize point %zu\n", sizeof(struct outer), sizeof(union both), sizeof(point));
    MEMBER(first); MEMBER(next); MEMBER(name); MEMBER(grid); MEMBER(color); MEMBER(where); MEMBER(left); MEMBER(right);
    MEMBER(named); MEMBER(both); MEMBER(unknown); MEMBER(call); MEMBER(bytes); MEMBER(yes); MEMBER(more);
    BITS(low); BITS(high); BITS(wide);
    return by_value((point){0, 0}, 0) + hidden(0);
}
"#;

/// The compiler's options. GCC writes version 5 by default.
const WAYS: [&[&str]; 8] = [
    &["-g", "-O0"],
    &["-gdwarf-5", "-O0", "-fdebug-types-section"],
    &["-gdwarf-4", "-O0"],
    &["-gdwarf-4", "-O0", "-fdebug-types-section"],
    &["-gdwarf-3", "-O0"],
    &["-gdwarf-2", "-gstrict-dwarf", "-O0"],
    &["-gdwarf-5", "-O2", "-fno-inline", "-gdwarf64"],
    &["-g", "-O0", "-gz=zlib"],
];

pub(crate) struct Compiled {
    folder: tempfile::TempDir,
}

impl Compiled {
    pub(crate) fn new() -> Compiled {
        Compiled { folder: tempfile::tempdir().unwrap() }
    }

    /// Compiles a source, whose name says its language.
    pub(crate) fn build(&self, name: &str, source: &str, args: &[&str]) -> PathBuf {
        let at = self.folder.path();
        fs::write(at.join(name), source).unwrap();
        let compiler = if name.ends_with(".cc") { "g++" } else { "gcc" };
        let program = at.join("program");
        // Compilers may compress if nobody asks.
        let output = Command::new(compiler)
            .args(["-gz=none"])
            .args(args)
            .args(["-o", "program", name])
            .current_dir(at)
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        program
    }
}

/// Why a compiler cannot be used.
pub(crate) fn no_compiler(name: &str) -> Option<String> {
    let answer = Command::new(name).arg("--version").output();
    answer.err().map(|error| format!("{name}: {error}"))
}

macro_rules! needs_compiler {
    ($name:literal) => {
        if let Some(why) = no_compiler($name) {
            fn here() {}
            return requires::skip($name, &why, here);
        }
    };
}

fn open(path: &Path) -> DebugInfo {
    DebugInfo::open(path).unwrap().unwrap()
}

/// The lines that the program prints about itself, by their first word.
fn said<'t>(text: &'t str, word: &str) -> Vec<(&'t str, Vec<u64>)> {
    let lines = text.lines().map(|line| line.split(' '));
    lines
        .filter_map(|mut words| (words.next() == Some(word)).then_some(words))
        .map(|mut words| (words.next().unwrap(), words.map(|one| one.parse().unwrap()).collect()))
        .collect()
}

#[test]
fn members_are_where_the_compiler_puts_them() {
    needs_compiler!("gcc");
    let compiled = Compiled::new();
    for way in WAYS {
        let path = compiled.build("types.c", SOURCE, way);
        let text = String::from_utf8(Command::new(&path).output().unwrap().stdout).unwrap();
        let info = open(&path);
        let id = info.struct_named("outer").unwrap().unwrap();
        let mut members = info.members(id).unwrap();
        // Those of the anonymous union are members of the whole.
        let anonymous = members.iter().position(|one| one.name.is_empty()).unwrap();
        let outer = members.remove(anonymous);
        let Type::Composite { id: inner, union: true, .. } = info.resolve(outer.of).unwrap() else {
            panic!("{way:?}: {outer:?}");
        };
        for one in info.members(inner).unwrap() {
            let bit_offset = outer.bit_offset + one.bit_offset;
            members.push(types::Member { bit_offset, ..one });
        }
        let found = |name: &str| members.iter().find(|one| one.name == name).unwrap();
        let (plain, bits) = (said(&text, "member"), said(&text, "bits"));
        assert_eq!((plain.len() + bits.len(), plain.len()), (members.len(), 15), "{way:?}");
        for (name, offset) in plain {
            let member = found(name);
            assert_eq!((member.bit_offset, member.bits), (offset[0] * 8, None), "{way:?} {name}");
        }
        if cfg!(target_endian = "little") {
            for (name, bits) in bits {
                let member = found(name);
                let all = member.bit_offset..member.bit_offset + u64::from(member.bits.unwrap());
                assert_eq!(all.collect::<Vec<_>>(), bits, "{way:?} {name}");
            }
        }
        for (name, size) in said(&text, "size") {
            let id = match name {
                "both" => info.union_named(name),
                "point" => info.typedef_named(name),
                name => info.struct_named(name),
            };
            let id = id.unwrap();
            let Type::Composite { size: read, .. } = info.resolve(id).unwrap() else {
                panic!("{way:?}: {name}");
            };
            assert_eq!(read, size[0], "{way:?} {name}");
        }
    }
}

#[test]
fn types_are_those_of_the_source() {
    needs_compiler!("gcc");
    let compiled = Compiled::new();
    for way in WAYS {
        let info = open(&compiled.build("types.c", SOURCE, way));
        let id = info.struct_named("outer").unwrap().unwrap();
        let members = info.members(id).unwrap();
        let resolve = |name: &str| {
            let member = members.iter().find(|one| one.name == name).unwrap();
            info.resolve(member.of).unwrap()
        };
        let int = |size, signed| Type::Int { size, signed, character: false };
        let Type::Pointer(Some(next)) = resolve("next") else { panic!("{way:?}") };
        assert_eq!(info.resolve(Some(next)).unwrap(), info.resolve(Some(id)).unwrap(), "{way:?}");
        for (name, element, expected) in [
            (
                "name",
                Type::Int { size: 1, signed: cfg!(target_arch = "x86_64"), character: true },
                &[10][..],
            ),
            ("grid", int(4, true), &[2, 3]),
            ("bytes", int(1, false), &[4]),
            ("more", int(4, true), &[0]),
        ] {
            let Type::Array { of, lengths, vector: false } = resolve(name) else {
                panic!("{name}")
            };
            assert_eq!(
                (info.resolve(of).unwrap(), &*lengths),
                (element, expected),
                "{way:?} {name}"
            );
        }
        assert_eq!(resolve("low"), int(4, false), "{way:?}");
        assert_eq!(resolve("yes"), Type::Bool { size: 1 }, "{way:?}");
        let Type::Pointer(Some(unknown)) = resolve("unknown") else { panic!("{way:?}") };
        assert!(matches!(
            info.resolve(Some(unknown)).unwrap(),
            Type::Composite { declared: true, .. }
        ));
        let Type::Enum { id, name, size: 4, signed: true } = resolve("color") else {
            panic!("{way:?}: {:?}", resolve("color"));
        };
        let values = info.enumerators(id).unwrap();
        let values: Vec<_> = values.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(name, "color");
        assert_eq!(values, [("RED", 0), ("GREEN", 7), ("BLUE", -2)], "{way:?}");
        assert_eq!(info.enum_named("color").unwrap(), Some(id));
        // It is declared, or in a function, or nowhere, or another kind of type.
        for none in ["declared", "local", "nothing", "both", "point"] {
            assert_eq!(info.struct_named(none).unwrap(), None, "{way:?} {none}");
        }
        let mut names = Vec::new();
        info.struct_names(|name| names.push(name.to_owned())).unwrap();
        assert!(
            ["outer", "both"].iter().all(|name| names.contains(&(*name).to_owned())),
            "{names:?}"
        );
    }
}

#[test]
fn parameters_are_declared_as_bpftrace_lists_them() {
    needs_compiler!("gcc");
    let compiled = Compiled::new();
    for way in WAYS {
        let info = open(&compiled.build("types.c", SOURCE, way));
        let declared = |function: &str| -> Vec<String> {
            let found = info.parameters(function).unwrap().unwrap();
            found.iter().map(|one| info.declaration(one).unwrap()).collect()
        };
        // bpftrace 0.17 writes `<unknown type>` for what has a function or `volatile` in it.
        let expected = [
            "struct outer* o",
            "const char* text",
            "unsigned char c",
            "double d",
            "enum color color",
            "place at",
            "int (*)(int, ...) call",
            "long int on_stack",
            "float f",
            "_Bool b",
            "volatile short int* behind",
        ];
        assert_eq!(declared("function"), expected, "{way:?}");
        assert_eq!(declared("main"), ["int argc", "char** argv"], "{way:?}");
        assert_eq!(info.parameters("nothing").unwrap(), None);
        // It has no entry, because it was compiled elsewhere.
        assert_eq!(info.parameters("_start").unwrap(), None);
    }
}

#[test]
fn parameters_that_are_not_read_say_so_and_take_their_registers() {
    needs_compiler!("gcc");
    let compiled = Compiled::new();
    let info = open(&compiled.build("types.c", SOURCE, WAYS[0]));
    let places = |function: &str| -> Vec<_> {
        let found = info.parameters(function).unwrap().unwrap();
        found.into_iter().map(|one| (one.name, one.place)).collect()
    };
    let float = Err("floating-point numbers");
    let (registers, stack) = (Place::Register, Place::Stack);
    if cfg!(target_arch = "x86_64") {
        let expected = [
            ("o", Ok(registers(0))),
            ("text", Ok(registers(1))),
            ("c", Ok(registers(2))),
            ("d", float),
            ("color", Ok(registers(3))),
            ("at", Ok(registers(4))),
            ("call", Ok(registers(5))),
            ("on_stack", Ok(stack(0))),
            ("f", float),
            ("b", Ok(stack(1))),
            ("behind", Ok(stack(2))),
        ];
        let expected = expected.map(|(name, place)| (name.to_owned(), place));
        assert_eq!(places("function"), expected);
    }
    let by_value = places("by_value");
    assert_eq!(by_value[0].1, Err("structs passed by value"));
    assert_eq!(by_value[1].1, Ok(registers(1)));
}

#[test]
fn functions_of_cpp_are_found_by_their_symbols() {
    needs_compiler!("g++");
    let source = r#"
        struct Base { long inherited; };
        namespace outer {
            class Thing : public Base { public: int own; static int shared; Thing(int n) : own(n) {} int method(const Thing &other, int n); };
            int Thing::shared = 1;
            int Thing::method(const Thing &other, int n) { return own + other.own + n; }
            static int same(int first) { return first; }
            int call(int n) { return same(n); }
        }
        static int same(char *second) { return *second; }
        int main() { outer::Thing t(1); char c = 0; return t.method(t, 2) + outer::call(1) + same(&c); }
    "#;
    let compiled = Compiled::new();
    let info = open(&compiled.build("things.cc", source, &["-g", "-O0"]));
    let declared = |function: &str| -> Vec<String> {
        let found = info.parameters(function).unwrap().unwrap();
        found.iter().map(|one| info.declaration(one).unwrap()).collect()
    };
    let method = declared("_ZN5outer5Thing6methodERKS0_i");
    assert_eq!(method, ["class Thing* const this", "const class Thing& other", "int n"]);
    assert_eq!(declared("_ZN5outerL4sameEi"), ["int first"]);
    assert_eq!(declared("_ZL4samePc"), ["char* second"]);
    let id = info.struct_named("Thing").unwrap().unwrap();
    let members = info.members(id).unwrap();
    let names: Vec<_> = members.iter().map(|one| (one.name.as_str(), one.bit_offset)).collect();
    // The static one is none, and the class that it inherits from has no name.
    assert_eq!(names, [("", 0), ("own", 64)]);
}

/// Where the compiler puts what is seldom executed, the arguments of the function are no more.
#[test]
fn parts_of_functions_have_no_arguments() {
    needs_compiler!("gcc");
    let source = r#"
        __attribute__((cold, noinline)) int seldom(int n) { __asm__ volatile ("" : : "r"(n)); return n; }
        __attribute__((noinline)) int split(int n, int m) { if (__builtin_expect(n > 5, 0)) { seldom(n); seldom(m); return seldom(3); } return n + m; }
        int main(int argc, char **argv) { return split(argc, 2); }
    "#;
    let compiled = Compiled::new();
    let path = compiled.build("split.c", source, &["-g", "-O2", "-freorder-blocks-and-partition"]);
    let info = open(&path);
    let names: Vec<_> = info.parameters("split").unwrap().unwrap();
    let names: Vec<_> = names.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["n", "m"]);
    assert!(!info.elf.places("split.cold", 0, None).unwrap().is_empty(), "it is not split");
    let refused = info.parameters("split.cold");
    assert!(
        matches!(refused, Err(DwarfError::Unsupported("args of a part of a function"))),
        "{refused:?}"
    );
}

/// Debug information by hand: an array of many dimensions, and a small struct of many bit-fields.
fn absurd(dimensions: usize, bit_fields: usize) -> String {
    // Abbreviations: a unit, an integer, an array, a dimension, a struct, a member, a bit-field, a function, a parameter.
    let abbreviations = "1,0x11,1, 0,0, 2,0x24,0, 0x0b,0x0b, 0x3e,0x0b, 0,0, 3,0x01,1, 0x49,0x13, 0,0, 4,0x21,0, 0x37,0x0b, 0,0, \
        5,0x13,1, 0x03,0x08, 0x0b,0x0b, 0,0, 6,0x0d,0, 0x03,0x08, 0x49,0x13, 0x38,0x0b, 0,0, \
        7,0x0d,0, 0x49,0x13, 0x0d,0x0b, 0x6b,0x0b, 0,0, 8,0x2e,1, 0x03,0x08, 0x11,0x01, 0x12,0x0b, 0,0, 9,0x05,0, 0x49,0x13, 0,0, 0";
    format!(
        "
        .globl main, f
        .text
        main: .byte 0
        f: .byte 0
        .section .debug_abbrev
        .byte {abbreviations}
        .section .debug_info
        start: .4byte end - length
        length: .2byte 4
        .4byte 0
        .byte 8, 1
        int: .byte 2, 4, 5
        array: .byte 3
        .4byte int - start
        .rept {dimensions}
        .byte 4, 2
        .endr
        .byte 0
        wide: .byte 5
        .asciz \"wide\"
        .byte 8, 6
        .asciz \"grid\"
        .4byte array - start
        .byte 0, 0
        narrow: .byte 5
        .asciz \"narrow\"
        .byte 8
        .rept {bit_fields}
        .byte 7
        .4byte int - start
        .byte 1, 3
        .endr
        .byte 0, 8
        .asciz \"f\"
        .8byte f
        .byte 1, 9
        .4byte narrow - start
        .byte 0, 0
        end:
        .section .note.GNU-stack
        "
    )
}

/// A type of so many parts would exhaust the stack of those that follow it.
#[test]
fn types_of_absurdly_many_parts_are_damaged() {
    needs_compiler!("gcc");
    let compiled = Compiled::new();
    let read = |dimensions, bit_fields| {
        let info = open(&compiled.build("absurd.s", &absurd(dimensions, bit_fields), &["-no-pie"]));
        let id = info.struct_named("wide").unwrap().unwrap();
        let grid = info.resolve(info.members(id).unwrap()[0].of);
        let damaged = |error| matches!(error, DwarfError::Damaged);
        let parameters = info.parameters("f").map(|found| found.unwrap().len()).map_err(damaged);
        let dimensions = grid.map_err(damaged).map(|found| match found {
            Type::Array { lengths, .. } => lengths.len(),
            other => panic!("{other:?}"),
        });
        (dimensions, parameters)
    };
    assert_eq!(read(3, 500), (Ok(3), Ok(1)));
    assert_eq!(read(100_000, 2_000), (Err(true), Err(true)));
}

/// Types whose every copy refers to all others would be compared in pairs.
#[test]
fn comparisons_of_types_have_an_end() {
    needs_compiler!("gcc");
    let compiled = Compiled::new();
    let source = "struct ring { struct ring *next; struct other { struct ring *back; int at; } *other; }; \
                  int NAME(struct ring *r) { return 0; }";
    let object = compiled.build("other.c", &source.replace("NAME", "other"), &["-g", "-c"]);
    fs::rename(&object, object.with_file_name("other.o")).unwrap();
    let path = compiled.build("one.c", &source.replace("NAME", "main"), &["-g", "-w", "other.o"]);
    let info = open(&path);
    let ring = |function: &str| {
        let of = info.parameters(function).unwrap().unwrap()[0].of;
        let Type::Pointer(Some(to)) = info.resolve(of).unwrap() else { panic!("{function}") };
        to
    };
    let (one, other) = (ring("main"), ring("other"));
    assert_ne!(one, other);
    assert!(info.same(one, other));
    // The pairs that are the same are known then: nothing is left to compare but the first.
    info.compared.borrow_mut().left = 1;
    assert!(info.same(one, other));
    // Without them they cannot be compared any more.
    *info.compared.borrow_mut() = same::Compared::default();
    info.compared.borrow_mut().left = 5;
    assert!(!info.same(one, other));
    assert_eq!(info.compared.borrow().left, 0);
}

#[test]
fn files_without_debug_information_have_none() {
    needs_compiler!("gcc");
    let compiled = Compiled::new();
    let path = compiled.build("plain.c", "int main(void) { return 0; }", &["-g0"]);
    assert!(DebugInfo::open(&path).unwrap().is_none());
    let path = compiled.build("apart.c", "int main(void) { return 0; }", &["-g", "-gsplit-dwarf"]);
    let Err(DwarfError::Unsupported(what)) = DebugInfo::open(&path)
        .and_then(|info| info.map(|info| info.parameters("main")).transpose())
    else {
        panic!("split debug information was read");
    };
    assert_eq!(what, "split debug information (.dwo)");
    fs::write(&path, "no ELF file").unwrap();
    assert!(matches!(DebugInfo::open(&path), Err(DwarfError::File(_))));
}

#[test]
fn debug_information_can_be_in_a_file_of_its_own() {
    needs_compiler!("gcc");
    needs_compiler!("objcopy");
    let compiled = Compiled::new();
    let path = compiled.build("types.c", SOURCE, WAYS[0]);
    let objcopy = |args: &[&str]| {
        let output =
            Command::new("objcopy").args(args).current_dir(compiled.folder.path()).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    objcopy(&["--only-keep-debug", "--compress-debug-sections=zlib", "program", "apart.debug"]);
    objcopy(&["--strip-all", "program"]);
    assert!(DebugInfo::open(&path).unwrap().is_none());
    objcopy(&["--add-gnu-debuglink=apart.debug", "program"]);
    let info = open(&path);
    let parameters = info.parameters("hidden").unwrap().unwrap();
    assert_eq!(parameters[0].name, "n");
    assert!(info.struct_named("outer").unwrap().is_some());
}

/// Asks for whatever there is.
fn everything(info: &DebugInfo) {
    fn follow(info: &DebugInfo, id: Option<TypeId>, depth: usize) {
        match info.resolve(id) {
            Ok(Type::Pointer(of) | Type::Array { of, .. }) if depth < 4 => {
                follow(info, of, depth + 1)
            }
            Ok(Type::Composite { id, .. }) if depth < 4 => {
                let _ = (info.scope(id), info.definition(id));
                for member in info.members(id).unwrap_or_default() {
                    follow(info, member.of, depth + 1);
                }
            }
            Ok(Type::Enum { id, .. }) => drop(info.enumerators(id)),
            _ => {}
        }
    }
    for function in ["function", "by_value", "hidden", "main", "_start"] {
        for parameter in info.parameters(function).ok().flatten().unwrap_or_default() {
            let _ = info.declaration(&parameter);
            follow(info, parameter.of, 0);
        }
    }
    for name in ["outer", "declared", "nothing"] {
        follow(info, info.struct_named(name).ok().flatten(), 0);
    }
    let _ = (info.union_named("both"), info.enum_named("color"), info.typedef_named("point"));
}

/// Passes the file to `f` with some of its debug information changed, and sometimes cut, `cases` times.
pub(crate) fn damage(path: &Path, cases: u32, f: impl Fn(&Path)) {
    let whole = fs::read(path).unwrap();
    let sections = section::places_of(&Elf::open(path).unwrap());
    let damaged = path.with_extension("damaged");
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6);
    let cut = prop::option::weighted(0.2, any::<prop::sample::Index>());
    let input = (any::<prop::sample::Index>(), changes, cut);
    let tested = runner.run(&input, |(section, changes, cut)| {
        let (start, size) = *section.get(&sections);
        let mut bytes = whole.clone();
        for (at, value) in changes {
            bytes[start as usize + at.index(size as usize)] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        fs::write(&damaged, bytes).unwrap();
        f(&damaged);
        Ok(())
    });
    tested.unwrap();
}

#[test]
fn damaged_debug_information_does_no_harm() {
    needs_compiler!("gcc");
    let compiled = Compiled::new();
    for way in [WAYS[0], WAYS[3], WAYS[6], WAYS[7]] {
        let path = compiled.build("types.c", SOURCE, way);
        everything(&open(&path));
        damage(&path, 300, |damaged| {
            if let Ok(Some(info)) = DebugInfo::open(damaged) {
                everything(&info);
            }
        });
    }
}

const INT: Class = Class::Integer { size: 4 };
const DOUBLE: Class = Class::Float { size: 8 };

fn leaf(offset: u64, size: u64, float: bool) -> Leaf {
    Leaf { offset, size, align: size, float }
}

fn composite(size: u64, leaves: &[Leaf]) -> Class {
    Class::Composite { size, leaves: leaves.to_vec(), by_reference: false }
}

/// The places of those that are integers, by `r` and `s` and a number.
fn places(machine: Machine, arguments: &[Class], result: Option<&Class>) -> String {
    let places = machine.places(arguments, result, false);
    let texts = places.iter().filter_map(|place| match place {
        Ok(Place::Register(number)) => Some(format!("r{number}")),
        Ok(Place::Stack(number)) => Some(format!("s{number}")),
        Err("args behind one whose place is not known") => Some("?".into()),
        Err(_) => None,
    });
    texts.collect::<Vec<_>>().join(" ")
}

#[test]
fn arguments_of_x86_are_where_the_abi_says() {
    let x86 = |arguments: &[Class]| places(Machine::X86, arguments, None);
    // 3.2.3, figure 3.4: registers for integers and for numbers with a point are counted apart.
    assert_eq!(x86(&[INT, DOUBLE, INT, INT, INT, INT, INT, INT, INT]), "r0 r1 r2 r3 r4 r5 s0 s1");
    // Two integers, one integer and one float, two floats: in registers.
    let (ints, mixed) = (
        composite(16, &[leaf(0, 8, false), leaf(8, 8, false)]),
        composite(16, &[leaf(0, 8, true), leaf(8, 4, false)]),
    );
    let floats = composite(16, &[leaf(0, 4, true), leaf(4, 4, true), leaf(8, 8, true)]);
    assert_eq!(x86(&[ints.clone(), INT, mixed, INT, floats, INT]), "r2 r4 r5");
    // What does not fit into the registers that are left takes none of them.
    assert_eq!(x86(&[INT, INT, INT, INT, INT, ints, INT, INT]), "r0 r1 r2 r3 r4 r5 s2");
    // More than 16 bytes, or not aligned: in memory.
    let large = composite(24, &[leaf(0, 8, false), leaf(8, 8, false), leaf(16, 8, false)]);
    let packed = composite(5, &[leaf(0, 1, false), leaf(1, 4, false)]);
    let fill = [INT, INT, INT, INT, INT, INT];
    assert_eq!(
        x86(&[&[large.clone(), packed][..], &fill, &[INT]].concat()),
        "r0 r1 r2 r3 r4 r5 s4"
    );
    // 128 bits are aligned on the stack.
    let wide = Class::Integer { size: 16 };
    assert_eq!(x86(&[&[wide.clone()][..], &[INT]].concat()), "r2");
    assert_eq!(x86(&[&fill[..], &[INT, wide, INT]].concat()), "r0 r1 r2 r3 r4 r5 s0 s4");
    // The address of a result in memory is the first argument.
    assert_eq!(places(Machine::X86, &[INT, INT], Some(&large)), "r1 r2");
    assert_eq!(places(Machine::X86, &[INT], Some(&composite(8, &[leaf(0, 8, false)]))), "r0");
    // A long double is on the stack; a _Float128 is not, and looks the same.
    let long = Class::Float { size: 16 };
    assert_eq!(x86(&[&[long][..], &fill, &[INT]].concat()), "r0 r1 r2 r3 r4 r5 ?");
    assert_eq!(x86(&[Class::Unknown, INT]), "?");
}

#[test]
fn arguments_of_arm_are_where_the_abi_says() {
    let arm = |arguments: &[Class]| places(Machine::Arm, arguments, None);
    let fill: Vec<_> = std::iter::repeat_n(INT, 8).collect();
    assert_eq!(arm(&[&fill[..], &[INT, DOUBLE, INT]].concat()), "r0 r1 r2 r3 r4 r5 r6 r7 s0 s1");
    // C.10: 128 bits begin with an even register.
    assert_eq!(arm(&[INT, Class::Integer { size: 16 }, INT]), "r0 r4");
    // B.4: more than 16 bytes are passed by address. C.2: up to four floats are not.
    let large = composite(24, &[leaf(0, 8, false), leaf(8, 8, false), leaf(16, 8, false)]);
    let floats =
        composite(32, &[leaf(0, 8, true), leaf(8, 8, true), leaf(16, 8, true), leaf(24, 8, true)]);
    assert_eq!(arm(&[large.clone(), INT, floats, INT]), "r1 r2");
    // C.13: once one did not fit, the rest is on the stack.
    let two = composite(16, &[leaf(0, 8, false), leaf(8, 8, false)]);
    assert_eq!(arm(&[&fill[..7], &[two, INT]].concat()), "r0 r1 r2 r3 r4 r5 r6 s2");
    // The address of the result is in x8.
    assert_eq!(places(Machine::Arm, &[INT], Some(&large)), "r0");
}

#[test]
fn arguments_of_s390_are_where_the_abi_says() {
    let s390 = |arguments: &[Class]| places(Machine::S390, arguments, None);
    assert_eq!(s390(&[INT, DOUBLE, INT, INT, INT, INT, INT]), "r0 r1 r2 r3 r4 s0");
    let doubles: Vec<_> = std::iter::repeat_n(DOUBLE, 5).collect();
    let ints: Vec<_> = std::iter::repeat_n(INT, 6).collect();
    assert_eq!(s390(&[doubles, ints].concat()), "r0 r1 r2 r3 r4 s1");
    // Structs of 1, 2, 4 or 8 bytes are values, with a float a float; all others, and 128 bits, are passed by address.
    let (small, float) =
        (composite(8, &[leaf(0, 4, false), leaf(4, 4, false)]), composite(8, &[leaf(0, 8, true)]));
    let odd = composite(3, &[leaf(0, 1, false), leaf(1, 1, false), leaf(2, 1, false)]);
    assert_eq!(s390(&[small.clone(), INT, float, INT, odd, INT]), "r1 r2 r4");
    assert_eq!(s390(&[Class::Integer { size: 16 }, Class::Float { size: 16 }, INT]), "r2");
    assert_eq!(places(Machine::S390, &[INT], Some(&small)), "r1");
}
