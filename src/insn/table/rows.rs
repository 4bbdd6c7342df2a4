//! The rows of the instruction table.

use super::{Fields, Form, Group, Operation, Row, Syntax, UNUSED};
use crate::insn::{AluOp, AtomicOp, Condition, Op, Pseudo, Reg::R0, SignedOp, Size, Swap};
use crate::util::Version;

const fn form(isa: u8, (major, minor): (u16, u16), group: Group) -> Form {
    Form { isa: Some(isa), linux: Some(Version::new(major, minor)), group: Some(group) }
}

/// Returns a form that is not in RFC 9669.
const fn outside(isa: Option<u8>, (major, minor): (u16, u16)) -> Form {
    Form { isa, linux: Some(Version::new(major, minor)), group: None }
}

/// The forms of an operation: on 64 bits and on fewer.
struct Forms {
    wide: Form,
    narrow: Form,
}

const fn forms(isa: u8, linux: (u16, u16), wide: Group, narrow: Group) -> Forms {
    Forms { wide: form(isa, linux, wide), narrow: form(isa, linux, narrow) }
}

const fn both(form: Form) -> Forms {
    Forms { wide: form, narrow: form }
}

/// Returns the forms of arithmetic. The classes of 32-bit arithmetic are as old as Linux's BPF; compilers use
/// them only for v3, because earlier verifiers did not track the values of registers through them.
const fn arithmetic(wide: Group, narrow: Group) -> Forms {
    Forms { wide: form(1, (3, 18), wide), narrow: form(3, (3, 18), narrow) }
}

/// Returns the forms of a comparison. Comparisons of 32 bits were added after those of 64.
const fn comparison(isa: u8, linux: (u16, u16)) -> Forms {
    Forms { wide: form(isa, linux, Group::Base64), narrow: form(3, (5, 1), Group::Base32) }
}

const BASE: Forms = arithmetic(Group::Base64, Group::Base32);
const DIVMUL: Forms = arithmetic(Group::Divmul64, Group::Divmul32);
const SDIVMUL: Forms = forms(4, (6, 6), Group::Divmul64, Group::Divmul32);
const V1: Forms = forms(1, (3, 18), Group::Base64, Group::Base32);
const V4: Forms = forms(4, (6, 6), Group::Base64, Group::Base32);
const COMPARE: Forms = comparison(1, (3, 18));
const LESS: Forms = comparison(2, (4, 14));
const ADD: Forms = forms(1, (3, 18), Group::Atomic64, Group::Atomic32);
const ATOMIC: Forms = forms(3, (5, 12), Group::Atomic64, Group::Atomic32);
const ORDERED: Forms = both(outside(Some(4), (6, 15)));
const PACKET: Forms = both(form(1, (3, 19), Group::Packet));
const JUMP: Forms = both(form(1, (3, 18), Group::Base32));

const fn wide(linux: (u16, u16)) -> Forms {
    both(form(1, linux, Group::Base64))
}

const fn call(linux: (u16, u16)) -> Forms {
    both(form(1, linux, Group::Base32))
}

const NONE: Fields =
    Fields { dst: UNUSED, src: UNUSED, offset: UNUSED, imm: UNUSED, next_imm: UNUSED };
const RESULT: &str = "the result";
const IN_PLACE: &str = "the operand and the result";
const ADDRESS: &str = "the address";
const BYTES: &str = "bytes from the address";
const SLOTS: &str = "slots from the next one";
const SECOND: &str = "the second operand";
const STORED: &str = "what is stored";
const WHICH: &str = "which operation";

const TWO: Fields =
    Fields { dst: "the first operand and the result", src: SECOND, imm: SECOND, ..NONE };
const MOVE: Fields = Fields { dst: RESULT, ..TWO };
const SIGNED: Fields = Fields { offset: "1: signed", ..TWO };
const ONE: Fields = Fields { dst: IN_PLACE, ..NONE };
const SWAP: Fields = Fields { imm: "how many bits", ..ONE };
const LOAD: Fields = Fields { dst: RESULT, src: ADDRESS, offset: BYTES, ..NONE };
const STORE: Fields = Fields { dst: ADDRESS, src: STORED, offset: BYTES, ..NONE };
const LOCKED: Fields = Fields { src: "the operand", imm: WHICH, ..STORE };
const PACKETS: Fields = Fields { imm: "bytes from the packet's start", ..NONE };
const GO: Fields = Fields { offset: SLOTS, ..NONE };
const COMPARED: Fields = Fields { dst: "the first operand", ..Fields { offset: SLOTS, ..TWO } };

const fn imm64(src: &'static str, imm: &'static str, next_imm: &'static str) -> Fields {
    Fields { dst: RESULT, src, imm, next_imm, ..NONE }
}

const WRAPS: &str = "What does not fit is cut off: the result wraps around.";
const TRUNCATES: &str =
    "The result is rounded towards zero, as in C: -13 / 3 is -4, and -13 % 3 is -1.";
const CALL: &str =
    "Arguments are in r1 to r5, the result in r0. Afterwards r1 to r5 cannot be read.";
const FILLED_IN: &str = "The kernel puts the address in when the program is loaded.";
const PACKET_BYTES: &str = "In the packet's byte order, turned into the machine's. r6 has to hold the context, and r1 to r5 are lost.";
const PACKET_END: &str = "Beyond the packet's end the program ends and returns 0. Deprecated.";

#[allow(clippy::too_many_arguments)]
const fn row(
    operation: Operation,
    name: &'static str,
    spelling: &'static str,
    Forms { wide, narrow }: Forms,
    rfc: &'static str,
    fields: Fields,
    meaning: &'static str,
    notes: &'static [&'static str],
) -> Row {
    let rfc = if rfc.is_empty() { None } else { Some(rfc) };
    let syntax = Syntax::Own;
    Row { operation, name, spelling, wide, narrow, rfc, fields, meaning, notes, syntax }
}

impl Row {
    /// Sets a syntax that several operations share.
    const fn like(mut self, syntax: Syntax) -> Row {
        self.syntax = syntax;
        self
    }
}

const D: Size = Size::Double;

/// All operations, in the order of the RFC.
#[rustfmt::skip]
pub(crate) const TABLE: &[Row] = &[
    // Arithmetic.
    row(Operation::Alu(AluOp::Add), "ADD", "r1 += r2", BASE, "4.1", TWO, "{dst} = {dst} + {src}{width}", &[WRAPS]),
    row(Operation::Alu(AluOp::Sub), "SUB", "r1 -= r2", BASE, "4.1", TWO, "{dst} = {dst} - {src}{width}", &[WRAPS]),
    row(Operation::Alu(AluOp::Mul), "MUL", "r1 *= r2", DIVMUL, "4.1", TWO, "{dst} = {dst} * {src}{width}", &[WRAPS]),
    row(Operation::Alu(AluOp::Div), "DIV", "r1 /= r2", DIVMUL, "4.1", TWO, "{dst} = {dst} / {src}, both unsigned{width}", &[]),
    row(Operation::Alu(AluOp::Or), "OR", "r1 |= r2", BASE, "4.1", TWO, "{dst} = {dst} | {src}{width}", &[]),
    row(Operation::Alu(AluOp::And), "AND", "r1 &= r2", BASE, "4.1", TWO, "{dst} = {dst} & {src}{width}", &[]),
    row(Operation::Alu(AluOp::Lsh), "LSH", "r1 <<= r2", BASE, "4.1", TWO, "{dst} = {dst} << {src}{width}", &[]),
    row(Operation::Alu(AluOp::Rsh), "RSH", "r1 >>= r2", BASE, "4.1", TWO, "{dst} = {dst} >> {src}, filled with zeros{width}", &[]),
    row(Operation::Alu(AluOp::Mod), "MOD", "r1 %= r2", DIVMUL, "4.1", TWO, "{dst} = {dst} % {src}, both unsigned{width}", &[]),
    row(Operation::Alu(AluOp::Xor), "XOR", "r1 ^= r2", BASE, "4.1", TWO, "{dst} = {dst} ^ {src}{width}", &[]),
    row(Operation::Alu(AluOp::Mov), "MOV", "r1 = r2", BASE, "4.1", MOVE, "{dst} = {src}{width}", &[]),
    row(Operation::Alu(AluOp::Arsh), "ARSH", "r1 s>>= r2", BASE, "4.1", TWO, "{dst} = {dst} >> {src}, filled with the sign{width}", &[]),
    row(Operation::AluSigned(SignedOp::Div), "SDIV", "r1 s/= r2", SDIVMUL, "4.1", SIGNED, "{dst} = {dst} / {src}, both signed{width}",
        &[TRUNCATES, "The least number there is, divided by -1, gives itself again."]),
    row(Operation::AluSigned(SignedOp::Mod), "SMOD", "r1 s%= r2", SDIVMUL, "4.1", SIGNED, "{dst} = {dst} % {src}, both signed{width}",
        &[TRUNCATES, "The least number there is, divided by -1, leaves 0."]),
    row(Operation::Neg, "NEG", "r1 = -r1", BASE, "4.1", ONE, "{dst} = 0 - {dst}{width}", &[]),
    row(Operation::MoveSigned, "MOVSX", "r1 = (s8)r2", V4, "4.1",
        Fields { dst: RESULT, src: "the operand", offset: "how many bits of the operand count", ..NONE },
        "{dst} = the low {offset} bits of {src} as a signed number{width}", &[]),
    row(Operation::AddrSpaceCast, "addr_space_cast", "r1 = addr_space_cast(r2, 0, 1)", both(outside(None, (6, 9))), "",
        Fields { dst: RESULT, src: ADDRESS, offset: "1: a cast between address spaces", imm: "to (high half) and from (low half) which", ..NONE },
        "{dst} = the address {src} of address space {low_half}, as one of address space {high_half}",
        &["For arenas: address space 1 is the arena's, 0 the kernel's. Linux takes no others."]),
    // Byte order.
    row(Operation::Swap(Swap::Le), "END", "r1 = le16 r1", V1, "4.2", SWAP,
        "{dst64} = the low {imm} bits of {dst64}, between the machine's byte order and little-endian",
        &["The bytes are reversed on a big-endian machine; on a little-endian one they stay."]),
    row(Operation::Swap(Swap::Be), "END", "r1 = be16 r1", V1, "4.2", SWAP,
        "{dst64} = the low {imm} bits of {dst64}, between the machine's byte order and big-endian",
        &["The bytes are reversed on a little-endian machine; on a big-endian one they stay."]),
    row(Operation::Swap(Swap::Always), "END", "r1 = bswap16 r1", V4, "4.2", SWAP,
        "{dst64} = the low {imm_bytes} bytes of {dst64} in reverse order", &[]),
    // Jumps and calls.
    row(Operation::Jump, "JA", "goto +3", JUMP, "4.3", GO, "{go}", &[]),
    row(Operation::JumpLong, "JA", "gotol +3", both(form(4, (6, 6), Group::Base32)), "4.3", Fields { imm: SLOTS, ..NONE }, "{go_imm}", &[]),
    row(Operation::MayJump, "JCOND", "may_goto +3", both(outside(None, (6, 9))), "", GO,
        "{go} once the loop has run as often or as long as the kernel lets it",
        &["It makes a loop that the verifier need not see the end of."]),
    row(Operation::JumpRegister, "JA", "gotox r1", both(outside(Some(4), (6, 19))), "", Fields { dst: ADDRESS, ..NONE },
        "go to the address in {dst}", &["The address comes out of a jump table, a map of instructions."])
        .like(Syntax::Register(Op::JumpRegister { dst: R0 })),
    row(Operation::JumpIf(Condition::Eq), "JEQ", "if r1 == r2 goto +3", COMPARE, "4.3", COMPARED, "if {dst} == {src}, {go}", &[]),
    row(Operation::JumpIf(Condition::Gt), "JGT", "if r1 > r2 goto +3", COMPARE, "4.3", COMPARED, "if {dst} > {src}, unsigned, {go}", &[]),
    row(Operation::JumpIf(Condition::Ge), "JGE", "if r1 >= r2 goto +3", COMPARE, "4.3", COMPARED, "if {dst} >= {src}, unsigned, {go}", &[]),
    row(Operation::JumpIf(Condition::Set), "JSET", "if r1 & r2 goto +3", COMPARE, "4.3", COMPARED, "if {dst} & {src} is not 0, {go}", &[]),
    row(Operation::JumpIf(Condition::Ne), "JNE", "if r1 != r2 goto +3", COMPARE, "4.3", COMPARED, "if {dst} != {src}, {go}", &[]),
    row(Operation::JumpIf(Condition::SignedGt), "JSGT", "if r1 s> r2 goto +3", COMPARE, "4.3", COMPARED, "if {dst} > {src}, signed, {go}", &[]),
    row(Operation::JumpIf(Condition::SignedGe), "JSGE", "if r1 s>= r2 goto +3", COMPARE, "4.3", COMPARED, "if {dst} >= {src}, signed, {go}", &[]),
    row(Operation::JumpIf(Condition::Lt), "JLT", "if r1 < r2 goto +3", LESS, "4.3", COMPARED, "if {dst} < {src}, unsigned, {go}", &[]),
    row(Operation::JumpIf(Condition::Le), "JLE", "if r1 <= r2 goto +3", LESS, "4.3", COMPARED, "if {dst} <= {src}, unsigned, {go}", &[]),
    row(Operation::JumpIf(Condition::SignedLt), "JSLT", "if r1 s< r2 goto +3", LESS, "4.3", COMPARED, "if {dst} < {src}, signed, {go}", &[]),
    row(Operation::JumpIf(Condition::SignedLe), "JSLE", "if r1 s<= r2 goto +3", LESS, "4.3", COMPARED, "if {dst} <= {src}, signed, {go}", &[]),
    row(Operation::CallHelper, "CALL", "call 6", JUMP, "4.3.1", Fields { src: "0: a helper", imm: "the helper's number", ..NONE },
        "r0 = {helper}", &[CALL]),
    row(Operation::CallLocal, "CALL", "call pc+3", call((4, 16)), "4.3.2", Fields { src: "1: a function of this program", imm: SLOTS, ..NONE },
        "r0 = the function of this program that begins {away} (…)",
        &[CALL, "The function has its own stack, its own r10, and gives r6 to r9 back as they were."]),
    row(Operation::CallKfunc { module: false }, "CALL", "call kfunc 123", call((5, 13)), "4.3.1",
        Fields { src: "2: a function of the kernel", offset: "whose BTF", imm: "its BTF id", ..NONE },
        "r0 = the function with BTF id {imm} of the kernel itself (…)", &[CALL]),
    // The RFC has no array of descriptors, and so no functions of modules.
    row(Operation::CallKfunc { module: true }, "CALL", "call kfunc 123, 4", both(outside(Some(1), (5, 16))), "",
        Fields { src: "2: a function of the kernel", offset: "whose BTF", imm: "its BTF id", ..NONE },
        "r0 = the function with BTF id {imm} of the module whose BTF has index {offset} in the load's array of descriptors (…)", &[CALL]),
    row(Operation::CallRegister, "CALL", "callx r1", both(Form { isa: None, linux: None, group: None }), "", Fields { dst: ADDRESS, ..NONE },
        "call the function at the address in {dst}", &["LLVM emits it. Linux refuses it."])
        .like(Syntax::Register(Op::CallRegister { dst: R0 })),
    row(Operation::Exit, "EXIT", "exit", JUMP, "4.3", NONE, "return r0 to the caller: the function that called, or the kernel", &[]),
    // Memory.
    row(Operation::Load, "MEM", "r1 = *(u32 *)(r2 + 8)", V1, "5.1", LOAD, "{dst} = {bytes} at {from}", &[]),
    row(Operation::Store, "MEM", "*(u32 *)(r1 + 8) = r2", V1, "5.1", STORE, "{bytes} at {to} = {low}{src}", &[]),
    row(Operation::StoreImm, "MEM", "*(u32 *)(r1 + 8) = 5", V1, "5.1", Fields { dst: ADDRESS, offset: BYTES, imm: STORED, ..NONE },
        "{bytes} at {to} = {imm}", &[]),
    row(Operation::LoadSigned, "MEMSX", "r1 = *(s32 *)(r2 + 8)", both(form(4, (6, 6), Group::Base32)), "5.2", LOAD, "{dst} = {bytes} at {from}, as a signed number",
        &["Its sign fills the other bits of {dst}."]),
    row(Operation::Atomic(AtomicOp::Add), "ADD", "lock *(u64 *)(r1 + 8) += r2", ADD, "5.3", LOCKED,
        "at once: {bytes} at {to} = themselves + {word}", &[]),
    row(Operation::Atomic(AtomicOp::Or), "OR", "lock *(u64 *)(r1 + 8) |= r2", ATOMIC, "5.3", LOCKED,
        "at once: {bytes} at {to} = themselves | {word}", &[]),
    row(Operation::Atomic(AtomicOp::And), "AND", "lock *(u64 *)(r1 + 8) &= r2", ATOMIC, "5.3", LOCKED,
        "at once: {bytes} at {to} = themselves & {word}", &[]),
    row(Operation::Atomic(AtomicOp::Xor), "XOR", "lock *(u64 *)(r1 + 8) ^= r2", ATOMIC, "5.3", LOCKED,
        "at once: {bytes} at {to} = themselves ^ {word}", &[]),
    row(Operation::Atomic(AtomicOp::FetchAdd), "FETCH ADD", "r2 = atomic_fetch_add((u64 *)(r1 + 8), r2)", ATOMIC, "5.3", LOCKED,
        "at once: {bytes} at {to} = themselves + {word}, and {word} = what was there before", &[]),
    row(Operation::Atomic(AtomicOp::FetchOr), "FETCH OR", "r2 = atomic_fetch_or((u64 *)(r1 + 8), r2)", ATOMIC, "5.3", LOCKED,
        "at once: {bytes} at {to} = themselves | {word}, and {word} = what was there before", &[]),
    row(Operation::Atomic(AtomicOp::FetchAnd), "FETCH AND", "r2 = atomic_fetch_and((u64 *)(r1 + 8), r2)", ATOMIC, "5.3", LOCKED,
        "at once: {bytes} at {to} = themselves & {word}, and {word} = what was there before", &[]),
    row(Operation::Atomic(AtomicOp::FetchXor), "FETCH XOR", "r2 = atomic_fetch_xor((u64 *)(r1 + 8), r2)", ATOMIC, "5.3", LOCKED,
        "at once: {bytes} at {to} = themselves ^ {word}, and {word} = what was there before", &[]),
    row(Operation::Atomic(AtomicOp::Exchange), "XCHG", "r2 = xchg_64(r1 + 8, r2)", ATOMIC, "5.3", LOCKED,
        "at once: {bytes} at {to} = {word}, and {word} = what was there before", &[]),
    row(Operation::Atomic(AtomicOp::CompareExchange), "CMPXCHG", "r0 = cmpxchg_64(r1 + 8, r0, r2)", ATOMIC, "5.3", LOCKED,
        "at once: if {bytes} at {to} equal {word0}, they become {word}; in any case {word0} = what was there before", &[]),
    row(Operation::LoadAcquire, "LOAD_ACQ", "r1 = load_acquire((u64 *)(r2 + 8))", ORDERED, "", Fields { imm: WHICH, ..LOAD },
        "{dst} = {bytes} at {from}, with acquire order", &["No later access to memory happens before it."])
        .like(Syntax::Load(Op::LoadAcquire { size: D, dst: R0, base: R0, offset: 0 })),
    row(Operation::StoreRelease, "STORE_REL", "store_release((u64 *)(r1 + 8), r2)", ORDERED, "", Fields { imm: WHICH, ..STORE },
        "{bytes} at {to} = {src}, with release order", &["No earlier access to memory happens after it."])
        .like(Syntax::Store(Op::StoreRelease { size: D, base: R0, offset: 0, src: R0 })),
    // 64-bit immediates.
    row(Operation::LoadImm64(Pseudo::Imm64), "IMM", "r1 = 0x1122334455667788 ll", wide((3, 18)), "5.4",
        imm64("0: a number", "the low half", "the high half"), "{dst} = {imm64} (64 bits)",
        &["Two slots: the low half is the first immediate, the high half the second."]),
    row(Operation::LoadImm64(Pseudo::MapFd), "IMM", "ld_pseudo r1, 1, 42", wide((3, 18)), "5.4.1",
        imm64("1: a map", "its file descriptor", UNUSED), "{dst} = the map of file descriptor {imm}", &[FILLED_IN]),
    row(Operation::LoadImm64(Pseudo::MapValue), "IMM", "ld_pseudo r1, 2, 42, 8", wide((5, 2)), "5.4.1",
        imm64("2: a map's value", "the map's file descriptor", "bytes from its start"),
        "{dst} = the address of byte {next_imm} in the first value of the map of file descriptor {imm}", &[FILLED_IN]),
    row(Operation::LoadImm64(Pseudo::BtfId), "IMM", "ld_pseudo r1, 3, 42", wide((5, 10)), "5.4.2",
        imm64("3: a variable of the kernel", "its BTF id", "the descriptor of its BTF"), "{dst} = the address of the {variable}", &[FILLED_IN]),
    row(Operation::LoadImm64(Pseudo::Function), "IMM", "ld_pseudo r1, 4, 3", wide((5, 13)), "5.4",
        imm64("4: a function", SLOTS, UNUSED), "{dst} = the address of the function of this program that begins {away}", &[FILLED_IN]),
    row(Operation::LoadImm64(Pseudo::MapIndex), "IMM", "ld_pseudo r1, 5, 2", wide((5, 14)), "5.4.1",
        imm64("5: a map", "its index", UNUSED), "{dst} = the map of index {imm} in the load's array of descriptors", &[FILLED_IN]),
    row(Operation::LoadImm64(Pseudo::MapIndexValue), "IMM", "ld_pseudo r1, 6, 2, 8", wide((5, 14)), "5.4.1",
        imm64("6: a map's value", "the map's index", "bytes from its start"),
        "{dst} = the address of byte {next_imm} in the first value of the map of index {imm} in the load's array of descriptors", &[FILLED_IN]),
    // Legacy packet access.
    row(Operation::LoadPacket { indexed: false }, "ABS", "r0 = *(u16 *)skb[12]", PACKET, "5.5", PACKETS,
        "r0 = {bytes} of the packet at {imm}", &[PACKET_BYTES, PACKET_END]),
    row(Operation::LoadPacket { indexed: true }, "IND", "r0 = *(u16 *)skb[r2 + 12]", PACKET, "5.5", Fields { src: "a register to add", ..PACKETS },
        "r0 = {bytes} of the packet at {src} + {imm}", &[PACKET_BYTES, PACKET_END]),
];
