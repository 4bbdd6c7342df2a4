//! Names and texts from outside (files, symbols, processes, source text, contents of maps, words of the command line)
//! can neither control the terminal that shows them, nor forge a line: a table of every command that prints, with such
//! names wherever it takes or shows one. From JSON the very bytes can be recovered.
#![allow(unsafe_code, reason = "a symbol with a name of its own has no mangled one")]

mod common;

use common::requires::{Thing, needs, needs_tried};
use common::{Folder, commands, no_program, rawbpf};
use nix::fcntl::OFlag;
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use rawbpf::map::Update;
use rawbpf::{Loader, Map, MapSpec, Program, ProgramSpec, ProgramType, bpf};
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A name with an escape sequence, a line break, a byte that is not UTF-8 and a control character of two bytes; no longer than the
/// name of a process can be.
const EVIL: &[u8] = b"e\x1b[31m\nFOR\xff\xc2\x9b";

/// One without a line break, which no target holds: they stand in lines.
const ONE_LINE: &[u8] = b"e\x1b[31m\xff\xc2\x9b";

const UTF8: &[u8] = b"e\x1b[31m\xc2\x9b\\";

/// The same as UTF-8, as long as the names that it takes the place of.
const EVIL_SYMBOL: &[u8] = b"e\x1b[31m\nFOR\xc2\x9b____";
const SYMBOL: &[u8] = b"evil_symbol_here";

#[unsafe(no_mangle)]
extern "C" fn evil_symbol_here() -> u32 {
    std::hint::black_box(7)
}

#[used]
static KEEP: extern "C" fn() -> u32 = evil_symbol_here;

const GOOD: &str = "r0 = 7\nexit\n";
const BAD: &str = "r0 = 7 # \x1b[31m\u{202e}\nr12 = \u{9b}1 # \x1b[2J\nexit\n";
const REJECTED: &str = "r0 = *(u64 *)(r5 + 0) # \x1b[31m\nexit\n";
const NAMED: &str =
    ".license \"GPL\"\n.program evil_symbol_here, tracepoint/sched/sched_switch\nr0 = 7\nexit\n";
/// Counts processes by their names.
const COUNT: &str = "\
.license \"GPL\"
.map names, hash, key=16, value=8, max=1024
.program escapes_count, tracepoint/sched/sched_process_exit
\t*(u64 *)(r10 - 24) = 1
\tr1 = r10
\tr1 += -16
\tr2 = 16
\tcall get_current_comm
\tr1 = names ll
\tr2 = r10
\tr2 += -16
\tr3 = r10
\tr3 += -24
\tr4 = 0
\tcall map_update_elem
\tr0 = 0
\texit
";

/// `DIR` is a folder of an evil name, `EVIL` an evil word.
const COMMANDS: &[&[&str]] = &[
    &["EVIL"],
    &["asm", "DIR/bad.s"],
    &["asm", "DIR/none.s"],
    &["asm", "DIR/binary"],
    &["asm", "DIR/good.s", "-o", "DIR/none/x"],
    &["asm", "DIR/good.s", "--format", "EVIL"],
    &["asm", "--format", "c", "DIR/commented.s"],
    &["check", "DIR/bad.s"],
    &["check", "--type", "socket_filter", "DIR/rejected.s"],
    &["check", "--type", "socket_filter", "--log", "2", "DIR/rejected.s"],
    &["check", "DIR/named.o"],
    &["disasm", "DIR/named.o"],
    &["disasm", "--style", "kernel", "DIR/named.o"],
    &["disasm", "--program", "EVIL", "DIR/named.o"],
    &["disasm", "--program", "EVIL", "DIR/binary"],
    &["disasm", "DIR/binary"],
    &["disasm", "--hex", "DIR/bad.s"],
    &["exec", "DIR/bad.s"],
    &["exec", "DIR/rejected.s"],
    &["load", "--type", "socket_filter", "DIR/rejected.s"],
    &["exec", "DIR/binary"],
    &["exec", "DIR/good.s", "--data", "@DIR/none"],
    &["exec", "DIR/good.s", "--data", "EVIL"],
    &["exec", "DIR/good.s", "--program", "EVIL"],
    &["help", "EVIL"],
    &["explain", "EVIL"],
    &["explain", "r0 = EVIL"],
    &["features", "EVIL"],
    &["features", "helpers:EVIL"],
    &["list", "EVIL"],
    &["list", "EVIL:EVIL"],
    &["list", "kprobe:EVIL"],
    &["list", "-v", "uprobe:DIR/elf:*"],
    &["list", "uprobe:DIR/none:*"],
    &["list", "usdt:DIR/elf:*"],
    &["list", "usdt:EVIL:*"],
    &["load", "DIR/bad.s"],
    &["load", "DIR/named.o"],
    &["load", "--trace", "DIR/named.o"],
    &["load", "DIR/count.s", "--pin", "DIR"],
    &["load", "DIR/count.s", "--pin", "DIR/none/x"],
    &["map", "list", "--pids"],
    &["map", "show", "EVIL"],
    &["map", "show", "name:EVIL"],
    &["map", "show", "pinned:DIR/none"],
    &["map", "dump", "name:escapes_map"],
    &["map", "lookup", "name:escapes_map", "EVIL"],
    &["map", "update", "name:escapes_map", "0", "EVIL"],
    &["map", "delete", "name:escapes_map", "hex EVIL"],
    &["prog", "list", "--pids"],
    &["prog", "show", "name:EVIL"],
    &["prog", "dump", "DIR/none"],
    &["prog", "pin", "name:escapes_prog", "DIR/none/x"],
    &["prog", "unpin", "DIR/none"],
    &["run", "EVIL"],
    &["run", "hello", "--attach", "EVIL"],
    &["run", "hello", "--attach", "uprobe:DIR/none:EVIL"],
    &["run", "hello", "--format", "EVIL"],
    &["run", "perf-output", "--", "DIR/EVIL", "-c", "(:); (:); (:)"],
    &["run", "perf-output", "--", "DIR/none"],
    &["run", "perf-output", "--", "DIR"],
    &["trace", "EVIL", "DIR/count.s"],
    &["trace", "uprobe:DIR/elf:EVIL", "DIR/good.s"],
    &["trace", "uprobe:EVIL:EVIL", "DIR/good.s"],
    &["trace", "cgroup:DIR:inet_ingress", "DIR/good.s"],
    &["trace", "xdp:EVIL", "DIR/good.s"],
    &["trace", "DIR/bad.s"],
    &["trace", "DIR/count.s", "--", "DIR/EVIL", "-c", ":"],
    &["trace", "DIR/count.s", "--", "DIR/none"],
    &["bt", "DIR/bad.bt"],
    &["bt", "DIR/none"],
    &["bt", "DIR/binary"],
    &["bt", "-d", "DIR/good.bt"],
    &["bt", "-e", "BEGIN { EVIL }"],
    &["bt", "-e", "uprobe:DIR/elf:x { 1 }"],
    &["bt", "-e", "BEGIN { exit() }", "-o", "DIR/none/x"],
    &["bt", "-e", "BEGIN { exit() }", "-c", "EVIL"],
    &["bt", "-e", "BEGIN { exit() }", "-p", "EVIL"],
    &["bt", "-e", "uprobe:$1:$2 { exit() }", "DIR/elf", "EVIL"],
    &["bt", "-e", "kprobe:$1 { exit() }", "EVIL"],
    &["bt", "-l", "EVIL"],
    &["bt", "-l", "uprobe:DIR/elf:*"],
    &["bt", "-lv", "usdt:DIR/elf:*"],
    &["bt", "--EVIL"],
    &["bt", "-EVIL"],
];

/// Commands whose JSON holds a name, and which: `EVIL`, `SYMBOL`, or one of the file.
const JSON: &[(&[&str], &[u8])] = &[
    (&["list", "--format", "json", "uprobe:DIR/elf:*"], EVIL_SYMBOL),
    (&["list", "--format", "json", "uprobe:DIR/elf:*"], EVIL),
    (&["disasm", "--format", "json", "DIR/named.o"], b""),
    (&["check", "--type", "socket_filter", "--format", "json", "DIR/rejected.s"], EVIL),
    (&["map", "list", "--pids", "--format", "json"], EVIL),
    (&["prog", "list", "--pids", "--format", "json"], EVIL),
    (&["run", "perf-output", "--format", "json", "--", "DIR/EVIL", "-c", "(:); (:); (:)"], EVIL),
    (
        &["trace", "--format", "json", "DIR/count.s", "--", "DIR/utf8\x1b\u{9b}\\", "-c", ":"],
        b"utf8\x1b\xc2\x9b\\",
    ),
    (&["bt", "-q", "-f", "json", "-e", "BEGIN { print(str($1)); exit() }", "EVIL"], EVIL),
    (&["bt", "-q", "-f", "json", "-e", "BEGIN { printf(\"%s\", str($1)); exit() }", "EVIL"], EVIL),
];

/// Commands name a map and a program, of which there is then one; and this process has an evil name meanwhile.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The objects that the commands are run on.
struct World {
    folder: Folder,
    name: &'static [u8],
    _map: Map,
    _program: Program,
}

impl World {
    fn new(name: &'static [u8]) -> World {
        let map =
            Map::create(&MapSpec::new("escapes_map", rawbpf::MapType::Hash, 16, 16, 4)).unwrap();
        let mut bytes = [0; 16];
        bytes[..EVIL.len()].copy_from_slice(EVIL);
        map.update(&bytes, &bytes, Update::Any).unwrap();
        let code = bpf! { r0 = 0; exit; };
        let program = ProgramSpec::new("escapes_prog", ProgramType::SocketFilter, code);
        let program = Loader::new().load(&program).unwrap();
        // The name of the process that holds them.
        fs::write("/proc/self/comm", EVIL).unwrap();

        let world = World { folder: Folder::new(), name, _map: map, _program: program };
        let dir = world.dir();
        fs::create_dir(&dir).unwrap();
        let commented = "r0 = 7 # \x1b[31m\n/* \u{9b} */ exit\n";
        for (name, text) in [
            ("good.s", GOOD),
            ("bad.s", BAD),
            ("rejected.s", REJECTED),
            ("named.s", NAMED),
            ("count.s", COUNT),
            ("commented.s", commented),
            ("good.bt", "BEGIN { printf(\"\x1b[31m\u{9b}\"); exit() }"),
            ("bad.bt", "BEGIN { /* \x1b[31m\u{202e} */ \u{9b} nothing }"),
        ] {
            fs::write(dir.join(name), text).unwrap();
        }
        fs::write(dir.join("binary"), b"\xff\x1b[31m").unwrap();
        fs::write(dir.join("packet"), [0; 64]).unwrap();
        let object = dir.join("named.o");
        let made = Command::new(rawbpf())
            .arg("asm")
            .arg(dir.join("named.s"))
            .arg("-o")
            .arg(&object)
            .status();
        assert!(made.unwrap().success());
        let object_bytes = renamed(&fs::read(&object).unwrap());
        fs::write(&object, object_bytes).unwrap();
        let us = fs::read(std::env::current_exe().unwrap()).unwrap();
        fs::write(dir.join("elf"), renamed(&us)).unwrap();
        for name in [OsStr::from_bytes(name), OsStr::new("utf8\x1b\u{9b}\\")] {
            fs::copy("/bin/sh", dir.join(name)).unwrap();
        }
        world
    }

    /// The folder of an evil name.
    fn dir(&self) -> PathBuf {
        self.folder.path().join(OsStr::from_bytes(self.name))
    }

    fn run(&self, words: &[&str]) -> Output {
        let dir = self.dir();
        let word = |word: &&str| {
            let mut bytes = word.as_bytes().to_vec();
            for (from, to) in [(&b"DIR"[..], dir.as_os_str().as_bytes()), (b"EVIL", self.name)] {
                bytes = replaced(&bytes, from, to);
            }
            OsString::from_vec(bytes)
        };
        let mut command = Command::new(rawbpf());
        command.args(words.iter().map(word)).stdin(Stdio::null()).current_dir(self.folder.path());
        command.output().unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Other tests read of themselves in /proc.
        fs::write("/proc/self/comm", "escapes").unwrap();
    }
}

/// A file in which the symbol has the evil name.
fn renamed(file: &[u8]) -> Vec<u8> {
    assert_eq!(SYMBOL.len(), EVIL_SYMBOL.len());
    let renamed = replaced(file, SYMBOL, EVIL_SYMBOL);
    assert!(renamed != file, "the symbol is in it");
    renamed
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        match rest.strip_prefix(from) {
            Some(tail) => {
                out.extend_from_slice(to);
                rest = tail;
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

/// Undoes what JSON has done to bytes that are not UTF-8, by its documentation.
fn recovered(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for c in text.chars() {
        match u32::from(c) {
            unit @ 0xef80..=0xefff => bytes.push((unit - 0xef00) as u8),
            _ => bytes.extend(c.to_string().bytes()),
        }
    }
    bytes
}

/// All strings of a value.
fn strings(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| strings(value, out)),
        Value::Object(fields) => {
            out.extend(fields.keys().cloned());
            fields.values().for_each(|value| strings(value, out));
        }
        _ => {}
    }
}

/// Control characters, and the marks of Unicode Standard Annex 9.
fn drives_a_terminal(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[track_caller]
fn assert_safe(words: &[&str], output: &Output) {
    for (stream, bytes) in [("standard output", &output.stdout), ("standard error", &output.stderr)]
    {
        let text = std::str::from_utf8(bytes).unwrap_or_else(|_| {
            panic!("{words:?}: {stream} is not UTF-8: {:?}", String::from_utf8_lossy(bytes))
        });
        assert!(!text.contains(drives_a_terminal), "{words:?}: {stream}: {text:?}");
        // A script of several lines is shown by the line that a mistake is in.
        let mut before = "";
        for line in text.lines() {
            let is_source = before.starts_with("stdin:") && before.contains(": ERROR: ");
            assert!(is_source || !line.starts_with("FOR"), "{words:?}: {stream}: {text}");
            before = line;
        }
        assert!(!text.contains("panicked"), "{words:?}: {stream}: {text}");
    }
    let silent = output.stdout.is_empty() && output.stderr.is_empty();
    assert!(!silent || output.status.success(), "{words:?} says nothing");
}

#[test]
fn no_name_drives_a_terminal() {
    let _alone = alone();
    needs!(Root, Bpf, Tracepoint);
    // A shell that is busybox does not run under another name.
    needs_tried!("bash", no_program("bash"));
    // With a line break much is refused early, and with bytes that are not UTF-8 no text holds it.
    for name in [EVIL, ONE_LINE, UTF8] {
        let world = World::new(name);
        for words in COMMANDS {
            let output = world.run(words);
            assert_safe(words, &output);
        }
    }
}

#[test]
fn every_command_is_in_the_table() {
    for command in commands() {
        let is_there = COMMANDS.iter().any(|words| {
            words.len() >= command.len() && words.iter().zip(&command).all(|(one, two)| one == two)
        });
        assert!(is_there, "no row of the table calls {command:?}");
    }
}

#[test]
fn json_has_the_very_bytes() {
    let _alone = alone();
    needs!(Root, Bpf, Tracepoint);
    // A shell that is busybox does not run under another name.
    needs_tried!("bash", no_program("bash"));
    let world = World::new(EVIL);
    for (words, name) in JSON {
        let output = world.run(words);
        assert_safe(words, &output);
        let text = String::from_utf8(output.stdout).unwrap();
        let mut all = Vec::new();
        for line in text.lines() {
            let value = serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("{words:?}: {error}: {line}"));
            strings(&value, &mut all);
        }
        let holds = |text: &String| {
            let bytes = recovered(text);
            name.is_empty() || bytes.windows(name.len()).any(|piece| piece == *name)
        };
        assert!(
            all.iter().any(holds),
            "{words:?}: {text}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn files_of_any_name_are_found() {
    let _alone = alone();
    needs!(Root, Bpf, Tracepoint, Uprobe);
    // A shell that is busybox does not run under another name.
    needs_tried!("bash", no_program("bash"));
    let world = World::new(ONE_LINE);
    for words in [
        &["asm", "DIR/good.s"][..],
        &["asm", "DIR/good.s", "-o", "DIR/EVIL.o"],
        &["exec", "DIR/good.s", "--data", "@DIR/packet"],
        &["disasm", "DIR/EVIL.o"],
        &["load", "DIR/count.s"],
        &["list", "uprobe:DIR/elf:main"],
        &["trace", "uprobe:DIR/elf:main", "DIR/good.s", "--duration", "0.1"],
        &["bt", "DIR/good.bt"],
        &["bt", "-e", "BEGIN { exit() }", "-o", "DIR/output"],
        &["bt", "-e", "uprobe:$1:main { } BEGIN { exit() }", "DIR/elf"],
        &["bt", "-l", "uprobe:DIR/elf:main"],
        &["bt", "-e", "interval:s:9 { }", "-c", "'DIR/EVIL' -c :"],
        &["run", "perf-output", "--", "DIR/EVIL", "-c", ":"],
    ] {
        let output = world.run(words);
        assert!(output.status.success(), "{words:?}: {}", common::said(&output));
    }
    assert!(world.dir().join("output").exists());
}

/// As bpftrace prints them, where the output is no terminal.
#[test]
fn scripts_print_the_bytes_of_strings() {
    let _alone = alone();
    needs!(Root, Bpf);
    let world = World::new(EVIL);
    let output =
        world.run(&["bt", "-q", "-e", "BEGIN { printf(\"%s\\n\", str($1)); exit() }", "EVIL"]);
    assert!(
        output.stdout.windows(EVIL.len()).any(|piece| piece == EVIL),
        "{}",
        common::said(&output)
    );
    // A script in another encoding than UTF-8: in a file, and on the command line.
    let script = b"// caf\xe9\nBEGIN { printf(\"caf\xe9 \xee\xbe\x80 \\x41\\n\"); exit() }";
    let file = world.folder.path().join("latin1.bt");
    fs::write(&file, script).unwrap();
    let words = [vec![file.as_os_str()], vec!["-e".as_ref(), OsStr::from_bytes(script)]];
    for words in words {
        let output = Command::new(rawbpf()).args(["bt", "-q"]).args(words).output().unwrap();
        assert_eq!(output.stdout.trim_ascii_end(), b"caf\xe9 \xee\xbe\x80 A", "{output:?}");
    }
    let mistake = b"BEGIN { printf(\"caf\xe9\", nothing); exit() }";
    let words = [OsStr::new("-e"), OsStr::from_bytes(mistake)];
    let output = Command::new(rawbpf()).args(["bt", "-q"]).args(words).output().unwrap();
    assert!(common::said(&output).contains("printf(\"caf\\xe9\", nothing)"), "{output:?}");
}

/// A terminal, of which this is the other side, and the file of the one that programs write to.
fn terminal() -> Result<(PtyMaster, String), String> {
    let failed = |errno: nix::errno::Errno| format!("pty: {errno}");
    let other =
        posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK).map_err(failed)?;
    grantpt(&other).map_err(failed)?;
    unlockpt(&other).map_err(failed)?;
    let name = ptsname_r(&other).map_err(failed)?;
    fs::metadata(&name).map_err(|error| format!("{name}: {error}"))?;
    Ok((other, name))
}

#[test]
fn the_file_of_a_scripts_output_may_be_a_terminal() {
    let _alone = alone();
    needs!(Root, Bpf);
    let pair = terminal();
    needs_tried!("pty", pair.as_ref().err());
    let (mut other, name) = pair.unwrap();
    // What was written is gone when nobody has it open.
    let _open = fs::File::options().read(true).write(true).open(&name).unwrap();
    let world = World::new(EVIL);
    let script = "BEGIN { printf(\"%s\\n\", str($1)); exit() }";
    let output = world.run(&["bt", "-q", "-o", &name, "-e", script, "EVIL"]);
    assert!(output.status.success(), "{}", common::said(&output));
    let mut bytes = [0; 4096];
    let length = other.read(&mut bytes).unwrap();
    let shown = String::from_utf8(bytes[..length].to_vec()).unwrap();
    assert!(shown.contains("e\\x1b[31m"), "{shown:?}");
    assert!(!shown.chars().any(|c| drives_a_terminal(c) && c != '\r'), "{shown:?}");
}
