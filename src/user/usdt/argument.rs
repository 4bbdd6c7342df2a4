//! Parser of the argument descriptions of USDT probes: `-4@%edi`, `8@-16(%rbp)`, `4@$5`, on AArch64 `-8@[sp, 16]`.
//!
//! A description is a size in bytes, negative if the number has a sign, with an `f` behind it if it is a floating-point
//! number, and behind the `@` an operand in the syntax of the machine's assembler
//! (<https://sourceware.org/systemtap/wiki/UserSpaceProbeImplementation>). Compilers write whatever location the
//! argument happens to be in.

use super::registers::{self, Register};
use std::fmt;

/// An argument of a USDT probe at one of its places.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Argument {
    /// The description, as the file has it.
    pub text: String,
    /// Its size in bytes: 1, 2, 4 or 8.
    pub size: u8,
    /// Whether it is a number with a sign.
    pub signed: bool,
    /// Whether it is a floating-point number: programs get its bits.
    pub float: bool,
    /// Its location.
    pub operand: Operand,
}

/// The location of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operand {
    /// A constant, with as many bits and the sign that the size of the argument says.
    Constant(i64),
    /// A register, or a part of one.
    Register(Register),
    /// Memory of the process, at the sum of the registers, the second of them shifted to the left, and a displacement.
    Memory {
        /// The first register.
        base: Option<Register>,
        /// The second register, and the number of bits by which it is shifted.
        index: Option<(Register, u8)>,
        /// The displacement, in bytes.
        displacement: i64,
    },
    /// Memory of the process, at a displacement from a variable of the program, whose address has to be looked up.
    Variable {
        /// Its symbol.
        name: String,
        /// The number of bytes behind it.
        displacement: i64,
    },
    /// A floating-point or vector register of this name, which programs cannot read.
    FloatRegister(String),
    /// An operand with unknown syntax.
    Unknown,
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The machine whose assembler wrote the operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Machine {
    X86,
    Aarch64 { big_endian: bool },
    S390x,
    Riscv64,
    Other,
}

impl Machine {
    pub(super) fn big_endian(self) -> bool {
        matches!(self, Machine::S390x | Machine::Aarch64 { big_endian: true })
    }
}

/// The arguments of a probe, in order.
pub(super) fn parse(text: &str, machine: Machine) -> Vec<Argument> {
    split(text).into_iter().map(|text| argument(text, machine)).collect()
}

/// Splits at spaces that are not in brackets.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0u32;
    let spaces = |letter: char| {
        match letter {
            '[' | '(' => depth += 1,
            ']' | ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && letter.is_ascii_whitespace()
    };
    text.split(spaces).filter(|part| !part.is_empty()).collect()
}

fn argument(text: &str, machine: Machine) -> Argument {
    let (size, place) = match text.split_once('@') {
        Some((size, place)) => (size, place.trim()),
        // Old notes have no size.
        None => ("8", text),
    };
    let (size, said) = match size.strip_suffix('f') {
        Some(size) => (number(size), true),
        None => (number(size), false),
    };
    let floating = float_register(place, machine);
    let known = size.filter(|size| matches!(size.unsigned_abs(), 1 | 2 | 4 | 8));
    let signed = known.is_some_and(|size| size < 0);
    let size = known.map_or(8, |size| size.unsigned_abs() as u8);
    let operand = match (floating, known) {
        (Some(name), _) => Some(Operand::FloatRegister(name.into())),
        (None, None) => None,
        (None, Some(_)) => operand(place, machine).and_then(|operand| match operand {
            Operand::Register(register) => {
                register.sized(size, machine.big_endian()).map(Operand::Register)
            }
            Operand::Constant(value) => Some(Operand::Constant(sized(value, size, signed))),
            other => Some(other),
        }),
    };
    let float = said || floating.is_some();
    let operand = operand.unwrap_or(Operand::Unknown);
    Argument { text: text.into(), size, signed, float, operand }
}

/// The lower bytes of a constant, with the sign that they have if they have one.
fn sized(value: i64, size: u8, signed: bool) -> i64 {
    let unused = 64 - 8 * u32::from(size);
    match signed {
        true => value << unused >> unused,
        false => ((value as u64) << unused >> unused) as i64,
    }
}

/// The name of the register for floating-point numbers and vectors that this is, if it is one.
fn float_register(text: &str, machine: Machine) -> Option<&str> {
    let (mark, names): (_, &[&str]) = match machine {
        Machine::X86 => ("%", &["xmm", "ymm", "zmm", "st"]),
        Machine::Aarch64 { .. } => ("", &["b", "h", "s", "d", "q", "v"]),
        Machine::S390x => ("%", &["f", "v"]),
        Machine::Riscv64 => ("", &["f", "fa", "fs", "ft"]),
        Machine::Other => return None,
    };
    let name = text.strip_prefix(mark)?;
    let numbered = |rest: &str| {
        let digits = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        let digits = digits.unwrap_or(rest);
        !digits.is_empty() && digits.len() < 3 && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_one = |begin: &str| name.strip_prefix(begin).is_some_and(numbered);
    (names.iter().any(|begin| is_one(begin)) || name == "st").then_some(name)
}

fn operand(text: &str, machine: Machine) -> Option<Operand> {
    match machine {
        Machine::X86 => x86(text),
        Machine::Aarch64 { big_endian } => aarch64(text, big_endian),
        Machine::S390x => with_parentheses(text, |name| registers::s390x(name.strip_prefix('%')?)),
        Machine::Riscv64 => with_parentheses(text, registers::riscv64),
        Machine::Other => None,
    }
}

/// `$5`, `%rax`, `-16(%rbp)`, `8(%rax,%rbx,4)`, `x+8(%rip)`, `x`.
fn x86(text: &str) -> Option<Operand> {
    let register = |name: &str| registers::x86(name.trim().strip_prefix('%')?);
    if let Some(constant) = text.strip_prefix('$') {
        return number(constant).map(Operand::Constant);
    }
    // A segment would be one of another thread's memory.
    if text.starts_with('%') {
        return register(text).map(Operand::Register);
    }
    let Some((displacement, within)) = text.split_once('(') else {
        return variable(text).or_else(|| absolute(text));
    };
    let within = within.strip_suffix(')')?;
    if within.trim() == "%rip" {
        return variable(displacement.trim());
    }
    let displacement = match displacement.trim() {
        "" => 0,
        text => number(text)?,
    };
    let mut parts = within.split(',').map(str::trim);
    let base = match parts.next()? {
        "" => None,
        name => Some(register(name)?),
    };
    let index = match parts.next() {
        None => None,
        Some(name) => {
            let shift = match parts.next() {
                None | Some("" | "1") => 0,
                Some("2") => 1,
                Some("4") => 2,
                Some("8") => 3,
                Some(_) => return None,
            };
            Some((register(name)?, shift))
        }
    };
    parts.next().is_none().then_some(Operand::Memory { base, index, displacement })
}

fn absolute(text: &str) -> Option<Operand> {
    let displacement = number(text)?;
    Some(Operand::Memory { base: None, index: None, displacement })
}

/// `x`, `x+8`, `x-8`, `8+x`.
fn variable(text: &str) -> Option<Operand> {
    let of = |name: &str, displacement| {
        let plain =
            |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '$');
        let begins = name.starts_with(|letter: char| plain(letter) && !letter.is_ascii_digit());
        let fits = begins && name.chars().all(plain);
        fits.then(|| Operand::Variable { name: name.into(), displacement })
    };
    let Some(at) = text.char_indices().skip(1).find(|(_, letter)| matches!(letter, '+' | '-'))
    else {
        return of(text, 0);
    };
    let (first, second) = text.split_at_checked(at.0)?;
    match (number(second), number(first), second.strip_prefix('+')) {
        (Some(displacement), ..) => of(first, displacement),
        (None, Some(displacement), Some(name)) => of(name, displacement),
        _ => None,
    }
}

/// `x0`, `w0`, `5`, `[x0]`, `[sp, 16]`, `[x0, x1]`, `[x0, x1, lsl 3]`.
fn aarch64(text: &str, big_endian: bool) -> Option<Operand> {
    let register = |name: &str| registers::aarch64(name, big_endian);
    let constant = |text: &str| number(text.strip_prefix('#').unwrap_or(text));
    let Some(within) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) else {
        return match (register(text), text) {
            (Some(register), _) => Some(Operand::Register(register)),
            (None, "xzr" | "wzr") => Some(Operand::Constant(0)),
            _ => constant(text).map(Operand::Constant),
        };
    };
    let parts: Vec<_> = within.split(',').map(str::trim).collect();
    let shift = |text: &str| {
        let shift = constant(text.strip_prefix("lsl")?.trim())?;
        u8::try_from(shift).ok().filter(|shift| *shift <= 4)
    };
    let whole = |name: &str| register(name).filter(|register| register.size == 8);
    let (base, index, displacement) = match parts.as_slice() {
        [base] => (base, None, 0),
        [base, second] => match whole(second) {
            Some(index) => (base, Some((index, 0)), 0),
            None => (base, None, constant(second)?),
        },
        [base, index, shifted] => (base, Some((whole(index)?, shift(shifted)?)), 0),
        _ => return None,
    };
    Some(Operand::Memory { base: Some(whole(base)?), index, displacement })
}

/// `%r2`, `5`, `160(%r15)`, `8(%r1,%r2)`.
fn with_parentheses(text: &str, register: impl Fn(&str) -> Option<Register>) -> Option<Operand> {
    let Some((displacement, within)) = text.split_once('(') else {
        return match register(text) {
            Some(register) => Some(Operand::Register(register)),
            None => number(text).map(Operand::Constant),
        };
    };
    let displacement = match displacement.trim() {
        "" => 0,
        text => number(text)?,
    };
    let mut names = within.strip_suffix(')')?.split(',').map(str::trim);
    let base = Some(register(names.next()?)?);
    let index = match names.next() {
        Some(name) => Some((register(name)?, 0)),
        None => None,
    };
    names.next().is_none().then_some(Operand::Memory { base, index, displacement })
}

/// Parses a number with or without a sign, decimal or, with `0x`, hexadecimal. A number that exceeds the signed range
/// is returned as the one with the same bits.
fn number(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let value = match digits.strip_prefix("0x") {
        Some(hex) if !hex.starts_with('+') => u64::from_str_radix(hex, 16).ok()?,
        Some(_) => return None,
        None => digits.parse().ok()?,
    };
    match negative {
        true => 0i64.checked_sub_unsigned(value),
        false => Some(value as i64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reg(offset: u16, size: u8) -> Register {
        Register { offset, size }
    }

    fn memory(base: Option<u16>, index: Option<(u16, u8)>, displacement: i64) -> Operand {
        Operand::Memory {
            base: base.map(|offset| reg(offset, 8)),
            index: index.map(|(offset, shift)| (reg(offset, 8), shift)),
            displacement,
        }
    }

    fn variable(name: &str, displacement: i64) -> Operand {
        Operand::Variable { name: name.into(), displacement }
    }

    #[track_caller]
    fn check(machine: Machine, text: &str, size: i8, operand: Operand) {
        let parsed = parse(text, machine);
        let [argument] = &parsed[..] else { panic!("{text}: {parsed:?}") };
        assert_eq!(argument.text, text);
        assert_eq!((argument.size, argument.signed), (size.unsigned_abs(), size < 0), "{text}");
        assert_eq!(argument.operand, operand, "{text}");
    }

    #[test]
    fn arguments_of_x86() {
        use Operand::{Constant, Unknown};
        for (text, size, operand) in [
            ("-4@%edi", -4, Operand::Register(reg(112, 4))),
            ("8@%rdx", 8, Operand::Register(reg(96, 8))),
            ("1@%ah", 1, Operand::Register(reg(81, 1))),
            ("-2@%r8w", -2, Operand::Register(reg(72, 2))),
            // More than is asked for: the lower part.
            ("4@%rax", 4, Operand::Register(reg(80, 4))),
            ("4@$5", 4, Constant(5)),
            ("-4@$-9", -4, Constant(-9)),
            ("8@$0x10", 8, Constant(16)),
            ("8@$18446744073709551615", 8, Constant(-1)),
            ("8@-16(%rbp)", 8, memory(Some(32), None, -16)),
            ("8@(%rax)", 8, memory(Some(80), None, 0)),
            ("4@0x8(%r12)", 4, memory(Some(24), None, 8)),
            ("8@8(%rax,%rbx,4)", 8, memory(Some(80), Some((40, 2)), 8)),
            ("8@8(%rax,%rbx)", 8, memory(Some(80), Some((40, 0)), 8)),
            ("8@(,%rcx,8)", 8, memory(None, Some((88, 3)), 0)),
            ("8@4096", 8, memory(None, None, 4096)),
            ("4@counter(%rip)", 4, variable("counter", 0)),
            ("4@counter+8(%rip)", 4, variable("counter", 8)),
            ("4@.LC0-8(%rip)", 4, variable(".LC0", -8)),
            ("4@16+counter(%rip)", 4, variable("counter", 16)),
            ("4@counter", 4, variable("counter", 0)),
            ("%eax", 8, Unknown),
            ("%rax", 8, Operand::Register(reg(80, 8))),
            ("8@%xmm0", 8, Operand::FloatRegister("xmm0".into())),
            ("8f@%xmm0", 8, Operand::FloatRegister("xmm0".into())),
            ("16f@%st(1)", 8, Operand::FloatRegister("st(1)".into())),
            ("-4f@-16(%rbp)", -4, memory(Some(32), None, -16)),
            ("8f@$4607182418800017408", 8, Constant(4607182418800017408)),
            ("ff@%rax", 8, Unknown),
            ("f@%rax", 8, Unknown),
            ("3@%rax", 8, Unknown),
            ("8@%al", 8, Unknown),
            ("8@%fs:16", 8, Unknown),
            ("8@8(%rax,%rbx,3)", 8, Unknown),
            ("8@8(%rax", 8, Unknown),
            ("8@(%rax,%rbx,4,5)", 8, Unknown),
            ("8@$x", 8, Unknown),
            ("8@", 8, Unknown),
            ("@", 8, Unknown),
        ] {
            check(Machine::X86, text, size, operand);
        }
    }

    #[test]
    fn arguments_of_other_machines() {
        let arm = Machine::Aarch64 { big_endian: false };
        for (machine, text, size, operand) in [
            (arm, "-4@w0", -4, Operand::Register(reg(0, 4))),
            (arm, "-4@x1", -4, Operand::Register(reg(8, 4))),
            (arm, "8@sp", 8, Operand::Register(reg(248, 8))),
            (arm, "8@xzr", 8, Operand::Constant(0)),
            (arm, "-8@5", -8, Operand::Constant(5)),
            (arm, "-4@#-7", -4, Operand::Constant(-7)),
            (arm, "4@#-7", 4, Operand::Constant(0xffff_fff9)),
            (arm, "8@[x2]", 8, memory(Some(16), None, 0)),
            (arm, "-4@[sp, 96]", -4, memory(Some(248), None, 96)),
            (arm, "8@[sp,#-16]", 8, memory(Some(248), None, -16)),
            (arm, "8@[x0, x1]", 8, memory(Some(0), Some((8, 0)), 0)),
            (arm, "8@[x0, x1, lsl #3]", 8, memory(Some(0), Some((8, 3)), 0)),
            (arm, "8@[x0, w1, sxtw 3]", 8, Operand::Unknown),
            (arm, "8@d0", 8, Operand::FloatRegister("d0".into())),
            (arm, "4f@s31", 4, Operand::FloatRegister("s31".into())),
            (Machine::Aarch64 { big_endian: true }, "-4@w1", -4, Operand::Register(reg(12, 4))),
            (Machine::Aarch64 { big_endian: true }, "2@x1", 2, Operand::Register(reg(14, 2))),
            (Machine::S390x, "-4@%r2", -4, Operand::Register(reg(44, 4))),
            (Machine::S390x, "8@%r2", 8, Operand::Register(reg(40, 8))),
            (Machine::S390x, "8@160(%r15)", 8, memory(Some(144), None, 160)),
            (Machine::S390x, "8@8(%r1,%r2)", 8, memory(Some(32), Some((40, 0)), 8)),
            (Machine::S390x, "-4@-1", -4, Operand::Constant(-1)),
            (Machine::S390x, "2@-1", 2, Operand::Constant(0xffff)),
            (Machine::S390x, "8@%f0", 8, Operand::FloatRegister("f0".into())),
            (Machine::Riscv64, "8@fa0", 8, Operand::FloatRegister("fa0".into())),
            (Machine::Riscv64, "8@fp", 8, Operand::Register(reg(64, 8))),
            (Machine::Riscv64, "8@a0", 8, Operand::Register(reg(80, 8))),
            (Machine::Riscv64, "8@-24(s0)", 8, memory(Some(64), None, -24)),
            (Machine::Other, "8@r3", 8, Operand::Unknown),
        ] {
            check(machine, text, size, operand);
        }
    }

    /// A constant has the bits of its size, and a sign if the size has one: the result of C's conversion of the number
    /// to such a type.
    #[test]
    fn constants_are_of_the_type_that_the_size_says() {
        let numbers = [
            0,
            1,
            -1,
            5,
            -56,
            127,
            128,
            200,
            255,
            256,
            -128,
            -129,
            32767,
            32768,
            65535,
            i64::from(i32::MAX),
            1 << 31,
            0xffff_ffff,
            1 << 32,
            i64::MAX,
            i64::MIN,
        ];
        for value in numbers {
            let types = [
                ("1", i64::from(value as u8)),
                ("-1", i64::from(value as i8)),
                ("2", i64::from(value as u16)),
                ("-2", i64::from(value as i16)),
                ("4", i64::from(value as u32)),
                ("-4", i64::from(value as i32)),
                ("8", value),
                ("-8", value),
            ];
            for (size, expected) in types {
                for (machine, mark) in [
                    (Machine::X86, "$"),
                    (Machine::Aarch64 { big_endian: false }, "#"),
                    (Machine::Aarch64 { big_endian: true }, ""),
                    (Machine::S390x, ""),
                    (Machine::Riscv64, ""),
                ] {
                    let text = format!("{size}@{mark}{value}");
                    let parsed = parse(&text, machine);
                    assert_eq!(parsed[0].operand, Operand::Constant(expected), "{text}");
                }
            }
        }
    }

    #[test]
    fn a_float_is_called_so() {
        for (text, float) in [
            ("8f@%xmm0", true),
            ("8@%xmm0", true),
            ("-4f@8(%rsp)", true),
            ("8@%rax", false),
            ("8@$0xf", false),
            ("4@f(%rip)", false),
        ] {
            assert_eq!(parse(text, Machine::X86)[0].float, float, "{text}");
        }
    }

    #[test]
    fn arguments_stand_between_spaces() {
        let texts = |text, machine| -> Vec<String> {
            parse(text, machine).into_iter().map(|argument| argument.to_string()).collect()
        };
        // Of libstdc++ and of a program for AArch64.
        assert_eq!(texts("8@%rdx 8@-80(%rbx)", Machine::X86), ["8@%rdx", "8@-80(%rbx)"]);
        let arm = Machine::Aarch64 { big_endian: false };
        assert_eq!(texts(" -4@[sp, 96]  8@x1 ", arm), ["-4@[sp, 96]", "8@x1"]);
        assert_eq!(texts("", arm), [""; 0]);
        assert_eq!(texts("8@[x1 ]] 4@w1", arm), ["8@[x1 ]]", "4@w1"]);
    }

    #[test]
    fn numbers() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-0x10", Some(-16)),
            ("+5", Some(5)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("-9223372036854775809", None),
            ("18446744073709551616", None),
            ("--1", None),
            ("0x+1", None),
            ("0x", None),
            ("", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_arguments(text in "\\PC{0,40}", like in "[-0-9@%$a-z(),\\[\\] +#]{0,24}") {
            for machine in [
                Machine::X86,
                Machine::Aarch64 { big_endian: true },
                Machine::S390x,
                Machine::Riscv64,
                Machine::Other,
            ] {
                for text in [&text, &like] {
                    for argument in parse(text, machine) {
                        prop_assert!(matches!(argument.size, 1 | 2 | 4 | 8));
                        prop_assert!(text.contains(&argument.text));
                        if let Operand::Register(register) = argument.operand {
                            prop_assert_eq!(register.size, argument.size);
                        }
                    }
                }
            }
        }
    }
}
