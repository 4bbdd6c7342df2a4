//! Tests of compilation, without a kernel: the code that results, and the code that is rejected.

use super::*;
use crate::asm::{PrintOptions, disassemble};
use crate::insn::{AtomicSize, Bits, Condition, Op, Pseudo, Size, Swap, SwapBits};
use crate::spec::MapSpec;

static CELLS: MapSpec<'static> = MapSpec::bss("cells", 4096);

fn compile(f: Function<'_>) -> Compiled<'_> {
    Unit::new().compile(f, &Options::new()).unwrap_or_else(|error| panic!("{error}"))
}

/// The instructions as text, a line each, without labels.
fn listing(compiled: &Compiled<'_>) -> Vec<String> {
    let code = compiled.code();
    let options = PrintOptions { code: Some(&code), ..PrintOptions::default() };
    let text = disassemble(code.slots, &options).unwrap();
    let lines =
        text.lines().filter(|line| line.starts_with(' ')).map(|line| line.trim().to_owned());
    lines.collect()
}

/// The instructions, those that move from register to register left out, and names of registers replaced.
#[track_caller]
fn assert_code(f: Function<'_>, expected: &[&str]) {
    let compiled = compile(f);
    let lines = listing(&compiled);
    let plain = |line: &String| {
        let mut out = String::new();
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            out.push(c);
            let frame = c == 'r' && chars.peek() == Some(&'1') && line.contains("r10");
            if (c == 'r' || c == 'w') && !frame && chars.peek().is_some_and(char::is_ascii_digit) {
                chars.next();
            }
        }
        out
    };
    let plain: Vec<_> = lines.iter().map(plain).collect();
    assert_eq!(plain, expected, "{lines:#?}");
}

/// The problem that keeps a function from being compiled.
#[track_caller]
fn problem(f: Function<'_>) -> CodegenProblem {
    Unit::new().compile(f, &Options::new()).unwrap_err().problem().clone()
}

#[test]
fn a_comparison_becomes_part_of_its_branch() {
    let mut f = Function::new("main", 1);
    let context = f.context();
    let value = f.load(Size::Word, context.at(4));
    let less = f.compare(Condition::Lt, value, 10);
    let no = f.compare(Condition::Eq, less, 0);
    let (yes, other) = (f.block(), f.block());
    f.branch_if(no, other, yes);
    f.switch_to(yes);
    f.ret(1);
    f.switch_to(other);
    f.ret(2);
    // In either order there is one comparison, and its result is not computed as a number.
    assert_code(
        f,
        &["r = *(u32 *)(r + 4)", "if r >= 10 goto L1", "r = 1", "exit", "r = 2", "exit"],
    );
}

#[test]
fn constants_and_offsets_are_in_the_instructions() {
    let mut f = Function::new("main", 1);
    let (eight, object) = (f.imm(8), f.object(16, 8));
    let sum = f.add(eight, 3);
    f.store(Size::Double, object.at(8), sum);
    let place = f.address(object.at(8));
    let value = f.load(Size::Half, place.at(2));
    let result = f.mul(value, 8);
    let result = f.binary(Binary::Mod, result, 16);
    f.ret(result);
    assert_code(
        f,
        &["*(u64 *)(r10 - 8) = 11", "r = *(u16 *)(r10 - 6)", "r <<= 3", "r &= 15", "exit"],
    );
}

#[test]
fn what_nobody_needs_is_not_computed() {
    let mut f = Function::new("main", 1);
    let context = f.context();
    let unused = f.load(Size::Word, context.at(0));
    let product = f.mul(unused, 7);
    f.add(product, context);
    f.map(&CELLS);
    let value = f.var();
    f.assign(value, 3);
    // The first value is replaced before it is read.
    let other = f.load(Size::Word, context.at(8));
    f.assign(value, other);
    f.ret(value);
    // Nothing that is written here can run.
    f.call_helper(5, &[]);
    f.ret(4);
    assert_code(f, &["r = *(u32 *)(r + 8)", "exit"]);
}

#[test]
fn code_that_cannot_run_is_left_out() {
    let mut f = Function::new("main", 1);
    let (one, two) = (f.block(), f.block());
    f.branch(Condition::Gt, 5, 3, one, two);
    f.switch_to(two);
    f.call_helper(5, &[]);
    f.ret(2);
    f.switch_to(one);
    f.ret(1);
    let unreached = f.block();
    f.switch_to(unreached);
    f.jump(unreached);
    assert_code(f, &["r = 1", "exit"]);
}

#[test]
fn arguments_are_computed_in_their_registers() {
    let mut f = Function::new("main", 1);
    let context = f.context();
    let (a, b) = (f.load(Size::Word, context.at(0)), f.load(Size::Word, context.at(4)));
    let sum = f.add(b, 9);
    let key = f.object(4, 4);
    f.store(Size::Word, key, a);
    let (map, place) = (f.map(&CELLS), f.address(key));
    let first = f.call_helper(1, &[map.into(), place.into(), sum.into(), a.into()]);
    f.ret(first);
    let lines = listing(&compile(f));
    let moves = lines
        .iter()
        .filter(|line| line.starts_with('r') && line.contains(" = r") && !line.ends_with("r10"))
        .count();
    assert_eq!(moves, 0, "{lines:#?}");
    assert_eq!(lines.len(), 9, "{lines:#?}");
}

#[test]
fn what_lives_over_calls_has_a_register_that_calls_keep() {
    let mut f = Function::new("main", 1);
    let context = f.context();
    f.call_helper(5, &[]);
    let value = f.load(Size::Word, context.at(0));
    f.ret(value);
    let lines = listing(&compile(f));
    assert_eq!(lines, ["r6 = r1", "call ktime_get_ns", "r0 = *(u32 *)(r6 + 0)", "exit"]);
}

#[test]
fn a_variable_without_a_value_holds_zero() {
    let mut f = Function::new("main", 1);
    let (context, never, sometimes) = (f.context(), f.var(), f.var());
    let value = f.load(Size::Word, context.at(0));
    f.if_then(Condition::Eq, value, 7, |f| f.assign(sometimes, 5));
    let sum = f.add(never, sometimes);
    f.ret(sum);
    let lines = listing(&compile(f));
    assert_eq!(lines.iter().filter(|line| line.ends_with(" = 0")).count(), 2, "{lines:#?}");
}

/// A jump back to the entry does not read the parameters again: their registers hold something else by then.
#[test]
fn the_entry_can_be_jumped_to() {
    let mut f = Function::new("main", 1);
    let (context, entry) = (f.context(), f.current());
    let value = f.load(Size::Word, context.at(0));
    f.call_helper(5, &[]);
    let out = f.block();
    f.branch(Condition::Eq, value, 0, entry, out);
    f.switch_to(out);
    f.ret(0);
    let lines = listing(&compile(f));
    assert_eq!(lines[..2], ["r6 = r1", "r7 = *(u32 *)(r6 + 0)"], "{lines:#?}");
}

#[test]
fn objects_that_are_not_alive_together_share_memory() {
    let sizes = |together: bool| {
        let mut f = Function::new("main", 1);
        let objects: Vec<_> = (0..4)
            .map(|_| {
                let object = f.object(60, 8);
                let place = f.address(object);
                f.call_helper(4, &[place.into(), 60.into()]);
                object
            })
            .collect();
        if together {
            objects.iter().for_each(|object| f.keep(*object));
        }
        f.ret(0);
        compile(f).frames()[0].1
    };
    assert_eq!((sizes(false), sizes(true)), (64, 256));
}

/// An object whose address is in memory may be used until the end.
#[test]
fn objects_whose_address_is_stored_stay() {
    let mut f = Function::new("main", 1);
    let (pointer, object) = (f.object(8, 8), f.object(16, 8));
    let place = f.address(object);
    f.store(Size::Double, pointer, place);
    f.keep(pointer);
    for _ in 0..2 {
        let other = f.object(16, 8);
        f.zero(other, 16, 8);
    }
    f.ret(0);
    // The last two lie where the pointer was, which is dead by then, but not where the object is.
    assert_eq!(compile(f).frames()[0].1, 16 + 16);
}

#[test]
fn too_many_values_say_what_they_need() {
    let many = |number: bool| {
        let mut f = Function::new("main", 1);
        let cells = f.map_value(&CELLS, 0);
        let values: Vec<_> = (0..100).map(|at| f.load(Size::Double, cells.at(8 * at))).collect();
        f.call_helper(5, &[]);
        let sum = f.var();
        for value in values {
            if number {
                f.number(value);
            }
            f.binary_to(sum, Bits::B64, Binary::Add, sum, value);
        }
        f.ret(sum);
        problem(f)
    };
    assert!(matches!(many(false), CodegenProblem::TooManyPointers { .. }), "{}", many(false));
    assert!(
        matches!(many(true), CodegenProblem::ScratchNeeded { bytes: 256..=512 }),
        "{}",
        many(true)
    );
}

#[test]
fn mistakes_are_reported_at_their_place() {
    let mut other = Function::new("other", 3);
    let (var, block) = (other.var(), other.block());
    let foreign = other.block();

    let mut f = Function::new("main", 0);
    f.at(3..7);
    let object = f.object(8, 8);
    f.store(Size::Double, object.at(4), 0);
    f.ret(0);
    let error = Unit::new().compile(f, &Options::new()).unwrap_err();
    assert_eq!((error.function(), error.span()), ("main", Some(3..7)));
    let expected = CodegenProblem::OutOfBounds { bytes: 8, offset: 4, size: 8 };
    assert_eq!(*error.problem(), expected);
    assert_eq!(
        error.to_string(),
        "function `main`: access to 8 bytes at 4: the object has 8 bytes"
    );

    let with = |write: &dyn Fn(&mut Function<'static>)| {
        let mut f = Function::new("main", 1);
        write(&mut f);
        f.ret(0);
        problem(f)
    };
    // By a pointer that is known to point there, too.
    let outside = with(&|f| {
        let object = f.object(8, 8);
        let place = f.address(object);
        let value = f.load(Size::Byte, place.at(8));
        f.ret(value);
    });
    assert_eq!(outside, CodegenProblem::OutOfBounds { bytes: 1, offset: 8, size: 8 });
    let problem_of = with(&|f| f.assign(var, 1));
    assert!(matches!(problem_of, CodegenProblem::Foreign { what: "variable", index: 3, .. }));
    let problem_of = with(&|f| f.jump(foreign));
    assert!(matches!(problem_of, CodegenProblem::Foreign { what: "block", .. }), "{block:?}");
    let problem_of = with(&|f| {
        f.call(FunctionId(0), &[]);
    });
    assert!(matches!(problem_of, CodegenProblem::Foreign { what: "function", .. }));
    let problem_of = with(&|f| {
        let block = f.block();
        f.jump(block);
    });
    assert_eq!(problem_of, CodegenProblem::NeverFilled { block: 1 });
    let problem_of = with(&|f| {
        f.call_helper(1, &[0.into(); 6]);
    });
    assert!(matches!(problem_of, CodegenProblem::Arguments { given: 6, .. }), "{problem_of}");
    let problem_of = with(&|f| {
        f.object(8, 3);
    });
    assert_eq!(problem_of, CodegenProblem::Object { size: 8, align: 3 });

    let mut f = Function::new("main", 1);
    f.load(Size::Word, Var(0).at(0));
    assert_eq!(problem(f), CodegenProblem::NoEnd { block: 0 });

    let mut unit = Unit::new();
    let mut callee = Function::new("callee", 2);
    callee.ret(0);
    let id = unit.add(callee);
    let mut f = Function::new("main", 1);
    f.call(id, &[1.into()]);
    f.ret(0);
    let error = unit.compile(f, &Options::new()).unwrap_err().to_string();
    assert_eq!(error, "function `main`: function `callee`: 1 arguments, expected 2");
}

#[test]
fn what_the_instruction_set_lacks_is_done_otherwise_or_refused() {
    let every = |isa: Isa| {
        let mut f = Function::new("main", 1);
        let context = f.context();
        let a = f.load_signed(Size::Word, context.at(0));
        let b = f.load(Size::Word, context.at(4));
        let q = f.binary(Binary::SignedDiv, a, b);
        let e = f.sign_extend(q, Size::Byte);
        let s = f.swap(Swap::Always, SwapBits::B32, e);
        let (yes, no) = (f.block(), f.block());
        f.branch32(Condition::SignedLt, s, b, yes, no);
        f.switch_to(yes);
        f.ret(1);
        f.switch_to(no);
        f.ret(0);
        Unit::new().compile(f, &Options::new().isa(isa)).map(|compiled| listing(&compiled))
    };
    let lengths: Vec<_> =
        [Isa::V1, Isa::V2, Isa::V3, Isa::V4].map(|isa| every(isa).unwrap().len()).into();
    assert!(lengths[1] > lengths[2] && lengths[2] > lengths[3] + 8, "{lengths:?}");
    let (old, new) = (every(Isa::V1).unwrap().concat(), every(Isa::V4).unwrap().concat());
    for piece in ["s/", "(s8)", "s32", "bswap"] {
        assert!(new.contains(piece) && !old.contains(piece), "{piece}\n{new}\n{old}");
    }
    assert!(!old.contains("if w") && !old.contains("s< ") && new.contains("if w"), "{old}\n{new}");

    let fetch = |isa: Isa| {
        let mut f = Function::new("main", 1);
        let cells = f.map_value(&CELLS, 0);
        let old = f.atomic_fetch(AtomicSize::Double, AtomicBinary::Add, cells, 1);
        f.ret(old);
        Unit::new().compile(f, &Options::new().isa(isa))
    };
    assert!(fetch(Isa::V3).is_ok());
    let error = fetch(Isa::V2).unwrap_err();
    let (needs, have) = (Isa::V3, Isa::V2);
    let what = "an atomic operation with a result";
    assert_eq!(*error.problem(), CodegenProblem::Isa { what, needs, have });
    assert_eq!(
        error.to_string(),
        "function `main`: an atomic operation with a result needs instruction set v3: have v2"
    );
}

/// Each instruction comes from the statement that it was made of.
#[test]
fn instructions_know_their_source() {
    let text = "alpha beta gamma";
    let mut f = Function::new("main", 1);
    let context = f.context();
    f.at(0..5);
    let a = f.load(Size::Word, context.at(0));
    f.at(6..10);
    let b = f.compare(Condition::SignedLt, a, context);
    f.at(11..16);
    f.ret(b);
    let compiled = compile(f).with_source(text, "file", 7);
    let code = compiled.code();
    let statements: Vec<_> =
        (0..code.slots.len()).filter_map(|slot| code.statement(slot)).collect();
    assert_eq!(statements.first().map(String::as_str), Some("alpha"));
    assert_eq!(statements.last().map(String::as_str), Some("gamma"));
    assert!(statements.iter().filter(|statement| *statement == "beta").count() >= 4);
    assert_eq!(code.line_number(0), 7);
}

/// Jumps that do not reach grow, and what is filled in at load is still where it should be.
#[test]
fn long_code_keeps_its_names() {
    for isa in [Isa::V3, Isa::V4] {
        let mut unit = Unit::new();
        let bytes = unit.rodata(b"end", 1);
        let mut f = Function::new("main", 1);
        let context = f.context();
        let value = f.load(Size::Word, context.at(0));
        let (far, near) = (f.block(), f.block());
        f.branch(Condition::Eq, value, 1, far, near);
        f.switch_to(near);
        for _ in 0..40_000 {
            f.call_helper(5, &[]);
        }
        f.jump(far);
        f.switch_to(far);
        let size = f.kernel_value("task_struct", KernelValue::Size);
        let text = f.rodata(bytes);
        let last = f.load(Size::Byte, text.at(2));
        let sum = f.add(last, size);
        f.ret(sum);
        let compiled = unit.compile(f, &Options::new().isa(isa)).unwrap();
        let compiled = compiled.with_source("the source", "file", 1);
        let code = compiled.code();
        assert!(code.slots.len() > 40_000);
        assert_eq!(code.data.rodata, b"end");
        let mut kinds: Vec<_> = code
            .relocations
            .iter()
            .map(|name| match Op::decode(&code.slots[name.slot as usize..]) {
                Ok(Op::LoadImm64 { kind, .. }) => (kind == Pseudo::MapValue, name.name()),
                other => panic!("{other:?}"),
            })
            .collect();
        kinds.sort();
        assert_eq!(kinds, [(false, "task_struct".to_owned()), (true, ".rodata".to_owned())]);
    }
}

#[test]
fn functions_that_nobody_calls_are_left_out() {
    let mut unit = Unit::new();
    let mut add = |name: &str| {
        let mut f = Function::new(name, 1);
        f.ret(1);
        unit.add(f)
    };
    let (called, _never, dead) = (add("called"), add("never"), add("dead"));
    let mut f = Function::new("main", 1);
    let (yes, no) = (f.block(), f.block());
    f.branch(Condition::Eq, 1, 1, yes, no);
    f.switch_to(no);
    f.call(dead, &[0.into()]);
    f.ret(0);
    f.switch_to(yes);
    let value = f.call(called, &[0.into()]);
    f.ret(value);
    let compiled = unit.compile(f, &Options::new()).unwrap();
    let names: Vec<_> = compiled.frames().iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["main", "called"]);
}

#[test]
fn virtual_code_can_be_read() {
    let mut f = Function::new("main", 1);
    let context = f.context();
    let length = f.load(Size::Word, context.at(-4));
    let key = f.object(8, 8);
    f.store(Size::Double, key.at(0), length);
    let (map, place) = (f.map(&CELLS), f.address(key));
    let value = f.call_helper(1, &[map.into(), place.into()]);
    let (some, none) = (f.block(), f.block());
    f.branch(Condition::Ne, value, 0, some, none);
    f.switch_to(some);
    f.atomic(AtomicSize::Double, AtomicBinary::Add, value, 1);
    f.switch_to(none);
    f.ret(0);
    assert_eq!(
        f.to_string(),
        "\
function main(v0)
b0:
    v1 = *(u32 *)(v0 - 4)
    o0: 8 bytes
    *(u64 *)(o0 + 0) = v1
    v2 = map cells
    v3 = &o0 + 0
    v4 = map_lookup_elem(v2, v3)
    if v4 != 0 goto b1 else b2
b1:
    lock *(u64 *)(v4 + 0) += 1
    goto b2
b2:
    return 0
"
    );
}

#[test]
fn a_store_takes_a_value_as_it_was_before_it_was_cut() {
    let mut f = Function::new("main", 1);
    let context = f.context();
    let value = f.load(Size::Double, context.at(0));
    f.number(value);
    let (word, half, byte) = (
        f.zero_extend(value, Size::Word),
        f.sign_extend(value, Size::Half),
        f.zero_extend(value, Size::Byte),
    );
    f.store(Size::Word, context.at(8), word);
    f.store(Size::Half, context.at(12), half);
    f.store(Size::Byte, context.at(14), byte);
    f.store(Size::Half, context.at(16), word);
    // Of these more is stored than was left.
    f.store(Size::Half, context.at(18), byte);
    f.ret(0);
    assert_code(
        f,
        &[
            "r = *(u64 *)(r + 0)",
            "r = r",
            "r &= 255",
            "*(u32 *)(r + 8) = r",
            "*(u16 *)(r + 12) = r",
            "*(u8 *)(r + 14) = r",
            "*(u16 *)(r + 16) = r",
            "*(u16 *)(r + 18) = r",
            "r = 0",
            "exit",
        ],
    );
    // Nothing is left of the other two.
}

/// The verifier rejects a store of a part of a pointer, and takes the copy of its low half for a number.
#[test]
fn a_pointer_is_not_stored_in_part() {
    let mut f = Function::new("main", 1);
    let context = f.context();
    let pointer = f.load(Size::Double, context.at(0));
    let low = f.zero_extend(pointer, Size::Word);
    f.store(Size::Word, context.at(8), low);
    f.ret(0);
    let lines = listing(&compile(f));
    assert!(lines.iter().any(|line| line.starts_with('w')), "{lines:#?}");
}
