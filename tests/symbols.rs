//! Names of the frames of processes whose files are hard to get at: static programs, deleted ones, stripped ones, code that was
//! made at run time; by `rawbpf trace`, by the bpftrace language, and by the library.
#![cfg(feature = "symbolize")]
#![allow(unsafe_code, reason = "memory with machine code in it")]

mod common;
#[allow(dead_code, reason = "it compiles for the tests of uprobes, too")]
#[path = "uprobe/compiled.rs"]
mod compiled;

use common::requires::{Thing, needs, needs_tried};
use common::{Folder, alone, no_program, rawbpf, said, wait_until};
use compiled::Compiled;
use rawbpf::user::{self, ProcessSymbols};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

/// Keeps the stacks of the calls of `getsid` that have a number of their own.
const STACKS: &str = "\
.license \"GPL\"
.map stacks, stack_trace, key=4, value=24, max=64
.program whose_sid, tracepoint/syscalls/sys_enter_getsid
\tr2 = *(u64 *)(r1 + 16)
\tif r2 != 7531 goto out
\tr2 = stacks ll
\tr3 = 256
\tcall get_stackid
out:
\tr0 = 0
\texit
";

/// Keeps the stacks at one place of a program.
const STACKS_THERE: &str = "\
.license \"GPL\"
.map stacks, stack_trace, key=4, value=24, max=64
.program there
\tr2 = stacks ll
\tr3 = 256
\tcall get_stackid
\tr0 = 0
\texit
";

/// The same in the language.
const SCRIPT: &str =
    "tracepoint:syscalls:sys_enter_getsid /args.pid == 7531/ { @[ustack(3)] = count(); }";

/// A program of x86-64 without any library, linked to where all of its kind are: it calls `getsid` by three functions of its
/// own, thrice, or without end if it has an argument. `$` is what the names begin with.
const SOURCE: &str = "
static inline __attribute__((always_inline)) long call(long number, void *a) {
    long answer;
    __asm__ volatile(\"syscall\" : \"=a\"(answer) : \"a\"(number), \"D\"(a), \"S\"(0) : \"rcx\", \"r11\", \"memory\");
    return answer;
}
#define FUNCTION __attribute__((noipa)) void
FUNCTION $_inner(void) { call(124, (void *)7531); }
FUNCTION $_middle(void) { $_inner(); __asm__ volatile(\"\"); }
FUNCTION $_outer(void) { $_middle(); __asm__ volatile(\"\"); }
FUNCTION $_waits(void) { long time[2] = { 0, 5000000 }; call(35, time); }
void start(long *stack) {
    if (IDLE) for (;;) $_waits();
    if (*stack > 1) for (;;) { $_outer(); $_waits(); }
    $_outer(); $_outer(); $_outer();
    call(231, 0);
}
__asm__(\".globl _start\\n_start: mov %rsp, %rdi\\n and $-16, %rsp\\n call start\");
";

/// Builds it; `name` is what its functions begin with.
fn build(folder: &Compiled, name: &str, args: &[&str]) -> PathBuf {
    let source = SOURCE.replace('$', name).replace(&format!("and {name}-16"), "and $-16");
    let usual = [
        "-O0",
        "-fno-omit-frame-pointer",
        "-fno-stack-protector",
        "-fcf-protection=none",
        "-nostdlib",
        "-static",
        "-no-pie",
    ];
    folder.build(name, (&format!("{name}.c"), &source), &[&usual, args].concat())
}

fn no_tools() -> Option<String> {
    let other = cfg!(not(target_arch = "x86_64")).then(|| "the program is of x86-64".into());
    other.or_else(|| ["gcc", "objcopy", "strip"].into_iter().find_map(no_program))
}

/// A process that is ended when dropped.
struct Running(Child);

impl Running {
    fn new(program: &Path, args: &[&str]) -> Running {
        Running(Command::new(program).args(args).spawn().unwrap())
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn trace(args: &[&str], text: &str, command: Option<&Path>) -> Output {
    let mut all = Command::new(rawbpf());
    all.arg("trace").args(args).arg("-");
    if let Some(command) = command {
        all.arg("--").arg(command);
    }
    let mut child =
        all.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn bt(args: &[&str]) -> Output {
    Command::new(rawbpf()).arg("bt").args(["-e", SCRIPT]).args(args).output().unwrap()
}

/// Half a second of a process.
fn bt_for_a_while(process: &Running) -> Output {
    let script = format!("{SCRIPT} interval:ms:500 {{ exit() }}");
    Command::new(rawbpf()).arg("bt").args(["-p", &process.pid(), "-e", &script]).output().unwrap()
}

/// Checks that the output has the three frames, one below the other.
#[track_caller]
fn assert_has_frames(done: &Output, name: &str) {
    let printed = String::from_utf8_lossy(&done.stdout).into_owned();
    let mut lines = printed.lines().skip_while(|line| !line.contains(&format!("{name}_inner+")));
    for function in ["inner", "middle", "outer"] {
        let line = lines.next().unwrap_or_default();
        assert!(line.contains(&format!("{name}_{function}+")), "{function}: {}", said(done));
    }
}

#[test]
fn a_static_program_has_names_if_it_is_the_one() {
    needs!(Tracepoint, Bpf);
    needs_tried!("symbols", no_tools());
    let _alone = alone();
    let folder = Compiled::new();
    let mine = build(&folder, "mine", &["-DIDLE=0"]);
    // Another one, with other functions in the same place.
    let other = Running::new(&build(&folder, "other", &["-DIDLE=1"]), &[]);
    assert_has_frames(&trace(&[], STACKS, Some(&mine)), "mine");
    assert_has_frames(&bt(&["-c", mine.to_str().unwrap()]), "mine");
    let running = Running::new(&mine, &["forever"]);
    // Behind `push %rbp; mov %rsp, %rbp`.
    let target = format!("uprobe:{}:mine_inner+4", mine.display());
    let done = trace(&["--pid", &running.pid(), "--duration", "0.5", &target], STACKS_THERE, None);
    assert_has_frames(&done, "mine");
    assert_has_frames(&bt_for_a_while(&running), "mine");
    drop(other);
}

/// `_Z6_inner` is `_inner` of C++.
#[cfg(feature = "demangle")]
#[test]
fn names_stay_mangled_if_the_script_says_so() {
    needs!(Tracepoint, Bpf);
    needs_tried!("symbols", no_tools());
    let _alone = alone();
    let folder = Compiled::new();
    let plus = build(&folder, "_Z6", &["-DIDLE=0"]);
    let command = ["-c", plus.to_str().unwrap()];
    let frames = |setting: &str| {
        let script = format!("config = {{ cpp_demangle = {setting} }} {SCRIPT}");
        let mut done = Command::new(rawbpf());
        let done = done.args(["bt", "-e", &script]).args(command).output().unwrap();
        let printed = String::from_utf8_lossy(&done.stdout).into_owned();
        let frame = printed.lines().find(|line| line.contains("_inner+"));
        frame.unwrap_or_else(|| panic!("{}", said(&done))).trim().to_owned()
    };
    assert!(frames("1").starts_with("_inner+"), "{}", frames("1"));
    assert!(frames("0").starts_with("_Z6_inner+"), "{}", frames("0"));
}

#[test]
fn a_deleted_program_has_names() {
    needs!(Tracepoint, Bpf);
    needs_tried!("symbols", no_tools());
    let _alone = alone();
    let folder = Compiled::new();
    let gone = build(&folder, "gone", &["-DIDLE=0"]);
    // One that deletes itself as it starts, and one that was deleted before anybody looked.
    let script = folder.path("script");
    std::fs::write(
        &script,
        format!(
            "cp {0} {0}2; {0}2 forever & sleep 0.3; rm {0}2; sleep 0.3; kill $!; wait",
            gone.display()
        ),
    )
    .unwrap();
    let shell = format!("sh {}", script.display());
    assert_has_frames(&bt(&["-c", &shell]), "gone");
    let running = Running::new(&gone, &["forever"]);
    let maps = format!("/proc/{}/maps", running.pid());
    wait_until("it runs", || std::fs::read_to_string(&maps).unwrap().contains("/gone"));
    std::fs::remove_file(&gone).unwrap();
    // Its path leads to another program.
    symlink("/bin/true", &gone).unwrap();
    assert_has_frames(&bt_for_a_while(&running), "gone");
    let symbols = ProcessSymbols::of(running.0.id()).unwrap();
    let text = std::fs::read_to_string(&maps).unwrap();
    let code = text.lines().find(|line| line.contains(" r-xp ") && line.contains("/gone")).unwrap();
    let start = u64::from_str_radix(code.split('-').next().unwrap(), 16).unwrap();
    let functions = (0..200).filter_map(|at| symbols.at(start + at)?.name);
    assert!(functions.into_iter().any(|name| name == "gone_inner"));
    assert_eq!(symbols.at(start).unwrap().path, gone);
}

#[test]
fn a_stripped_program_has_the_names_of_its_debug_file() {
    needs!(Tracepoint, Bpf);
    needs_tried!("symbols", no_tools());
    let _alone = alone();
    let folder = Compiled::new();
    let bare = build(&folder, "bare", &["-DIDLE=0"]);
    folder.run("objcopy", &["--only-keep-debug", "bare", "bare.debug"]);
    folder.run("strip", &["bare"]);
    let done = trace(&[], STACKS, Some(&bare));
    assert!(!String::from_utf8_lossy(&done.stdout).contains("bare_inner"), "{}", said(&done));
    folder.run("objcopy", &["--add-gnu-debuglink=bare.debug", "bare"]);
    assert_has_frames(&trace(&[], STACKS, Some(&bare)), "bare");
    assert_has_frames(&bt(&["-c", bare.to_str().unwrap()]), "bare");
}

/// Some executable memory.
struct Page(*mut libc::c_void);

impl Page {
    const SIZE: usize = 1 << 16;

    /// Maps a file from an offset on.
    fn of(file: &File, offset: u64) -> Page {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE);
        let (fd, offset) = (file.as_raw_fd(), offset as libc::off_t);
        // SAFETY: it is new memory, which nobody reads or runs.
        let page =
            unsafe { libc::mmap(std::ptr::null_mut(), Page::SIZE, protection, flags, fd, offset) };
        assert_ne!(page, libc::MAP_FAILED);
        Page(page)
    }

    fn new() -> Page {
        let protection = libc::PROT_READ | libc::PROT_EXEC;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: it is new memory, which nobody reads or runs.
        let page =
            unsafe { libc::mmap(std::ptr::null_mut(), Page::SIZE, protection, flags, -1, 0) };
        assert_ne!(page, libc::MAP_FAILED);
        Page(page)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: it was mapped by `new`.
        unsafe { libc::munmap(self.0, Page::SIZE) };
    }
}

#[test]
fn code_that_was_made_has_the_names_of_its_map() {
    let page = Page::new();
    let start = page.0 as u64;
    let path = PathBuf::from(format!("/tmp/perf-{}.map", std::process::id()));
    let us = std::process::id();
    assert_eq!(ProcessSymbols::of(us).unwrap().at(start + 4), None);
    std::fs::write(&path, format!("{start:x} 10 JS:*add /app/x.js:1:13\n")).unwrap();
    let symbols = ProcessSymbols::of(us).unwrap();
    let found = symbols.at(start + 4).unwrap();
    let name = Some("JS:*add /app/x.js:1:13".to_owned());
    assert_eq!((found.name, found.offset, &found.path), (name, 4, &path));
    assert_eq!(symbols.at(start + 0x10), None);
    std::fs::remove_file(&path).unwrap();
}

/// Whoever owns a file that a process has mapped can truncate it whenever he likes.
#[test]
fn a_file_that_is_truncated_ends_nobody() {
    let folder = Folder::new();
    let path = folder.path().join("library.so");
    std::fs::copy(std::env::current_exe().unwrap(), &path).unwrap();
    let functions = user::functions(&path).unwrap();
    let function = functions.iter().find(|one| one.name.contains("truncated_ends")).unwrap();
    let file = File::options().write(true).read(true).open(&path).unwrap();
    let length = file.metadata().unwrap().len();
    let begin = function.offset / 4096 * 4096;
    let page = Page::of(&file, begin);
    let address = page.0 as u64 + (function.offset - begin);

    let us = std::process::id();
    let symbols = ProcessSymbols::of(us).unwrap();
    let named = symbols.at(address).unwrap();
    assert!(named.name.unwrap().contains("truncated_ends") && named.path == path);
    file.set_len(0).unwrap();
    let others = (0..Page::SIZE as u64).step_by(64).map(|at| page.0 as u64 + at);
    // It is there, whatever it is called.
    assert!(others.into_iter().all(|address| symbols.at(address).is_some()));
    assert_eq!(ProcessSymbols::of(us).unwrap().at(address).unwrap().name, None);

    // While it is read, from whole to empty and back.
    let whole = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for cut in (0..).map(|round| length / 64 * (round % 64)) {
                file.write_all_at(&whole, 0).unwrap();
                file.set_len(cut).unwrap();
                file.set_len(length).unwrap();
                if done.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        for _ in 0..100 {
            assert!(ProcessSymbols::of(us).unwrap().at(address).is_some());
            let _ = (user::functions(&path), user::usdt_probes(&path));
        }
        done.store(true, Ordering::Relaxed);
    });
}

/// Removes the maps in which a name is: nobody else does.
fn remove_maps_of(name: &str) {
    for entry in std::fs::read_dir("/tmp").unwrap().flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        if file.starts_with("perf-")
            && file.ends_with(".map")
            && std::fs::read(entry.path())
                .is_ok_and(|text| String::from_utf8_lossy(&text).contains(name))
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Node.js writes the map, and its stacks are those of the functions of the script.
#[test]
fn functions_of_a_script_have_names() {
    needs!(Tracepoint, Bpf);
    needs_tried!("node", no_program("node"));
    let _alone = alone();
    let folder = Compiled::new();
    let script = folder.path("script.js");
    let text = "\
const fs = require('fs');
function rawbpfInner() { try { fs.statSync('/rawbpf/nowhere'); } catch { } }
function rawbpfOuter() { rawbpfInner(); return 1; }
let sum = 0;
for (let i = 0; i < 3000; i++) sum += rawbpfOuter();
";
    std::fs::write(&script, text).unwrap();
    let program = "tracepoint:syscalls:sys_enter_statx /str(args.filename) == \"/rawbpf/nowhere\"/ { @[ustack] = count(); }";
    let command = format!(
        "node --no-logfile-per-isolate --logfile=/dev/null --perf-basic-prof --interpreted-frames-native-stack {}",
        script.display()
    );
    let done = Command::new(rawbpf()).args(["bt", "-e", program, "-c", &command]).output().unwrap();
    let printed = String::from_utf8_lossy(&done.stdout);
    remove_maps_of("rawbpfOuter");
    assert!(printed.contains("rawbpfOuter"), "{}", said(&done));
}
