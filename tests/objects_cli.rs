//! `rawbpf exec`, `prog` and `map`: what is printed of programs and maps, beside what bpftool prints.

mod common;

use common::requires::{Thing, needs, needs_tried};
use common::{Folder, rawbpf, said};
use rawbpf::asm::{ParseOptions, Section, parse};
use rawbpf::map::{Array, Update};
use rawbpf::{Loader, Map, MapSpec, Program, ProgramSpec, ProgramType, TextSpec, bpf, plain};
use serde_json::Value;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

/// The command with something on its standard input.
fn command(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(rawbpf())
        .args(args)
        .env_remove("RAWBPF_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have gone before it reads: the command line was wrong.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn out(done: &Output) -> String {
    String::from_utf8(done.stdout.clone()).unwrap()
}

/// The objects of a command that worked, one a line.
#[track_caller]
fn objects(done: &Output) -> Vec<Value> {
    assert_eq!(done.status.code(), Some(0), "{}", said(done));
    out(done).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_text_runs_once() {
    needs!(Bpf);
    let done = command(&["exec", "-"], b"r0 = 42\nexit\n");
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let text = out(&done);
    assert!(text.starts_with("r0 = 42 (0x2a)\n"), "{text}");
    let done = command(&["exec", "-"], b"r0 = -2\nexit\n");
    assert!(out(&done).starts_with("r0 = 4294967294 (0xfffffffe, -2)\n"), "{}", said(&done));
}

#[test]
fn bytes_run_as_the_assembler_writes_them() {
    needs!(Bpf);
    let slots = [[0xb7, 0, 0, 0, 0, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]].concat();
    let raw = if cfg!(target_endian = "little") {
        [&slots[..4], &7u32.to_le_bytes(), &slots[8..]].concat()
    } else {
        [&slots[..4], &7u32.to_be_bytes(), &slots[8..]].concat()
    };
    let hex: Vec<String> = raw.iter().map(|byte| format!("{byte:02x}")).collect();
    for input in [&raw[..], hex.join(" ").as_bytes()] {
        let done = command(&["exec", "-"], input);
        assert!(out(&done).starts_with("r0 = 7 (0x7)\n"), "{}", said(&done));
    }
}

const GROW: &str = "\
.program grow, xdp
    r6 = r1
    r2 = -2
    call xdp_adjust_head
    r1 = *(u32 *)(r6 + 0)
    r2 = *(u32 *)(r6 + 4)
    r3 = r1
    r3 += 2
    if r3 > r2 goto out
    *(u8 *)(r1 + 0) = 0xab
    *(u8 *)(r1 + 1) = 0xcd
out:
    r0 = 2
    exit
.program one
    r0 = 1
    exit
";

#[test]
fn data_that_changed_is_shown() {
    needs!(Bpf);
    let packet = "00112233445566778899aabb 0800 01";
    let done = command(&["exec", "-", "--program", "grow", "--data", packet], GROW.as_bytes());
    let text = out(&done);
    assert!(text.starts_with("r0 = 2 (0x2)\n"), "{}", said(&done));
    let dump =
        "data, 17 bytes:\n  0000  ab cd 00 11 22 33 44 55 66 77 88 99 aa bb 08 00\n  0010  01\n";
    assert!(text.ends_with(dump), "{text}");

    let folder = Folder::new();
    let path = folder.path().join("packet");
    std::fs::write(&path, [5; 20]).unwrap();
    let at = format!("@{}", path.display());
    let args = ["exec", "-", "--program", "grow", "--data", &at, "--format", "json"];
    let objects = objects(&command(&args, GROW.as_bytes()));
    let [object] = &objects[..] else { panic!("{objects:?}") };
    assert_eq!((&object["program"], &object["type"]), (&"grow".into(), &"xdp".into()));
    assert_eq!((&object["r0"], &object["repeat"]), (&2.into(), &1.into()));
    assert_eq!(object["data"], format!("abcd{}", "05".repeat(20)));
    assert!(object["context"].is_null());
}

#[test]
fn a_context_is_shown_where_it_changed() {
    needs!(Bpf);
    let text = b"r0 = *(u32 *)(r1 + 8)\nif r0 == 3 goto out\n*(u32 *)(r1 + 8) = r0\nr2 = 9\n*(u32 *)(r1 + 8) = r2\nout: exit\n";
    let args = ["exec", "-", "--type", "sched_cls", "--repeat", "3", "--ctx"];
    let done = command(&[&args[..], &["00000000 00000000 05000000"]].concat(), text);
    let shown = out(&done);
    assert!(shown.contains(" ns a run, the mean of 3\ncontext, "), "{}", said(&done));
    let mark = 9u32.to_ne_bytes().map(|byte| format!("{byte:02x}")).join(" ");
    assert!(shown.contains(&format!("  0000  00 00 00 00 00 00 00 00 {mark} ")), "{shown}");
    let three = 3u32.to_ne_bytes().map(|byte| format!("{byte:02x}")).join(" ");
    let same = format!("00000000 00000000 {three}");
    let done = command(&[&args[..], &[&same]].concat(), text);
    assert!(out(&done).starts_with("r0 = 3 (0x3)\n"), "{}", said(&done));
    assert!(!out(&done).contains("context"), "{}", said(&done));
}

#[test]
fn what_cannot_be_executed_says_why() {
    let done = command(&["exec", "-"], GROW.as_bytes());
    assert_eq!(done.status.code(), Some(2), "{}", said(&done));
    assert!(said(&done).contains("say --program, one of grow, one"), "{}", said(&done));
    let done = command(&["exec", "-", "--program", "two"], GROW.as_bytes());
    assert_eq!(done.status.code(), Some(2), "{}", said(&done));
    let done = command(&["exec", "-", "--data", "0"], b"r0 = 0\nexit\n");
    assert_eq!(done.status.code(), Some(2), "{}", said(&done));
    assert!(said(&done).contains("`0` is not whole bytes"), "{}", said(&done));

    needs!(Bpf);
    let done = command(&["exec", "-", "--data", "00"], b"r0 = 0\nexit\n");
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    assert!(said(&done).contains("Ethernet frame: 14 bytes"), "{}", said(&done));
    let done = command(&["exec", "-", "--type", "kprobe"], b"r0 = 0\nexit\n");
    assert_eq!(done.status.code(), Some(3), "{}", said(&done));
    assert!(said(&done).contains("can only be attached"), "{}", said(&done));
    let done = command(&["exec", "-"], b"r0 = r5\nexit\n");
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    assert!(said(&done).contains("r0 = r5"), "the verifier's verdict: {}", said(&done));
}

plain! {
    /// The value that is stored for a process.
    #[derive(Debug, Clone, Copy)]
    #[repr(C)]
    struct Seen {
        count: u64,
        code: i32,
        parts: [u16; 2],
    }
}

/// Programs and maps that only this process has, called by its number.
struct Objects {
    loader: Loader<'static>,
    program: Program,
    number: u32,
}

static NUMBERS: MapSpec = MapSpec::hash("cli_numbers", 4, 3, 4);
static TYPED: MapSpec = Array::<Seen>::spec("cli_typed", 2);
static PERCPU: MapSpec = MapSpec::percpu_array("cli_percpu", 4, 1);

impl Objects {
    fn new() -> Objects {
        let number = std::process::id();
        let name: &str = format!("cli{number}").leak();
        let spec = ProgramSpec::new(
            name,
            ProgramType::SocketFilter,
            bpf! {
                r1 = NUMBERS ll;
                r1 = TYPED ll;
                call ktime_get_ns;
                call twice;
                r0 = 2;
                exit;
            twice:
                r0 = 1;
                exit;
            },
        );
        let mut loader = Loader::new();
        let program = loader.load(&spec).unwrap();
        Objects { loader, program, number }
    }

    fn map(&mut self, spec: &'static MapSpec<'static>) -> Map {
        self.loader.map(spec).unwrap().clone()
    }

    fn id(&self) -> String {
        self.program.info().unwrap().id.to_string()
    }
}

fn id(map: &Map) -> String {
    map.info().unwrap().id.to_string()
}

/// The output of bpftool, if there is one.
fn bpftool(args: &[&str]) -> Option<String> {
    // Where Debian has it, which is not in everybody's path.
    let found = ["bpftool", "/usr/sbin/bpftool"]
        .iter()
        .find_map(|path| Command::new(path).args(args).output().ok())?;
    assert!(found.status.success(), "bpftool {args:?}: {}", said(&found));
    Some(String::from_utf8(found.stdout).unwrap())
}

fn no_bpftool() -> Option<String> {
    bpftool(&["version"]).is_none().then(|| "there is no bpftool".into())
}

#[test]
fn programs_are_listed_as_bpftool_lists_them() {
    needs!(Bpf, Root);
    needs_tried!("bpftool", no_bpftool());
    let own = Objects::new();
    let id = own.id();
    let theirs: Value =
        serde_json::from_str(&bpftool(&["-j", "prog", "show", "id", &id]).unwrap()).unwrap();
    let shown = objects(&command(&["prog", "show", &id, "--format", "json"], b""));
    let [ours] = &shown[..] else { panic!("{shown:?}") };
    for (name, value) in theirs.as_object().unwrap() {
        if name == "loaded_at" {
            let apart = ours[name].as_i64().unwrap() - value.as_i64().unwrap();
            assert!((-1..=1).contains(&apart), "{ours} {theirs}");
        } else if name != "pids" {
            assert_eq!(&ours[name], value, "{name}");
        }
    }
    assert_eq!(ours["name"], format!("cli{}", own.number));
    let listed = objects(&command(&["prog", "list", "--format", "json"], b""));
    assert!(listed.contains(ours), "{listed:?}");

    // In text too, but for the time zone.
    let plain = |text: String| -> Vec<String> {
        let known = |line: &&str| !line.contains("loaded_at") && !line.starts_with("\tpids");
        text.lines().filter(known).map(str::to_owned).collect()
    };
    let ours = out(&command(&["prog", "show", &id], b""));
    assert!(ours.contains("\n\tloaded_at 20") && ours.contains("+0000  uid 0\n"), "{ours}");
    assert_eq!(plain(ours), plain(bpftool(&["prog", "show", "id", &id]).unwrap()));
}

#[test]
fn instructions_are_listed_as_bpftool_lists_them() {
    needs!(Bpf, Root);
    needs_tried!("bpftool", no_bpftool());
    let own = Objects::new();
    let id = own.id();
    // Headings are by types there, and names of functions that are called by the compiler's addresses.
    let lines = |text: String| -> Vec<String> {
        let known = |line: &&str| line.starts_with([' ', ';']);
        let line = |line: &str| {
            let cut =
                line.find("call pc").and_then(|call| line[call..].find('#').map(|at| call + at));
            line[..cut.unwrap_or(line.len())].to_owned()
        };
        text.lines().filter(known).map(line).collect()
    };
    let args = ["prog", "dump", "xlated", "id", &id, "linum"];
    let theirs = lines(bpftool(&args).unwrap());
    let ours = lines(out(&command(&["prog", "dump", &id, "--linum"], b"")));
    assert!(theirs.iter().any(|line| line.contains("call bpf_ktime_get_ns#")), "{theirs:?}");
    assert_eq!(ours, theirs);
}

#[test]
fn maps_are_listed_and_dumped_as_bpftool_does_it() {
    needs!(Bpf, Root);
    needs_tried!("bpftool", no_bpftool());
    let mut own = Objects::new();
    for spec in [&NUMBERS, &TYPED, &PERCPU] {
        let map = own.map(spec);
        let id = id(&map);
        let theirs = bpftool(&["-j", "map", "show", "id", &id]).unwrap();
        let theirs: Value = serde_json::from_str(&theirs).unwrap();
        let shown = objects(&command(&["map", "show", &id, "--format", "json"], b""));
        let [ours] = &shown[..] else { panic!("{shown:?}") };
        for (name, value) in theirs.as_object().unwrap() {
            if name != "pids" {
                assert_eq!(&ours[name], value, "{name}");
            }
        }
        let listed = objects(&command(&["map", "list", "--format", "json"], b""));
        assert!(listed.contains(ours), "{listed:?}");
    }
    let map = own.map(&NUMBERS);
    map.update(&[1, 2, 3, 4], &[5, 6, 7], Update::Any).unwrap();
    map.update(&[255; 4], &[0; 3], Update::Any).unwrap();
    let theirs = bpftool(&["-j", "map", "dump", "id", &id(&map)]).unwrap();
    let theirs: Vec<Value> = serde_json::from_str(&theirs).unwrap();
    assert_eq!(objects(&command(&["map", "dump", &id(&map), "--format", "json"], b"")), theirs);
    let text = |text: String| -> Vec<String> {
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    assert_eq!(
        text(out(&command(&["map", "dump", &id(&map)], b""))),
        text(bpftool(&["map", "dump", "id", &id(&map)]).unwrap())
    );
}

#[test]
fn elements_are_set_shown_and_deleted() {
    needs!(Bpf, Root);
    let mut own = Objects::new();
    let map = own.map(&NUMBERS);
    let number = id(&map);
    let done = command(&["map", "update", &number, "7", "hex 01 02 03"], b"");
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    assert_eq!(map.lookup(&7u32.to_ne_bytes()).unwrap(), Some(vec![1, 2, 3]));

    let key = 7u32.to_ne_bytes().map(|byte| format!("{byte:02x}")).join(" ");
    let line = format!("key: {key}  value: 01 02 03\n");
    let done = command(&["map", "lookup", &number, &format!("hex {key}")], b"");
    assert_eq!(out(&done), line, "{}", said(&done));
    assert_eq!(out(&command(&["map", "dump", &number], b"")), line + "Found 1 element\n");

    let args = ["map", "update", &number, "7", "hex 00 00 00", "--when", "noexist"];
    let done = command(&args, b"");
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    assert!(said(&done).contains("EEXIST"), "{}", said(&done));

    assert_eq!(command(&["map", "delete", &number, "7"], b"").status.code(), Some(0));
    assert_eq!(map.lookup(&7u32.to_ne_bytes()).unwrap(), None);
    for verb in ["delete", "lookup"] {
        let done = command(&["map", verb, &number, "7"], b"");
        assert_eq!(done.status.code(), Some(1), "{}", said(&done));
        assert!(said(&done).contains("has no element with the key"), "{}", said(&done));
    }
    let done = command(&["map", "update", &number, "7", "5"], b"");
    assert_eq!(done.status.code(), Some(2), "{}", said(&done));
    assert!(said(&done).contains("it has 3 bytes, which no number has"), "{}", said(&done));
}

#[test]
fn values_of_each_cpu_are_shown_with_it() {
    needs!(Bpf, Root);
    let mut own = Objects::new();
    let map = own.map(&PERCPU);
    let number = id(&map);
    assert_eq!(command(&["map", "update", &number, "0", "3"], b"").status.code(), Some(0));
    // It is a number of four bytes, also where there is one CPU.
    let large = command(&["map", "update", &number, "0", "0x100000000"], b"");
    assert_eq!(large.status.code(), Some(2), "{}", said(&large));
    let three = 3u32.to_ne_bytes().map(|byte| format!("{byte:02x}")).join(" ");
    let mut expected = String::from("key: 00 00 00 00\n");
    let cpus = rawbpf::kernel::cpu::possible().unwrap();
    for cpu in &cpus {
        expected += &format!("  value (CPU {cpu:02}): {three}\n");
    }
    let done = command(&["map", "lookup", &number, "0"], b"");
    assert_eq!(out(&done), expected, "{}", said(&done));
    let objects = objects(&command(&["map", "dump", &number, "--format", "json"], b""));
    assert_eq!(objects[0]["values"].as_array().unwrap().len(), cpus.len());
    assert_eq!(objects[0]["values"][0]["cpu"], 0);
}

#[test]
fn fields_are_shown_by_their_names() {
    needs!(Bpf, Root, Btf);
    let mut own = Objects::new();
    let map = own.map(&TYPED);
    let typed = Array::<Seen>::of(&map).unwrap();
    typed.update(1, &Seen { count: 1 << 40, code: -7, parts: [3, 65535] }).unwrap();
    let done = command(&["map", "lookup", &id(&map), "1"], b"");
    let line = "key: 1  value: {\"code\":-7,\"count\":1099511627776,\"parts\":[3,65535]}\n";
    assert_eq!(out(&done), line, "{}", said(&done));
    let objects = objects(&command(&["map", "dump", &id(&map), "--format", "json"], b""));
    assert_eq!(objects[1]["formatted"]["value"]["code"], -7);
    assert_eq!(objects[0]["formatted"]["value"]["parts"], serde_json::json!([0, 0]));
    assert_eq!(objects[1]["value"].as_array().unwrap().len(), 16);
}

/// Strings are shown as text, as bpftool does. An array that is no string is shown as numbers.
#[test]
fn strings_are_shown_as_text() {
    needs!(Bpf, Root, Btf);
    let text = "\
.rodata
text: .asciz \"hello %d\"
none: .byte 104, 200, 0
.text
r1 = text ll
r0 = 0
exit
";
    let module = parse(text, "text.s", &ParseOptions::new()).unwrap();
    let spec = TextSpec::new(&module, &module.programs()[0], "text.s").unwrap();
    let mut loader = Loader::new();
    let map = loader.section(&spec.code(), Section::Rodata).unwrap();
    let objects = objects(&command(&["map", "dump", &id(map), "--format", "json"], b""));
    let value = &objects[0]["formatted"]["value"];
    assert_eq!(value["text"], "hello %d");
    assert_eq!(value["none"], serde_json::json!([104, 200, 0]));
}

#[test]
fn objects_are_found_by_their_names() {
    needs!(Bpf, Root);
    let mut own = Objects::new();
    let name = format!("name:cli{}", own.number);
    // Other tests of this process have programs of the same name.
    let number = own.id();
    let done = command(&["prog", "show", &name], b"");
    match done.status.code() {
        Some(0) => assert!(out(&done).starts_with(&number), "{}", said(&done)),
        Some(2) => assert!(said(&done).contains(&number), "{}", said(&done)),
        _ => panic!("{}", said(&done)),
    }
    let args = ["prog", "show", &number, "--pids", "--format", "json"];
    let shown = objects(&command(&args, b""));
    let holder = serde_json::json!(own.number);
    let pids = shown[0]["pids"].as_array().unwrap();
    assert!(pids.iter().any(|one| one["pid"] == holder), "{shown:?}");
    let number = id(&own.map(&NUMBERS));
    let done = command(&["map", "show", &number, "--pids"], b"");
    assert!(out(&done).contains(&format!("({})", own.number)), "{}", said(&done));

    for args in [["prog", "show", "name:no_such_one"], ["map", "show", "name:no_such_one"]] {
        let done = command(&args, b"");
        assert_eq!(done.status.code(), Some(1), "{}", said(&done));
        assert!(said(&done).contains("with the name `no_such_one`"), "{}", said(&done));
    }
    for args in [["prog", "show", "4294967295"], ["map", "show", "4294967295"]] {
        let done = command(&args, b"");
        assert_eq!(done.status.code(), Some(1), "{}", said(&done));
        assert!(said(&done).contains("ENOENT"), "{}", said(&done));
    }
    assert_eq!(command(&["prog", "show", "hello"], b"").status.code(), Some(2));
}

#[test]
fn lists_are_for_those_who_may() {
    needs!(Root);
    for what in ["prog", "map"] {
        let done =
            Command::new(rawbpf()).args([what, "list"]).uid(65534).gid(65534).output().unwrap();
        assert_eq!(done.status.code(), Some(4), "{}", said(&done));
        assert!(said(&done).contains("CAP_SYS_ADMIN"), "{}", said(&done));
    }
}

#[test]
fn machine_code_is_shown_by_function() {
    needs!(Bpf, Root);
    let own = Objects::new();
    let done = command(&["prog", "dump", &own.id(), "jited", "--format", "json"], b"");
    if own.program.info().unwrap().jited_len == 0 {
        assert_eq!(done.status.code(), Some(1), "{}", said(&done));
        assert!(said(&done).contains("interpreted"), "{}", said(&done));
        return;
    }
    let functions = objects(&done);
    assert_eq!(functions.len(), 2);
    let bytes: usize = functions.iter().map(|one| one["bytes"].as_str().unwrap().len() / 2).sum();
    assert_eq!(bytes, own.program.info().unwrap().jited_len as usize);
    let text = out(&command(&["prog", "dump", &own.id(), "jited"], b""));
    let first = functions[0]["address"].as_str().unwrap().trim_start_matches("0x");
    assert!(text.contains(&format!("{first}:  ")), "{text}");
}
