//! Tests that the jumps of a program lead to the same instructions, whatever form they take.

use super::layout::{Layout, PASSES};
use super::*;
use crate::asm::{Assembly, Builder, Label};
use crate::insn::{AluOp, Bits, ByteOrder, Condition, Reg, Source};
use crate::spec::MapSpec;
use proptest::prelude::*;

static MAP: MapSpec = MapSpec::array("map", 8, 1);

const CONDITIONS: [Condition; 11] = [
    Condition::Eq,
    Condition::Gt,
    Condition::Ge,
    Condition::Set,
    Condition::Ne,
    Condition::SignedGt,
    Condition::SignedGe,
    Condition::Lt,
    Condition::Le,
    Condition::SignedLt,
    Condition::SignedLe,
];

fn short(reach: i64) -> Limits {
    Limits { reach, ..Limits::REAL }
}

fn options(far: Far) -> BuildOptions {
    BuildOptions::new().far(far)
}

/// `r9 = number`: an instruction that is distinct from all others.
fn mark(number: usize) -> Op {
    let src = Source::Imm(i32::try_from(number).unwrap());
    Op::Alu { bits: Bits::B64, op: AluOp::Mov, dst: Reg::R9, src }
}

/// The items of a program, each placed after a mark.
#[derive(Debug, Clone, Copy)]
enum Item {
    Nothing,
    Wide,
    Map,
    Exit,
    Jump(usize),
    JumpLong(usize),
    MayJump(usize),
    JumpIf(Bits, Condition, Source, usize),
    Call(usize),
    Function(usize),
}

/// A program, and the items before which its labels are.
#[derive(Debug, Clone)]
struct Program {
    items: Vec<Item>,
    labels: Vec<usize>,
}

impl Program {
    fn builder(&self) -> Builder<'static> {
        let mut builder = Builder::new();
        let labels: Vec<Label> = self.labels.iter().map(|_| builder.label()).collect();
        let mut places: Vec<_> = self.labels.iter().zip(&labels).collect();
        places.sort_by_key(|(at, _)| **at);
        let mut places = places.into_iter().peekable();
        for number in 0..=self.items.len() {
            while let Some((_, label)) = places.next_if(|(at, _)| **at == number) {
                builder.bind(*label);
            }
            builder.push(mark(number));
            let Some(item) = self.items.get(number) else { continue };
            match *item {
                Item::Nothing => &mut builder,
                Item::Wide => builder.push(Op::load_imm64(Reg::R1, u64::MAX)),
                Item::Map => builder.load_map(Reg::R1, &MAP),
                Item::Exit => builder.push(Op::Exit),
                Item::Jump(label) => builder.jump(labels[label]),
                Item::JumpLong(label) => builder.jump_long(labels[label]),
                Item::MayJump(label) => builder.may_jump(labels[label]),
                Item::JumpIf(bits, condition, src, label) => {
                    builder.jump_if(bits, condition, Reg::R1, src, labels[label])
                }
                Item::Call(label) => builder.call(labels[label]),
                Item::Function(label) => builder.load_function(Reg::R2, labels[label]),
            };
        }
        builder
    }
}

/// The instruction in each slot; `None` in the second ones.
fn decoded(slots: &[Insn]) -> Vec<Option<Op>> {
    let mut ops = Vec::new();
    while let Some(slot) = slots.get(ops.len()) {
        let count = 1 + usize::from(slot.is_wide());
        let op = Op::decode(&slots[ops.len()..ops.len() + count]).unwrap();
        ops.push(Some(op));
        ops.resize(ops.len() + count - 1, None);
    }
    ops
}

fn offset_by(at: usize, offset: i64) -> usize {
    usize::try_from(at as i64 + 1 + offset).unwrap()
}

/// Whether a conditional jump is taken, as the kernel's interpreter has it.
fn holds(bits: Bits, condition: Condition, a: u64, b: u64) -> bool {
    let (a, b, signed_a, signed_b) = match bits {
        Bits::B64 => (a, b, a as i64, b as i64),
        Bits::B32 => (a & 0xffff_ffff, b & 0xffff_ffff, i64::from(a as i32), i64::from(b as i32)),
    };
    match condition {
        Condition::Eq => a == b,
        Condition::Gt => a > b,
        Condition::Ge => a >= b,
        Condition::Set => a & b != 0,
        Condition::Ne => a != b,
        Condition::SignedGt => signed_a > signed_b,
        Condition::SignedGe => signed_a >= signed_b,
        Condition::Lt => a < b,
        Condition::Le => a <= b,
        Condition::SignedLt => signed_a < signed_b,
        Condition::SignedLe => signed_a <= signed_b,
    }
}

/// A machine that models only `r1` and `r2`, and the decision of `may_goto`.
#[derive(Debug, Clone, Copy)]
struct Machine<'a> {
    ops: &'a [Option<Op>],
    r1: u64,
    r2: u64,
    enough: bool,
}

impl Machine<'_> {
    /// Continues from a slot over jumps alone. Returns the number of the mark at which that ends; `None` at another
    /// instruction.
    fn mark_from(self, mut at: usize) -> Option<usize> {
        for _ in 0..self.ops.len() {
            at = match self.ops[at].unwrap() {
                Op::Alu { dst: Reg::R9, src: Source::Imm(number), .. } => {
                    return Some(number as usize);
                }
                Op::Jump { offset } => offset_by(at, offset.into()),
                Op::JumpLong { offset } => offset_by(at, offset.into()),
                Op::MayJump { offset } => {
                    offset_by(at, if self.enough { offset.into() } else { 0 })
                }
                Op::JumpIf { bits, condition, src, offset, .. } => {
                    let b = match src {
                        Source::Reg(_) => self.r2,
                        Source::Imm(imm) => i64::from(imm) as u64,
                    };
                    let taken = holds(bits, condition, self.r1, b);
                    offset_by(at, if taken { offset.into() } else { 0 })
                }
                _ => return None,
            };
        }
        None
    }
}

/// The slot of each item's mark.
fn marks(ops: &[Option<Op>], count: usize) -> Vec<usize> {
    let mut found = vec![usize::MAX; count];
    for (at, op) in ops.iter().enumerate() {
        if let Some(Op::Alu { dst: Reg::R9, src: Source::Imm(number), .. }) = op {
            found[*number as usize] = at;
        }
    }
    found
}

/// Checks finished code against the program it was made of.
fn check(program: &Program, slots: &[Insn], relocations: &[crate::asm::Reloc<'_>]) {
    let ops = &decoded(slots)[..];
    let marks = marks(ops, program.items.len() + 1);
    let mut map_slots = relocations.iter().map(|reloc| reloc.slot as usize);
    for (number, item) in program.items.iter().enumerate() {
        let after = marks[number] + 1;
        let go = |r1, r2, enough| Machine { ops, r1, r2, enough }.mark_from(after);
        let function = |offset: i32, at: usize| {
            Machine { ops, r1: 0, r2: 0, enough: false }.mark_from(offset_by(at, offset.into()))
        };
        // An island may come first: the instruction itself is at its target.
        let mut itself = after;
        if let Op::Jump { offset } = ops[itself].unwrap() {
            itself = offset_by(itself, offset.into());
        }
        match *item {
            Item::Nothing => assert_eq!(go(0, 0, false), Some(number + 1)),
            Item::Wide => assert!(slots[itself].is_wide()),
            Item::Exit => assert_eq!(ops[itself], Some(Op::Exit)),
            Item::Map => assert_eq!(map_slots.next(), Some(itself)),
            Item::Jump(label) | Item::JumpLong(label) => {
                assert_eq!(go(0, 0, false), Some(program.labels[label]));
            }
            Item::MayJump(label) => {
                assert_eq!(go(0, 0, true), Some(program.labels[label]));
                assert_eq!(go(0, 0, false), Some(number + 1));
            }
            Item::JumpIf(bits, condition, src, label) => {
                let values = [0, 1, 2, 3, u64::MAX, 1 << 31, 1 << 32, 1 << 63];
                for (r1, r2) in values.iter().flat_map(|a| values.iter().map(|b| (*a, *b))) {
                    let b = match src {
                        Source::Reg(_) => r2,
                        Source::Imm(imm) => i64::from(imm) as u64,
                    };
                    let taken = holds(bits, condition, r1, b);
                    let expected = if taken { program.labels[label] } else { number + 1 };
                    assert_eq!(go(r1, r2, false), Some(expected), "{item:?} {r1} {r2}");
                }
            }
            Item::Call(label) => {
                let Op::CallLocal { offset } = ops[itself].unwrap() else { panic!("no call") };
                assert_eq!(function(offset, itself), Some(program.labels[label]));
            }
            Item::Function(label) => {
                let Op::LoadImm64 { low, high: 0, kind: Pseudo::Function, .. } =
                    ops[itself].unwrap()
                else {
                    panic!("no function")
                };
                assert_eq!(function(low, itself), Some(program.labels[label]));
            }
        }
    }
    assert_eq!(map_slots.next(), None);
    assert_all_used(ops, &marks);
}

/// The verifier refuses unreachable code, so none must be added.
fn assert_all_used(ops: &[Option<Op>], roots: &[usize]) {
    let mut seen = vec![false; ops.len()];
    let mut todo = roots.to_vec();
    while let Some(at) = todo.pop() {
        if at >= ops.len() || std::mem::replace(&mut seen[at], true) {
            continue;
        }
        let op = ops[at].unwrap();
        match op {
            Op::Exit => {}
            Op::Jump { offset } => todo.push(offset_by(at, offset.into())),
            Op::JumpLong { offset } => todo.push(offset_by(at, offset.into())),
            Op::JumpIf { offset, .. } | Op::MayJump { offset } => {
                todo.extend([at + 1, offset_by(at, offset.into())]);
            }
            _ => todo.push(at + op.encode().count()),
        }
    }
    let dead = (0..ops.len()).filter(|at| ops[*at].is_some() && !seen[*at]);
    assert_eq!(dead.collect::<Vec<_>>(), [0; 0], "nothing leads there");
}

fn items(labels: usize) -> impl Strategy<Value = Item> {
    let bits = prop_oneof![Just(Bits::B32), Just(Bits::B64)];
    let src = prop_oneof![
        Just(Source::Reg(Reg::R2)),
        (-3i32..=3).prop_map(Source::Imm),
        Just(Source::Imm(i32::MIN))
    ];
    let condition = prop::sample::select(&CONDITIONS[..]);
    prop_oneof![
        20 => Just(Item::Nothing),
        3 => Just(Item::Wide),
        1 => Just(Item::Map),
        1 => Just(Item::Exit),
        3 => (0..labels).prop_map(Item::Jump),
        1 => (0..labels).prop_map(Item::JumpLong),
        6 => (bits, condition, src, 0..labels).prop_map(|(b, c, s, l)| Item::JumpIf(b, c, s, l)),
        1 => (0..labels).prop_map(Item::Call),
        1 => (0..labels).prop_map(Item::Function),
    ]
}

fn programs() -> impl Strategy<Value = Program> {
    let items = prop::collection::vec(items(8), 1..500);
    (items, prop::collection::vec(any::<prop::sample::Index>(), 8)).prop_map(|(items, at)| {
        let labels = at.iter().map(|at| at.index(items.len() + 1)).collect();
        Program { items, labels }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_far_jump_leads_where_a_near_one_would(program in programs(), reach in 64i64..600) {
        let builder = program.builder();
        for far in [Far::Long, Far::Chain] {
            let assembly = builder.finish_within(&options(far), short(reach)).unwrap();
            let code = assembly.code();
            check(&program, code.slots, code.relocations);
            let jumps = code.slots.iter().filter_map(|slot| Op::decode(&[*slot]).ok());
            for jump in jumps.filter(|op| !matches!(op, Op::JumpLong { .. } | Op::CallLocal { .. })) {
                let distance = number(jump).unwrap_or_default();
                prop_assert!(-reach - 1 <= distance && distance <= reach);
            }
        }
        // Code is refused exactly if it would have been changed.
        let refused = builder.finish_within(&options(Far::Refuse), short(reach));
        let changed = builder.finish_within(&options(Far::Long), short(reach)).unwrap();
        let near = builder.finish(&BuildOptions::new()).unwrap();
        prop_assert_eq!(refused.is_ok(), changed.code().slots == near.code().slots);
    }

    /// Any request gives a result, and never a wrong one.
    #[test]
    fn nothing_panics(
        mut program in programs(),
        more in prop::collection::vec((any::<prop::sample::Index>(), -80i16..80, any::<bool>()), 0..6),
        reach in 0i64..100,
    ) {
        for (at, label, _) in more.iter().filter(|(.., may)| *may) {
            let at = at.index(program.items.len());
            program.items[at] = Item::MayJump(label.unsigned_abs() as usize % 8);
        }
        let mut builder = program.builder();
        for (_, offset, _) in more.iter().filter(|(.., may)| !*may) {
            builder.push(Op::Jump { offset: *offset });
        }
        for far in [Far::Long, Far::Chain, Far::Refuse] {
            if let Ok(assembly) = builder.finish_within(&options(far), short(reach))
                && more.iter().all(|(.., may)| *may)
            {
                check(&program, assembly.code().slots, assembly.code().relocations);
            }
        }
    }
}

/// A program of 40,000 marks whose first and last item jump over all of it.
fn wide(first: impl Fn(usize) -> Item, last: impl Fn(usize) -> Item) -> Program {
    let mut items = vec![Item::Nothing; 40_000];
    items[0] = first(1);
    items[39_999] = last(0);
    Program { items, labels: vec![1, 39_999] }
}

fn finished(program: &Program, far: Far) -> Assembly<'static> {
    let assembly = program.builder().finish(&options(far)).unwrap();
    check(program, assembly.code().slots, assembly.code().relocations);
    assembly
}

#[test]
fn over_forty_thousand_slots() {
    let long = |item: fn(usize) -> Item| finished(&wide(item, item), Far::Long).code().slots.len();
    let chain =
        |item: fn(usize) -> Item| finished(&wide(item, item), Far::Chain).code().slots.len();
    // 40,001 marks, and the slots of two jumps.
    assert_eq!(long(Item::Jump), 40_001 + 2);
    assert_eq!(long(|label| on(Condition::SignedGt, label)), 40_001 + 4);
    assert_eq!(long(|label| on(Condition::Set, label)), 40_001 + 6);
    // Each way two steps, on two islands, each with a jump over it.
    assert_eq!(chain(Item::Jump), 40_003 + 6);
    assert_eq!(chain(|label| on(Condition::Set, label)), 40_003 + 6);
}

fn on(condition: Condition, label: usize) -> Item {
    Item::JumpIf(Bits::B32, condition, Source::Imm(1), label)
}

#[test]
fn the_sequences_in_both_orders() {
    let bytes = |condition, order| {
        let program = wide(|label| on(condition, label), |_| Item::Exit);
        let assembly = finished(&program, Far::Long);
        let slots = assembly.code().slots.to_vec();
        slots[1..4].iter().map(|slot| slot.to_bytes(order)).collect::<Vec<_>>()
    };
    // From the label to the end of the jump there are the marks 1 to 39,998: 0x9c3e.
    let (goto, exactly) = ([0x05, 0, 1, 0, 0, 0, 0, 0], [0x06, 0, 0, 0, 0x3e, 0x9c, 0, 0]);
    let little = bytes(Condition::Lt, ByteOrder::Little);
    assert_eq!(little[..2], [[0x36, 1, 1, 0, 1, 0, 0, 0], exactly]);
    let little = bytes(Condition::Set, ByteOrder::Little);
    assert_eq!(little, [[0x46, 1, 1, 0, 1, 0, 0, 0], goto, exactly]);
    let big = bytes(Condition::Eq, ByteOrder::Big);
    assert_eq!(big[..2], [[0x56, 0x10, 0, 1, 0, 0, 0, 1], [0x06, 0, 0, 0, 0, 0, 0x9c, 0x3e]]);
}

#[test]
fn the_last_slot_that_a_jump_reaches() {
    for (count, slots) in [(32_767, 32_768), (32_768, 32_768 + 2)] {
        let mut builder = Builder::new();
        let end = builder.label();
        builder.jump_if(Bits::B64, Condition::Eq, Reg::R1, Source::Imm(0), end);
        for _ in 0..count {
            builder.push(Op::Exit);
        }
        let forward = builder.bind(end).finish(&BuildOptions::new()).unwrap().code().slots.len();
        assert_eq!(forward, slots);

        let mut builder = Builder::new();
        let start = builder.label();
        builder.bind(start);
        for _ in 0..count {
            builder.push(Op::Exit);
        }
        builder.jump_if(Bits::B64, Condition::Eq, Reg::R1, Source::Imm(0), start);
        let backward = builder.finish(&BuildOptions::new()).unwrap().code().slots.len();
        assert_eq!(backward, slots);
    }
}

#[test]
fn an_island_stands_where_nothing_has_to_jump_over_it() {
    let mut program = wide(Item::Jump, |_| Item::Exit);
    // Islands are searched from each half of the reach on.
    program.items[18_000] = Item::Exit;
    program.items[34_000] = Item::Exit;
    let assembly = finished(&program, Far::Chain);
    // 40,001 marks, the jump, three exits, and two steps.
    assert_eq!(assembly.code().slots.len(), 40_001 + 4 + 2);
    let island = 1 + 18_000 + 2;
    let ops = decoded(assembly.code().slots);
    assert!(matches!(ops[island - 1..=island], [Some(Op::Exit), Some(Op::Jump { .. })]));
}

#[test]
fn jumps_to_one_label_share_their_steps() {
    let mut items = vec![Item::Nothing; 100_000];
    for item in &mut items[..1000] {
        *item = Item::Jump(0);
    }
    let program = Program { items, labels: vec![100_000] };
    let assembly = finished(&program, Far::Chain);
    let added = assembly.code().slots.len() - 101_001;
    assert!((6..=14).contains(&added), "{added}");
}

#[test]
fn what_cannot_be_chained_is_refused_by_name() {
    // Ten thousand labels over one place are more than an island holds.
    let mut items = vec![Item::Nothing; 60_000];
    for (label, item) in items.iter_mut().take(10_000).enumerate() {
        *item = Item::Jump(label);
    }
    let labels: Vec<usize> = (50_000..60_000).collect();
    let program = Program { items, labels };
    let errors = program.builder().finish(&options(Far::Chain)).unwrap_err();
    assert!(errors.iter().all(|error| matches!(error, ResolveError::TooFar { jump: "goto", .. })));
    assert!((5_000..10_000).contains(&errors.iter().count()));
    finished(&program, Far::Long);
}

#[test]
fn errors_name_what_is_wrong_all_at_once() {
    let mut other = Builder::new();
    let foreign = other.label();
    let mut builder = Builder::new();
    let (nowhere, twice, unnamed) =
        (builder.label_named("nowhere"), builder.label_named("twice"), builder.label());
    builder.bind(twice).at(3..9).bind(twice).at(10..20).jump(nowhere).jump(foreign);
    builder.bind(foreign).call(unnamed);
    let errors = builder.finish(&BuildOptions::new()).unwrap_err();
    let spans: Vec<_> = errors.iter().map(ResolveError::span).collect();
    assert_eq!(spans, [Some(3..9), Some(10..20), Some(10..20), Some(10..20), Some(10..20)]);
    assert_eq!(
        errors.to_string(),
        "label `twice` is defined twice\n\
         the label at instruction 1 belongs to another builder\n\
         the label at instruction 2 belongs to another builder\n\
         label `nowhere` is not defined\n\
         label number 2 is not defined"
    );
}

#[test]
fn what_does_not_reach_is_named_with_its_distance() {
    for (item, far, word) in [
        (Item::MayJump as fn(usize) -> Item, Far::Long, "may_goto"),
        (Item::MayJump, Far::Chain, "may_goto"),
        (Item::Jump, Far::Refuse, "goto"),
        (|label| on(Condition::Set, label), Far::Refuse, "goto"),
    ] {
        let program = wide(item, item);
        let errors = program.builder().finish(&options(far)).unwrap_err();
        // 40,001 marks and two jumps: each of the jumps does not count itself.
        let expected = format!(
            "the {word} to number 1 spans 39998 slots, more than 16 bits can say\n\
             the {word} to number 0 spans -40000 slots, more than 16 bits can say"
        );
        assert_eq!(errors.to_string(), expected);
    }
}

#[test]
fn a_number_that_would_lead_elsewhere_is_an_error() {
    let build = |over: bool| {
        let mut builder = Builder::new();
        let far = builder.label();
        builder.push(Op::Jump { offset: if over { 1 } else { 0 } });
        builder.jump_if(Bits::B64, Condition::Eq, Reg::R1, Source::Imm(0), far);
        for _ in 0..100 {
            builder.push(Op::Exit);
        }
        builder.bind(far).push(Op::Exit).push(Op::Jump { offset: -2 });
        builder.finish_within(&BuildOptions::new(), short(50))
    };
    assert!(build(false).is_ok());
    let error = ResolveError::Shifted { offset: 1, distance: 2, span: None };
    assert_eq!(build(true).unwrap_err().iter().collect::<Vec<_>>(), [&error]);
    // Islands are placed where they are not in the way.
    let mut builder = Builder::new();
    let far = builder.label();
    builder.jump(far);
    for i in 0..100 {
        builder.push(if i == 20 { Op::Jump { offset: 10 } } else { Op::Exit });
    }
    builder.bind(far).push(Op::Exit);
    assert!(builder.finish_within(&options(Far::Chain), short(64)).is_ok());
}

#[test]
fn too_many_slots() {
    let mut builder = Builder::new();
    for _ in 0..6 {
        builder.load_map_value(Reg::R1, &MAP, u32::MAX);
    }
    let limits = Limits { slots: 11, ..Limits::REAL };
    let errors = builder.finish_within(&BuildOptions::new(), limits).unwrap_err();
    assert_eq!(errors.to_string(), "the code has 12 slots, more than 32 bits can say");
    let assembly = builder.finish(&BuildOptions::new()).unwrap();
    let slots: Vec<_> = assembly.code().relocations.iter().map(|reloc| reloc.slot).collect();
    assert_eq!(slots, [0, 2, 4, 6, 8, 10]);
    assert_eq!((assembly.code().slots[0].src(), assembly.code().slots[1].imm()), (2, -1));
}

#[test]
fn lines_move_with_their_instructions() {
    let text = "if r1 & 1 goto end; r9 = 1; …";
    let mut builder = Builder::new();
    let end = builder.label_named("end");
    builder.push(mark(0)).at(0..18);
    builder.jump_if(Bits::B64, Condition::Set, Reg::R1, Source::Imm(1), end);
    builder.at(0..1).at(20..26);
    for number in 1..100 {
        builder.push(mark(number));
    }
    builder.bind(end).push(Op::Exit).at(0..1);
    let assembly = builder.finish_within(&BuildOptions::new(), short(50)).unwrap();
    let assembly = assembly.with_source(text, "a.bpf", 7);
    let code = assembly.code();
    assert_eq!(code.statement(0), None);
    for slot in 1..4 {
        assert_eq!(code.statement(slot).as_deref(), Some("if r1 & 1 goto end"));
    }
    assert_eq!(code.statement(4).as_deref(), Some("r9 = 1"));
    assert_eq!((code.lines.len(), code.file, code.line), (2, "a.bpf", 7));
}

#[test]
fn statements_have_their_lines_in_whatever_order_they_come() {
    let text = "one\ntwo\nthree\n";
    let mut builder = Builder::new();
    builder.at(4..7).push(mark(0)).at(8..13).push(mark(1)).at(0..3).push(Op::Exit);
    let assembly = builder.finish(&BuildOptions::new()).unwrap().with_source(text, "a.bpf", 7);
    let code = assembly.code();
    let lines: Vec<_> = (0..4).map(|slot| code.line_number(slot)).collect();
    // Past the end: the line at which the code begins.
    assert_eq!((code.line, lines), (8, vec![8, 9, 7, 8]));
}

/// Jumps, the last of which is one slot too far, and each other as much less as there are jumps behind it: it reaches
/// until all of those have grown, so that every pass grows one.
fn cascade(count: usize, reach: usize) -> Builder<'static> {
    let mut builder = Builder::new();
    let labels: Vec<Label> = (0..count).map(|_| builder.label()).collect();
    for label in &labels {
        builder.jump_if(Bits::B64, Condition::Eq, Reg::R1, Source::Imm(0), *label);
    }
    for (i, label) in labels.iter().enumerate() {
        let behind = count - 1 - i;
        while builder.len() < i + 1 + reach + 1 - behind {
            builder.push(Op::Exit);
        }
        builder.bind(*label);
    }
    builder.push(Op::Exit);
    builder
}

#[test]
fn the_passes_are_counted() {
    let passes = |builder: &Builder<'_>, far, reach| {
        let draft = builder.draft();
        Layout::new(&draft, far, short(reach)).settle()
    };
    // Nothing is far.
    let near = wide(Item::Call, Item::JumpLong).builder();
    assert_eq!(passes(&near, Far::Long, Limits::REAL.reach), 1);
    let once = wide(Item::Jump, |label| on(Condition::Eq, label)).builder();
    assert_eq!(passes(&once, Far::Long, Limits::REAL.reach), 2);
    assert_eq!(passes(&once, Far::Chain, Limits::REAL.reach), 2);
    // A million slots, of which every third is a jump far in one direction or the other.
    let count = 333_333;
    let mut items = vec![Item::Nothing; count];
    for (i, item) in items.iter_mut().enumerate() {
        *item = if i % 2 == 0 { on(Condition::Ne, i % 100) } else { Item::Wide };
    }
    let labels = (0..100).map(|i| i * 3_333).collect();
    let million = Program { items, labels };
    assert!(passes(&million.builder(), Far::Long, Limits::REAL.reach) <= PASSES);
    assert!(passes(&million.builder(), Far::Chain, Limits::REAL.reach) <= PASSES);

    // Contrived: after that many passes all are made long, and all still reach.
    for (count, expected) in [(PASSES - 1, PASSES), (PASSES, PASSES + 1), (100, PASSES + 1)] {
        let cascade = cascade(count, 1000);
        assert_eq!(passes(&cascade, Far::Long, 1000), expected);
        let assembly = cascade.finish_within(&options(Far::Long), short(1000)).unwrap();
        assert_eq!(assembly.code().slots.len(), 2 * count + 1002);
        assert!(cascade.finish_within(&options(Far::Chain), short(1000)).is_ok());
    }
}
