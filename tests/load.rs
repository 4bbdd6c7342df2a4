//! Loading into the running kernel: what its verifier rejects, and what must load.

mod common;

use common::bpf_ids;
use common::requires::{Thing, needs};
use rawbpf::asm::{Code, Reloc, RelocTarget};
use rawbpf::insn::{ByteOrder, Insn};
use rawbpf::{Errno, Loader, MapSpec, ProgramSpec, ProgramType, VerifierError, bpf};
use std::process::Command;

static COUNTS: MapSpec = MapSpec::hash("counts", 4, 8, 16);

/// A program that every verifier rejects.
struct Rejected {
    spec: ProgramSpec<'static, 'static>,
    /// The slot that is to blame.
    instruction: usize,
    /// The statement it comes from.
    statement: &'static str,
    /// Words of the cause, in any kernel.
    words: &'static [&'static str],
    errno: i32,
}

macro_rules! rejected {
    ($name:ident, $instruction:literal, $statement:literal, [$($words:literal),*], $errno:ident, { $($code:tt)* }) => {
        Rejected {
            spec: ProgramSpec::new(stringify!($name), ProgramType::Kprobe, bpf! { $($code)* }),
            instruction: $instruction,
            statement: $statement,
            words: &[$($words),*],
            errno: libc::$errno,
        }
    };
}

static REJECTED: [Rejected; 22] = [
    rejected!(uninitialised, 1, "r0 += r3", ["R3 !read_ok"], EACCES, {
        r0 = 0;
        r0 += r3;
        exit;
    }),
    rejected!(no_result, 1, "exit", ["R0 !read_ok"], EACCES, {
        r1 = 0;
        exit;
    }),
    rejected!(below_the_stack, 1, "*(u64 *)(r10 - 520) = r0",
        ["invalid write to stack", "off=-520 size=8"], EACCES,
        { r0 = 0; *(u64 *)(r10 - 520) = r0; exit; }),
    rejected!(above_the_stack, 1, "*(u64 *)(r10 + 8) = r0",
        ["invalid write to stack", "off=8 size=8"], EACCES,
        { r0 = 0; *(u64 *)(r10 + 8) = r0; exit; }),
    rejected!(no_null_check, 6, "r0 = *(u64 *)(r0 + 0)",
    ["R0 invalid mem access 'map_value_or_null'"], EACCES, {
        *(u32 *)(r10 - 4) = 0;
        r1 = COUNTS ll;
        r2 = r10;
        r2 += -4;
        call map_lookup_elem;
        r0 = *(u64 *)(r0 + 0);
        exit;
    }),
    rejected!(past_the_value, 7, "r0 = *(u64 *)(r0 + 8)",
    ["invalid access to map value", "value_size=8 off=8 size=8"], EACCES, {
        *(u32 *)(r10 - 4) = 0;
        r1 = COUNTS ll;
        r2 = r10;
        r2 += -4;
        call map_lookup_elem;
        if r0 == 0 goto out;
        r0 = *(u64 *)(r0 + 8);
    out:
        exit;
    }),
    rejected!(past_the_context, 0, "r0 = *(u64 *)(r1 + 400)",
        ["invalid bpf_context access off=400 size=8"], EACCES,
        { r0 = *(u64 *)(r1 + 400); exit; }),
    rejected!(unreachable, 2, "r0 = 1", ["unreachable insn 2"], EINVAL, {
        r0 = 0;
        exit;
        r0 = 1;
        exit;
    }),
    rejected!(endless, 1, "goto again", ["infinite loop detected"], EINVAL,
        { r0 = 0; again: goto again; }),
    rejected!(scalar_for_a_buffer, 2, "call get_current_comm", ["R1 type=", "expected=fp"], EACCES,
        { r1 = 0; r2 = 16; call get_current_comm; r0 = 0; exit; }),
    rejected!(context_for_a_map, 1, "call map_lookup_elem", ["R1 type=ctx expected=map_ptr"], EACCES,
        { r2 = r10; call map_lookup_elem; r0 = 0; exit; }),
    rejected!(key_that_was_not_written, 4, "call map_lookup_elem", ["stack", "off", "size"], EACCES, {
        r1 = COUNTS ll;
        r2 = r10;
        r2 += -600;
        call map_lookup_elem;
        r0 = 0;
        exit;
    }),
    rejected!(division_by_zero, 1, "r0 /= 0", ["div by zero"], EINVAL, {
        r0 = 1;
        r0 /= 0;
        exit;
    }),
    rejected!(shift_too_far, 1, "r0 <<= 64", ["invalid shift 64"], EINVAL, {
        r0 = 1;
        r0 <<= 64;
        exit;
    }),
    rejected!(jump_too_far, 1, "goto +7", ["jump out of range from insn 1 to 9"], EINVAL, {
        r0 = 0;
        goto + 7;
        exit;
    }),
    rejected!(not_gpl, 4, "call trace_printk", ["cannot call GPL", "from non-GPL compatible program"],
    EINVAL, {
        *(u64 *)(r10 - 8) = 0;
        r1 = r10;
        r1 += -8;
        r2 = 8;
        call trace_printk;
        r0 = 0;
        exit;
    }),
    rejected!(frame_pointer, 0, "r10 = 1", ["frame pointer is read only"], EACCES, {
        r10 = 1;
        r0 = 0;
        exit;
    }),
    rejected!(
        pointer_times_two,
        1,
        "r0 *= 2",
        ["R0 pointer arithmetic with *= operator prohibited"],
        EACCES,
        {
            r0 = r10;
            r0 *= 2;
            exit;
        }
    ),
    rejected!(unknown_helper, 1, "call 9999", ["invalid func unknown#9999"], EINVAL,
        { r0 = 0; call 9999; exit; }),
    rejected!(helper_of_sockets, 2, "call skb_load_bytes", ["bpf_skb_load_bytes#26"], EINVAL,
        { r1 = 0; r2 = 0; call skb_load_bytes; r0 = 0; exit; }),
    rejected!(lost_in_a_call, 1, "r0 = r1", ["R1 !read_ok"], EACCES,
        { call ktime_get_ns; r0 = r1; exit; }),
    rejected!(on_one_branch, 5, "r0 = *(u32 *)(r7 + 0)", ["R7 !read_ok"], EACCES, {
        r6 = r1;
        call ktime_get_ns;
        if r0 > 7 goto big;
        r0 = 0;
        exit;
    big:
        r0 = *(u32 *)(r7 + 0);
        exit;
    }),
];

/// Removes the spaces of a macro's text, where the compiler may put them as it likes.
fn dense(text: &str) -> String {
    text.split_whitespace().collect()
}

fn reject(level: u32, spec: &ProgramSpec<'_, '_>) -> Box<VerifierError> {
    match Loader::new().log_level(level).load(spec) {
        Err(error) => error.into_verifier().unwrap(),
        Ok(_) => panic!("{}: accepted", spec.name),
    }
}

#[test]
fn what_the_verifier_rejects_is_named_with_its_cause() {
    needs!(Bpf);
    let mut wrong = String::new();
    // The first level, and the one with the states of all registers and much else.
    for (level, case) in [1, 2].iter().flat_map(|level| REJECTED.iter().map(move |c| (*level, c))) {
        let spec = match case.spec.name {
            "not_gpl" => case.spec.with_license("Proprietary"),
            _ => case.spec,
        };
        let error = reject(level, &spec);
        let message = error.to_string();
        let statement = error.statement().unwrap_or_default();
        let title = format!("cannot load program `{}` (kprobe): the verifier rejected", spec.name);
        let right = error.instruction() == Some(case.instruction)
            && dense(statement) == dense(case.statement)
            && case.words.iter().all(|words| error.cause().contains(words))
            && !error.cause().contains('\n')
            && error.errno() == Errno(case.errno)
            && error.log().contains("processed ")
            // The message has all of it, and the place of the program in this file.
            && message.starts_with(&title)
            && message.contains("tests/load.rs:")
            && message.contains(statement)
            && message.contains(&format!("instruction {}: {}", case.instruction, error.cause()));
        if !right {
            wrong += &format!(
                "{} at level {level}: {:?}, {:?}, {}, {:?}\n{message}\n{}\n",
                spec.name,
                error.instruction(),
                error.statement(),
                error.cause(),
                error.errno(),
                error.log()
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The old log does not name the place; the report of Linux 7.3 does.
#[test]
fn a_program_that_does_not_end_is_rejected() {
    needs!(Bpf);
    let spec = ProgramSpec::new("no_end", ProgramType::Kprobe, bpf! { r0 = 0; r1 = 2; });
    let error = reject(1, &spec);
    assert_eq!(error.cause(), "last insn is not an exit or jmp");
    assert!(matches!(error.instruction(), None | Some(1)), "{error}");
    assert_eq!(error.reason().is_some(), error.log().contains("\nReason:\n"));
}

/// The kernel's own explanation reaches the user whole, put together again from its lines.
#[test]
fn the_kernels_report_is_passed_on_whole() {
    needs!(Bpf);
    let case = REJECTED.iter().find(|case| case.spec.name == "no_null_check").unwrap();
    let error = reject(1, &case.spec);
    let log = dense(error.log());
    let Some((_, report)) = log.split_once("Verificationfailed:") else {
        assert_eq!((error.reason(), error.suggestion()), (None, None));
        return;
    };
    let (reason, suggestion) = (error.reason().unwrap(), error.suggestion().unwrap());
    // Where: a line of this file, which is what the kernel knows of the program.
    let at = format!("Reason:{}At:no_null_check@load.rs:", dense(reason));
    assert!(report.contains(&at) && report.contains(">>>6|"), "{}", error.log());
    assert!(
        report.contains(&format!("Suggestion:{}processed", dense(suggestion))),
        "{}",
        error.log()
    );
    let message = error.to_string();
    assert!(message.contains(reason) && message.contains(suggestion), "{message}");
}

/// `r0 = 0`, sums of it in `r0` and on the stack, and a use of `r3`, which has no value.
fn long(sums: usize) -> Vec<Insn> {
    let slot = |bytes| Insn::from_bytes(bytes, ByteOrder::Little);
    let mut slots = vec![slot([0xb7, 0, 0, 0, 0, 0, 0, 0])]; // r0 = 0
    for _ in 0..sums {
        slots.push(slot([0x07, 0, 0, 0, 1, 0, 0, 0])); // r0 += 1
        slots.push(slot([0x7b, 0x0a, 0xf8, 0xff, 0, 0, 0, 0])); // *(u64 *)(r10 - 8) = r0
    }
    slots.push(slot([0x0f, 0x30, 0, 0, 0, 0, 0, 0])); // r0 += r3
    slots.push(slot([0x95, 0, 0, 0, 0, 0, 0, 0])); // exit
    slots
}

/// Much longer than the 64 KiB that the first try has room for.
#[test]
fn a_long_log_is_whole() {
    needs!(Bpf);
    const SUMS: usize = 3000;
    let slots = long(SUMS);
    let code = Code::from_slots(&slots, "long");
    let error = reject(1, &ProgramSpec::new("long", ProgramType::Kprobe, code));
    assert!(error.log().len() > 64 << 10, "{}", error.log().len());
    assert!(error.log().starts_with("0: "));
    for index in 1..=2 * SUMS + 1 {
        assert!(error.log().contains(&format!("\n{index}: (")), "{index}");
    }
    assert!(error.log().contains("\nprocessed "), "{}", error.cause());
    assert_eq!((error.instruction(), error.cause()), (Some(2 * SUMS + 1), "R3 !read_ok"));
    assert_eq!(error.statement(), None);
}

/// Longer than any buffer that is given to it. What matters is at the end, which kernels before 6.4 do
/// not keep.
#[test]
fn the_end_of_a_log_is_not_lost() {
    needs!(Bpf);
    // So much that it is more than 16 MiB. Later kernels write more about each instruction, and keep much
    // more in memory meanwhile.
    let sums = if kernel_is_before(6, 4) { 120_000 } else { 50_000 };
    let slots = long(sums);
    let code = Code::from_slots(&slots, "long");
    let error = reject(2, &ProgramSpec::new("longest", ProgramType::Kprobe, code));
    assert_eq!((error.cause(), error.errno()), ("R3 !read_ok", Errno(libc::EACCES)));
    // Not the instruction at which there was no more room.
    let known = error.instruction().is_none_or(|instruction| instruction == 2 * sums + 1);
    assert!(known, "{error}");
}

fn kernel_is_before(major: u32, minor: u32) -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-', '\n']).map_while(|number| number.parse().ok());
    (numbers.next().unwrap(), numbers.next().unwrap()) < (major, minor)
}

/// The kernel takes letters, digits, `_` and `.`, fifteen of them.
#[test]
fn programs_and_maps_load_whatever_their_names() {
    needs!(Bpf);
    for (name, kernels) in [
        ("", ""),
        ("plain_name.2", "plain_name.2"),
        ("with space/slash", "with_space_slas"),
        ("größe", "gr____e"),
        ("a_name_that_is_much_longer_than_the_kernel_keeps", "a_name_that_is_"),
        ("\n\t\x7f-+", "_____"),
    ] {
        let map = MapSpec::array(name, 8, 1);
        let target = RelocTarget::Map(&map);
        let code = bpf! { r1 = COUNTS ll; r0 = 0; exit; };
        let relocations = [Reloc { target, ..code.relocations[0] }];
        let spec =
            ProgramSpec::new(name, ProgramType::Kprobe, Code { relocations: &relocations, ..code });
        let mut loader = Loader::new();
        let program = loader.load(&spec).unwrap_or_else(|error| panic!("{name:?}: {error}"));
        assert_eq!(program.name(), name);
        assert_eq!(bpf_ids::info(&program).name, kernels);
        assert_eq!(loader.map(&map).unwrap().name(), name);
    }
}

#[test]
fn a_map_that_is_named_several_times_is_one_map() {
    needs!(Bpf);
    static OTHER: MapSpec = MapSpec::array("other", 8, 1);
    let both = ProgramSpec::new(
        "both",
        ProgramType::Kprobe,
        bpf! {
            r1 = COUNTS ll;
            r2 = OTHER ll;
            r3 = COUNTS ll;
            r0 = 0;
            exit;
        },
    );
    let one = ProgramSpec::new("one", ProgramType::Kprobe, bpf! { r1 = COUNTS ll; r0 = 0; exit; });
    let mut loader = Loader::new();
    let (both_loaded, one_loaded) = (loader.load(&both).unwrap(), loader.load(&one).unwrap());
    let (both_maps, one_maps) = (bpf_ids::info(&both_loaded).maps, bpf_ids::info(&one_loaded).maps);
    assert_eq!((both_maps.len(), one_maps.len()), (2, 1), "{both_maps:?} {one_maps:?}");
    assert!(both_maps.contains(&one_maps[0]), "{both_maps:?} {one_maps:?}");
    // Another loader has maps of its own.
    let elsewhere = bpf_ids::info(Loader::new().load(&one).unwrap()).maps;
    assert!(elsewhere.len() == 1 && !both_maps.contains(&elsewhere[0]), "{elsewhere:?}");
}

/// Before Linux 5.11 programs and maps count as locked memory. Root may raise the limit, and gets it
/// back as it was.
#[test]
fn no_limit_on_locked_memory_stops_root() {
    use nix::sys::resource::{Resource, getrlimit};
    needs!(Bpf, Root);
    if common::role().is_some() {
        let limit = getrlimit(Resource::RLIMIT_MEMLOCK).unwrap();
        assert_eq!(limit, (0, 0), "the shell did not set it");
        let spec = ProgramSpec::new(
            "locked",
            ProgramType::Kprobe,
            bpf! {
                r1 = COUNTS ll;
                r0 = 0;
                exit;
            },
        );
        Loader::new().load(&spec).unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_MEMLOCK).unwrap(), limit);
        return;
    }
    // A process of its own: the limit is the whole process's.
    let itself = common::this_test_as("no_limit_on_locked_memory_stops_root", "limited");
    let done = Command::new("sh")
        .args(["-c", "ulimit -l 0; exec \"$@\"", "sh"])
        .arg(itself.get_program())
        .args(itself.get_args())
        .env(common::ROLE, "limited")
        .output()
        .unwrap();
    let said = common::said(&done);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
}
