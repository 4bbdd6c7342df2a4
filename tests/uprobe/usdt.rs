//! USDT probes: found in this program's own file, attached in all places, with their arguments and semaphores.

use crate::common::requires::{Thing, needs, needs_tried};
use crate::common::{self, Folder};
use crate::probes::{RAWBPF_TEST_NUMBER, first, guarded, many, second, semaphore, sizes};
use crate::watch::{COOKIE, Caller, ENTRY, METHODS, Watch, detached, this_file};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use rawbpf::asm::{BuildOptions, Builder};
use rawbpf::attach::{self, Link, Options, Target, usdt};
use rawbpf::insn::{AluOp, Bits, Condition, Op, Reg, Size, Source};
use rawbpf::list::Places;
use rawbpf::map::Array;
use rawbpf::user::{self, ArgumentRegisters, Operand, UsdtProbe};
use rawbpf::{Error, Loader, MapSpec, Program, ProgramSpec, ProgramType, bpf};
use std::fs;
use std::hint::black_box;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::sync::atomic::Ordering;

fn probe(name: &str) -> UsdtProbe {
    let probes = user::usdt_probes(this_file()).unwrap();
    probes.into_iter().find(|probe| probe.name == name).unwrap()
}

fn this(name: &str) -> Target {
    format!("usdt:{}:rawbpf_test:{name}", this_file()).parse().unwrap()
}

#[test]
fn the_probes_of_a_file_are_found() {
    let probes = user::usdt_probes(this_file()).unwrap();
    let ours: Vec<_> = probes.iter().filter(|probe| probe.provider == "rawbpf_test").collect();
    let names: Vec<_> = ours.iter().map(|probe| probe.name.as_str()).collect();
    assert_eq!(names, ["guarded", "many", "sizes", "twice"]);
    let [guarded, many, _, twice] = ours[..] else { panic!("{ours:?}") };
    assert_eq!([&guarded, &many, &twice].map(|probe| probe.places.len()), [1, 1, 2]);
    assert!(guarded.places[0].semaphore.is_some() && many.places[0].semaphore.is_none());
    assert_eq!(many.places[0].arguments.len(), 10);
    assert_eq!(many.argument(2).unwrap().operand, Operand::Constant(5));
    let float = many.argument(10).unwrap();
    assert!(
        float.float && matches!(&float.operand, Operand::FloatRegister(name) if name == "xmm0")
    );
    assert_eq!((many.argument(0), many.argument(11)), (None, None));
    // The first is in another register in each place.
    assert_eq!((twice.argument(1), twice.argument(2).unwrap().text.as_str()), (None, "8@$1"));
}

/// Arguments are numbered from 1 on, and the element 0 counts.
const MOST: usize = 48;

static ARGUMENTS: MapSpec = MapSpec::array("arguments", 8 * MOST as u32, 1);

/// A program that notes how often it ran, and the arguments.
fn program(probe: &UsdtProbe, numbers: &[usize]) -> Result<(Program, Array<[i64; MOST]>), Error> {
    let set = |dst, src| Op::Alu { bits: Bits::B64, op: AluOp::Mov, dst, src };
    let mut builder = Builder::new();
    let out = builder.label();
    builder
        .push(set(Reg::R6, Source::Reg(Reg::R1)))
        .push(Op::StoreImm { size: Size::Word, base: Reg::R10, offset: -4, imm: 0 })
        .push(set(Reg::R2, Source::Reg(Reg::R10)))
        .push(Op::Alu { bits: Bits::B64, op: AluOp::Add, dst: Reg::R2, src: Source::Imm(-4) })
        .load_map(Reg::R1, &ARGUMENTS)
        .push(Op::CallHelper { number: 1 })
        .jump_if(Bits::B64, Condition::Eq, Reg::R0, Source::Imm(0), out)
        .push(set(Reg::R8, Source::Reg(Reg::R0)))
        .push(Op::Load { size: Size::Double, dst: Reg::R7, base: Reg::R8, offset: 0 })
        .push(Op::Alu { bits: Bits::B64, op: AluOp::Add, dst: Reg::R7, src: Source::Imm(1) })
        .push(Op::Store { size: Size::Double, base: Reg::R8, offset: 0, src: Reg::R7 });
    for number in numbers {
        let registers = ArgumentRegisters { context: Reg::R6, to: Reg::R7, stack: -16 };
        probe.load_argument(&mut builder, *number, registers)?;
        let offset = 8 * *number as i16;
        builder.push(Op::Store { size: Size::Double, base: Reg::R8, offset, src: Reg::R7 });
    }
    builder.bind(out).push(set(Reg::R0, Source::Imm(0))).push(Op::Exit);
    let assembly = builder.finish(&BuildOptions::new()).unwrap();
    let spec = ProgramSpec::new("arguments", ProgramType::Kprobe, assembly.code());
    let mut loader = Loader::new();
    let program = loader.load(&spec)?;
    let map = Array::of(loader.map(&ARGUMENTS)?)?;
    Ok((program, map))
}

fn attach_here(program: &Program, target: &Target) -> Link {
    let options = Options::new().pid(std::process::id());
    attach::attach_with(program, target, &options).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn arguments_are_read_from_wherever_they_are() {
    needs!(Uprobe);
    let _alone = common::alone();
    let probe = probe("many");
    let (program, seen) = program(&probe, &[1, 2, 3, 4, 5, 6, 7, 8, 9]).unwrap();
    let numbers = black_box([-3i64, 70, 0x1_0000_0000_8000, 90]);
    let number = RAWBPF_TEST_NUMBER.load(Ordering::Relaxed) as i64;
    let link = attach_here(&program, &this("many"));
    assert_eq!(link.places(), 1);
    many(black_box(-2), &numbers, black_box(1), black_box(-5));
    let values = seen.lookup(0).unwrap();
    let expected = [1, -2, 5, -3, 0x1_0000_0000_8000, -5, number, -7, 0xffff_fffe, 70];
    assert_eq!(values[..10], expected);
    detached(link, || {
        seen.update(0, &values).unwrap();
        many(3, &numbers, 0, 3);
        seen.lookup(0).unwrap() == values
    });
}

/// The value of every operand at every size, as C converts a value to the type of that size: an unsigned type is filled up with
/// zeros, a signed one with its sign.
#[test]
fn every_operand_has_the_size_and_the_sign_that_the_note_says() {
    needs!(Uprobe);
    let _alone = common::alone();
    let probe = probe("sizes");
    let count = probe.places[0].arguments.len();
    assert_eq!(count, 40);
    let numbers: Vec<_> = (1..=count).collect();
    let (program, seen) = program(&probe, &numbers).unwrap();
    let number = RAWBPF_TEST_NUMBER.load(Ordering::Relaxed);
    for (value, memory) in [
        (0xffff_ffff_ffff_ff80, 0x8000_0000_8000_8081),
        (0x1234_5678_9abc_def0, u64::MAX),
        (0x7f, 0x7fff_ffff_7fff_7f7f),
        (0, 0x80),
    ] {
        let link = attach_here(&program, &this("sizes"));
        sizes(black_box(value), black_box(&memory));
        drop(link);
        let unsigned = |v: u64| [i64::from(v as u8), i64::from(v as u16), i64::from(v as u32)];
        let signed = |v: u64| [i64::from(v as i8), i64::from(v as i16), i64::from(v as i32)];
        let all = |v: u64| {
            let whole = [v as i64];
            [&unsigned(v)[..], &whole, &signed(v), &whole].concat()
        };
        let mut expected = vec![200, 65535, 4294967295, -1, -56, -1, -1, -1];
        expected.extend(all(value));
        expected.extend(unsigned(value));
        expected.extend(signed(value));
        expected.extend(all(memory));
        expected.extend(all(number));
        expected.extend([i64::from(memory as u32), memory as i64]);
        assert_eq!(seen.lookup(0).unwrap()[1..=count], expected[..], "{value:#x}, {memory:#x}");
    }
}

/// Notes arguments that are in memory and constants, by calls of their names.
static CALLING: ProgramSpec = ProgramSpec::new(
    "calling",
    ProgramType::Kprobe,
    bpf! {
        r6 = r1;
        *(u32 *)(r10 - 4) = 0;
        r1 = ARGUMENTS ll;
        r2 = r10;
        r2 += -4;
        call map_lookup_elem;
        if r0 == 0 goto out;
        r7 = r0;
        r1 = r6;
        call args.arg1;
        *(u64 *)(r7 + 8) = r0;
        r1 = r6;
        call args.arg3;
        *(u64 *)(r7 + 24) = r0;
        r1 = r6;
        call args.arg4;
        *(u64 *)(r7 + 32) = r0;
        r1 = r6;
        call add_to_sixth;
        *(u64 *)(r7 + 48) = r0;
        r1 = r6;
        call args.arg3;
        *(u64 *)(r7 + 40) = r0;
    out:
        r0 = 0;
        exit;
    add_to_sixth:
        call args.arg6;
        r0 += 1;
        exit;
    },
);

#[test]
fn arguments_anywhere_are_called_by_name() {
    needs!(Uprobe);
    let _alone = common::alone();
    let target = format!("{}:rawbpf_test:many", this_file());
    let mut loader = Loader::new();
    let program = loader.load(&CALLING.with_target(&target)).unwrap();
    let seen = Array::<[i64; MOST]>::of(loader.map(&ARGUMENTS).unwrap()).unwrap();
    let number = RAWBPF_TEST_NUMBER.load(Ordering::Relaxed) as i64;
    for method in METHODS {
        let link = usdt::attach(&program, &this("many"), method).unwrap();
        let (value, index) = (black_box(method as i32 - 1000), black_box(2));
        many(value, &black_box([-3, 70, 5, 0x1_0000_0000_8000]), index, black_box(9));
        drop(link);
        let values = seen.lookup(0).unwrap();
        let expected = [i64::from(value), 0, -3, 0x1_0000_0000_8000, -3, number + 1];
        assert_eq!([1, 2, 3, 4, 5, 6].map(|at| values[at]), expected, "{method:?}");
    }
    // Nor is it attached where the argument is found in another way, or is none.
    let error = usdt::attach(&program, &this("sizes"), METHODS[0]).unwrap_err().to_string();
    assert!(error.contains("load the program once for each"), "{error}");
}

/// Its first argument is in another register in each place.
static EACH: ProgramSpec = ProgramSpec::new(
    "each",
    ProgramType::Kprobe,
    bpf! {
        call args.arg1;
        r6 = r0;
        *(u32 *)(r10 - 4) = 0;
        r1 = ARGUMENTS ll;
        r2 = r10;
        r2 += -4;
        call map_lookup_elem;
        if r0 == 0 goto out;
        *(u64 *)(r0 + 8) = r6;
    out:
        r0 = 0;
        exit;
    },
);

#[test]
fn an_argument_in_another_register_in_each_place_is_called_by_name() {
    needs!(Uprobe);
    needs_tried!("attach_cookie", no_cookies());
    let _alone = common::alone();
    let target = format!("{}:rawbpf_test:twice", this_file());
    let mut loader = Loader::new();
    let program = loader.load(&EACH.with_target(&target)).unwrap();
    let seen = Array::<[i64; MOST]>::of(loader.map(&ARGUMENTS).unwrap()).unwrap();
    let link = attach_here(&program, &this("twice"));
    for (value, fire) in [(71, first as fn(u64)), (72, second), (73, first)] {
        fire(black_box(value));
        assert_eq!(seen.lookup(0).unwrap()[1], value as i64);
    }
    drop(link);
}

static FLOAT: ProgramSpec =
    ProgramSpec::new("float", ProgramType::Kprobe, bpf! { call args.arg10; r0 = 0; exit; });
static ELEVENTH: ProgramSpec =
    ProgramSpec::new("eleventh", ProgramType::Kprobe, bpf! { call args.arg11; r0 = 0; exit; });

#[test]
fn a_call_of_what_is_no_argument_says_so() {
    needs!(Bpf);
    let many = format!("{}:rawbpf_test:many", this_file());
    for (spec, target, expected) in [
        (&FLOAT, &*many, "a floating-point number in the register xmm0"),
        (&ELEVENTH, &many, "has no argument `arg11`: expected arg1, arg2"),
        (&FLOAT, "sys_clone", "it is no USDT probe"),
        (&FLOAT, "c:strlen", "it is no USDT probe"),
    ] {
        let error = Loader::new().load(&spec.with_target(target)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// Notes its first argument and the fifth, by their names.
static NAMED: ProgramSpec = ProgramSpec::new(
    "named",
    ProgramType::Kprobe,
    bpf! {
        r6 = *(u32 *)(r1 + args.arg1);
        r7 = *(u8 *)(r1 + args.arg5);
        *(u32 *)(r10 - 4) = 0;
        r1 = ARGUMENTS ll;
        r2 = r10;
        r2 += -4;
        call map_lookup_elem;
        if r0 == 0 goto out;
        *(u64 *)(r0 + 8) = r6;
        *(u64 *)(r0 + 40) = r7;
    out:
        r0 = 0;
        exit;
    },
);

#[test]
fn arguments_in_registers_have_names() {
    needs!(Uprobe);
    let _alone = common::alone();
    let target = format!("{}:rawbpf_test:many", this_file());
    let mut loader = Loader::new();
    let program = loader.load(&NAMED.with_target(&target)).unwrap();
    let seen = Array::<[i64; MOST]>::of(loader.map(&ARGUMENTS).unwrap()).unwrap();
    for method in METHODS {
        let link = usdt::attach(&program, &this("many"), method).unwrap();
        let value = black_box(method as i32 + 1000);
        many(value, &black_box([0; 4]), 0, black_box(9));
        let values = seen.lookup(0).unwrap();
        assert_eq!((values[1], values[5]), (value.into(), 9), "{method:?}");
        drop(link);
    }
}

static MEMORY: ProgramSpec = ProgramSpec::new(
    "memory",
    ProgramType::Kprobe,
    bpf! {
        r2 = *(u64 *)(r1 + args.arg3);
        r0 = 0;
        exit;
    },
);
static WIDE: ProgramSpec = ProgramSpec::new(
    "wide",
    ProgramType::Kprobe,
    bpf! {
        r2 = *(u64 *)(r1 + args.arg1);
        r0 = 0;
        exit;
    },
);
static BEYOND: ProgramSpec = ProgramSpec::new(
    "beyond",
    ProgramType::Kprobe,
    bpf! {
        r2 = *(u64 *)(r1 + args.arg11);
        r0 = 0;
        exit;
    },
);

#[test]
fn arguments_elsewhere_have_none() {
    needs!(Bpf);
    for (spec, name, expected) in [
        (&MEMORY, "rawbpf_test:many", "`args.arg3`"),
        (&MEMORY, "rawbpf_test:many", "expected one register: `call args.arg3`"),
        (&WIDE, "rawbpf_test:many", "access size is 8 bytes, expected 4"),
        (&BEYOND, "rawbpf_test:many", "has no argument `arg11`: expected arg1, arg2"),
        (&WIDE, "rawbpf_test:twice", "`8@%rdi` and `8@%rsi`"),
        (&WIDE, "rawbpf_test:nowhere", "USDT probe `rawbpf_test:nowhere` is not in"),
    ] {
        let target = format!("{}:{name}", this_file());
        let error = Loader::new().load(&spec.with_target(&target)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn an_argument_that_cannot_be_had_says_why() {
    let probe = probe("many");
    let words = |number, registers| {
        let error = probe.load_argument(&mut Builder::new(), number, registers);
        error.unwrap_err().to_string()
    };
    let registers = ArgumentRegisters { context: Reg::R6, to: Reg::R7, stack: -16 };
    let float = words(10, registers);
    assert!(float.contains("floating-point") && float.contains("`8@%xmm0`"), "{float}");
    for number in [0, 11, usize::MAX] {
        assert!(words(number, registers).contains("10 arguments"), "{}", words(number, registers));
    }
    for wrong in [
        ArgumentRegisters { context: Reg::R1, ..registers },
        ArgumentRegisters { to: Reg::R6, ..registers },
        ArgumentRegisters { to: Reg::R1, ..registers },
        ArgumentRegisters { stack: -4, ..registers },
        ArgumentRegisters { stack: 0, ..registers },
        ArgumentRegisters { stack: -520, ..registers },
    ] {
        assert!(words(1, wrong).contains("an argument"), "{wrong:?}");
    }
}

/// Notes its second argument.
static SECOND_ARGUMENT: ProgramSpec = ProgramSpec::new(
    "second",
    ProgramType::Kprobe,
    bpf! {
        call args.arg2;
        r6 = r0;
        *(u32 *)(r10 - 4) = 0;
        r1 = ARGUMENTS ll;
        r2 = r10;
        r2 += -4;
        call map_lookup_elem;
        if r0 == 0 goto out;
        *(u64 *)(r0 + 16) = r6;
    out:
        r0 = 0;
        exit;
    },
);

fn calls() {
    many(black_box(1), &black_box([0; 4]), 0, 0);
}

/// A process sees another file in the place of this one, where the second argument of `many` is 7 instead of 5.
#[test]
fn arguments_are_those_of_the_file_that_the_process_sees() {
    if common::role().is_some() {
        return Caller::serve(calls);
    }
    needs!(Uprobe, Root);
    let folder = Folder::new();
    let copy = folder.path().join("program");
    let mut bytes = fs::read(this_file()).unwrap();
    let head = b"rawbpf_test\0many\0";
    // The note is the last: before it is the text above, wherever the linker puts that.
    let at = bytes.windows(head.len()).rposition(|bytes| bytes == head).unwrap();
    let five = bytes[at..].windows(5).position(|bytes| bytes == b" 4@$5").unwrap();
    bytes[at + five + 4] = b'7';
    fs::write(&copy, bytes).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();

    let name = "usdt::arguments_are_those_of_the_file_that_the_process_sees";
    let mut command = common::this_test_as(name, "caller");
    let place = this_file();
    let enter = move || {
        let none = None::<&str>;
        unshare(CloneFlags::CLONE_NEWNS)?;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        Ok(mount(Some(&copy), place.as_str(), none, MsFlags::MS_BIND, none)?)
    };
    // SAFETY: system calls, and nothing that another thread could hold.
    unsafe { command.pre_exec(enter) };
    let mut caller = Caller::of(command);

    let (mut loader, target) = (Loader::new(), this("many"));
    let options = Options::new().pid(caller.id());
    let (_program, link) =
        attach::load_and_attach_with(&mut loader, &SECOND_ARGUMENT, &target, &options).unwrap();
    let seen = Array::<[i64; MOST]>::of(loader.map(&ARGUMENTS).unwrap()).unwrap();
    caller.call();
    assert_eq!(seen.lookup(0).unwrap()[2], 7);
    drop(link);

    // Loaded for the file that is seen here, it reads something else in there.
    let program = loader.load(&target.spec(&SECOND_ARGUMENT)).unwrap();
    let error = attach::attach_with(&program, &target, &options).unwrap_err().to_string();
    assert!(error.contains(&format!("many in process {}", caller.id())), "{error}");
    let here = Options::new().pid(std::process::id());
    let _link = attach::attach_with(&program, &target, &here).unwrap();
    calls();
    assert_eq!(seen.lookup(0).unwrap()[2], 5);
}

fn no_cookies() -> Option<String> {
    Watch::loaded(&COOKIE).err().map(|error| error.to_string())
}

/// The argument is in another register in each place, and the program knows in which it runs.
#[test]
fn a_probe_is_attached_in_all_its_places() {
    needs!(Uprobe);
    needs_tried!("attach_cookie", no_cookies());
    let alone = common::alone();
    let probe = probe("twice");
    let (program, seen) = program(&probe, &[1, 2]).unwrap();
    let link = attach_here(&program, &this("twice"));
    assert_eq!(link.places(), 2);
    for (count, value, fire) in [(1, 71, first as fn(u64)), (2, 72, second), (3, 73, first)] {
        fire(black_box(value));
        assert_eq!(seen.lookup(0).unwrap()[..3], [count, value as i64, 1]);
    }
    drop((link, alone));

    // The cookie is the index, counted from the one that is asked for.
    let watch = Watch::new(&COOKIE);
    let both = || {
        first(1);
        second(2);
    };
    watch.sees_while_attached(both, (2, 1), |p| attach::attach(p, &this("twice")));
    let options = Options::new().cookie(u64::MAX);
    let real = watch.sees_while_attached(both, (2, u64::MAX), |program| {
        attach::attach_with(program, &this("twice"), &options)
    });
    assert_eq!(real, this("twice").to_string());
    // The probe is found for any provider.
    let any: Target = format!("usdt:{}::twice", this_file()).parse().unwrap();
    let real = watch.sees_while_attached(both, (2, 1), |p| attach::attach(p, &any));
    assert_eq!(real, this("twice").to_string());
}

#[test]
fn all_places_also_without_cookies() {
    needs!(Uprobe);
    let watch = Watch::new(&ENTRY);
    let both = || {
        first(1);
        second(2);
    };
    let count = |target: &Target| {
        let link = attach::attach(&watch.program, target).unwrap();
        let (count, _) = watch.during(both);
        detached(link, || watch.during(both) == (0, 0));
        watch.assert_nothing_is_left();
        count
    };
    assert_eq!(count(&this("twice")), 2);
    // Patterns of probes.
    assert_eq!(count(&this("tw*")), 2);
    let all: Target = format!("usdt:{}:rawbpf_*:*", this_file()).parse().unwrap();
    assert_eq!(count(&all), 2);
}

/// One link for all places, where the kernel has it: that is how loading for a target does it.
#[test]
fn loading_for_a_probe_takes_the_best_way() {
    needs!(Uprobe);
    let _alone = common::alone();
    let target = this("twice");
    let mut loader = Loader::new();
    let loaded = attach::load_and_attach(&mut loader, &ENTRY, &target);
    let (program, link) = loaded.unwrap();
    assert_eq!(link.places(), 2);
    let multi = program.attach_type().is_some();
    assert_eq!(link.as_bpf_link().is_some(), multi);
    let guarded = this("guarded");
    let (_program, link) = attach::load_and_attach(&mut loader, &ENTRY, &guarded).unwrap();
    assert_eq!(semaphore(), 1);
    detached(link, || semaphore() == 0);
}

#[test]
fn a_semaphore_is_up_while_a_program_is_attached() {
    needs!(Uprobe, Tracefs);
    // (A panic in here would leave it up: a process that maps the file anew to show a backtrace gets the probe, too.)
    let test = "usdt::a_semaphore_is_up_while_a_program_is_attached";
    if common::role().is_some() {
        return Caller::serve(|| guarded(8));
    }
    let mut other = Caller::start(test);
    let watch = Watch::new(&ENTRY);
    let fire = || guarded(black_box(7));
    assert_eq!((semaphore(), watch.during(fire).0), (0, 0));
    let target = this("guarded");
    let attach = |options: &Options| attach::attach_with(&watch.program, &target, options).unwrap();

    let link = attach(&Options::new());
    assert_eq!((semaphore(), watch.during(fire).0), (1, 1));
    other.call();
    assert_eq!(watch.take(other.id()).0, 1);
    // It stays up until the last is gone. (It counts places and not programs.)
    let second = attach(&Options::new());
    assert_eq!((semaphore(), watch.during(fire).0), (1, 2));
    detached(link, || (semaphore(), watch.during(fire).0) == (1, 1));
    detached(second, || (semaphore(), watch.during(fire).0) == (0, 0));

    for method in METHODS {
        let link = usdt::attach(&watch.program, &target, method).unwrap();
        assert_eq!((semaphore(), watch.during(fire).0), (1, 1), "{method:?}");
        detached(link, || (semaphore(), watch.during(fire).0) == (0, 0));
    }

    // In one process: not here.
    let link = attach(&Options::new().pid(other.id()));
    watch.take(other.id());
    other.call();
    assert_eq!((watch.take(other.id()).0, semaphore(), watch.during(fire).0), (1, 0, 0));
    drop(link);
    watch.assert_nothing_is_left();
}

#[test]
fn a_probe_that_is_not_there_gets_the_nearest() {
    needs!(Uprobe);
    let watch = Watch::new(&ENTRY);
    let nearest = |target: &str| match attach::attach(&watch.program, &target.parse().unwrap()) {
        Err(Error::NotInFile { what: "USDT probe", nearest, .. }) => nearest,
        other => panic!("{other:?}"),
    };
    let file = this_file();
    assert_eq!(nearest(&format!("usdt:{file}:rawbpf_test:twic")), ["rawbpf_test:twice"]);
    assert_eq!(nearest(&format!("usdt:{file}:another:twice")), ["rawbpf_test:twice"]);
    assert_eq!(nearest(&format!("usdt:{file}:rawbpf_test:x*")), [""; 0]);
}

#[test]
fn probes_and_functions_of_a_file_are_listed() {
    let (places, file) = (Places::new(), this_file());
    let names = |pattern: &str| -> Vec<String> {
        places.find(pattern).unwrap().places.iter().map(ToString::to_string).collect()
    };
    let ours = format!("usdt:{file}:rawbpf_test");
    assert_eq!(
        names(&format!("{ours}:*e*")),
        [format!("{ours}:guarded"), format!("{ours}:sizes"), format!("{ours}:twice")][..]
    );
    assert_eq!(names(&format!("usdt:{file}:twice")), [format!("{ours}:twice")]);
    let add = format!("uprobe:{file}:rawbpf_test_add");
    assert_eq!(names(&format!("uprobe:{file}:rawbpf_test_a*")), [add.as_str()]);

    let arguments = |name: &str| {
        let found = places.find(&format!("{ours}:{name}")).unwrap().places;
        let arguments = places.arguments(&found[0]).unwrap().unwrap();
        arguments
            .iter()
            .map(|one| (one.declaration.clone(), one.size.zip(one.offset).is_some()))
            .collect::<Vec<_>>()
    };
    let many = arguments("many");
    assert!(many[0].0.starts_with("s32 arg1 = -4@%") && many[0].1, "{many:?}");
    assert_eq!(many[1], ("u32 arg2 = 4@$5".into(), false));
    let twice = arguments("twice");
    assert_eq!(twice[0], ("u64 arg1 = 8@%rdi or 8@%rsi".into(), false));
}
