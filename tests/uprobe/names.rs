//! Names of symbols that look like something else, and every name that `rawbpf list` prints.

use crate::common::requires::{Thing, needs, needs_tried};
use crate::common::{no_program, rawbpf, said};
use crate::compiled::{Compiled, file, thrice};
use crate::watch::{ENTRY, RETURN, Watch};
use rawbpf::Error;
use rawbpf::attach::{self, Target};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Names of Go's and others that an assembler takes: a method, a generic function, a package with a slash, a sum, a number.
const ODD: [&str; 8] = [
    "main.(*Server).Handle",
    "main.(*WebServer).Handle",
    "main.Map[go.shape.int_0,go.shape.string_1]",
    "internal/poll.(*FD).Write",
    "type:.eq.main.T",
    "a+b",
    "0x10",
    "main.main.func1",
];

/// A program whose functions have those names, and which calls each of them as often as its place in the table says.
fn odd(folder: &Compiled) -> String {
    let mut source = String::new();
    let mut calls = String::new();
    for (index, name) in ODD.iter().enumerate() {
        source += &format!(
            "__attribute__((noipa)) static int f{index}(int a) __asm__(\"\\\"{name}\\\"\");\n\
             static int f{index}(int a) {{ return a + {index}; }}\n"
        );
        calls += &format!("for (int i = 0; i <= {index}; i++) f{index}({index});\n");
    }
    source += &format!("int main(void) {{ {calls} return 0; }}\n");
    file(&folder.build("odd", ("odd.c", &source), &["-O1"]))
}

/// The number of a program's runs, and the sum of the values that it saw, while a target was attached.
#[track_caller]
fn seen(watch: &Watch, target: &Target, program: &str) -> (u64, u64) {
    let link = attach::attach(&watch.program, target).unwrap_or_else(|error| panic!("{error}"));
    let mut child = Command::new(program).spawn().unwrap();
    let id = child.id();
    assert!(child.wait().unwrap().success());
    drop(link);
    watch.assert_nothing_is_left();
    watch.take(id)
}

#[test]
fn a_symbol_is_taken_as_it_is() {
    needs!(Uprobe);
    needs_tried!("c_compiler", no_program("gcc"));
    let folder = Compiled::new();
    let program = odd(&folder);
    let entry = Watch::new(&ENTRY);
    for (index, name) in ODD.iter().enumerate() {
        let calls = index as u64 + 1;
        let expected = (calls, calls * index as u64);
        let target: Target = format!("uprobe:{program}:{name}").parse().unwrap();
        assert_eq!(seen(&entry, &target, &program), expected, "{name}");
        let exact = Target::uprobe_symbol(program.as_str(), *name);
        assert_eq!(seen(&entry, &exact, &program), expected, "{name}");
        assert_eq!(exact.to_string(), target.to_string());
    }
    // A pattern it is if there is no such symbol, and never where a symbol is asked for.
    let both: Target = format!("uprobe:{program}:main.(*Server).*").parse().unwrap();
    assert_eq!(seen(&entry, &both, &program), (3, 2));
    let exact = Target::uprobe_symbol(program.as_str(), "main.(*Server).*");
    let error = attach::attach(&entry.program, &exact).unwrap_err();
    assert!(matches!(error, Error::NotInFile { .. }), "{error:?}");
    drop(entry);
    let watch = Watch::new(&RETURN);
    for (index, name) in ODD.iter().enumerate() {
        let calls = index as u64 + 1;
        let target: Target = format!("uretprobe:{program}:{name}").parse().unwrap();
        let expected = (calls, calls * 2 * index as u64);
        assert_eq!(seen(&watch, &target, &program), expected, "{name}");
    }
    // An offset is none of a return.
    let target: Target = format!("uretprobe:{program}:main+0x4").parse().unwrap();
    let error = attach::attach(&watch.program, &target).unwrap_err().to_string();
    assert!(error.contains("no offset"), "{error}");
    watch.assert_nothing_is_left();
}

const SHAPES: &str = "\
namespace ns {
struct Shape {
    __attribute__((noipa)) Shape() {}
    __attribute__((noipa)) int scale(int by) { return by; }
    __attribute__((noipa)) int scale(long by) { return by; }
    __attribute__((noipa)) int turn(int by) { return by; }
    __attribute__((noipa)) int operator[](int at) { return at; }
};
template <typename T> __attribute__((noipa)) T twice(T a) { return a + a; }
namespace { __attribute__((noipa)) int local(int a) { return a; } }
}
int main() {
    ns::Shape shape;
    shape.scale(1);
    shape.scale(2l);
    shape.turn(3);
    shape.turn(4);
    shape[5];
    ns::twice<int>(6);
    ns::local(7);
}
";

#[test]
fn names_of_cpp_are_found() {
    needs!(Uprobe);
    needs_tried!("cpp_compiler", no_program("g++"));
    let folder = Compiled::new();
    let program = file(&folder.build("shapes", ("shapes.cc", SHAPES), &["-O1"]));
    let watch = Watch::new(&ENTRY);
    // The first argument of a method is the object.
    for (name, calls) in [
        ("ns::Shape::turn", 2),
        ("ns::Shape::turn(int)", 2),
        ("ns::Shape::scale(int)", 1),
        ("ns::Shape::scale(long)", 1),
        ("ns::Shape::Shape", 1),
        ("ns::Shape::operator[]", 1),
        ("ns::twice<int>", 1),
        ("ns::(anonymous namespace)::local", 1),
        ("ns::Shape::*", 6),
    ] {
        let target: Target = format!("uprobe:{program}:{name}").parse().unwrap();
        assert_eq!(seen(&watch, &target, &program).0, calls, "{name}");
    }
    let target = Target::uprobe(program.as_str(), "ns::Shape::scale");
    let error = attach::attach(&watch.program, &target).unwrap_err().to_string();
    for part in ["_ZN2ns5Shape5scaleEi", "ns::Shape::scale(int)", "ns::Shape::scale(long)"] {
        assert!(error.contains(part), "{error}");
    }
    let error =
        attach::attach(&watch.program, &Target::uprobe(program.as_str(), "ns::Shape::turm"));
    assert!(matches!(error, Err(Error::NotInFile { .. })));
    watch.assert_nothing_is_left();
}

/// The targets that `rawbpf list` prints for a file.
fn listed(program: &Path) -> Vec<String> {
    let pattern = format!("uprobe:{}:*", program.display());
    let output = Command::new(rawbpf()).arg("list").arg(pattern).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Each attaches by itself, or is refused by the kernel.
#[track_caller]
fn every_name_attaches(program: &Path, least: usize) {
    some_names_attach(program, least, 1);
}

/// The same of every so many.
#[track_caller]
fn some_names_attach(program: &Path, least: usize, step: usize) {
    let watch = Watch::new(&ENTRY);
    let names = listed(program);
    assert!(names.len() >= least, "{names:?}");
    let (mut attached, mut tried) = (0, 0);
    for name in names.iter().step_by(step) {
        tried += 1;
        let target: Target = name.parse().unwrap_or_else(|error| panic!("{error}"));
        match attach::attach(&watch.program, &target) {
            Ok(link) => {
                assert_eq!((link.places(), link.skipped()), (1, 0), "{name}");
                attached += 1;
            }
            Err(Error::Attach { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(attached * 10 >= tried * 9, "{attached} of {tried}");
    let mut unique = names.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), names.len());
}

#[test]
fn every_listed_name_of_a_program_with_odd_names_attaches() {
    needs!(Uprobe);
    needs_tried!("c_compiler", no_program("gcc"));
    let folder = Compiled::new();
    odd(&folder);
    every_name_attaches(&folder.path("odd"), ODD.len());
}

#[test]
fn every_listed_name_of_a_cpp_program_attaches() {
    needs!(Uprobe);
    needs_tried!("cpp_compiler", no_program("g++"));
    let folder = Compiled::new();
    folder.build("shapes", ("shapes.cc", SHAPES), &["-O0", "-rdynamic"]);
    every_name_attaches(&folder.path("shapes"), 10);
}

/// Without its symbols a program has those that it lends to others.
#[test]
fn every_listed_name_of_a_stripped_program_attaches() {
    needs!(Uprobe);
    needs_tried!("c_compiler", no_program("gcc"));
    needs_tried!("strip", no_program("strip"));
    let folder = Compiled::new();
    let declared = "int lent(int a) { return a + 1; }\nstatic int own(int a) { return lent(a); }";
    folder.build("lender", ("lender.c", &thrice("own", declared)), &["-O0", "-rdynamic"]);
    folder.run("strip", &["lender"]);
    every_name_attaches(&folder.path("lender"), 2);
    let names = listed(&folder.path("lender"));
    assert!(names.iter().all(|name| !name.ends_with(":own")), "{names:?}");
}

/// Several local functions of one name, in files of their own, and a global one in another.
#[test]
fn every_function_of_a_name_that_several_have_attaches() {
    needs!(Uprobe);
    needs_tried!("c_compiler", no_program("gcc"));
    let folder = Compiled::new();
    let part = |name: &str, linkage: &str, function: &str| {
        let text = format!(
            "{linkage} int {function}(int a) {{ return a + 1; }}\nint {name}(int a) {{ return {function}(a); }}\n"
        );
        let object = format!("{name}.o");
        folder.build(&object, (&format!("{name}.c"), &text), &["-O0", "-c"]);
        object
    };
    let objects = [
        part("one", "static", "helper"),
        part("two", "static", "helper"),
        part("three", "static", "shared"),
        part("four", "", "shared"),
    ];
    let source = thrice("one", "int one(int), two(int), three(int), four(int);");
    let source = source.replace("return sum", "two(4); two(5); three(6); four(7); return sum");
    let objects: Vec<_> = objects.iter().map(String::as_str).collect();
    let program = folder.build("program", ("main.c", &source), &objects);
    every_name_attaches(&program, 9);
    let watch = Watch::new(&ENTRY);
    let names = listed(&program);
    let of = |function: &str| {
        let fits = |name: &&String| name.rsplit(':').next().unwrap().starts_with(function);
        let mut found: Vec<_> = names
            .iter()
            .filter(fits)
            .map(|name| seen(&watch, &name.parse().unwrap(), program.to_str().unwrap()))
            .collect();
        found.sort();
        found
    };
    assert_eq!(of("helper"), [(2, 9), (3, 6)]);
    assert_eq!(of("shared"), [(1, 6), (1, 7)]);
    // The name alone is that of the global one.
    let target = Target::uprobe(file(&program), "shared");
    assert_eq!(seen(&watch, &target, program.to_str().unwrap()), (1, 7));
    let error = attach::attach(&watch.program, &Target::uprobe(file(&program), "helper"));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("choose one, helper@0x"), "{error}");
}

/// A program of Rust has hundreds of functions, of which some are tried.
#[test]
fn every_listed_name_of_a_rust_program_attaches() {
    needs!(Uprobe);
    needs_tried!("rust_compiler", no_program("rustc"));
    let folder = Compiled::new();
    let source = "fn main() { println!(\"{:?}\", std::env::args().collect::<Vec<_>>()); }";
    fs::write(folder.path("main.rs"), source).unwrap();
    folder.run("rustc", &["-O", "main.rs"]);
    some_names_attach(&folder.path("main"), 100, 29);
}
