//! `rawbpf disasm`: bytes to text.

use super::asm::read_bytes;
use super::stdio::print;
use super::text::ELF;
use super::{Failure, Order, words};
use crate::asm::{ControlFlow, PrintOptions, Style, Undecodable, disassemble_lossy};
use crate::insn::{ByteOrder, DecodeError, Insn, Op};
use crate::object::{Object, ObjectProgram};
use crate::util::escape;
use crate::util::lines::without_mark;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct DisasmArgs {
    /// An ELF object, or the bytes of a program; - for standard input
    file: PathBuf,

    /// Only this program of the object
    #[arg(long, value_name = "NAME", value_parser = words::any())]
    program: Option<String>,

    /// The bytes are written in hexadecimal, with anything between them; # and // begin a comment
    #[arg(long)]
    hex: bool,

    /// text: can be assembled again; json: an object an instruction; dot: the control flow, for Graphviz
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// The byte order of the machine it is for; an object says it itself [default: this machine's]
    #[arg(long, value_enum)]
    endian: Option<Order>,

    /// Syntax of the instructions
    #[arg(long, value_enum, default_value_t = Spelling::Llvm)]
    style: Spelling,

    /// Show each instruction's slot and bytes beside it
    #[arg(long)]
    bytes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Dot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Spelling {
    /// As the assembler reads it
    Llvm,
    /// As the kernel's verifier prints it
    Kernel,
}

/// Prints what the arguments name.
pub(super) fn disasm(args: &DisasmArgs) -> Result<u8, Failure> {
    let (name, bytes) = read_bytes(&args.file)?;
    let order = args.endian.map_or(ByteOrder::NATIVE, ByteOrder::from);
    let style = match args.style {
        Spelling::Llvm => Style::Llvm,
        Spelling::Kernel => Style::Kernel,
    };
    if bytes.starts_with(ELF) && !args.hex {
        print(&object(args, &name, &bytes, style)?)?;
        return Ok(0);
    }
    if args.program.is_some() {
        return Err(Failure::Usage(format!(
            "{} is not an ELF object, which --program needs",
            escape::shown(&name),
        )));
    }
    let slots = slots(&name, &bytes, args.hex, order)?;
    let text = match args.format {
        Format::Text => {
            let bytes = args.bytes.then_some(order);
            Ok(disassemble_lossy(&slots, &PrintOptions { style, bytes, code: None }))
        }
        Format::Json => Ok(json_lines(&slots, style, order, None)),
        Format::Dot => ControlFlow::new(&slots).map(|graph| graph.dot(style)),
    };
    let text =
        text.map_err(|error| undecodable(&name, error, order, !args.hex && is_hex(&bytes)))?;
    print(&text)?;
    Ok(0)
}

/// Prints the programs of an object.
fn object(args: &DisasmArgs, name: &str, bytes: &[u8], style: Style) -> Result<String, Failure> {
    let object = Object::read(bytes)
        .map_err(|error| Failure::Other(format!("{}: {error}", escape::shown(name),)))?;
    let order = object.order();
    if args.endian.is_some_and(|said| ByteOrder::from(said) != order) {
        let message = format!(
            "{} is for machines of the other byte order than --endian says",
            escape::shown(name),
        );
        return Err(Failure::Usage(message));
    }
    let programs: Vec<&ObjectProgram> = match &args.program {
        None => object.programs().iter().collect(),
        Some(wanted) => object.programs().iter().filter(|one| one.name() == wanted).collect(),
    };
    let names = object
        .programs()
        .iter()
        .map(|one| escape::shown(one.name()).to_string())
        .collect::<Vec<_>>()
        .join(", ");
    if let (Some(wanted), true) = (&args.program, programs.is_empty()) {
        let message = format!(
            "{} holds no program `{}`: those in it are {names}",
            escape::shown(name),
            escape::shown(wanted)
        );
        return Err(Failure::Other(message));
    }
    let many = programs.len() > 1;
    let mut out = String::new();
    match (args.format, style) {
        (Format::Text, Style::Llvm) if args.program.is_none() => out = object.text(args.bytes),
        (Format::Dot, _) if many => {
            let message = format!("a graph is of one program: name one with --program: {names}");
            return Err(Failure::Usage(message));
        }
        _ => {
            for program in programs {
                let slots = program.slots();
                let bytes = args.bytes.then_some(order);
                let text = match (args.format, style) {
                    (Format::Text, Style::Llvm) => Ok(program.text(bytes)),
                    (Format::Text, Style::Kernel) => {
                        out.push_str(&format!("; {}\n", escape::shown(program.name())));
                        Ok(disassemble_lossy(slots, &PrintOptions { style, bytes, code: None }))
                    }
                    (Format::Json, _) => Ok(json_lines(slots, style, order, Some(program))),
                    (Format::Dot, _) => ControlFlow::new(slots).map(|graph| graph.dot(style)),
                };
                out.push_str(&text.map_err(|error| undecodable(name, error, order, false))?);
            }
        }
    }
    Ok(out)
}

/// The slots that a file's contents are.
pub(super) fn slots(
    name: &str,
    bytes: &[u8],
    hex: bool,
    order: ByteOrder,
) -> Result<Vec<Insn>, Failure> {
    let parsed;
    let bytes = if hex {
        let text = String::from_utf8_lossy(bytes);
        parsed = parse_hex(&text).map_err(|(line, what)| {
            Failure::Other(format!("{}:{line}: {what}", escape::shown(name),))
        })?;
        &parsed
    } else {
        bytes
    };
    if bytes.starts_with(ELF) {
        return Err(Failure::Other(format!(
            "{} is an ELF object, which is not taken here: `rawbpf disasm` makes a text of it",
            escape::shown(name)
        )));
    }
    if bytes.is_empty() {
        return Err(Failure::Other(format!(
            "{} holds no instruction: it is empty",
            escape::shown(name),
        )));
    }
    let (chunks, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        let hint = if !hex && is_hex(bytes) { HEX_HINT } else { "" };
        return Err(Failure::Other(format!(
            "{} holds {} bytes, and a slot has 8: {} are left over{hint}",
            escape::shown(name),
            bytes.len(),
            rest.len()
        )));
    }
    Ok(chunks.iter().map(|bytes| Insn::from_bytes(*bytes, order)).collect())
}

const HEX_HINT: &str = "; the file looks like hexadecimal text, which --hex reads";

/// Whether bytes that were to be raw are hexadecimal text.
pub(super) fn is_hex(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes)
        .is_ok_and(|text| parse_hex(text).is_ok_and(|bytes| !bytes.is_empty()))
}

/// Bytes written in hexadecimal: pairs of digits in groups of any length, with `0x` or `\x` before them or not, and
/// white space and punctuation between them; else the line of what is wrong, and what.
///
/// After `0x` one byte is taken and no more: in what order several are meant could only be guessed.
pub(super) fn parse_hex(text: &str) -> Result<Vec<u8>, (usize, String)> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    for (index, line) in without_mark(text).lines().enumerate() {
        let end = line.find('#').unwrap_or(line.len()).min(line.find("//").unwrap_or(line.len()));
        let line = line.get(..end).unwrap_or_default();
        let between = |c: char| c.is_whitespace() || ",;:-_|()[]{}<>\"'\\".contains(c);
        for word in line.split(between).filter(|word| !word.is_empty()) {
            read_group(word, &mut bytes).map_err(|what| (index + 1, what))?;
        }
    }
    Ok(bytes)
}

/// The bytes of one word, added to those before it.
fn read_group(word: &str, bytes: &mut Vec<u8>) -> Result<(), String> {
    let marked = ["0x", "0X", "x"].iter().find_map(|mark| word.strip_prefix(mark));
    if let Some(digits) = marked {
        let byte = Some(digits)
            .filter(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok().filter(|_| digits.len() < 3));
        let Some(byte) = byte else {
            return Err(format!("`{word}` is not one byte: 0x and one or two digits"));
        };
        bytes.push(byte);
        return Ok(());
    }
    let digits: Option<Vec<u8>> =
        word.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    let Some(digits) = digits else {
        return Err(format!("`{word}` is not hexadecimal"));
    };
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(format!("`{word}` is not whole bytes: it has {} digits", digits.len()));
    }
    bytes.extend(pairs.iter().map(|[high, low]| high << 4 | low));
    Ok(())
}

/// The bytes of a slot as they are in the file.
pub(super) fn hex(slot: &Insn, order: ByteOrder) -> String {
    let bytes = slot.to_bytes(order).map(|byte| format!("{byte:02x}"));
    bytes.join(" ")
}

fn undecodable(name: &str, error: Undecodable, order: ByteOrder, is_hex: bool) -> Failure {
    let hint = if is_hex { HEX_HINT } else { "" };
    let (slot, reason) = (error.slot, error.error.reason);
    let bytes = hex(&error.error.slot, order);
    Failure::Other(format!(
        "{}: slot {slot}, {bytes}, is no instruction: {reason}{hint}",
        escape::shown(name),
    ))
}

/// An object for each instruction, a line each.
fn json_lines(
    slots: &[Insn],
    style: Style,
    order: ByteOrder,
    program: Option<&ObjectProgram>,
) -> String {
    let mut out = String::new();
    let mut at = 0;
    while let Some(rest) = slots.get(at..).filter(|rest| !rest.is_empty()) {
        let (mut object, count) = match Op::decode(rest) {
            Ok(op) => (json_of(at, op, style, order), op.slots()),
            Err(error) => (json_of_unknown(at, &error, order), 1),
        };
        if let (Some(program), Value::Object(fields)) = (program, &mut object) {
            fields.insert("program".into(), program.name().into());
            if let Some(name) = program.named(at) {
                fields.insert("names".into(), name.into());
            }
        }
        out.push_str(&object.to_string());
        out.push('\n');
        at += count;
    }
    out
}

/// A slot that is no instruction.
fn json_of_unknown(slot: usize, error: &DecodeError, order: ByteOrder) -> Value {
    let insn = error.slot;
    json!({
        "slot": slot,
        "bytes": hex(&insn, order),
        "opcode": insn.opcode(),
        "dst": insn.dst(),
        "src": insn.src(),
        "offset": insn.offset(),
        "imm": insn.imm(),
        "unknown": error.reason.to_string(),
    })
}

fn json_of(slot: usize, op: Op, style: Style, order: ByteOrder) -> Value {
    let encoded = op.encode();
    let first = encoded.first();
    let bytes: Vec<String> = encoded.as_slice().iter().map(|slot| hex(slot, order)).collect();
    let text = if style == Style::Kernel { format!("{op:#}") } else { op.to_string() };
    let mut object = json!({
        "slot": slot,
        "bytes": bytes.join(" "),
        "opcode": first.opcode(),
        "dst": first.dst(),
        "src": first.src(),
        "offset": first.offset(),
        "imm": first.imm(),
        "text": text,
    });
    if let (Some(second), Value::Object(fields)) = (encoded.second(), &mut object) {
        fields.insert("next_imm".into(), second.imm().into());
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hex_in_any_grouping() {
        let bytes = [0xb7, 0, 0, 0, 5, 0, 0, 0];
        for text in [
            "b7 00 00 00 05 00 00 00",
            "b700000005000000",
            "B7000000 05000000",
            "{ 0xb7, 0x00,0x0,0x0, 0x05,0x00,0x00,0x00 }",
            r#""\xb7\x00\x00\x00\x05\x00\x00\x00""#,
            "b7:00:00:00:05:00:00:00 # r0 = 5",
            "// one\nb7 00 00 00 // half\n\t05000000\r\n",
        ] {
            assert_eq!(parse_hex(text).as_deref(), Ok(&bytes[..]), "{text}");
        }
    }

    #[test]
    fn what_is_not_hex_is_told_by_its_line() {
        for (text, line, what) in [
            ("b7\nzz", 2, "`zz` is not hexadecimal"),
            ("b70", 1, "`b70` is not whole bytes: it has 3 digits"),
            // A bare digit could be half of a byte.
            ("b7 0", 1, "`0` is not whole bytes: it has 1 digits"),
            ("0xb700", 1, "`0xb700` is not one byte: 0x and one or two digits"),
            ("0x", 1, "`0x` is not one byte: 0x and one or two digits"),
            ("0x+7", 1, "`0x+7` is not one byte: 0x and one or two digits"),
            ("é", 1, "`é` is not hexadecimal"),
        ] {
            assert_eq!(parse_hex(text), Err((line, what.into())));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_bytes_or_not(text: String) {
            let _ = parse_hex(&text);
        }

        #[test]
        fn bytes_come_back(bytes: Vec<u8>, width in 1..9_usize) {
            let text: Vec<String> = bytes
                .chunks(width)
                .map(|group| group.iter().map(|byte| format!("{byte:02x}")).collect())
                .collect();
            prop_assert_eq!(parse_hex(&text.join("\n")), Ok(bytes));
        }
    }
}
