//! Objects that clang makes at test time, loaded by libbpf (`bpftool`) and by this library.

use crate::common::{Folder, no_program, said};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rawbpf::Program;
use rawbpf::map::Map;
use rawbpf::object::Object;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The compilers that are installed, as Debian calls them.
pub(crate) fn compilers() -> Vec<&'static str> {
    let all = ["clang", "clang-14", "clang-19", "clang-22"];
    let there: Vec<_> = all.into_iter().filter(|name| no_program(name).is_none()).collect();
    // `clang` is one of the others where these are installed.
    match there.len() {
        0 | 1 => there,
        _ => there.into_iter().filter(|name| *name != "clang").collect(),
    }
}

pub(crate) fn no_compiler() -> Option<String> {
    compilers().is_empty().then(|| "there is no clang".into())
}

/// Where bpftool is, with Debian's place, which is not in everybody's path.
pub(crate) fn bpftool() -> Option<&'static str> {
    ["bpftool", "/usr/sbin/bpftool"].into_iter().find(|path| no_program(path).is_none())
}

pub(crate) fn no_bpftool() -> Option<String> {
    bpftool().is_none().then(|| "there is no bpftool".into())
}

/// Compiles a source of `tests/object_load`, with more options.
pub(crate) fn compiled(compiler: &str, name: &str, options: &[&str], folder: &Path) -> PathBuf {
    // With the options, so that a folder holds several of one source.
    let object = folder.join(format!("{name}{}.o", options.concat().replace('/', "_")));
    compiled_as(compiler, name, options, &object);
    object
}

/// The same to a file whose name matters: libbpf calls maps after it.
pub(crate) fn compiled_as(compiler: &str, name: &str, options: &[&str], object: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/object_load").join(name);
    std::fs::create_dir_all(object.parent().unwrap()).unwrap();
    let done = Command::new(compiler)
        .args(["-target", "bpf", "-g", "-O2", "-Wall", "-Werror", "-c"])
        .args(options)
        .arg(&source)
        .arg("-o")
        .arg(object)
        .output()
        .unwrap();
    assert!(done.status.success(), "{compiler} {name}: {}", said(&done));
}

/// The folder with objects that were compiled on another machine, one folder for each compiler, if there is one.
pub(crate) fn prebuilt() -> Option<PathBuf> {
    std::env::var_os("RAWBPF_TEST_OBJECTS").map(PathBuf::from)
}

/// Reads an object.
pub(crate) fn read(object: &Path) -> Object {
    Object::read(&std::fs::read(object).unwrap()).unwrap()
}

/// Compiles a source, and reads the object.
pub(crate) fn object(compiler: &str, name: &str) -> Object {
    let folder = Folder::new();
    read(&compiled(compiler, name, &[], folder.path()))
}

/// A BPF file system, unmounted at the end.
pub(crate) struct Pins(Folder);

impl Pins {
    pub(crate) fn new() -> Pins {
        let folder = Folder::new();
        let none = None::<&str>;
        mount(Some("bpf"), folder.path(), Some("bpf"), MsFlags::empty(), none).unwrap();
        Pins(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        umount2(self.0.path(), MntFlags::MNT_DETACH).unwrap();
    }
}

pub(crate) fn run_bpftool(args: &[&str]) -> Output {
    Command::new(bpftool().unwrap()).args(args).output().unwrap()
}

/// An object that libbpf has loaded.
pub(crate) struct Theirs(Pins);

impl Theirs {
    /// Loads an object, all programs and maps of it.
    pub(crate) fn load(object: &Path) -> Theirs {
        let (theirs, done) = Theirs::try_load(object);
        theirs.unwrap_or_else(|| panic!("{}: {}", object.display(), said(&done)))
    }

    /// The same for one that libbpf may refuse; with what it says.
    pub(crate) fn try_load(object: &Path) -> (Option<Theirs>, Output) {
        let pins = Pins::new();
        let [programs, maps] = ["programs", "maps"].map(|name| pins.path(name));
        let [object, programs, maps] =
            [object, &programs, &maps].map(|path| path.to_str().unwrap());
        let done = run_bpftool(&["prog", "loadall", object, programs, "pinmaps", maps]);
        (done.status.success().then_some(Theirs(pins)), done)
    }

    /// The type of a program.
    pub(crate) fn kind(&self, name: &str) -> String {
        let path = self.0.path("programs").join(name);
        let done = run_bpftool(&["-j", "prog", "show", "pinned", path.to_str().unwrap()]);
        assert!(done.status.success(), "{}", said(&done));
        let shown: Value = serde_json::from_slice(&done.stdout).unwrap();
        shown["type"].as_str().unwrap().to_owned()
    }

    /// The names of its programs.
    pub(crate) fn programs(&self) -> Vec<String> {
        let all = std::fs::read_dir(self.0.path("programs")).unwrap();
        let mut names: Vec<_> =
            all.map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The file that a program is pinned at.
    pub(crate) fn program_file(&self, name: &str) -> PathBuf {
        self.0.path("programs").join(name)
    }

    /// The files that its maps are pinned at.
    pub(crate) fn maps(&self) -> Vec<PathBuf> {
        let all = std::fs::read_dir(self.0.path("maps")).unwrap();
        all.map(|one| one.unwrap().path()).collect()
    }

    /// A program.
    #[allow(dead_code, reason = "the tests of linked objects run programs")]
    pub(crate) fn program(&self, name: &str) -> Program {
        Program::open_pinned(self.0.path("programs").join(name)).unwrap()
    }

    /// The instructions of a program.
    pub(crate) fn instructions(&self, name: &str) -> Vec<String> {
        instructions(&["pinned", self.0.path("programs").join(name).to_str().unwrap()])
    }

    /// The source lines of a program's instructions.
    pub(crate) fn source_lines(&self, name: &str) -> Vec<String> {
        source_lines(&["pinned", self.0.path("programs").join(name).to_str().unwrap()])
    }

    /// A map, as libbpf calls it with `_` for periods: `skeleton_bss`.
    pub(crate) fn map(&self, name: &str) -> Described {
        let path = self.0.path("maps").join(name);
        Described::of(&["pinned", path.to_str().unwrap()])
    }
}

/// A map as bpftool shows it.
#[derive(Debug, PartialEq)]
pub(crate) struct Described {
    /// Type, sizes, flags, and whether it is frozen.
    facts: Vec<(String, Value)>,
    /// Its elements, with types and without.
    pub(crate) contents: Value,
}

impl Described {
    fn of(which: &[&str]) -> Described {
        let json = |command: &str| -> Option<Value> {
            let done = run_bpftool(&[&["-j", "map", command], which].concat());
            // Of some types system calls cannot read the elements.
            assert!(command == "dump" || done.status.success(), "{which:?}: {}", said(&done));
            done.status.success().then(|| serde_json::from_slice(&done.stdout).unwrap())
        };
        let shown = json("show").unwrap();
        let facts =
            ["type", "flags", "bytes_key", "bytes_value", "max_entries", "frozen", "map_extra"];
        let fact = |name: &str| Some((name.to_owned(), shown.get(name)?.clone()));
        let facts = facts.into_iter().filter_map(fact).collect();
        Described { facts, contents: json("dump").unwrap_or_default() }
    }

    /// A map of this library's.
    pub(crate) fn of_ours(map: &Map) -> Described {
        Described::of(&["id", &map.info().unwrap().id.to_string()])
    }

    /// The same, with that flag left out.
    pub(crate) fn without_flag(mut self, flag: u64) -> Described {
        for (name, value) in &mut self.facts {
            if name == "flags" {
                *value = (value.as_u64().unwrap() & !flag).into();
            }
        }
        self
    }

    pub(crate) fn fact(&self, name: &str) -> &Value {
        &self.facts.iter().find(|(fact, _)| fact == name).unwrap().1
    }
}

/// The lines that bpftool prints of a program's instructions, without the numbers of maps.
fn instructions(which: &[&str]) -> Vec<String> {
    let done = run_bpftool(&[&["prog", "dump", "xlated"], which].concat());
    assert!(done.status.success(), "{}", said(&done));
    let text = String::from_utf8(done.stdout).unwrap();
    // Source lines and headings are compared by themselves.
    let instruction =
        |line: &&str| line.trim_start().starts_with(|first: char| first.is_ascii_digit());
    let lines = text.lines().filter(instruction).map(|line| match line.split_once("[id:") {
        Some((before, after)) => {
            let (_, after) = after.split_once(']').unwrap();
            format!("{before}{after}")
        }
        // The address of the program itself, which some helpers take.
        None => match line.split_once("0xffff") {
            Some((before, after)) if after.len() == 12 => before.to_owned(),
            _ => line.to_owned(),
        },
    });
    lines.collect()
}

/// The source lines, functions and instructions of a program, without the numbers of maps.
fn source_lines(which: &[&str]) -> Vec<String> {
    let done = run_bpftool(&[&["prog", "dump", "xlated"], which, &["linum"]].concat());
    assert!(done.status.success(), "{}", said(&done));
    let text = String::from_utf8(done.stdout).unwrap();
    let other = |line: &&str| !line.trim_start().starts_with(|first: char| first.is_ascii_digit());
    text.lines().filter(other).map(str::to_owned).collect()
}

fn id(program: &Program) -> String {
    program.info().unwrap().id.to_string()
}

/// The instructions of a program that was loaded by this library.
pub(crate) fn own_instructions(program: &Program) -> Vec<String> {
    instructions(&["id", &id(program)])
}

/// The source lines of a program that was loaded by this library.
pub(crate) fn own_source_lines(program: &Program) -> Vec<String> {
    source_lines(&["id", &id(program)])
}

/// Holds all programs of a collection to be what libbpf has made of them.
pub(crate) fn same_programs(theirs: &Theirs, programs: &[Program]) {
    let mut names: Vec<_> = programs.iter().map(|program| program.name().to_owned()).collect();
    names.sort();
    assert_eq!(names, theirs.programs());
    for program in programs {
        let name = program.name();
        assert_eq!(own_instructions(program), theirs.instructions(name), "{name}");
        assert_eq!(own_source_lines(program), theirs.source_lines(name), "{name}");
    }
}

/// The name of a map or program by its number, as the kernel keeps it.
pub(crate) fn name_of(what: &str, id: u64) -> String {
    let done = run_bpftool(&["-j", what, "show", "id", &id.to_string()]);
    assert!(done.status.success(), "{}", said(&done));
    let shown: Value = serde_json::from_slice(&done.stdout).unwrap();
    shown["name"].as_str().unwrap().to_owned()
}

/// The elements of a map whose values are numbers of maps or programs: keys, and their names.
pub(crate) fn elements(map: &Described, what: &str) -> Vec<(u64, String)> {
    let number = |bytes: &Value| -> u64 {
        let bytes = bytes.as_array().unwrap().iter().rev();
        bytes.fold(0, |number, byte| {
            let byte = byte.as_str().unwrap().trim_start_matches("0x");
            number << 8 | u64::from_str_radix(byte, 16).unwrap()
        })
    };
    let element = |element: &Value| {
        let value = element.get("value").filter(|value| value.is_array())?;
        Some((number(&element["key"]), name_of(what, number(value))))
    };
    map.contents.as_array().unwrap().iter().filter_map(element).collect()
}
