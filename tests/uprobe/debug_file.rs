//! Functions of stripped files, whose names are in a separate debug file.

use crate::common::no_program;
use crate::common::requires::{Thing, needs, needs_tried};
use crate::compiled::{Compiled, file, thrice};
use crate::watch::{ENTRY, Watch};
use rawbpf::attach::{self, Options, Target};
use rawbpf::{Error, user};
use std::fs;
use std::path::Path;
use std::process::Command;

/// A program with a local function, `hidden`.
fn program(folder: &Compiled, name: &str, args: &[&str]) -> u64 {
    let declared = "__attribute__((noipa)) static int hidden(int a) { return a + 1; }";
    let source = thrice("hidden", declared);
    let path = folder.build(name, ("program.c", &source), &[&["-O1"], args].concat());
    offset(&path).unwrap()
}

fn offset(path: &Path) -> Option<u64> {
    let functions = user::functions(path).unwrap();
    functions.iter().find(|one| one.name == "hidden").map(|one| one.offset)
}

fn no_tools() -> Option<String> {
    ["gcc", "objcopy", "strip"].into_iter().find_map(no_program)
}

#[track_caller]
fn hidden_is_seen(path: &Path) {
    let watch = Watch::new(&ENTRY);
    let link = attach::attach(&watch.program, &Target::uprobe(file(path), "hidden"));
    let link = link.unwrap_or_else(|error| panic!("{error}"));
    let mut child = Command::new(path).spawn().unwrap();
    let id = child.id();
    assert!(child.wait().unwrap().success());
    assert_eq!(watch.take(id), (3, 6));
    drop(link);
    watch.assert_nothing_is_left();
}

#[test]
fn a_debug_file_beside_is_read() {
    needs!(Uprobe);
    needs_tried!("binutils", no_tools());
    // It is known by its checksum, and by its build ID even if the checksum is another one.
    for (build_id, same_checksum) in [("none", true), ("sha1", true), ("sha1", false)] {
        let folder = Compiled::new();
        let build_id = format!("-Wl,--build-id={build_id}");
        let expected = program(&folder, "program", &[&build_id]);
        let path = folder.path("program");
        folder.run("objcopy", &["--only-keep-debug", "program", "program.dbg"]);
        folder.run("strip", &["program"]);
        folder.run("objcopy", &["--add-gnu-debuglink=program.dbg", "program"]);
        assert_eq!(offset(&path), Some(expected));
        hidden_is_seen(&path);
        if !same_checksum {
            folder.run("objcopy", &["--add-section", ".note.more=program.c", "program.dbg"]);
            assert_eq!(offset(&path), Some(expected));
        }
        fs::create_dir(folder.path(".debug")).unwrap();
        fs::rename(folder.path("program.dbg"), folder.path(".debug/program.dbg")).unwrap();
        assert_eq!(offset(&path), Some(expected));
        fs::remove_file(folder.path(".debug/program.dbg")).unwrap();
        assert_eq!(offset(&path), None);
    }
}

#[test]
fn a_debug_file_of_another_program_is_not_believed() {
    needs_tried!("binutils", no_tools());
    for build_id in ["none", "sha1"] {
        let folder = Compiled::new();
        let build_id = format!("-Wl,--build-id={build_id}");
        program(&folder, "program", &[&build_id]);
        program(&folder, "other", &[&build_id, "-O0"]);
        let path = folder.path("program");
        folder.run("objcopy", &["--only-keep-debug", "program", "program.dbg"]);
        folder.run("strip", &["program"]);
        folder.run("objcopy", &["--add-gnu-debuglink=program.dbg", "program"]);
        assert!(offset(&path).is_some());
        folder.run("objcopy", &["--only-keep-debug", "other", "program.dbg"]);
        assert_eq!(offset(&path), None);
        // Nor is one that is damaged, or no file at all.
        fs::write(folder.path("program.dbg"), b"\x7fELF\x02\x01").unwrap();
        assert_eq!(offset(&path), None);
        fs::remove_file(folder.path("program.dbg")).unwrap();
        folder.run("mkfifo", &["program.dbg"]);
        assert_eq!(offset(&path), None);
        let error =
            attach::attach(&Watch::new(&ENTRY).program, &Target::uprobe(file(&path), "hidden"));
        let error = error.unwrap_err();
        assert!(matches!(error, Error::NotInFile { .. }), "{error:?}");
        assert!(error.to_string().contains("debug symbols"), "{error}");
    }
}

#[test]
fn symbols_that_are_compressed_in_the_file_are_read() {
    needs!(Uprobe);
    needs_tried!("binutils", no_tools());
    needs_tried!("xz", no_program("xz"));
    let folder = Compiled::new();
    let expected = program(&folder, "program", &[]);
    let path = folder.path("program");
    folder.run("objcopy", &["--only-keep-debug", "program", "mini"]);
    folder.run("xz", &["mini"]);
    folder.run("strip", &["program"]);
    assert_eq!(offset(&path), None);
    folder.run("objcopy", &["--add-section", ".gnu_debugdata=mini.xz", "program"]);
    assert_eq!(offset(&path), Some(expected));
    hidden_is_seen(&path);
}

/// By its build ID, below `/usr/lib/debug`: `_int_malloc` of glibc is local, and Debian ships its name in `libc6-dbg`.
#[test]
fn debug_symbols_of_a_distribution_are_read() {
    needs!(Uprobe);
    let missing = user::find_file("c", None).err().map(|error| error.to_string());
    needs_tried!("libc", missing);
    let path = user::find_file("c", None).unwrap();
    let functions = user::functions(&path).unwrap();
    let found = functions.iter().any(|one| one.name == "_int_malloc");
    let installed = Path::new("/usr/lib/debug/.build-id").exists();
    needs_tried!("libc6-dbg", (!installed).then(|| "libc6-dbg is not installed".to_owned()));
    assert!(found, "{}", path.display());
    let watch = Watch::new(&ENTRY);
    let options = Options::new().pid(std::process::id());
    let target: Target = "uprobe:c:_int_malloc".parse().unwrap();
    let link = attach::attach_with(&watch.program, &target, &options).unwrap();
    // More than is kept for the thread.
    let (count, _) = watch.during(|| drop(std::hint::black_box(vec![1_u8; 50_000])));
    assert!(count >= 1, "{count}");
    drop(link);
    watch.assert_nothing_is_left();
}
