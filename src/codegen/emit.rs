//! Emission: from instructions over variables to those of BPF.

use super::constants::negated;
use super::frame::Frame;
use super::ir::{Arg, Args, Base, Inst, KernelValue, LoadKind, Object, Src, Symbol, Target, Var};
use super::mir::{Mir, MirEnd, is_commutative};
use crate::asm::{Builder, Label, RelocField, RelocKind, RelocTarget, Section};
use crate::insn::{AluOp, AtomicOp, Bits, Op, Pseudo, Reg, SignedOp, Source};

/// A function with registers and a frame.
pub(super) struct Placed<'p, 'a> {
    pub mir: &'p Mir<'a>,
    pub registers: &'p [Option<Reg>],
    pub frame: &'p Frame,
    /// The labels of the functions, by their numbers.
    pub labels: &'p [Label],
}

/// Appends the function to the code.
pub(super) fn emit<'a>(placed: &Placed<'_, 'a>, builder: &mut Builder<'a>) {
    let labels = placed.mir.blocks.iter().map(|_| builder.label()).collect();
    let mut emit = Emit { placed, labels, builder };
    for (block, index) in placed.mir.blocks.iter().zip(0..) {
        emit.bind(index);
        for (inst, span) in &block.insts {
            emit.at(*span);
            emit.inst(inst);
        }
        let (end, span) = &block.end;
        emit.at(*span);
        emit.end(end, index + 1);
    }
}

struct Emit<'e, 'p, 'a> {
    placed: &'e Placed<'p, 'a>,
    labels: Vec<Label>,
    builder: &'e mut Builder<'a>,
}

impl<'a> Emit<'_, '_, 'a> {
    fn bind(&mut self, block: u32) {
        if let Some(label) = self.labels.get(block as usize) {
            self.builder.bind(*label);
        }
    }

    fn at(&mut self, span: Option<(u32, u32)>) {
        if let Some((start, end)) = span {
            self.builder.at(start..end);
        }
    }

    fn reg(&self, var: Var) -> Reg {
        let reg = self.placed.registers.get(var.0 as usize).copied().flatten();
        debug_assert!(reg.is_some(), "{var:?} has no register");
        reg.unwrap_or(Reg::R0)
    }

    fn source(&self, src: Src) -> Source {
        match src {
            Src::Var(var) => Source::Reg(self.reg(var)),
            Src::Imm(value) => Source::Imm(value),
        }
    }

    /// The bytes from the frame pointer to a place in an object.
    fn in_frame(&self, object: Object, offset: i32) -> i32 {
        let below = self.placed.frame.objects.get(object.0 as usize).copied().flatten();
        let size = self.placed.mir.objects.get(object.0 as usize).map_or(0, |data| data.size);
        let size = size.next_multiple_of(super::frame::GRANULE);
        // Frames are smaller than 32 bits.
        offset.saturating_sub(below.unwrap_or(0).saturating_add(size) as i32)
    }

    fn slot(&self, slot: u32) -> i16 {
        let below = self.placed.frame.slots.get(slot as usize).copied().unwrap_or(0);
        (-i64::from(below) - i64::from(super::frame::GRANULE)) as i16
    }

    /// The register and the offset of an access. (Offsets that do not fit were added to the base before.)
    fn memory(&self, base: Base, offset: i32) -> (Reg, i16) {
        match base {
            Base::Var(var) => (self.reg(var), offset as i16),
            Base::Object(object) => (Reg::R10, self.in_frame(object, offset) as i16),
        }
    }

    fn mov(&mut self, dst: Reg, src: Reg) {
        if dst != src {
            let (bits, op, src) = (Bits::B64, AluOp::Mov, Source::Reg(src));
            self.builder.push(Op::Alu { bits, op, dst, src });
        }
    }

    fn imm(&mut self, dst: Reg, value: u64) {
        let op = AluOp::Mov;
        let mov = |bits, value| Op::Alu { bits, op, dst, src: Source::Imm(value) };
        self.builder.push(match (i32::try_from(value as i64), u32::try_from(value)) {
            (Ok(value), _) => mov(Bits::B64, value),
            // The upper half becomes 0.
            (_, Ok(value)) => mov(Bits::B32, value as i32),
            _ => Op::load_imm64(dst, value),
        });
    }

    fn address(&mut self, dst: Reg, object: Object, offset: i32) {
        let offset = self.in_frame(object, offset);
        self.mov(dst, Reg::R10);
        let (bits, op, src) = (Bits::B64, AluOp::Add, Source::Imm(offset));
        self.builder.push(Op::Alu { bits, op, dst, src });
    }

    /// Adds a relocation by name to the next instruction.
    fn name(&mut self, field: RelocField, kind: RelocKind, name: &'a str) {
        self.builder.relocate(field, kind, RelocTarget::Name(name));
    }

    fn symbol(&mut self, dst: Reg, symbol: Symbol<'a>) {
        match symbol {
            Symbol::Map(map) => {
                self.builder.load_map(dst, map);
            }
            Symbol::MapValue(map, offset) => {
                self.builder.load_map_value(dst, map, offset);
            }
            Symbol::Function(id) => {
                if let Some(label) = self.placed.labels.get(id.0 as usize) {
                    self.builder.load_function(dst, *label);
                }
            }
            Symbol::Rodata(offset) => {
                let target = RelocTarget::Section(Section::Rodata);
                self.builder.relocate(RelocField::Immediate, RelocKind::Map, target);
                let (kind, low, high) = (Pseudo::MapValue, 0, offset as i32);
                self.builder.push(Op::LoadImm64 { dst, kind, low, high });
            }
            Symbol::Kernel(name, value) => {
                let kind = match value {
                    KernelValue::Value => RelocKind::of_path(name.as_bytes()),
                    KernelValue::Size => RelocKind::Size,
                    KernelValue::Exists => RelocKind::Exists,
                };
                self.name(RelocField::Immediate, kind, name);
                self.builder.push(Op::load_imm64(dst, 0));
            }
        }
    }

    /// Loads an argument that is in no register.
    fn argument(&mut self, dst: Reg, arg: Arg<'a>) {
        match arg {
            Arg::Var(var) => self.mov(dst, self.reg(var)),
            Arg::Imm(value) => self.imm(dst, value),
            Arg::Symbol(symbol) => self.symbol(dst, symbol),
            Arg::Address(object, offset) => self.address(dst, object, offset),
            Arg::Slot(slot) => {
                let offset = self.slot(slot);
                let (size, base) = (crate::insn::Size::Double, Reg::R10);
                self.builder.push(Op::Load { size, dst, base, offset });
            }
        }
    }

    fn inst(&mut self, inst: &Inst<'a>) {
        let op = match *inst {
            Inst::Imm { dst, value } => return self.imm(self.reg(dst), value),
            Inst::Symbol { dst, symbol } => return self.symbol(self.reg(dst), symbol),
            Inst::Address { dst, object, offset } => {
                return self.address(self.reg(dst), object, offset);
            }
            Inst::Start(_) | Inst::Keep(_) => return,
            Inst::Mov { bits: Bits::B64, dst, src } => {
                return self.mov(self.reg(dst), self.reg(src));
            }
            Inst::Mov { bits, dst, src } => {
                let (dst, src) = (self.reg(dst), Source::Reg(self.reg(src)));
                Op::Alu { bits, op: AluOp::Mov, dst, src }
            }
            Inst::Parameter { dst, index } => {
                let from = Reg::new(index + 1).unwrap_or(Reg::R1);
                return self.mov(self.reg(dst), from);
            }
            Inst::Alu { bits, op, signed, dst, a, b } => {
                return self.alu(bits, op, signed, self.reg(dst), self.reg(a), self.source(b));
            }
            Inst::Neg { bits, dst, src } => {
                self.mov(self.reg(dst), self.reg(src));
                Op::Neg { bits, dst: self.reg(dst) }
            }
            Inst::Extend { extend, dst, src } => {
                Op::MoveSigned { extend, dst: self.reg(dst), src: self.reg(src) }
            }
            Inst::Swap { swap, bits, dst, src } => {
                self.mov(self.reg(dst), self.reg(src));
                Op::Swap { swap, bits, dst: self.reg(dst) }
            }
            Inst::Load { kind, size, dst, base, offset, field } => {
                let (dst, (base, offset)) = (self.reg(dst), self.memory(base, offset));
                if let Some(field) = field {
                    let kind = RelocKind::of_path(field.as_bytes());
                    self.name(RelocField::Offset, kind, field);
                }
                match kind {
                    LoadKind::Zero => Op::Load { size, dst, base, offset },
                    LoadKind::Signed(size) => Op::LoadSigned { size, dst, base, offset },
                    LoadKind::Acquire => Op::LoadAcquire { size, dst, base, offset },
                }
            }
            Inst::Store { size, release, base, offset, src } => {
                let (base, offset) = self.memory(base, offset);
                match (src, release) {
                    (Src::Imm(imm), _) => Op::StoreImm { size, base, offset, imm },
                    (Src::Var(src), false) => Op::Store { size, base, offset, src: self.reg(src) },
                    (Src::Var(src), true) => {
                        Op::StoreRelease { size, base, offset, src: self.reg(src) }
                    }
                }
            }
            Inst::Atomic { size, op, base, offset, src } => {
                let (base, offset) = self.memory(base, offset);
                Op::Atomic { size, op, base, offset, src: self.reg(src) }
            }
            Inst::Fetch { size, op, base, offset, src, dst } => {
                let (base, offset) = self.memory(base, offset);
                let dst = self.reg(dst);
                self.mov(dst, self.reg(src));
                Op::Atomic { size, op, base, offset, src: dst }
            }
            Inst::CompareExchange { size, base, offset, expected, new, dst } => {
                let (base, offset) = self.memory(base, offset);
                self.mov(Reg::R0, self.reg(expected));
                let (op, src) = (AtomicOp::CompareExchange, self.reg(new));
                self.builder.push(Op::Atomic { size, op, base, offset, src });
                return self.mov(self.reg(dst), Reg::R0);
            }
            Inst::Call { target, args, dst } => return self.call(target, &args, dst),
            Inst::Fill { dst, slot } => {
                let (dst, size) = (self.reg(dst), crate::insn::Size::Double);
                Op::Load { size, dst, base: Reg::R10, offset: self.slot(slot) }
            }
            Inst::Spill { slot, src } => {
                let (src, size) = (self.reg(src), crate::insn::Size::Double);
                Op::Store { size, base: Reg::R10, offset: self.slot(slot), src }
            }
            Inst::FillFar { dst, base, offset } => {
                let (dst, size) = (self.reg(dst), crate::insn::Size::Double);
                Op::Load { size, dst, base: self.reg(base), offset: offset as i16 }
            }
            Inst::SpillFar { base, offset, src } => {
                let (src, size) = (self.reg(src), crate::insn::Size::Double);
                Op::Store { size, base: self.reg(base), offset: offset as i16, src }
            }
        };
        self.builder.push(op);
    }

    /// `dst = a op b` by instructions that have two operands.
    fn alu(&mut self, bits: Bits, op: AluOp, signed: bool, dst: Reg, a: Reg, b: Source) {
        let (a, b) = match b {
            Source::Reg(other) if other == dst && a != dst => {
                debug_assert!(is_commutative(op) && !signed);
                (dst, Source::Reg(a))
            }
            _ => (a, b),
        };
        self.mov(dst, a);
        self.builder.push(match (signed, op) {
            (true, AluOp::Mod) => Op::AluSigned { bits, op: SignedOp::Mod, dst, src: b },
            (true, _) => Op::AluSigned { bits, op: SignedOp::Div, dst, src: b },
            (false, op) => Op::Alu { bits, op, dst, src: b },
        });
    }

    fn call(&mut self, target: Target<'a>, args: &Args<'a>, dst: Option<Var>) {
        let mut moves = Vec::new();
        for (arg, number) in args.as_slice().iter().zip(1..) {
            if let (Arg::Var(var), Some(to)) = (arg, Reg::new(number)) {
                moves.push((to, self.reg(*var)));
            }
        }
        for (dst, src) in in_order(moves) {
            self.mov(dst, src);
        }
        for (arg, number) in args.as_slice().iter().zip(1..) {
            if let Some(to) = Reg::new(number).filter(|_| !matches!(arg, Arg::Var(_))) {
                self.argument(to, *arg);
            }
        }
        match target {
            Target::Helper(number) => {
                self.builder.push(Op::CallHelper { number });
            }
            Target::Kfunc { btf_id, fd_index } => {
                self.builder.push(Op::CallKfunc { btf_id, fd_index });
            }
            Target::KfuncNamed(name) => {
                self.name(RelocField::Immediate, RelocKind::Kfunc, name);
                self.builder.push(Op::CallKfunc { btf_id: 0, fd_index: 0 });
            }
            Target::Local(id) => {
                if let Some(label) = self.placed.labels.get(id.0 as usize) {
                    self.builder.call(*label);
                }
            }
        }
        if let Some(dst) = dst {
            self.mov(self.reg(dst), Reg::R0);
        }
    }

    fn end(&mut self, end: &MirEnd<'a>, next: u32) {
        match *end {
            MirEnd::Return(value) => {
                self.argument(Reg::R0, value);
                self.builder.push(Op::Exit);
            }
            MirEnd::Jump(to) => self.jump(to, next),
            MirEnd::Branch { bits, condition, a, b, then, other } => {
                let (a, b) = (self.reg(a), self.source(b));
                let (condition, to, rest) = match negated(condition) {
                    Some(negated) if then == next => (negated, other, then),
                    _ => (condition, then, other),
                };
                if let Some(label) = self.labels.get(to as usize) {
                    self.builder.jump_if(bits, condition, a, b, *label);
                }
                self.jump(rest, next);
            }
        }
    }

    fn jump(&mut self, to: u32, next: u32) {
        if to != next
            && let Some(label) = self.labels.get(to as usize)
        {
            self.builder.jump(*label);
        }
    }
}

/// Orders parallel moves so that none overwrites a register that another still reads. Cycles are broken with r0, which
/// is never the destination of an argument.
fn in_order(mut moves: Vec<(Reg, Reg)>) -> Vec<(Reg, Reg)> {
    let mut ordered = Vec::with_capacity(moves.len() + 1);
    moves.retain(|(to, from)| to != from);
    while let Some((first, ..)) = moves.first().copied() {
        let free = moves.iter().position(|(to, _)| moves.iter().all(|(_, from)| from != to));
        match free {
            Some(free) => ordered.push(moves.swap_remove(free)),
            None => {
                // Only cycles are left, so that r0 is not read any more.
                ordered.push((Reg::R0, first));
                for (_, from) in moves.iter_mut().filter(|(_, from)| *from == first) {
                    *from = Reg::R0;
                }
            }
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::in_order;
    use crate::insn::Reg::{self, *};

    /// Returns the contents of the registers after the moves, if each held its own number before.
    fn after(moves: &[(Reg, Reg)]) -> [u8; 11] {
        let mut held = std::array::from_fn(|number| number as u8);
        for (to, from) in in_order(moves.to_vec()) {
            held[to as usize] = held[from as usize];
        }
        held
    }

    #[test]
    fn moves_happen_at_once() {
        let cases: &[&[(Reg, Reg)]] = &[
            &[(R1, R2), (R2, R1)],
            &[(R1, R2), (R2, R3), (R3, R1)],
            &[(R1, R2), (R2, R1), (R3, R4), (R4, R3)],
            &[(R1, R2), (R2, R1), (R3, R1), (R4, R0), (R5, R5)],
            &[(R2, R1), (R3, R2), (R4, R3), (R5, R4), (R1, R7)],
            &[(R1, R6), (R2, R6), (R3, R6)],
            &[],
        ];
        for moves in cases {
            let held = after(moves);
            for (to, from) in *moves {
                assert_eq!(held[*to as usize], *from as u8, "{moves:?}");
            }
        }
    }
}
