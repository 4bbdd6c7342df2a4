//! Objects that are written: what LLVM's tools, libbpf and the kernel find in them.

#![cfg(feature = "elf")]

mod common;

use common::requires::{Thing, needs, needs_tried};
use common::{Folder, rawbpf, said};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use object::read::elf::ElfFile64;
use object::{Architecture, Endianness, Object, ObjectSection, ObjectSymbol};
use rawbpf::asm::{Collection, ParseOptions, parse};
use rawbpf::insn::ByteOrder;
use rawbpf::{Loader, Map, MapType, Program, ProgramType, TextSpec};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const TEXT: &str = r#"
.license "GPL"
.map counts, hash, key=4, value=8, max=16, flags=1
.map events, perf_event_array
.rodata
limit:  .word 10, 11
        .align 8
big:    .quad 0x1122334455667788
.data
one:    .quad 1
.bss
runs:   .zero 8
.text
.program first, socket
        r1 = runs ll
        r2 = 1
        lock *(u64 *)(r1 + 0) += r2
        r1 = limit + 4 ll
        r7 = *(u32 *)(r1 + 0)           # 11
        r2 = 3
        *(u32 *)(r10 - 4) = r2
        r1 = counts ll
        r2 = r10
        r2 += -4
        call map_lookup_elem
        r1 = 5
        call twice
        r7 += r0                        # 1010
        r1 = "text" ll
        r0 = *(u8 *)(r1 + 1)
        r7 += r0                        # 'e'
        r1 = 3
        r2 = each ll
        r3 = 0
        r4 = 0
        call loop
        r7 += r0                        # 3
        r0 = r7
        exit
twice:
        call third
        r0 += r0
        exit
third:
        r0 = 505
        exit
each:
        r0 = 0
        exit
.program second, xdp
        r1 = one ll
        r2 = *(u64 *)(r1 + 0)
        r2 += 1
        *(u64 *)(r1 + 0) = r2
        call twice
        exit
twice:
        r1 = one ll
        r0 = *(u64 *)(r1 + 0)           # 2: pass
        exit
"#;

/// The return value of `first`: 11 + 1010 + 'e' + 3.
const FIRST: u32 = 11 + 1010 + 101 + 3;

const ORDERS: [(ByteOrder, &str); 2] = [(ByteOrder::Little, "little"), (ByteOrder::Big, "big")];

fn read(text: &str, order: ByteOrder) -> Collection<'_> {
    parse(text, "test.s", &ParseOptions::new().order(order)).unwrap()
}

fn object_of(text: &str, order: ByteOrder) -> Vec<u8> {
    rawbpf::object::write(&read(text, order), "test.s", order).unwrap()
}

/// A command of somebody else's, if it is here.
fn no_command(name: &str) -> Option<String> {
    Command::new(name).arg("--version").output().err().map(|error| format!("{name}: {error}"))
}

fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// White space in runs of one, for tables.
fn squeezed(text: &str) -> Vec<String> {
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// The lines of a relocation, without the symbol's value.
const RELOCATIONS: [(&str, &str, &str); 10] = [
    ("0000000000000000", "R_BPF_64_32", ".text"),
    ("0000000000000038", "R_BPF_64_64", "one"),
    ("0000000000000000", "R_BPF_64_64", "runs"),
    ("0000000000000020", "R_BPF_64_64", ".rodata"),
    ("0000000000000048", "R_BPF_64_64", "counts"),
    ("0000000000000078", "R_BPF_64_32", ".text"),
    ("0000000000000088", "R_BPF_64_64", "rodata_16"),
    ("00000000000000b0", "R_BPF_64_64", ".text"),
    ("0000000000000000", "R_BPF_64_64", "one"),
    ("0000000000000028", "R_BPF_64_32", ".text"),
];

#[test]
fn llvm_reads_sections_symbols_and_relocations() {
    needs_tried!("llvm-readelf-14", no_command("llvm-readelf-14"));
    needs_tried!("llvm-objdump-14", no_command("llvm-objdump-14"));
    let folder = Folder::new();
    for (order, data) in [(ByteOrder::Little, "little endian"), (ByteOrder::Big, "big endian")] {
        let path = folder.path().join("test.o");
        fs::write(&path, object_of(TEXT, order)).unwrap();
        let readelf = |flag: &str| {
            let mut command = Command::new("llvm-readelf-14");
            squeezed(&printed(command.args(["-W", flag]).arg(&path)))
        };
        let header = readelf("-h").join("\n");
        for piece in ["Class: ELF64", "Type: REL", "Machine: EM_BPF", data] {
            assert!(header.contains(piece), "{piece}: {header}");
        }
        // Name, type, size and flags.
        let sections = readelf("-S").join("\n");
        for (name, kind, size, flags) in [
            (".text", "PROGBITS", 0x58, "AX"),
            ("socket", "PROGBITS", 0xf0, "AX"),
            ("xdp", "PROGBITS", 0x38, "AX"),
            ("license", "PROGBITS", 4, "WA"),
            (".maps", "PROGBITS", 64, "WA"),
            (".rodata", "PROGBITS", 21, "A"),
            (".data", "PROGBITS", 8, "WA"),
            (".bss", "NOBITS", 8, "WA"),
        ] {
            let line = sections.lines().find(|line| line.contains(&format!("] {name} "))).unwrap();
            let words: Vec<_> =
                line.split(&format!(" {name} ")).nth(1).unwrap().split(' ').collect();
            let expected = (kind, format!("{size:06x}"), flags);
            assert_eq!((words[0], words[3].to_owned(), words[5]), expected, "{line}");
        }
        // Value, size, type, binding and name.
        let symbols = readelf("-s");
        for symbol in [
            "0000000000000000 24 FUNC LOCAL DEFAULT 1 twice",
            "0000000000000018 16 FUNC LOCAL DEFAULT 1 third",
            "0000000000000028 16 FUNC LOCAL DEFAULT 1 each",
            "0000000000000038 32 FUNC LOCAL DEFAULT 1 twice",
            "0000000000000010 5 OBJECT LOCAL DEFAULT 6 rodata_16",
            "0000000000000000 240 FUNC GLOBAL DEFAULT 2 first",
            "0000000000000000 56 FUNC GLOBAL DEFAULT 3 second",
            "0000000000000000 40 OBJECT GLOBAL DEFAULT 5 counts",
            "0000000000000028 24 OBJECT GLOBAL DEFAULT 5 events",
            "0000000000000000 8 OBJECT GLOBAL DEFAULT 6 limit",
            "0000000000000008 8 OBJECT GLOBAL DEFAULT 6 big",
            "0000000000000000 8 OBJECT GLOBAL DEFAULT 7 one",
            "0000000000000000 8 OBJECT GLOBAL DEFAULT 8 runs",
        ] {
            assert!(symbols.iter().any(|line| line.ends_with(symbol)), "{symbol}: {symbols:#?}");
        }
        let relocations = readelf("-r");
        let relocations: Vec<_> = relocations
            .iter()
            .filter(|line| line.contains("R_BPF"))
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .collect();
        let found: Vec<_> =
            relocations.iter().map(|words| (words[0], words[2], words[4])).collect();
        assert_eq!(found, RELOCATIONS);

        // The instructions, as LLVM spells them; what it does not know is an error of its own.
        let mut command = Command::new("llvm-objdump-14");
        let code = printed(command.args(["-d", "--no-show-raw-insn"]).arg(&path));
        let code = squeezed(&code);
        for line in [
            "0: r1 = 0 ll",
            "4: r1 = 4 ll",
            "9: r1 = 0 ll",
            "0: call 2",
            "15: call -1",
            "5: call 6",
            "22: r2 = 40 ll",
            "26: call 181",
            "3: r0 = 505",
        ] {
            assert!(code.iter().any(|found| found == line), "{line}: {code:#?}");
        }
    }
}

#[test]
fn both_byte_orders_say_the_same() {
    let files = ORDERS.map(|(order, _)| object_of(TEXT, order));
    let [little, big] = files.each_ref().map(|bytes| {
        let file = ElfFile64::<Endianness>::parse(bytes.as_slice()).unwrap();
        assert_eq!(file.architecture(), Architecture::Bpf);
        file
    });
    assert_eq!([little.endian(), big.endian()], [Endianness::Little, Endianness::Big]);
    let symbols = |file: &ElfFile64<'_, Endianness>| -> Vec<_> {
        let symbols = file.symbols();
        symbols
            .map(|s| (s.name().unwrap().to_owned(), s.address(), s.size(), s.is_global()))
            .collect()
    };
    assert_eq!(symbols(&little), symbols(&big));
    let relocations = |file: &ElfFile64<'_, Endianness>| -> Vec<_> {
        let all = file.sections().flat_map(|section| section.relocations().collect::<Vec<_>>());
        all.map(|(offset, relocation)| (offset, relocation.target(), relocation.flags())).collect()
    };
    assert_eq!(relocations(&little).len(), RELOCATIONS.len());
    assert_eq!(relocations(&little), relocations(&big));
    for (one, other) in little.sections().zip(big.sections()) {
        assert_eq!((one.name(), one.size()), (other.name(), other.size()));
        let (one_bytes, other_bytes) = (one.data().unwrap(), other.data().unwrap());
        // Headers of BTF begin with the magic number 0xeb9f, the version, flags and the length of the header; after
        // that there are words, up to the strings.
        if let ".BTF" | ".BTF.ext" = one.name().unwrap() {
            assert_eq!(one_bytes[..8], [0x9f, 0xeb, 1, 0, 24, 0, 0, 0]);
            assert_eq!(other_bytes[..8], [0xeb, 0x9f, 1, 0, 0, 0, 0, 24]);
            let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap()) as usize;
            let strings = if one.name() == Ok(".BTF") {
                24 + word(&one_bytes[16..20])
            } else {
                one_bytes.len()
            };
            for (one, other) in
                one_bytes[4..strings].chunks(4).zip(other_bytes[4..strings].chunks(4))
            {
                assert!(one.iter().eq(other.iter().rev()));
            }
            assert_eq!(one_bytes[strings..], other_bytes[strings..]);
        }
    }
}

/// Does it in a thread of its own, with a BPF file system of its own at the path.
fn with_bpffs(body: impl FnOnce(&Path) + Send + 'static) {
    let thread = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
        let folder = Folder::new();
        let none = None::<&str>;
        mount(Some("bpf"), folder.path(), Some("bpf"), MsFlags::empty(), none).unwrap();
        body(folder.path());
        nix::mount::umount(folder.path()).unwrap();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn bpftool(args: &[&str]) -> Output {
    Command::new("bpftool").args(args).output().unwrap()
}

/// The return value of a text's program on an empty packet, loaded by our own loader.
fn loaded_by_us(module: &Collection<'_>, program: &str) -> u32 {
    let specs: Vec<_> = module
        .programs()
        .iter()
        .map(|program| TextSpec::new(module, program, "test.s").unwrap())
        .collect();
    let spec = specs.iter().find(|spec| spec.name() == program).unwrap();
    let mut loader = Loader::new();
    let program = loader.load(&spec.program(spec.kind().unwrap())).unwrap();
    program.test_run(&[0; 64], 1).unwrap().returned
}

#[test]
fn libbpf_loads_what_the_kernel_runs_as_if_it_were_ours() {
    needs!(Bpf, Root);
    needs_tried!("bpftool", no_command("bpftool"));
    with_bpffs(|bpf| {
        let folder = Folder::new();
        let path = folder.path().join("test.o");
        fs::write(&path, object_of(TEXT, ByteOrder::NATIVE)).unwrap();
        let (programs, maps) = (bpf.join("programs"), bpf.join("maps"));
        let [path, programs_str, maps_str] =
            [&path, &programs, &maps].map(|path| path.to_str().unwrap());
        let done = bpftool(&["prog", "loadall", path, programs_str, "pinmaps", maps_str]);
        assert!(done.status.success(), "{}", said(&done));

        let module = read(TEXT, ByteOrder::NATIVE);
        for (name, result) in [("first", FIRST), ("second", 2)] {
            let program = Program::open_pinned(programs.join(name)).unwrap();
            let ours = loaded_by_us(&module, name);
            assert_eq!(program.test_run(&[0; 64], 1).unwrap().returned, ours, "{name}");
            assert_eq!(ours, result, "{name}");
        }
        // Functions and lines: what the kernel keeps of .BTF.ext.
        let first = programs.join("first");
        let shown = ["prog", "dump", "xlated", "pinned", first.to_str().unwrap(), "linum"];
        let shown = String::from_utf8(bpftool(&shown).stdout).unwrap();
        for piece in [
            "int first(struct __sk_buff * ctx):",
            "int twice():",
            "int third():",
            "int each():",
            "; r1 = limit + 4 ll [file:test.s line_num:18 line_col:9]",
            "; r0 = 505 [file:test.s line_num:45 line_col:9]",
        ] {
            assert!(shown.contains(piece), "{piece}: {shown}");
        }

        let info = |name: &str| Map::open_pinned(maps.join(name)).unwrap().info().unwrap();
        let counts = info("counts");
        let sizes = (counts.key_size, counts.value_size, counts.max_entries, counts.flags);
        assert_eq!(
            (counts.kind, sizes),
            (MapType::Hash as u32, (4, 8, 16, rawbpf::MapFlags::NO_PREALLOC))
        );
        let events = info("events");
        assert_eq!((events.kind, events.key_size), (MapType::PerfEventArray as u32, 4));
        // libbpf calls them after the file; in pins a period becomes a line.
        for (name, contents, value) in
            [("test_rodata", "limit", "10"), ("test_data", "one", "2"), ("test_bss", "runs", "1")]
        {
            let pin = maps.join(name);
            let dump = bpftool(&["map", "dump", "pinned", pin.to_str().unwrap()]);
            let dump = String::from_utf8(dump.stdout).unwrap();
            assert!(dump.contains(&format!("\"{contents}\": ")), "{dump}");
            assert!(dump.contains(value), "{dump}");
        }
    });
}

#[test]
fn a_program_without_a_type_is_loaded_as_who_loads_it_says() {
    needs!(Bpf, Root);
    needs_tried!("bpftool", no_command("bpftool"));
    with_bpffs(|bpf| {
        let folder = Folder::new();
        let path = folder.path().join("plain.o");
        fs::write(&path, object_of("r0 = 7\nexit\n", ByteOrder::NATIVE)).unwrap();
        let [path, pin] = [path, bpf.join("plain")].map(|path| path.to_str().unwrap().to_owned());
        let done = bpftool(&["prog", "load", &path, &pin]);
        assert!(!done.status.success(), "{}", said(&done));
        let done = bpftool(&["prog", "load", &path, &pin, "type", "socket"]);
        assert!(done.status.success(), "{}", said(&done));
        let program = Program::open_pinned(&pin).unwrap();
        assert_eq!(program.kind(), ProgramType::SocketFilter);
        assert_eq!(program.test_run(&[0; 64], 1).unwrap().returned, 7);
    });
}

#[test]
fn libbpf_links_objects_and_makes_skeletons() {
    needs_tried!("bpftool", no_command("bpftool"));
    let folder = Folder::new();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let other =
        ".map more, array, value=4, max=1\n.program other, kprobe/x\nr1 = more ll\nr0 = 0\nexit\n";
    fs::write(path("one.o"), object_of(TEXT, ByteOrder::NATIVE)).unwrap();
    fs::write(path("two.o"), object_of(other, ByteOrder::NATIVE)).unwrap();
    let done = bpftool(&["gen", "object", &path("both.o"), &path("one.o"), &path("two.o")]);
    assert!(done.status.success(), "{}", said(&done));
    let done = bpftool(&["gen", "skeleton", &path("both.o"), "name", "both"]);
    assert!(done.status.success(), "{}", said(&done));
    let skeleton = String::from_utf8(done.stdout).unwrap();
    for piece in [
        "struct bpf_map *counts;",
        "struct bpf_map *more;",
        "struct bpf_program *first;",
        "struct bpf_program *other;",
        "unsigned int limit[2];",
        "unsigned long long runs;",
    ] {
        assert!(skeleton.contains(piece), "{piece}: {skeleton}");
    }
}

#[test]
fn everything_that_an_object_cannot_hold_is_said_at_its_line() {
    let text = "\
.map pair, array, value=16, max=1
.map inner, array_of_maps, key=4, value=4, max=2
.map bloom, bloom_filter, value=4, max=2, extra=0x100000000
.bss
same: .zero 4
.program same, kprobe/x
r1 = *(u64 *)(r1 + pt_regs.parm1)
r2 = *(u32 *)(r1 + task_struct.no_such_field)
r3 = sizeof(no_such_type)
call kfunc bpf_task_acquire
r1 = pair[0] + 8 ll
goto out
call inside
call pc-3
exit
inside:
r0 = 0
out:
r0 = 1
other:
call other
exit
.program p, struct_ops/tcp_congestion_ops.ssthresh
call f
r0 = 1
f: exit
.program q, license
r0 = *(u32 *)(r1 + args.len)
exit
.program r
start: call start
exit
";
    let mistakes =
        rawbpf::object::write(&read(text, ByteOrder::Little), "wrong.s", ByteOrder::Little)
            .unwrap_err();
    let found: Vec<_> =
        mistakes.iter().map(|mistake| (mistake.line(), mistake.message().to_owned())).collect();
    for (line, piece) in [
        (2, "map `inner`"),
        (3, "map `bloom`"),
        (6, "`same` stands for two things"),
        (7, "`pt_regs.parm1`"),
        (8, "`task_struct.no_such_field` cannot be in an object: "),
        (9, "`no_such_type` cannot be in an object: "),
        (10, "`bpf_task_acquire`"),
        (11, "map `pair`"),
        (12, "this leaves function"),
        (19, "function `inside` goes on into the next one"),
        (23, "struct_ops"),
        (25, "function `p` goes on into the next one"),
        (27, "program `q`"),
        (28, "`args.len`"),
        (31, "only functions are called that a program has behind its own instructions"),
    ] {
        assert!(
            found.iter().any(|(at, said)| *at == line && said.contains(piece)),
            "{piece}: {found:#?}"
        );
    }
    let empty = read(".map m, hash, key=4, value=4, max=1\n", ByteOrder::Little);
    let empty =
        rawbpf::object::write(&empty, "empty.s", ByteOrder::Little).unwrap_err().to_string();
    assert!(empty.contains("holds no program"), "{empty}");
}

#[cfg(feature = "cli")]
mod command {
    use super::*;

    fn asm(folder: &Folder, args: &[&str]) -> Output {
        Command::new(rawbpf()).arg("asm").args(args).current_dir(folder.path()).output().unwrap()
    }

    fn files(folder: &Folder) -> Vec<String> {
        let entries = fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_name_of_the_output_says_what_it_is() {
        let folder = Folder::new();
        fs::write(folder.path().join("a.s"), TEXT).unwrap();
        for (order, name) in ORDERS {
            let done = asm(&folder, &["a.s", "-o", "a.o", "--endian", name]);
            assert!(done.status.success(), "{}", said(&done));
            let there = fs::read(folder.path().join("a.o")).unwrap();
            assert_eq!(there, rawbpf::object::write(&read(TEXT, order), "a.s", order).unwrap());
        }
        let done = asm(&folder, &["a.s", "--format", "elf", "--endian", "big"]);
        assert_eq!(done.stdout, fs::read(folder.path().join("a.o")).unwrap());
        let done = asm(&folder, &["a.s", "--format", "hex", "-o", "b.o"]);
        assert!(done.status.success(), "{}", said(&done));
        assert_eq!(fs::read(folder.path().join("b.o")).unwrap(), asm(&folder, &["a.s"]).stdout);
        assert_eq!(files(&folder), ["a.o", "a.s", "b.o"]);
    }

    #[test]
    fn there_is_all_of_a_file_or_what_was_there() {
        let folder = Folder::new();
        fs::write(folder.path().join("a.s"), TEXT).unwrap();
        fs::write(folder.path().join("wrong.s"), "r1 = *(u64 *)(r1 + pt_regs.parm1)\nexit\n")
            .unwrap();
        fs::write(folder.path().join("old.o"), "old").unwrap();
        fs::create_dir(folder.path().join("folder.o")).unwrap();
        let before = files(&folder);
        let fails = |output: Output, piece: &str| {
            assert_eq!(output.status.code(), Some(1), "{}", said(&output));
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(errors.contains(piece), "{errors}");
        };
        fails(
            asm(&folder, &["a.s", "-o", "nowhere/new.o"]),
            "cannot write nowhere/new.o: No such file",
        );
        fails(asm(&folder, &["a.s", "-o", "folder.o"]), "cannot write folder.o: Is a directory");
        fails(
            asm(&folder, &["a.s", "-o", "/dev/full", "--format", "elf"]),
            "cannot write /dev/full: No space",
        );
        fails(asm(&folder, &["wrong.s", "-o", "old.o"]), "wrong.s:1:20");
        for name in ["new.o", "old.o"] {
            // Files of 512 bytes at most, as on a disk that is full after them.
            let script = "trap '' XFSZ; ulimit -f 1; exec \"$0\" asm a.s -o \"$1\"";
            let output = Command::new("sh")
                .args(["-c", script])
                .arg(rawbpf())
                .arg(name)
                .current_dir(folder.path())
                .output()
                .unwrap();
            fails(output, "File too large");
        }
        assert_eq!(files(&folder), before);
        assert_eq!(fs::read(folder.path().join("old.o")).unwrap(), b"old");

        // A link stays one, and so do the rights of what it leads to.
        use std::os::unix::fs::{PermissionsExt, symlink};
        let old = folder.path().join("old.o");
        fs::set_permissions(&old, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("old.o", folder.path().join("link.o")).unwrap();
        let done = asm(&folder, &["a.s", "-o", "link.o"]);
        assert!(done.status.success(), "{}", said(&done));
        assert!(fs::symlink_metadata(folder.path().join("link.o")).unwrap().is_symlink());
        assert_eq!(fs::metadata(&old).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::read(&old).unwrap().starts_with(b"\x7fELF"));
    }
}
