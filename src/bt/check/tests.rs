use super::*;
use crate::bt::ast::MAX_DEPTH;
use crate::bt::dump::dump;
use crate::bt::environment::Missing;
use crate::bt::parser::{Given, parse};
use crate::btf::{Builder, Enumerator, KernelTypes, Member, Parameter};
use crate::kernel::format::Field;
use crate::user::dwarf::{DwarfError, Opened};
use crate::user::{self, UsdtProbe};
use proptest::prelude::*;

mod bounds;
mod manual;
mod mistakes;
mod values;

/// A machine with a few types, tracepoints and functions.
struct Fake {
    types: Result<KernelTypes, String>,
    parameters: Vec<String>,
    options: Vec<(String, Option<String>)>,
    allow_unsafe: bool,
    process: Option<u32>,
    _folder: tempfile::TempDir,
}

fn member(name: &str, of: u32, byte: u32) -> Member<'_> {
    Member { name, of, bit_offset: byte * 8, bits: None }
}

/// The blob of a kernel that has these types:
///
/// ```c
/// struct mm_struct { unsigned long total; struct task_struct *owner; };
/// struct task_struct { int pid; char comm[16]; struct mm_struct *mm; union { u64 a; u32 b; }; unsigned f:3; unsigned g:5;
///                      u8 mac[6]; u32 v[4]; enum color color; };
/// int vfs_read(struct task_struct *task, char *buf, u64 count);
/// void nothing(void);
/// int __traceiter_sched(void *data, int preempt, struct task_struct *prev);
/// typedef void (*btf_trace_sched)(void *, int, struct task_struct *);
/// ```
fn blob() -> Vec<u8> {
    let mut btf = Builder::new();
    let int = btf.int("int", 4, true);
    let unsigned = btf.int("unsigned int", 4, false);
    let character = btf.int("char", 1, true);
    let byte = btf.int("unsigned char", 1, false);
    let long = btf.int("unsigned long", 8, false);
    btf.typedef("size_t", long);
    let comm = btf.array(character, unsigned, 16);
    let mac = btf.array(byte, unsigned, 6);
    let v = btf.array(unsigned, unsigned, 4);
    let value = |name, value| Enumerator { name, value };
    let color = btf.enumeration("color", &[value("RED", 0), value("GREEN", 5)]);
    let either = btf.composite("", true, 8, &[member("a", long, 0), member("b", unsigned, 0)]);
    // The next one comes after this one and is pointed to: its number is known.
    let task_id = either + 4;
    let task_pointer = btf.pointer(task_id);
    let mm = btf.composite(
        "mm_struct",
        false,
        16,
        &[member("total", long, 0), member("owner", task_pointer, 8)],
    );
    let mm_pointer = btf.pointer(mm);
    let bits = |name, bit_offset, bits| Member { name, of: unsigned, bit_offset, bits: Some(bits) };
    let task = btf.composite(
        "task_struct",
        false,
        72,
        &[
            member("pid", int, 0),
            member("comm", comm, 4),
            member("mm", mm_pointer, 24),
            member("", either, 32),
            bits("f", 320, 3),
            bits("g", 323, 5),
            member("mac", mac, 44),
            member("v", v, 52),
            member("color", color, 68),
        ],
    );
    assert_eq!(task, task_id);
    let text = btf.pointer(character);
    let parameter = |name, of| Parameter { name, of };
    let read = [parameter("task", task_pointer), parameter("buf", text), parameter("count", long)];
    let read = btf.prototype(int, &read);
    btf.function("vfs_read", read);
    let nothing = btf.prototype(0, &[]);
    btf.function("nothing", nothing);
    let void = btf.pointer(0);
    let named =
        [parameter("data", void), parameter("preempt", int), parameter("prev", task_pointer)];
    let named = btf.prototype(int, &named);
    btf.function("__traceiter_sched", named);
    // Compilers leave out the names here.
    let sched = [parameter("", void), parameter("", int), parameter("", task_pointer)];
    let sched = btf.prototype(0, &sched);
    let sched = btf.pointer(sched);
    btf.typedef("btf_trace_sched", sched);
    btf.finish().unwrap()
}

impl Fake {
    fn new() -> Fake {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("vmlinux"), blob()).unwrap();
        Fake {
            types: Ok(KernelTypes::in_folder(folder.path())),
            parameters: vec!["42".into(), "hello".into(), "-5".into()],
            options: vec![("n".into(), Some("7".into())), ("flag".into(), None)],
            allow_unsafe: true,
            process: None,
            _folder: folder,
        }
    }
}

impl Environment for Fake {
    fn types(&self) -> Result<&KernelTypes, String> {
        self.types.as_ref().map_err(Clone::clone)
    }

    fn tracepoint(&self, category: &str, name: &str) -> Result<Vec<Field>, String> {
        let field = |name: &str, of: &str, offset, size, signed| Field {
            name: name.into(),
            of: of.into(),
            offset,
            size,
            signed,
        };
        Ok(match (category, name) {
            ("syscalls", "sys_enter_openat") => vec![
                field("__syscall_nr", "int", 8, 4, true),
                field("dfd", "int", 16, 8, false),
                field("filename", "const char *", 24, 8, false),
                field("flags", "int", 32, 8, false),
            ],
            ("syscalls", "sys_exit_openat") => vec![field("ret", "long", 16, 8, true)],
            ("sched", "sched_switch") => vec![
                field("prev_comm", "char[16]", 8, 16, false),
                field("prev_pid", "pid_t", 24, 4, true),
                field("name", "__data_loc char[]", 28, 4, false),
                field("numbers", "unsigned long[6]", 32, 48, false),
                field("task", "struct task_struct *", 80, 8, false),
            ],
            ("sched", "other") => vec![field("prev_pid", "pid_t", 8, 4, true)],
            ("sched", "like_switch") => vec![field("prev_pid", "pid_t", 24, 4, true)],
            _ => return Err("no such tracepoint".into()),
        })
    }

    fn expand(&self, point: &AttachPoint) -> Result<Vec<AttachPoint>, Missing> {
        let kprobe = |function: &str| AttachPoint::Kprobe {
            ret: false,
            module: None,
            function: function.into(),
            offset: 0,
        };
        match point {
            AttachPoint::Kprobe { function, .. } if function == "many_*" => {
                Ok((0..2000).map(|number| kprobe(&format!("many_{number}"))).collect())
            }
            AttachPoint::Kprobe { function, .. } if function == "vfs_*" => {
                Ok(vec![kprobe("vfs_read"), kprobe("vfs_write")])
            }
            AttachPoint::Kprobe { function, .. } if function.contains('*') => Ok(vec![]),
            AttachPoint::Tracepoint { category, name } => match self.tracepoint(category, name) {
                Ok(_) => Ok(vec![point.clone()]),
                Err(_) => Err(Missing {
                    problem: String::new(),
                    nearest: vec!["sched:sched_switch".into()],
                }),
            },
            other => Ok(vec![other.clone()]),
        }
    }

    fn kernel_address(&self, symbol: &str) -> Option<u64> {
        (symbol == "avenrun").then_some(0xffff_ffff_8000_0000)
    }

    fn user_symbol(&self, path: &str, symbol: &str) -> Option<(u64, u64)> {
        (path == "/bin/x" && symbol == "counter").then_some((0x4010, 4))
    }

    fn usdt(&self, path: &str, provider: &str, name: &str) -> Result<Arc<UsdtProbe>, String> {
        let probes = user::usdt_probes(path).map_err(|error| error.to_string())?;
        let found = probes.into_iter().find(|one| one.provider == provider && one.name == name);
        found.map(Arc::new).ok_or_else(|| "no such probe".into())
    }

    fn debug_info(&self, path: &str) -> Opened {
        Opened::new(match path {
            "/bin/damaged" => Err(DwarfError::Damaged),
            "/bin/split" => Err(DwarfError::Unsupported("split debug information (.dwo)")),
            _ => Ok(None),
        })
    }

    fn cgroup_id(&self, path: &str) -> Result<u64, String> {
        if path == "/sys/fs/cgroup" { Ok(1) } else { Err("no such cgroup".into()) }
    }

    fn register(&self, name: &str) -> Option<u16> {
        (name == "ip").then_some(128)
    }

    fn registers(&self) -> Vec<&'static str> {
        vec!["ip"]
    }

    fn option(&self, name: &str) -> Option<Option<&str>> {
        let found = self.options.iter().find(|(one, _)| one == name);
        found.map(|(_, value)| value.as_deref())
    }

    fn parameters(&self) -> &[String] {
        &self.parameters
    }

    fn allows_unsafe(&self) -> bool {
        self.allow_unsafe
    }

    fn has_command(&self) -> bool {
        false
    }

    fn process(&self) -> Option<u32> {
        self.process
    }
}

fn checked_with(fake: &Fake, text: &str) -> (Option<Program>, String) {
    let source = Source::new("stdin", text);
    let given = Given { parameters: fake.parameters.clone().into(), macros: vec![] };
    let (script, diagnostics) = parse(&source, &given);
    assert_eq!(diagnostics.render(&source), "", "{text}");
    let (program, diagnostics) = check(&source, &script, Config::default(), fake);
    let shown = diagnostics.render(&source);
    assert_eq!(program.is_none(), shown.contains(": ERROR: "), "{shown}");
    (program, shown)
}

/// A script for a machine that is made up, typed.
pub(in crate::bt) fn typed(text: &str) -> Program {
    let (program, shown) = checked_with(&Fake::new(), text);
    assert_eq!(shown, "", "{text}");
    program.unwrap()
}

/// The typed program as text.
fn understood(text: &str) -> String {
    dump(&typed(text))
}

/// Asserts that a line of the typed program is this one.
fn has_line(text: &str, line: &str) {
    let shown = understood(text);
    assert!(shown.lines().any(|one| one.trim() == line), "{text}\nexpected: {line}\n{shown}");
}

/// The errors of a script, first lines only.
fn errors(text: &str) -> Vec<String> {
    let (_, shown) = checked_with(&Fake::new(), text);
    shown.lines().filter(|line| line.contains(": ERROR: ")).map(Into::into).collect()
}

#[test]
fn ten_thousand_statements_are_checked() {
    let many =
        "$x = $x + 1; @a[pid] = count(); if ($x > 5) { printf(\"%d\\n\", $x) } ".repeat(3_400);
    let shown = understood(&format!("BEGIN {{ $x = 1; {many} }}"));
    assert!(shown.lines().count() > 10_000);
}

#[test]
fn the_deepest_nesting_fits_on_the_stack_of_a_thread() {
    let deep = |open: &str, close: &str, count: usize| {
        format!("BEGIN {{ $x = 1; $y = {}$x{}; }}", open.repeat(count), close.repeat(count))
    };
    for text in [
        deep("(1 + ", ")", MAX_DEPTH / 2 - 4),
        deep("- ", "", MAX_DEPTH - 6),
        deep("{ let $z = 1; ", " }", MAX_DEPTH / 2 - 6),
        deep("$x ? 1 : ", "", MAX_DEPTH - 8),
        deep("bswap(", ")", MAX_DEPTH / 2 - 8),
        format!(
            "BEGIN {{ {} $x = 1; {} }}",
            "if (pid) { ".repeat(MAX_DEPTH - 8),
            "}".repeat(MAX_DEPTH - 8)
        ),
    ] {
        understood(&text);
    }
}

/// Scripts with a bit of everything, to be mutated.
const SEEDS: [&str; 6] = [
    "BEGIN { @[1, \"a\"] = count(); $x = (1, \"b\"); printf(\"%d %s\\n\", $x.0, $x.1); @y = @[1, \"a\"]; }",
    "fentry:vfs_read /args.task.pid == $1/ { @m[args.task.mm.owner.comm] = hist(args.count, 2); print(@m, 3); }",
    "kprobe:vfs_* { $t = (struct task_struct *)arg0; @b[func, kstack(3)] = sum($t->v[pid % 4]); delete(@b, (func, kstack(3))) }",
    "macro m($a, e, @c) { $a += e; @c[$a]++; } END { let $i: int32 = 5; m($i, 3, @c); for ($kv : @c) { print($kv.1) } }",
    "tracepoint:sched:sched_switch { @s[args.prev_pid] = str(args.name); @c = lhist(args.numbers[2], 0, 100, 10); exit(3) }",
    "struct F { int a; char c[4]; unsigned b:3 } u:/bin/x:f { $f = *(struct F *)arg0; print(($f, $f.b)); @p = ntop(2, $f.a); }",
];

const WORDS: [&str; 40] = [
    "$x",
    "@",
    "@m[1]",
    "1",
    "-1",
    "\"s\"",
    "(1, 2)",
    "+",
    "-",
    "==",
    "&&",
    "!",
    "pid",
    "comm",
    "args.count",
    "retval",
    "arg0",
    "kstack",
    "count()",
    "sum(1)",
    "hist(2)",
    "print(",
    ")",
    "= ",
    "+= ",
    "++",
    "(uint8)",
    "(struct task_struct *)",
    ".comm",
    "[0]",
    "; ",
    "{ ",
    " }",
    "str(",
    "buf(",
    "delete(",
    "len(",
    "has_key(",
    "GREEN",
    "$1",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_change_of_a_script_is_checked_or_refused(
        seed in 0..SEEDS.len(),
        edits in prop::collection::vec((0..200_usize, 0..12_usize, 0..WORDS.len()), 1..5),
    ) {
        let mut text: Vec<char> = SEEDS[seed].chars().collect();
        for (at, remove, word) in edits {
            let at = at.min(text.len());
            let end = (at + remove).min(text.len());
            text.splice(at..end, WORDS[word].chars());
        }
        let text: String = text.into_iter().collect();
        let fake = Fake::new();
        let source = Source::new("stdin", &text);
        let given = Given { parameters: fake.parameters.clone().into(), macros: vec![] };
        let (script, diagnostics) = parse(&source, &given);
        if diagnostics.has_errors() {
            return Ok(());
        }
        let (program, diagnostics) = check(&source, &script, Config::default(), &fake);
        diagnostics.render(&source);
        if let Some(program) = program {
            dump(&program);
        }
    }
}
