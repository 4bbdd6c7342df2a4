//! `rawbpf explain`: one instruction, bit by bit, and what it does.

#[cfg(test)]
mod docs;
mod meaning;
mod names;

use super::disasm::{hex, parse_hex};
use super::stdio::print;
use super::{Failure, Format, Order};
use crate::asm::{ParseOptions, helper_prototype, helper_since, parse};
use crate::insn::table::{Fields, Form, Group, UNUSED};
use crate::insn::{ByteOrder, Insn, Op, class};
use crate::util::Version;
use clap::Args;
use meaning::{Meaning, meaning_of};
use names::Names;
use serde_json::{Value, json};
use std::fmt::{self, Write};

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// An instruction, such as 'r0 += 5', or the bytes of one in hexadecimal
    #[arg(required = true, allow_negative_numbers = true, value_parser = super::words::any())]
    instruction: Vec<String>,

    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// The byte order of the bytes [default: this machine's]
    #[arg(long, value_enum)]
    endian: Option<Order>,
}

/// Explains the instructions of the arguments.
pub(super) fn explain(args: &ExplainArgs) -> Result<u8, Failure> {
    let text = args.instruction.join(" ");
    let order = args.endian.map_or(ByteOrder::NATIVE, ByteOrder::from);
    let (slots, names) = read(&text, order)?;
    let mut out = String::new();
    let mut at = 0;
    while let Some(rest) = slots.get(at..).filter(|rest| !rest.is_empty()) {
        let op = Op::decode(rest).map_err(|error| {
            let bytes = hex(&error.slot, order);
            Failure::Other(format!("{bytes} is no instruction: {}", error.reason))
        })?;
        let none = Names::default();
        let named = names.get(at).unwrap_or(&none);
        match args.format {
            Format::Json => {
                let _ = writeln!(out, "{}", in_json(op, named));
            }
            Format::Text => {
                if at > 0 {
                    out.push('\n');
                }
                // A `String` takes all that is written.
                let _ = in_words(&mut out, op, named);
            }
        }
        at += op.slots();
    }
    print(&out)?;
    Ok(0)
}

/// The slots of an instruction that is written as bytes or as text, and the names in each. What is one is never the other: no
/// instruction is made of hexadecimal digits alone.
fn read(text: &str, order: ByteOrder) -> Result<(Vec<Insn>, Vec<Names>), Failure> {
    if let Ok(bytes) = parse_hex(text)
        && !bytes.is_empty()
    {
        let (chunks, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(Failure::Other(format!(
                "{} bytes are not whole slots, which have 8",
                bytes.len()
            )));
        }
        let slots = chunks.iter().map(|bytes| Insn::from_bytes(*bytes, order)).collect();
        return Ok((slots, Vec::new()));
    }
    let module = parse(text, "<argument>", &ParseOptions::new())
        .map_err(|mistakes| Failure::Shown(mistakes.to_string()))?;
    let (mut slots, mut names) = (Vec::new(), Vec::new());
    for program in module.programs() {
        for (slot, insn) in program.slots().iter().enumerate() {
            let named = Names::of(program, slot);
            slots.push(named.becomes().unwrap_or(*insn));
            names.push(named);
        }
    }
    if slots.is_empty() {
        return Err(Failure::Other(format!(
            "`{}` holds no instruction",
            crate::util::escape::shown(text)
        )));
    }
    Ok((slots, names))
}

/// The slots alone.
#[cfg(test)]
fn slots(text: &str, order: ByteOrder) -> Result<Vec<Insn>, Failure> {
    read(text, order).map(|(slots, _)| slots)
}

// ---- the parts of an opcode ---------------------------------------------------------------------------

/// Some bits of the opcode.
struct OpcodeField {
    name: &'static str,
    /// The index of its lowest bit, and the number of bits.
    low: u8,
    bits: u8,
    /// The name of its value, and the meaning.
    value: (&'static str, &'static str),
}

const CLASSES: [(&str, &str); 8] = [
    ("LD", "loads that are not standard"),
    ("LDX", "load into a register"),
    ("ST", "store an immediate"),
    ("STX", "store a register, and atomics"),
    ("ALU", "32-bit arithmetic"),
    ("JMP", "64-bit jumps, calls, exit"),
    ("JMP32", "32-bit jumps"),
    ("ALU64", "64-bit arithmetic"),
];
const SIZES: [(&str, &str); 4] =
    [("W", "4 bytes"), ("H", "2 bytes"), ("B", "1 byte"), ("DW", "8 bytes")];
const MODES: [(&str, &str); 8] = [
    ("IMM", "64-bit immediate"),
    ("ABS", "packet, at an offset"),
    ("IND", "packet, at a register and an offset"),
    ("MEM", "memory"),
    ("MEMSX", "memory, extending the sign"),
    ("", ""),
    ("ATOMIC", "atomic operation; the immediate says which"),
    ("", ""),
];

/// The opcode's parts from the highest bits to the lowest (RFC 9669 sections 3.3, 4 and 5).
fn parts(op: Op) -> [OpcodeField; 3] {
    let opcode = op.encode().first().opcode();
    let (middle, low) = (opcode >> 3, opcode & 7);
    let class = OpcodeField { name: "class", low: 0, bits: 3, value: CLASSES[low as usize & 7] };
    if low < class::ALU {
        let mode = MODES[usize::from(opcode >> 5) & 7];
        let size = SIZES[middle as usize & 3];
        return [
            OpcodeField { name: "mode", low: 5, bits: 3, value: mode },
            OpcodeField { name: "size", low: 3, bits: 2, value: size },
            class,
        ];
    }
    let source = match (op, middle & 1) {
        (Op::Swap { .. }, 0) if low == class::ALU => ("LE", "to or from little-endian"),
        (Op::Swap { .. }, 1) => ("BE", "to or from big-endian"),
        (Op::Swap { .. } | Op::Neg { .. } | Op::Exit, _) => ("not used", ""),
        (Op::Jump { .. } | Op::JumpLong { .. } | Op::MayJump { .. }, 0) => ("K", "no register"),
        (Op::CallHelper { .. } | Op::CallLocal { .. } | Op::CallKfunc { .. }, _) => {
            ("K", "no register")
        }
        (_, 0) => ("K", "the second operand is the immediate"),
        (Op::JumpRegister { .. } | Op::CallRegister { .. }, _) => ("X", "a register"),
        _ => ("X", "the second operand is a register"),
    };
    [
        OpcodeField { name: "code", low: 4, bits: 4, value: (op.row().name, "") },
        OpcodeField { name: "source", low: 3, bits: 1, value: source },
        class,
    ]
}

/// The use of the fields beside the opcode, in this instruction.
fn fields(op: Op) -> Fields {
    let fields = op.row().fields;
    // The second operand is in one of the two.
    match fields.src == fields.imm {
        true if op.encode().first().has_source_register() => Fields { imm: UNUSED, ..fields },
        true => Fields { src: UNUSED, ..fields },
        false => fields,
    }
}

// ---- printing -----------------------------------------------------------------------------------------

fn in_words(out: &mut String, op: Op, names: &Names) -> fmt::Result {
    match names.is_empty() {
        true => writeln!(out, "{op}\n")?,
        false => writeln!(out, "{}\n", names.statement)?,
    }
    let encoded = op.encode();
    writeln!(out, "                 opcode  regs  offset  imm")?;
    for (order, name) in [(ByteOrder::Little, "little-endian"), (ByteOrder::Big, "big-endian")] {
        for (index, slot) in encoded.as_slice().iter().enumerate() {
            let [opcode, regs, o0, o1, i0, i1, i2, i3] = slot.to_bytes(order);
            let name = if index == 0 { name } else { "" };
            writeln!(
                out,
                "  {name:<13}  {opcode:02x}      {regs:02x}    {o0:02x} {o1:02x}   {i0:02x} {i1:02x} {i2:02x} {i3:02x}"
            )?;
        }
    }
    out.push('\n');
    opcode(out, op)?;
    let (slot, fields) = (encoded.first(), fields(op));
    let mut field = |name: &str, value: i64, bits: u32, role: &str| {
        let digits = value as u64 & (u64::MAX >> (64 - bits));
        let digits = format!("0x{digits:0width$x}", width = bits as usize / 4);
        // A register has a name; the source field of calls and `lddw` is a number.
        let register =
            bits == 4 && role != UNUSED && !role.starts_with(|c: char| c.is_ascii_digit());
        let value = if register { format!("r{value}") } else { value.to_string() };
        writeln!(out, "  {name:<9}{digits:<12}{value:<12} {role}")
    };
    field("dst", slot.dst().into(), 4, fields.dst)?;
    field("src", slot.src().into(), 4, fields.src)?;
    field("offset", slot.offset().into(), 16, fields.offset)?;
    field("imm", slot.imm().into(), 32, fields.imm)?;
    if let Some(second) = encoded.second() {
        field("next imm", second.imm().into(), 32, fields.next_imm)?;
    }
    let Meaning { says, notes } = meaning_of(op, names);
    writeln!(out, "\n  {says}")?;
    for note in notes {
        writeln!(out, "  {note}")?;
    }
    let Origin { isa, linux, rfc, group } = origin(op);
    out.push_str("\n  ");
    let known = [
        isa.map(|isa| format!("ISA v{isa}")),
        Some(linux.map_or("in no Linux".into(), |linux| format!("Linux {linux}"))),
        Some(rfc.map_or("not in RFC 9669".into(), |rfc| format!("RFC 9669 section {rfc}"))),
        group.map(|group| format!("conformance group {group}")),
    ];
    writeln!(out, "{}", known.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

/// The origin of an instruction.
struct Origin {
    /// The version of the ISA, as compilers count (`-mcpu=v3`).
    isa: Option<u8>,
    /// The first Linux that takes it, with the helper that it calls.
    linux: Option<Version>,
    /// The section of RFC 9669.
    rfc: Option<&'static str>,
    /// The conformance group of RFC 9669.
    group: Option<&'static str>,
}

fn origin(op: Op) -> Origin {
    let Form { isa, linux, group } = op.form();
    let helper = match op {
        Op::CallHelper { number } => u32::try_from(number).ok().and_then(helper_since),
        _ => None,
    };
    Origin { isa, linux: helper.or(linux), rfc: op.row().rfc, group: group.map(Group::name) }
}

/// The bits of the opcode, each part with a line that leads to its meaning.
fn opcode(out: &mut String, op: Op) -> fmt::Result {
    let value = op.encode().first().opcode();
    let parts = parts(op);
    write!(out, "  opcode   0x{value:02x}       ")?;
    for part in &parts {
        let bits = value >> part.low & (0xff >> (8 - part.bits));
        write!(out, " {bits:0width$b}", width = part.bits as usize)?;
    }
    out.push('\n');
    for (index, part) in parts.iter().enumerate().rev() {
        write!(out, "{:23}", "")?;
        for before in parts.iter().take(index) {
            write!(out, "{:<width$}", "│", width = before.bits as usize + 1)?;
        }
        let covered: usize = parts.iter().skip(index).map(|part| part.bits as usize + 1).sum();
        let bits = value >> part.low & (0xff >> (8 - part.bits));
        let (name, about) = part.value;
        let comma = if about.is_empty() { "" } else { ": " };
        let line = "─".repeat(covered);
        writeln!(out, "└{line} {:<7} {bits:#x}  {name}{comma}{about}", part.name)?;
    }
    Ok(())
}

/// The prototype of the helper that is called.
fn prototype(op: Op) -> Option<String> {
    let Op::CallHelper { number } = op else { return None };
    u32::try_from(number).ok().and_then(helper_prototype).map(|prototype| prototype.to_string())
}

fn in_json(op: Op, names: &Names) -> Value {
    let encoded = op.encode();
    let slot = encoded.first();
    let bytes = |order| {
        let slots: Vec<_> = encoded.as_slice().iter().map(|slot| hex(slot, order)).collect();
        slots.join(" ")
    };
    let Meaning { says, notes } = meaning_of(op, names);
    let Origin { isa, linux, rfc, group } = origin(op);
    let mut object = json!({
        "text": if names.is_empty() { op.to_string() } else { names.statement.clone() },
        "names": names.json(),
        "little": bytes(ByteOrder::Little),
        "big": bytes(ByteOrder::Big),
        "opcode": slot.opcode(),
        "dst": slot.dst(),
        "src": slot.src(),
        "offset": slot.offset(),
        "imm": slot.imm(),
        "meaning": says,
        "notes": notes,
        "prototype": prototype(op),
        "isa": isa.map(|isa| format!("v{isa}")),
        "linux": linux.map(|linux| linux.to_string()),
        "rfc9669": rfc,
        "conformance_group": group,
    });
    if let Value::Object(fields) = &mut object {
        for part in parts(op) {
            fields.insert(part.name.into(), part.value.0.into());
        }
        if let Some(second) = encoded.second() {
            fields.insert("next_imm".into(), second.imm().into());
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use super::meaning::meaning;
    use super::*;

    const ISA: &str = include_str!("../../tests/vectors/isa.tsv");

    /// LLVM's own table of which `-mcpu` an instruction needs.
    #[test]
    fn versions_are_llvms() {
        let rows = || ISA.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>());
        for row in rows() {
            let (asm, hex) = (row[0], row[1]);
            // Several spellings can have the same bytes; the oldest counts.
            let oldest = rows().filter(|row| row[1] == hex).map(|row| row[2].to_string()).min();
            let isa = |op| origin(op).isa.map(|isa| format!("v{isa}"));
            let op = Op::decode(&slots(hex, ByteOrder::Little).ok().unwrap()).unwrap();
            match op {
                // LLVM itself uses them from v4 only, as the table's note has it; they have always been there.
                Op::StoreImm { .. } => assert_eq!(isa(op).as_deref(), Some("v1")),
                // No part of the ISA's versions.
                Op::MayJump { .. } | Op::AddrSpaceCast { .. } | Op::CallRegister { .. } => {
                    assert_eq!(isa(op), None);
                }
                _ => assert_eq!(isa(op), oldest, "{asm}"),
            }
        }
    }

    /// A name is explained, not the zero that stands in its place.
    #[test]
    fn names_are_explained() {
        for (text, says, note) in [
            (
                "r3 += task_struct.real_parent",
                "r3 = r3 + task_struct.real_parent",
                "`real_parent` in `task_struct`",
            ),
            (
                "r1 = *(u32 *)(r2 + task_struct.tgid)",
                "at address r2 + task_struct.tgid",
                "`tgid` in `task_struct`",
            ),
            ("*(u8 *)(r10 + a.b) = 1", "at address r10 + a.b, on the stack", "offset"),
            ("r1 = sizeof(task_struct)", "r1 = sizeof(task_struct)", "the size"),
            ("if r1 == exists(a) goto +1", "if r1 == exists(a)", "1 if the kernel has"),
            ("r1 = enum.BPF_F_CURRENT_CPU ll", "r1 = enum.BPF_F_CURRENT_CPU", "enumerator"),
            ("call kfunc bpf_task_acquire", "bpf_task_acquire", "BTF id"),
            ("r1 = *(u64 *)(r1 + args.arg1)", "address r1 + args.arg1", "attached to"),
            ("call args.arg3", "returns the value of args.arg3", "USDT probe"),
            ("r1 = *(u64 *)(r1 + pt_regs.parm1)", "address r1 + pt_regs.parm1", "role"),
        ] {
            let (slots, names) = read(text, ByteOrder::NATIVE).ok().unwrap();
            let op = Op::decode(&slots).unwrap();
            let mut out = String::new();
            in_words(&mut out, op, &names[0]).unwrap();
            assert!(out.starts_with(&format!("{text}\n")), "{out}");
            let Meaning { says: said, notes } = meaning_of(op, &names[0]);
            assert!(said.contains(says), "{text}: {said}");
            assert!(notes.iter().any(|line| line.contains(note)), "{text}: {notes:?}");
            assert_eq!(in_json(op, &names[0])["text"], text);
        }
    }

    fn explained(text: &str) -> Op {
        Op::decode(&slots(text, ByteOrder::NATIVE).ok().unwrap()).unwrap()
    }

    /// A call is as old as what it calls.
    #[test]
    fn calls_are_dated_by_what_they_call() {
        for (text, linux) in [
            ("call map_lookup_elem", "3.19"),
            ("call l3_csum_replace", "4.1"),
            ("call get_func_ip", "5.15"),
            ("call 100000", "3.18"),
            ("call kfunc 5", "5.13"),
            ("call kfunc 5, 1", "5.16"),
            ("call pc+0", "4.16"),
        ] {
            let since = origin(explained(text)).linux.map(|linux| linux.to_string());
            assert_eq!(since.as_deref(), Some(linux), "{text}");
        }
        assert_eq!(origin(explained("callx r1")).linux, None);
    }

    /// bpf-helpers(7).
    #[test]
    fn a_call_of_a_helper_shows_its_prototype() {
        let shown = |text| {
            let mut out = String::new();
            in_words(&mut out, explained(text), &Names::default()).unwrap();
            out
        };
        let update = shown("call map_update_elem");
        for text in [
            "long bpf_map_update_elem(struct bpf_map *map, const void *key, const void *value, u64 flags)",
            "r1: struct bpf_map *map, r2: const void *key, r3: const void *value, r4: u64 flags; r0: long",
        ] {
            assert!(update.contains(text), "{update}");
        }
        let replace = shown("call l3_csum_replace");
        let prototype =
            "long bpf_l3_csum_replace(struct sk_buff *skb, u32 offset, u64 from, u64 to, u64 size)";
        assert!(replace.contains(prototype) && replace.contains("Linux 4.1"), "{replace}");
        assert!(shown("call ktime_get_ns").contains("It takes no arguments; r0: u64."));
        let json = |text| in_json(explained(text), &Names::default());
        assert_eq!(json("call l3_csum_replace")["prototype"], prototype);
        assert!(json("exit")["prototype"].is_null());
    }

    #[test]
    fn the_field_that_is_not_used_depends_on_the_source_bit() {
        let of = |text| {
            let Fields { src, imm, .. } = fields(explained(text));
            (src != UNUSED, imm != UNUSED)
        };
        assert_eq!((of("r1 += r2"), of("r1 += 5")), ((true, false), (false, true)));
        assert_eq!((of("exit"), of("r1 = be16 r1")), ((false, false), (false, true)));
        assert_eq!(
            (of("r0 = *(u16 *)skb[12]"), of("r0 = *(u16 *)skb[r2]")),
            ((false, true), (true, true))
        );
    }

    #[test]
    fn every_instruction_is_explained() {
        for line in ISA.lines().skip(1) {
            let (asm, rest) = line.split_once('\t').unwrap();
            let hex = rest.split('\t').next().unwrap();
            let op = Op::decode(&slots(hex, ByteOrder::Little).ok().unwrap()).unwrap();
            let mut out = String::new();
            in_words(&mut out, op, &Names::default()).unwrap();
            assert!(out.starts_with(&format!("{op}\n")), "{out}");
            for part in parts(op) {
                assert_ne!(part.value.0, "", "{asm}: {}", part.name);
            }
            // A field that is not used is zero.
            let (slot, fields) = (op.encode().first(), fields(op));
            for (role, value) in [
                (fields.dst, slot.dst().into()),
                (fields.src, slot.src().into()),
                (fields.offset, i32::from(slot.offset())),
                (fields.imm, slot.imm()),
            ] {
                assert!(role != UNUSED || value == 0, "{asm}");
            }
            assert!(in_json(op, &Names::default()).is_object());
            let Meaning { says, notes } = meaning(op);
            for text in notes.iter().chain([&says]) {
                assert!(!text.contains(['{', '}']), "{asm}: {text}");
            }
        }
    }
}
