//! `rawbpf load`: what it prints, what it shows of its calls, what it leaves behind.

mod common;

use common::requires::{Thing, needs, needs_tried};
use common::{Folder, bpf_ids, rawbpf, role, said, this_test_as};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rawbpf::perf::{PerfOptions, PerfReader};
use rawbpf::syscall_trace::{self, SystemCall};
use rawbpf::{Loader, Map, MapSpec, ProgramSpec, ProgramType, bpf};
use serde_json::Value;
use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::rc::Rc;

const TEXT: &str = "\
.license \"GPL\"
.map counts, hash, key=4, value=8, max=16
.program look_twice, kprobe/nothing
\tr1 = counts ll
\tr2 = 5 ll
\tr0 = 0
\texit
.program pass, xdp
\tr0 = 2
\texit
";

/// The command with a text on its standard input.
fn load(text: &str, args: &[&str]) -> Output {
    start(Command::new(rawbpf()).args(["load", "-"]).args(args), text)
}

fn start(command: &mut Command, text: &str) -> Output {
    let mut child = command
        .env_remove("RAWBPF_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have gone before it reads: the command line was wrong.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    child.wait_with_output().unwrap()
}

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

fn objects(output: &Output) -> Vec<Value> {
    lines(output).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A line with a number in the place of `ID`, and perhaps the size of machine code at the end.
#[track_caller]
fn assert_line(line: &str, expected: &str) {
    let (before, after) = expected.split_once("ID").unwrap();
    let rest = line.strip_prefix(before).unwrap_or_else(|| panic!("{line}"));
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, rest) = rest.split_at(digits);
    assert!(number.parse::<u32>().unwrap() > 0, "{line}");
    let rest = match rest.split_once(", JITed to ") {
        Some((rest, bytes)) => {
            let bytes = bytes.strip_suffix(" bytes").unwrap();
            assert!(bytes.parse::<u32>().unwrap() > 0, "{line}");
            rest
        }
        None => rest,
    };
    assert_eq!(rest, after, "{line}");
}

#[test]
fn each_map_and_program_has_its_line() {
    needs!(Bpf);
    let done = load(TEXT, &[]);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let [counts, look, pass] = &lines(&done)[..] else { panic!("{}", said(&done)) };
    assert_line(counts, "counts: hash map, id ID, at most 16 entries");
    assert_line(look, "look_twice: kprobe program, id ID, 6 slots");
    assert_line(pass, "pass: xdp program, id ID, 2 slots");
    let remarks = String::from_utf8_lossy(&done.stderr);
    assert!(remarks.contains("--pin"), "that it is gone is said: {remarks}");

    let objects = objects(&load(TEXT, &["--format", "json"]));
    assert_eq!((&objects[0]["map"], &objects[0]["max_entries"]), (&"counts".into(), &16.into()));
    assert_eq!((&objects[1]["program"], &objects[1]["slots"]), (&"look_twice".into(), &6.into()));
    assert!(objects.iter().all(|object| object["id"].as_u64() > Some(0)));
    assert!(objects.iter().all(|object| object["pinned"].is_null()));
}

/// Splits `bpf(COMMAND, {fields}) = result <time>`.
fn parts(line: &str) -> (&str, &str, &str) {
    let call = line.strip_prefix("bpf(").unwrap_or_else(|| panic!("{line}"));
    let (command, rest) = call.split_once(", {").unwrap();
    let (fields, rest) = rest.split_once("}) = ").unwrap();
    let (result, time) = rest.split_once(" <").unwrap();
    assert!(time.strip_suffix('>').unwrap().parse::<f64>().is_ok(), "{line}");
    (command, fields, result)
}

#[test]
fn the_trace_shows_the_calls_in_order() {
    needs!(Bpf);
    let done = load(TEXT, &["--trace"]);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let lines = lines(&done);
    let calls: Vec<_> =
        lines.iter().take_while(|line| line.starts_with("bpf(")).map(|line| parts(line)).collect();
    assert_eq!(lines.len(), calls.len() + 3, "calls first, then what came of them: {lines:?}");

    let commands: Vec<_> = calls.iter().map(|(command, ..)| *command).collect();
    let program = ["BPF_BTF_LOAD", "BPF_PROG_LOAD"];
    assert_eq!(commands[0], "BPF_MAP_CREATE");
    assert_eq!(commands.len(), 5);
    assert_eq!((&commands[1..3], &commands[3..5]), (&program[..], &program[..]));

    let (_, map, map_fd) = calls[0];
    assert!(map_fd.parse::<u32>().is_ok_and(|fd| fd > 2), "{lines:?}");
    assert!(
        map.starts_with("map_type=hash (1), key_size=4, value_size=8, max_entries=16, "),
        "{map}"
    );
    assert!(map.contains("map_name=\"counts\""), "{map}");

    let (_, types, types_fd) = calls[1];
    let size = types.strip_prefix("btf_size=").unwrap();
    // The header alone has 24 bytes.
    assert!(size.parse::<u32>().unwrap() > 24, "{types}");

    let (_, look, look_fd) = calls[2];
    let start =
        "prog_type=kprobe (2), insn_cnt=6, license=\"GPL\", prog_name=\"look_twice\", prog_btf_fd=";
    let rest = look.strip_prefix(start).unwrap_or_else(|| panic!("{look}"));
    assert_eq!(
        rest,
        format!(
            "{types_fd}, func_info_rec_size=8, func_info_cnt=1, line_info_rec_size=16, line_info_cnt=4"
        )
    );
    assert!(look_fd.parse::<u32>().is_ok(), "{lines:?}");
    assert!(calls[4].1.contains("prog_type=xdp (6), insn_cnt=2"), "{lines:?}");
}

#[test]
fn the_trace_as_json_has_an_object_a_call() {
    needs!(Bpf);
    let done = load(TEXT, &["--trace", "--format", "json"]);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let objects = objects(&done);
    let map = &objects[0];
    assert_eq!((&map["call"], &map["command"]), (&"bpf".into(), &"BPF_MAP_CREATE".into()));
    assert_eq!(map["fields"]["max_entries"], 16);
    assert_eq!(map["fields"]["map_name"], "counts");
    assert!(map["result"].as_i64() > Some(2) && map["errno"].is_null(), "{map}");
    assert!(map["time_ns"].as_u64() > Some(0), "{map}");
    assert_eq!(objects.iter().filter(|object| object["program"].is_string()).count(), 2);
}

/// A program that is rejected: the calls that asked, with and without a log, and why.
#[test]
fn a_rejection_is_shown_call_by_call() {
    needs!(Bpf);
    let text = "r0 = *(u64 *)(r10 + 8)\nexit\n";
    let done = load(text, &["--type", "kprobe", "--trace"]);
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    let lines = lines(&done);
    let loads: Vec<_> = lines.iter().filter(|line| line.contains("BPF_PROG_LOAD")).collect();
    let [bare, logged] = loads[..] else { panic!("{lines:?}") };
    for load in [bare, logged] {
        assert!(load.contains("}) = -1 EACCES (Permission denied) <"), "{load}");
    }
    assert!(!bare.contains("log_") && logged.contains("log_level=1, log_size=65536"), "{lines:?}");
    assert!(String::from_utf8_lossy(&done.stderr).contains("<stdin>:1"), "{}", said(&done));
    assert!(!lines.iter().any(|line| line.starts_with("main:")), "{lines:?}");
}

#[test]
fn what_cannot_be_loaded_is_said() {
    let done = load("r0 = 0\nexit\n", &[]);
    assert_eq!(done.status.code(), Some(2), "{}", said(&done));
    assert!(said(&done).contains("--type"), "{}", said(&done));

    let done = load("r12 = 0\nexit\n", &["--type", "kprobe"]);
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    assert!(said(&done).contains("--> <stdin>:1:1"), "{}", said(&done));

    let folder = Folder::new();
    let dir = folder.path().join("pins");
    let args = ["--type", "kprobe", "--trace", "--pin", dir.to_str().unwrap()];
    let done = load("r0 = 0\nexit\n", &args);
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    assert!(said(&done).contains("not in a BPF file system"), "{}", said(&done));
    assert!(done.stdout.is_empty(), "nothing was tried: {}", said(&done));
    assert!(!dir.exists());
}

/// A process without any right gets the exit status for it, and sees the call that was refused.
#[test]
fn without_permission_the_status_is_4() {
    needs!(Root);
    let text = ".program x, kprobe\nr0 = 0\nexit\n";
    let mut command = Command::new(rawbpf());
    command.args(["load", "-", "--trace"]).uid(65534).gid(65534);
    let done = start(&mut command, text);
    assert_eq!(done.status.code(), Some(4), "{}", said(&done));
    assert!(said(&done).contains("EPERM (Operation not permitted)"), "{}", said(&done));
}

/// A BPF file system of its own for a test.
struct BpfFs(Folder);

impl BpfFs {
    fn new() -> Result<BpfFs, String> {
        let folder = Folder::new();
        mount(Some("bpf"), folder.path(), Some("bpf"), MsFlags::empty(), None::<&str>)
            .map_err(|error| format!("mount: {error}"))?;
        Ok(BpfFs(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for BpfFs {
    fn drop(&mut self) {
        let _ = umount2(self.path(), MntFlags::MNT_DETACH);
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_pinned_stays_and_all_of_it_or_nothing() {
    needs!(Root, Bpf);
    let mounted = BpfFs::new();
    needs_tried!("bpffs", mounted.as_ref().err());
    let mounted = mounted.unwrap();
    let dir = mounted.path().join("mine");
    let args = ["--pin", dir.to_str().unwrap(), "--format", "json"];
    let done = load(TEXT, &args);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    assert!(done.stderr.is_empty(), "{}", said(&done));
    assert_eq!(names(&dir), ["counts", "look_twice", "pass"]);
    let objects = objects(&done);
    for object in &objects {
        let name = object["map"].as_str().or(object["program"].as_str()).unwrap();
        assert_eq!(object["pinned"].as_str().unwrap(), dir.join(name).to_str().unwrap());
    }
    let ids: Vec<_> = bpf_ids::programs().iter().map(|program| program.id).collect();
    for object in &objects[1..] {
        let id = u32::try_from(object["id"].as_u64().unwrap()).unwrap();
        assert!(ids.contains(&id), "{object} of {ids:?}");
    }

    // The names are taken: of what could be pinned nothing stays, and what was there does.
    let text = format!(".map fresh, array, key=4, value=4, max=1\n{TEXT}");
    let done = load(&text, &args);
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    assert!(
        said(&done).contains("cannot pin") && said(&done).contains("EEXIST"),
        "{}",
        said(&done)
    );
    assert!(said(&done).contains("mine/counts"), "{}", said(&done));
    assert_eq!(names(&dir), ["counts", "look_twice", "pass"]);

    // Data are maps, too.
    let data = mounted.path().join("data");
    let text = ".bss\nn: .zero 8\n.rodata\nlimit: .quad 5\n.data\nseen: .quad 7\n.program x, socket_filter\n\
                r1 = n ll\nr1 = limit ll\nr1 = seen ll\nr0 = 0\nexit\n";
    let done = load(text, &["--pin", data.to_str().unwrap(), "--format", "json"]);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    assert_eq!(names(&data), ["_bss", "_data", "_rodata", "x"]);
    let shown: Vec<_> = lines(&done);
    for name in ["_bss", "_data", "_rodata"] {
        let path = data.join(name);
        let path = path.to_str().unwrap();
        assert!(shown.iter().any(|line| line.contains(path)), "{name}: {shown:?}");
    }
    let seen = Map::open_pinned(data.join("_data")).unwrap();
    assert_eq!(seen.lookup(&0u32.to_ne_bytes()).unwrap(), Some(7u64.to_ne_bytes().to_vec()));

    // A folder that was made for it goes with it.
    let other = mounted.path().join("other");
    let text = ".map x, array, key=4, value=4, max=1\n.program x, xdp\nr0 = 2\nexit\n";
    let done = load(text, &["--pin", other.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    assert!(!other.exists(), "{:?}", names(&other));
}

static COUNTS: MapSpec = MapSpec::hash("counts", 4, 8, 16);
static LAST: MapSpec = MapSpec::array("last", 8, 1);
static LOOK: ProgramSpec = ProgramSpec::new(
    "look",
    ProgramType::Kprobe,
    bpf! {
        r1 = COUNTS ll;
        r1 = LAST ll;
        r1 = "read-only" ll;
        r0 = 0;
        exit;
    },
);

/// The descriptors of this process, but for the one that looks.
fn open_files() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    let mut open: Vec<u32> = entries
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
        .collect();
    open.retain(|fd| std::fs::read_link(format!("/proc/self/fd/{fd}")).is_ok());
    open.sort_unstable();
    open
}

/// In a process of its own, which has no other threads: the real kernel, and fewer and fewer descriptors left.
#[test]
fn a_load_that_runs_out_of_descriptors_leaves_none_open() {
    needs!(Bpf);
    if role().is_none() {
        let test = "a_load_that_runs_out_of_descriptors_leaves_none_open";
        let done = this_test_as(test, "alone").output().unwrap();
        assert!(done.status.success(), "{}", said(&done));
        return;
    }
    // No number below the limit is free.
    let highest = *open_files().last().unwrap();
    let fill = || File::open("/dev/null").unwrap();
    let _filled: Vec<_> = std::iter::repeat_with(fill)
        .take_while(|file| file.as_raw_fd() <= highest as i32)
        .collect();
    let before = open_files();
    let first = before.len() as u64;
    assert_eq!(before, (0..first as u32).collect::<Vec<_>>());
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let mut said = Vec::new();
    // A program that was accepted, but has no descriptor, has a log too at level 2.
    for (left, level) in (0..8).flat_map(|left| [(left, 1), (left, 2)]) {
        setrlimit(Resource::RLIMIT_NOFILE, first + left, hard).unwrap();
        let result = Loader::new().log_level(level).load(&LOOK).map(drop);
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
        assert_eq!(open_files(), before, "with {left} left: {result:?}");
        said.push((left, result.map_err(|error| error.to_string())));
    }
    for (left, result) in said {
        // Two maps, the read-only data, the types of the program, and it.
        let missing = match left {
            0 => "cannot create map `counts` (hash)",
            1 => "cannot create map `last` (array)",
            2 => "cannot create map `.rodata` (array)",
            3 | 4 => "cannot load program `look` (kprobe)",
            _ => {
                assert_eq!(result, Ok(()), "with {left} left");
                continue;
            }
        };
        let error = result.unwrap_err();
        assert_eq!(error, format!("{missing}: Too many open files (EMFILE)"), "with {left} left");
    }
}

static EVENTS: MapSpec = MapSpec::perf_event_array("events");
static PASS: ProgramSpec = ProgramSpec::new("pass", ProgramType::Xdp, bpf! { r0 = 2; exit; });

fn field<'c>(call: &'c SystemCall, name: &str) -> Option<&'c str> {
    call.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str())
}

/// The system calls of the library besides loading are shown, too.
#[test]
fn the_calls_of_a_run_and_of_a_reader_are_shown() {
    needs!(Bpf);
    let seen = Rc::new(RefCell::new(Vec::new()));
    let to = Rc::clone(&seen);
    syscall_trace::observe(
        move |call: &SystemCall| to.borrow_mut().push(call.clone()),
        || {
            let program = Loader::new().load(&PASS).unwrap();
            program.test_run(&[0; 64], 3).unwrap();
            let map = Map::create(&EVENTS).unwrap();
            drop(PerfReader::open(&map, &PerfOptions::new()).unwrap());
        },
    );
    let program = Loader::new().load(&PASS).unwrap();
    drop(program);

    let calls = seen.borrow();
    let of = |name: &str| -> Vec<&SystemCall> {
        calls.iter().filter(|call| call.command.unwrap_or(call.call) == name).collect()
    };
    let [load] = of("BPF_PROG_LOAD")[..] else { panic!("{calls:?}") };
    let [run] = of("BPF_PROG_TEST_RUN")[..] else { panic!("{calls:?}") };
    let fd = load.result.unwrap().to_string();
    assert_eq!(field(run, "prog_fd"), Some(fd.as_str()));
    assert_eq!((field(run, "data_size_in"), field(run, "repeat")), (Some("64"), Some("3")));
    // XDP_PASS, as the program says.
    assert_eq!(field(run, "retval"), Some("2"), "{run}");

    let opened = of("perf_event_open");
    assert!(!opened.is_empty(), "{calls:?}");
    for (cpu, event) in opened.iter().enumerate() {
        // PERF_COUNT_SW_BPF_OUTPUT.
        assert_eq!(field(event, "type"), Some("software (1)"), "{event}");
        assert_eq!(field(event, "config"), Some("0xa"), "{event}");
        assert_eq!(field(event, "sample_type"), Some("PERF_SAMPLE_RAW"), "{event}");
        assert!(field(event, "cpu").unwrap().parse::<usize>().unwrap() >= cpu, "{event}");
        let put = of("BPF_MAP_UPDATE_ELEM")[cpu];
        let fd = i32::try_from(event.result.unwrap()).unwrap().to_ne_bytes();
        let bytes: Vec<_> = fd.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(field(put, "value"), Some(format!("[{}]", bytes.join(" ")).as_str()), "{put}");
    }
}
