//! Nothing is cut: an operand that does not fit its field is an error, in every place of every
//! instruction.
//!
//! The instructions are the lines of `vectors/isa.tsv`. Each number in each of them is replaced, in turn, by the
//! ends of what fits, which have to arrive in the slot unchanged, and by what lies beyond them; each register by
//! one that does not exist; each number in a word (`u32`, `be16`, `cmpxchg32_32`) by others. What fits is
//! said here by the RFC's fields, not asked of the code.

use rawbpf::asm::{ParseOptions, PrintOptions, disassemble, parse};
use rawbpf::insn::Insn;

fn lines() -> impl Iterator<Item = &'static str> {
    let lines = include_str!("vectors/isa.tsv").lines().skip(1);
    // LLVM cuts this one. It is refused: see `vectors.rs`.
    lines.filter_map(|line| line.split('\t').next()).filter(|line| !line.contains("0x700000042"))
}

fn assemble(text: &str) -> Result<Vec<Insn>, String> {
    let module =
        parse(text, "operands", &ParseOptions::new()).map_err(|wrong| wrong.to_string())?;
    let [program] = module.programs() else { return Err("not one program".into()) };
    Ok(program.slots().to_vec())
}

/// A number in a line, with its sign if that belongs to it.
struct Number<'t> {
    before: &'t str,
    digits: &'t str,
    after: &'t str,
}

/// All stretches of digits that stand in a word, or that do not.
fn digits(line: &str, in_a_word: bool) -> Vec<Number<'_>> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = 0;
    while let Some(start) = line[rest..].find(word).map(|at| rest + at) {
        let length = line[start..].find(|c| !word(c)).unwrap_or(line.len() - start);
        let (whole, end) = (&line[start..start + length], start + length);
        rest = end;
        let number = whole.starts_with(|c: char| c.is_ascii_digit());
        if number && !in_a_word {
            found.push(Number { before: &line[..start], digits: whole, after: &line[end..] });
        } else if !number && in_a_word {
            let mut at = start;
            while let Some(from) = line[at..end].find(|c: char| c.is_ascii_digit()).map(|i| at + i)
            {
                let to =
                    line[from..end].find(|c: char| !c.is_ascii_digit()).map_or(end, |i| from + i);
                let (before, after) = (&line[..from], &line[to..]);
                found.push(Number { before, digits: &line[from..to], after });
                at = to;
            }
        }
    }
    found
}

/// The field of the slots in which an operand is encoded, and its range.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Field {
    /// The offset, 16 bits.
    Offset,
    /// The immediate, 32 bits with a sign.
    Signed,
    /// The immediate, 32 bits that are the same with and without a sign.
    Either,
    /// So many low bits of the immediate.
    Low(u32),
    /// Both immediates of `lddw`.
    Wide,
    /// The source field: a number, or the six kinds of addresses.
    Kind,
    /// The upper or the lower half of the immediate, without a sign.
    Upper,
    Lower,
}

impl Field {
    fn of(number: &Number<'_>, line: &str) -> Field {
        let Number { before, after, .. } = number;
        let after_a_comma = before.matches(',').count();
        if line.starts_with("ld_pseudo") {
            return if after_a_comma == 1 { Field::Kind } else { Field::Either };
        }
        if line.contains("addr_space_cast") {
            return if after_a_comma == 1 { Field::Upper } else { Field::Lower };
        }
        if after.starts_with(" ll") {
            return Field::Wide;
        }
        if before.ends_with("goto +") || before.ends_with("goto -") {
            return if line.starts_with("gotol") { Field::Signed } else { Field::Offset };
        }
        if before.ends_with("gotol +") || before.ends_with("call ") || before.ends_with("skb[") {
            return Field::Signed;
        }
        if after.starts_with(')') {
            return Field::Offset;
        }
        if line.contains("xchg") {
            return Field::Offset;
        }
        if line.starts_with("*(u8") {
            return Field::Low(8);
        }
        if line.starts_with("*(u16") {
            return Field::Low(16);
        }
        if line.starts_with('w') || line.starts_with("if w") || line.starts_with("*(u32") {
            return Field::Either;
        }
        assert!(
            line.starts_with('r') || line.starts_with("if r") || line.starts_with("*(u64"),
            "{line}"
        );
        Field::Signed
    }

    /// The least and the greatest that fits.
    fn range(self) -> (i128, i128) {
        match self {
            Field::Offset => (i16::MIN.into(), i16::MAX.into()),
            Field::Signed => (i32::MIN.into(), i32::MAX.into()),
            Field::Either => (i32::MIN.into(), u32::MAX.into()),
            Field::Low(bits) => (-(1 << (bits - 1)), (1 << bits) - 1),
            Field::Wide => (i64::MIN.into(), u64::MAX.into()),
            Field::Kind => (0, 6),
            Field::Upper | Field::Lower => (0, u16::MAX.into()),
        }
    }

    /// Reads the encoded operand.
    fn read(self, slots: &[Insn]) -> i128 {
        let imm = slots[0].imm();
        match self {
            Field::Offset => slots[0].offset().into(),
            Field::Signed | Field::Either | Field::Low(_) => imm.into(),
            Field::Wide => i128::from(slots[1].imm()) << 32 | i128::from(imm as u32),
            Field::Kind => slots[0].src().into(),
            Field::Upper => (imm as u32 >> 16).into(),
            Field::Lower => (imm as u16).into(),
        }
    }

    /// Whether a number is the same as another one in the bits that count.
    fn same(self, a: i128, b: i128) -> bool {
        let bits = match self {
            Field::Offset | Field::Upper | Field::Lower => 16,
            Field::Signed | Field::Either => 32,
            Field::Low(bits) => bits,
            Field::Wide => 64,
            Field::Kind => 4,
        };
        (a ^ b) & ((1 << bits) - 1) == 0
    }
}

/// The line with the number replaced. Where a sign stands before it, that is turned round as need be.
fn replaced(number: &Number<'_>, value: i128) -> String {
    let Number { before, after, .. } = number;
    let magnitude = value.unsigned_abs();
    let sign = if value < 0 { '-' } else { '+' };
    for end in ["+ ", "- ", "+", "-"] {
        if let Some(before) = before.strip_suffix(end) {
            let space = &end[1..];
            return format!("{before}{sign}{space}{magnitude}{after}");
        }
    }
    format!("{before}{value}{after}")
}

#[test]
fn numbers_arrive_whole_or_are_refused() {
    let mut count = 0;
    for line in lines() {
        for number in digits(line, false) {
            let field = Field::of(&number, line);
            let (low, high) = field.range();
            for fits in [low, low + 1, high - 1, high] {
                let text = replaced(&number, fits);
                let slots = assemble(&text).unwrap_or_else(|wrong| panic!("{text}\n{wrong}"));
                let arrived = field.read(&slots);
                assert!(field.same(arrived, fits), "{text}: {arrived} arrived");
            }
            let (two, three) = (i128::from(u32::MAX) + 1, i128::from(u64::MAX) + 1);
            for beyond in [
                low - 1,
                high + 1,
                low - two,
                high + two,
                // What is left of these when they are cut fits.
                1 << 16 | high,
                1 + (1 << 40),
                5 + three,
                -three,
                i128::MAX,
                i128::MIN,
            ] {
                if beyond >= low && beyond <= high {
                    continue;
                }
                let text = replaced(&number, beyond);
                let answer = assemble(&text);
                assert!(answer.is_err(), "{text} became {answer:?}");
            }
            // Beyond 128 bits, and no numbers at all.
            for digits in [
                "9".repeat(60).as_str(),
                &format!("0x{}", "f".repeat(100)),
                "5x",
                "0x",
                "5.0",
                "1e3",
            ] {
                let text = format!("{}{digits}{}", number.before, number.after);
                let answer = assemble(&text);
                assert!(answer.is_err(), "{text} became {answer:?}");
            }
            count += 1;
        }
    }
    assert!(count > 150, "only {count} operands were found");
}

#[test]
fn registers_are_those_that_exist() {
    let mut count = 0;
    for line in lines() {
        for number in digits(line, true) {
            let register = number.before.ends_with(['r', 'w'])
                && !number
                    .before
                    .trim_end_matches(['r', 'w'])
                    .ends_with(|c: char| c.is_ascii_alphanumeric());
            let others: &[&str] = if register {
                // Some of them are registers in the low four bits, or in all the bits that there are.
                &[
                    "11",
                    "12",
                    "15",
                    "16",
                    "17",
                    "01",
                    "010",
                    "1_0",
                    "255",
                    "256",
                    "258",
                    "65537",
                    "4294967297",
                    "18446744073709551617",
                    "-1",
                    "",
                ]
            } else {
                // Sizes.
                &[
                    "0",
                    "1",
                    "4",
                    "7",
                    "9",
                    "12",
                    "24",
                    "128",
                    "256",
                    "272",
                    "65544",
                    "4294967328",
                    "",
                ]
            };
            for other in others.iter().filter(|other| **other != number.digits) {
                let text = format!("{}{other}{}", number.before, number.after);
                let answer = assemble(&text);
                assert!(answer.is_err(), "{text} became {answer:?}");
            }
            count += 1;
        }
    }
    assert!(count > 300, "only {count} words with numbers were found");
}

/// Every register that exists is accepted wherever one stands, in both widths alike, unless the place is of one
/// register only; and it arrives.
#[test]
fn registers_arrive() {
    for line in lines() {
        for number in digits(line, true) {
            if !number.before.ends_with(['r', 'w']) {
                continue;
            }
            for other in 0..=10 {
                let text = format!("{}{other}{}", number.before, number.after);
                let Ok(slots) = assemble(&text) else { continue };
                let found = [slots[0].dst(), slots[0].src()].contains(&other);
                // r0 is implied by some.
                assert!(found || other == 0, "{text} became {slots:?}");
            }
        }
    }
}

/// No text is so deep, or has so many mistakes, that reading it fails otherwise than by saying so.
#[test]
fn deep_nesting_and_empty_programs_are_mistakes() {
    for text in ["(", "-", "~", "1+(", "(-"].map(|part| format!("r1 = {}1", part.repeat(1_000_000)))
    {
        let mistakes = parse(&text, "deep.s", &ParseOptions::new()).unwrap_err().to_string();
        assert!(mistakes.starts_with("error: expected a number that is nested less deep"));
    }
    let nested = format!("r1 = {}1{}", "(".repeat(50), ")".repeat(50));
    assert!(parse(&nested, "nested.s", &ParseOptions::new()).is_ok());
    let mistakes = parse(".program one\nexit\n.program two\n", "x.s", &ParseOptions::new());
    assert!(
        mistakes
            .unwrap_err()
            .to_string()
            .contains("`two` is not a program: it has no instructions")
    );
}

/// A misspelled name gets the nearest ones of what could stand there, and the kernel's constants their spelling.
#[test]
fn names_that_are_not_known_get_the_nearest() {
    let text = "\
.equ LIMIT, 5
.map counts, hash, key=4, value=8, max=1
r1 = cunts ll
r2 = LIMT
r3 = BPF_NOEXIST
r4 = BPF_NOEXIST ll
if r1 == BPF_ANY goto out
out:
goto outt
call bpf_map_lookup_elm
call ktime_get_n
call helpr
helper:
r5 = r11
*(u64 *)(r11 - 8) = r1
r5 = r12
r5 = elsewhere
exit
";
    let mistakes = parse(text, "names.s", &ParseOptions::new()).unwrap_err();
    let said: Vec<_> = mistakes.iter().map(|mistake| mistake.message().to_owned()).collect();
    let expected = [
        "`cunts` is neither a map nor data that is declared above, nor a label of this program; the nearest: counts",
        "`LIMT` is not a register (r0 to r10, w0 to w10), nor a map: `name ll` names a map; a constant of the kernel's is written \
         `enum.LIMT`; the nearest: LIMIT",
        "a constant of the kernel's is written `enum.BPF_NOEXIST`",
        "a constant of the kernel's is written `enum.BPF_NOEXIST`",
        "a constant of the kernel's is written `enum.BPF_ANY`",
        "label `outt` is not defined; the nearest: out",
        "is not a helper function of the kernel, nor a label of this program; the nearest: map_lookup_elem",
        "; the nearest: ktime_get_ns",
        "; the nearest: helper",
        "`r11` is not supported: by r11 a sixth argument",
        "`r11` is not supported: by r11 a sixth argument",
        "`r12` is not a register (r0 to r10, w0 to w10), nor a map: `name ll` names a map",
        "`elsewhere` is not a register (r0 to r10, w0 to w10), nor a map: `name ll` names a map",
    ];
    assert_eq!(said.len(), expected.len(), "{said:#?}");
    for (said, expected) in said.iter().zip(expected) {
        assert!(said.contains(expected), "{said}\n{expected}");
    }
    assert!(said[11].ends_with("names a map"), "{}", said[11]);
    assert!(said[12].ends_with("names a map"), "{}", said[12]);
}

/// Code that clang 23 made with arguments on the stack is refused by that reason.
#[test]
fn arguments_on_the_stack_are_refused_by_name() {
    // *(u64 *)(r11 - 8) = r1
    let slot = Insn::from_fields(0x7b, 11, 1, -8, 0);
    let reason = disassemble(&[slot], &PrintOptions::default()).unwrap_err().to_string();
    assert!(reason.contains("r11, by which a sixth argument"), "{reason}");
    let other = Insn::from_fields(0x7b, 12, 1, -8, 0);
    let reason = disassemble(&[other], &PrintOptions::default()).unwrap_err().to_string();
    assert!(reason.contains("there is no register r12"), "{reason}");
}
