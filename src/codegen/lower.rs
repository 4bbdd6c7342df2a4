//! Lowering: from statements to instructions over variables. Constants are propagated to their uses, and operations
//! that the instruction set lacks are replaced by those that it has.

use super::constants;
use super::error::CodegenProblem;
use super::function::{Function, atomic_bytes};
use super::ir::{
    Address, Arg, Args, AtomicBinary, Base, Binary, End, Inst, LoadKind, Object, Operand, Span,
    Src, Stmt, Symbol, Var,
};
use super::liveness::{Access, Flow, Mention, live_ranges};
use super::mir::{Mir, MirBlock, MirEnd};
use super::unit::Isa;
use crate::insn::{AluOp, AtomicOp, Bits, ByteOrder, Condition, SignExtend, Size, Swap};

mod arithmetic;
mod branch;

pub(super) use branch::is_signed;

/// A mistake and its place.
pub(super) type Failure = (CodegenProblem, Span);

/// The value of an operand, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Val<'a> {
    Var(Var),
    Imm(u64),
    Symbol(Symbol<'a>),
    Object(Object, i32),
}

/// A comparison whose result a variable holds.
#[derive(Debug, Clone, Copy)]
struct Compared {
    block: u32,
    at: u32,
    bits: Bits,
    condition: Condition,
    a: Operand,
    b: Operand,
}

/// A variable of the function as it was written.
#[derive(Debug, Clone, Copy)]
struct Facts<'a> {
    /// Whether it is assigned at one place, which dominates every use, so that it can be replaced by its value.
    single: bool,
    /// Its value, if it is single and the value is simpler than the variable.
    value: Option<Val<'a>>,
    /// Its sign bit is 0.
    small: bool,
    /// Whether it never holds a pointer.
    number: bool,
    /// The variable whose low bytes it has, and how many of them.
    cut: Option<(Var, u32)>,
    compared: Option<Compared>,
    /// The block and the statement that assigned it last.
    assigned: (u32, u32),
    /// The block in which its constant was put into a variable, and that.
    cached: Option<(u32, Var)>,
}

const UNKNOWN: Facts<'static> = Facts {
    single: false,
    value: None,
    small: false,
    number: false,
    cut: None,
    compared: None,
    assigned: (u32::MAX, 0),
    cached: None,
};

pub(super) struct Lower<'a> {
    pub(super) isa: Isa,
    facts: Vec<Facts<'a>>,
    pub(super) mir: Mir<'a>,
    out: Vec<(Inst<'a>, Span)>,
    span: Span,
    block: u32,
    at: u32,
    pub(super) failure: Option<Failure>,
}

/// The blocks that can be reached from the entry, in their order.
pub(super) fn reachable(function: &Function<'_>) -> Result<Vec<u32>, Failure> {
    let mut reached = vec![false; function.blocks.len()];
    let mut work = vec![0];
    if let Some(entry) = reached.first_mut() {
        *entry = true;
    }
    while let Some(block) = work.pop() {
        let Some(data) = function.blocks.get(block as usize) else { continue };
        if !data.placed {
            return Err((CodegenProblem::NeverFilled { block }, None));
        }
        let Some((end, _)) = &data.end else {
            let span = data.stmts.last().and_then(|(_, span)| *span);
            return Err((CodegenProblem::NoEnd { block }, span));
        };
        for to in end.targets() {
            if let Some(to_reached) = reached.get_mut(to.0 as usize)
                && !std::mem::replace(to_reached, true)
            {
                work.push(to.0);
            }
        }
    }
    let is_reached = |block: &u32| reached.get(*block as usize) == Some(&true);
    Ok(function.order.iter().map(|block| block.0).filter(is_reached).collect())
}

/// Lowers a function.
pub(super) fn lower<'a>(function: &Function<'a>, isa: Isa) -> Result<Mir<'a>, Failure> {
    let order = reachable(function)?;
    let mut number = vec![0; function.blocks.len()];
    for (block, index) in order.iter().zip(1..) {
        if let Some(number) = number.get_mut(*block as usize) {
            *number = index;
        }
    }
    let number = |block: u32| number.get(block as usize).copied().unwrap_or(0);

    let (facts, unwritten) = facts(function, &order, &number);
    let mir = Mir { vars: function.vars, objects: function.objects.clone(), blocks: Vec::new() };
    let mut lower =
        Lower { isa, facts, mir, out: Vec::new(), span: None, block: 0, at: 0, failure: None };
    // Parameters are read before anything else, and once, even if a jump leads back to the entry.
    for (var, index) in function.parameters.iter().zip(0..) {
        lower.push(Inst::Parameter { dst: *var, index });
    }
    for var in unwritten {
        lower.push(Inst::Imm { dst: Var(var), value: 0 });
    }
    lower.finish_block(MirEnd::Jump(number(0)));
    for block in &order {
        let Some(data) = function.blocks.get(*block as usize) else { continue };
        lower.block = number(*block);
        for ((stmt, span), at) in data.stmts.iter().zip(0..) {
            (lower.span, lower.at) = (*span, at);
            lower.stmt(stmt);
        }
        let Some((end, span)) = data.end else { continue };
        (lower.span, lower.at) = (span, u32::MAX);
        let end = lower.end(end, &number);
        lower.finish_block(end);
    }
    match lower.failure {
        Some(failure) => Err(failure),
        None => Ok(lower.mir),
    }
}

/// Collects facts about variables that do not depend on the order of statements, and the variables that are read before
/// any assignment.
fn facts<'a>(
    function: &Function<'a>,
    order: &[u32],
    number: &impl Fn(u32) -> u32,
) -> (Vec<Facts<'a>>, Vec<u32>) {
    let mut predecessors = vec![Vec::new(); order.len()];
    let mut mentions = Vec::new();
    let mut lengths = Vec::with_capacity(order.len());
    let mut count = vec![0u8; function.vars as usize];
    let mut at = 0;
    for (block, from) in order.iter().zip(0..) {
        let Some(data) = function.blocks.get(*block as usize) else { continue };
        for (stmt, _) in &data.stmts {
            stmt.for_uses(|var| mentions.push(Mention { item: var.0, at, access: Access::Read }));
            if let Some(dst) = stmt.def() {
                mentions.push(Mention { item: dst.0, at, access: Access::Write });
                if let Some(count) = count.get_mut(dst.0 as usize) {
                    *count = count.saturating_add(1);
                }
            }
            at += 1;
        }
        if let Some((end, _)) = &data.end {
            end.for_uses(|var| mentions.push(Mention { item: var.0, at, access: Access::Read }));
            for to in end.targets() {
                // Number 0 is the block that reads the parameters.
                let to = number(to.0).saturating_sub(1);
                if let Some(into) = predecessors.get_mut(to as usize) {
                    into.push(from);
                }
            }
        }
        at += 1;
        lengths.push(data.stmts.len() + 1);
    }
    let flow = Flow::new(lengths.into_iter(), predecessors);
    let unwritten = live_ranges(&flow, function.vars, &mentions).unwritten;
    let mut facts: Vec<_> =
        count.iter().map(|count| Facts { single: *count == 1, ..UNKNOWN }).collect();
    for var in &unwritten {
        if let Some(facts) = facts.get_mut(*var as usize) {
            facts.single = false;
        }
    }
    for var in &function.numbers {
        if let Some(facts) = facts.get_mut(var.0 as usize) {
            facts.number = true;
        }
    }
    (facts, unwritten)
}

impl<'a> Lower<'a> {
    pub(super) fn push(&mut self, inst: Inst<'a>) {
        self.out.push((inst, self.span));
    }

    fn finish_block(&mut self, end: MirEnd<'a>) {
        let insts = std::mem::take(&mut self.out);
        self.mir.blocks.push(MirBlock { insts, end: (end, self.span) });
    }

    pub(super) fn fail(&mut self, problem: CodegenProblem) {
        let span = self.span;
        self.failure.get_or_insert((problem, span));
    }

    /// Checks that the instruction set has it; otherwise reports the error.
    fn wants(&mut self, what: &'static str, needs: Isa) {
        let have = self.isa;
        if have < needs {
            self.fail(CodegenProblem::Isa { what, needs, have });
        }
    }

    fn fact(&self, var: Var) -> Facts<'a> {
        self.facts.get(var.0 as usize).copied().unwrap_or(UNKNOWN)
    }

    /// Records the value that the current statement assigns to the variable.
    fn learn(&mut self, var: Var, learn: impl FnOnce(&mut Facts<'a>)) {
        if let Some(facts) = self.facts.get_mut(var.0 as usize).filter(|facts| facts.single) {
            learn(facts);
        }
    }

    fn learn_value(&mut self, var: Var, value: Val<'a>) {
        let stays = match value {
            Val::Var(of) => self.fact(of).single,
            _ => true,
        };
        if stays {
            self.learn(var, |facts| facts.value = Some(value));
        }
    }

    /// Returns the known value of the operand.
    pub(super) fn value(&self, operand: Operand) -> Val<'a> {
        match operand {
            Operand::Imm(value) => Val::Imm(value as u64),
            Operand::Var(var) => self.fact(var).value.unwrap_or(Val::Var(var)),
        }
    }

    /// Records that a variable has the low bytes of another in its own. A pointer is not stored in part: the verifier rejects that.
    pub(super) fn learn_cut(&mut self, dst: Var, of: Val<'a>, bytes: u32) {
        if let Val::Var(of) = of {
            let facts = self.fact(of);
            if facts.single && (facts.number || facts.small) {
                self.learn(dst, |facts| facts.cut = Some((of, bytes)));
            }
        }
    }

    /// The operand of a store of so many bytes: of a value that was cut to those or more, what it was before.
    fn stored(&self, src: Operand, bytes: u32) -> Operand {
        let cut = match self.value(src) {
            Val::Var(var) => self.fact(var).cut,
            _ => None,
        };
        cut.filter(|(_, left)| bytes <= *left).map_or(src, |(of, _)| of.into())
    }

    /// Whether the sign bit is known to be 0.
    pub(super) fn is_small(&self, value: Val<'a>) -> bool {
        match value {
            Val::Var(var) => self.fact(var).small,
            Val::Imm(value) => value >> 63 == 0,
            Val::Symbol(_) | Val::Object(..) => false,
        }
    }

    /// Puts the value into the variable.
    fn put(&mut self, dst: Var, value: Val<'a>) {
        self.push(match value {
            Val::Var(src) => Inst::Mov { bits: Bits::B64, dst, src },
            Val::Imm(value) => Inst::Imm { dst, value },
            Val::Symbol(symbol) => Inst::Symbol { dst, symbol },
            Val::Object(object, offset) => Inst::Address { dst, object, offset },
        });
    }

    /// A variable that holds the value.
    pub(super) fn in_var(&mut self, value: Val<'a>) -> Var {
        match value {
            Val::Var(var) => var,
            value => {
                let dst = self.mir.new_var();
                self.put(dst, value);
                dst
            }
        }
    }

    /// Returns a variable that holds the operand. A constant that the block has in a variable is taken from there.
    fn operand_var(&mut self, operand: Operand) -> Var {
        let value = self.value(operand);
        let Operand::Var(of) = operand else { return self.in_var(value) };
        match (value, self.fact(of).cached) {
            (Val::Var(var), _) => var,
            (_, Some((block, var))) if block == self.block => var,
            _ => {
                let (var, block) = (self.in_var(value), self.block);
                self.learn(of, |facts| facts.cached = Some((block, var)));
                var
            }
        }
    }

    /// The operand as the second of an instruction.
    fn src(&mut self, bits: Bits, operand: Operand) -> Src {
        match (self.value(operand), bits) {
            (Val::Imm(value), Bits::B32) => Src::Imm(value as i32),
            (Val::Imm(value), Bits::B64) => match i32::try_from(value as i64) {
                Ok(value) => Src::Imm(value),
                Err(_) => Src::Var(self.operand_var(operand)),
            },
            _ => Src::Var(self.operand_var(operand)),
        }
    }

    /// A constant as the second operand of an instruction of 64 bits.
    pub(super) fn imm_src(&mut self, value: u64) -> Src {
        self.src(Bits::B64, Operand::Imm(value as i64))
    }

    /// The result of an operation, in a new variable.
    pub(super) fn alu(&mut self, bits: Bits, op: AluOp, a: Var, b: Src) -> Var {
        let dst = self.mir.new_var();
        self.alu_to(dst, bits, op, a, b);
        dst
    }

    pub(super) fn alu_to(&mut self, dst: Var, bits: Bits, op: AluOp, a: Var, b: Src) {
        self.alu_signed(dst, bits, op, false, a, b);
    }

    fn alu_signed(&mut self, dst: Var, bits: Bits, op: AluOp, signed: bool, a: Var, b: Src) {
        let ordered = signed || !super::mir::is_commutative(op);
        if ordered && b == Src::Var(dst) && a != dst {
            // The result must not replace the second operand before that is read.
            let to = self.mir.new_var();
            self.push(Inst::Alu { bits, op, signed, dst: to, a, b });
            self.push(Inst::Mov { bits: Bits::B64, dst, src: to });
        } else {
            self.push(Inst::Alu { bits, op, signed, dst, a, b });
        }
    }

    fn stmt(&mut self, stmt: &Stmt<'a>) {
        match *stmt {
            Stmt::Inst(inst) => self.inst(inst),
            Stmt::Assign { dst, src } => {
                let value = self.value(src);
                self.put(dst, value);
                self.learn_value(dst, value);
                if self.is_small(value) {
                    self.learn(dst, |facts| facts.small = true);
                }
            }
            Stmt::Binary { bits, op, dst, a, b } => self.binary(bits, op, dst, a, b),
            Stmt::SignExtend { from, dst, src } => match self.value(src) {
                Val::Imm(value) => self.constant(dst, constants::sign_extend(from, value)),
                value => {
                    let src = self.in_var(value);
                    self.sign_extend(dst, src, from as u8);
                    self.learn_cut(dst, value, u32::from(from as u8) / 8);
                }
            },
            Stmt::Swap { swap, bits, dst, src } => match self.value(src) {
                Val::Imm(value) => self.constant(dst, constants::swap(swap, bits, value)),
                value => {
                    let src = self.in_var(value);
                    let swap = match (swap, ByteOrder::NATIVE) {
                        (Swap::Always, _) if self.isa >= Isa::V4 => swap,
                        (Swap::Always, ByteOrder::Little) => Swap::Be,
                        (Swap::Always, ByteOrder::Big) => Swap::Le,
                        _ => swap,
                    };
                    self.push(Inst::Swap { swap, bits, dst, src });
                }
            },
            Stmt::Compare { bits, condition, dst, a, b } => {
                let compared = Compared { block: self.block, at: self.at, bits, condition, a, b };
                let (left, right) = (self.value(a), self.value(b));
                self.compare(bits, condition, dst, left, right);
                if let Some(facts) = self.facts.get_mut(dst.0 as usize) {
                    facts.compared = Some(compared);
                }
                self.learn(dst, |facts| facts.small = true);
            }
            Stmt::Store { size, release, to, src } => {
                if release {
                    self.wants("store_release", Isa::V4);
                }
                let bits = if size == Size::Double { Bits::B64 } else { Bits::B32 };
                let src = self.stored(src, size.bytes().into());
                let src =
                    if release { Src::Var(self.operand_var(src)) } else { self.src(bits, src) };
                let (base, offset) = self.place(to, size.bytes().into());
                self.push(Inst::Store { size, release, base, offset, src });
            }
            Stmt::Atomic { size, op, to, src } => {
                let op = match op {
                    AtomicBinary::Add => AtomicOp::Add,
                    AtomicBinary::Or => AtomicOp::Or,
                    AtomicBinary::And => AtomicOp::And,
                    AtomicBinary::Xor => AtomicOp::Xor,
                };
                if op != AtomicOp::Add {
                    self.wants("an atomic operation other than addition", Isa::V3);
                }
                let src = self.operand_var(src);
                let (base, offset) = self.place(to, atomic_bytes(size));
                self.push(Inst::Atomic { size, op, base, offset, src });
            }
            Stmt::Fetch { size, op, to, src, dst } => {
                self.wants("an atomic operation with a result", Isa::V3);
                let src = self.operand_var(src);
                let (base, offset) = self.place(to, atomic_bytes(size));
                // The result replaces the operand, and must not replace the address.
                let to = self.mir.new_var();
                self.push(Inst::Fetch { size, op, base, offset, src, dst: to });
                self.put(dst, Val::Var(to));
            }
            Stmt::CompareExchange { size, to, expected, new, dst } => {
                self.wants("an atomic operation with a result", Isa::V3);
                let (expected, new) = (self.operand_var(expected), self.operand_var(new));
                let (base, offset) = self.place(to, atomic_bytes(size));
                let to = self.mir.new_var();
                self.push(Inst::CompareExchange { size, base, offset, expected, new, dst: to });
                self.put(dst, Val::Var(to));
            }
            Stmt::Address { dst, of } => self.address(dst, of),
            Stmt::Call { target, args, count, dst } => {
                let args: Vec<_> = args
                    .iter()
                    .take(count.into())
                    .map(|arg| match self.value(*arg) {
                        Val::Var(var) => Arg::Var(var),
                        Val::Imm(value) => Arg::Imm(value),
                        Val::Symbol(symbol) => Arg::Symbol(symbol),
                        Val::Object(object, offset) => Arg::Address(object, offset),
                    })
                    .collect();
                self.push(Inst::Call { target, args: Args::new(args), dst: Some(dst) });
            }
        }
        if let Some(dst) = stmt.def() {
            let assigned = (self.block, self.at);
            if let Some(facts) = self.facts.get_mut(dst.0 as usize) {
                facts.assigned = assigned;
            }
        }
    }

    fn constant(&mut self, dst: Var, value: u64) {
        self.push(Inst::Imm { dst, value });
        self.learn_value(dst, Val::Imm(value));
        if value >> 63 == 0 {
            self.learn(dst, |facts| facts.small = true);
        }
    }

    /// An instruction as it was written.
    fn inst(&mut self, inst: Inst<'a>) {
        match inst {
            // They were read before the first block.
            Inst::Parameter { .. } => {}
            Inst::Symbol { dst, symbol } => {
                self.push(inst);
                self.learn_value(dst, Val::Symbol(symbol));
            }
            Inst::Load { kind, size, dst, base, offset, field } => {
                let of = Address { base, offset };
                let (base, offset) = self.place(of, size.bytes().into());
                match kind {
                    LoadKind::Signed(bits) if self.isa < Isa::V4 => {
                        let src = self.mir.new_var();
                        let kind = LoadKind::Zero;
                        self.push(Inst::Load { kind, size, dst: src, base, offset, field });
                        self.sign_extend(dst, src, bits as u8);
                    }
                    kind => {
                        if kind == LoadKind::Acquire {
                            self.wants("load_acquire", Isa::V4);
                        }
                        self.push(Inst::Load { kind, size, dst, base, offset, field });
                        if kind == LoadKind::Zero && size != Size::Double {
                            self.learn(dst, |facts| facts.small = true);
                        }
                    }
                }
            }
            inst => self.push(inst),
        }
    }

    /// Extends the sign of the low bits.
    pub(super) fn sign_extend(&mut self, dst: Var, src: Var, from: u8) {
        if self.isa >= Isa::V4 {
            let extend = match from {
                8 => SignExtend::B8To64,
                16 => SignExtend::B16To64,
                _ => SignExtend::B32To64,
            };
            self.push(Inst::Extend { extend, dst, src });
        } else {
            let by = Src::Imm(64 - i32::from(from));
            let high = self.alu(Bits::B64, AluOp::Lsh, src, by);
            self.alu_to(dst, Bits::B64, AluOp::Arsh, high, by);
        }
    }

    /// The base and offset of an access.
    fn place(&mut self, of: Address, bytes: u32) -> (Base, i32) {
        let var = match of.base {
            Base::Object(object) => return (Base::Object(object), of.offset),
            Base::Var(var) => var,
        };
        if let Val::Object(object, start) = self.value(var.into()) {
            let offset = i64::from(start) + i64::from(of.offset);
            let size = self.mir.objects.get(object.0 as usize).map_or(0, |data| data.size);
            let within = offset >= 0 && offset + i64::from(bytes) <= size.into();
            return match i32::try_from(offset) {
                Ok(offset) if within => (Base::Object(object), offset),
                _ => {
                    let offset = i32::try_from(offset).unwrap_or(i32::MAX);
                    self.fail(CodegenProblem::OutOfBounds { bytes, offset, size });
                    (Base::Object(object), 0)
                }
            };
        }
        let base = self.operand_var(var.into());
        if i16::try_from(of.offset).is_ok() {
            return (Base::Var(base), of.offset);
        }
        (Base::Var(self.alu(Bits::B64, AluOp::Add, base, Src::Imm(of.offset))), 0)
    }

    fn address(&mut self, dst: Var, of: Address) {
        let known = match of.base {
            Base::Object(object) => Some((object, 0)),
            Base::Var(var) => match self.value(var.into()) {
                Val::Object(object, start) => Some((object, start)),
                _ => None,
            },
        };
        match (known, of.base) {
            (Some((object, start)), _) => {
                let value = Val::Object(object, start.saturating_add(of.offset));
                self.put(dst, value);
                self.learn_value(dst, value);
            }
            (None, Base::Var(var)) => {
                self.binary(Bits::B64, Binary::Add, dst, var.into(), of.offset.into());
            }
            (None, Base::Object(_)) => {}
        }
    }

    fn end(&mut self, end: End, number: &impl Fn(u32) -> u32) -> MirEnd<'a> {
        match end {
            End::Jump(to) => MirEnd::Jump(number(to.0)),
            End::Return(value) => MirEnd::Return(match self.value(value) {
                Val::Var(var) => Arg::Var(var),
                Val::Imm(value) => Arg::Imm(value),
                Val::Symbol(symbol) => Arg::Symbol(symbol),
                Val::Object(object, offset) => Arg::Address(object, offset),
            }),
            End::Branch { bits, condition, a, b, then, other } => {
                let (then, other) = (number(then.0), number(other.0));
                self.branch(bits, condition, a, b, then, other)
            }
        }
    }

    /// The low half, extended.
    pub(super) fn widened(&mut self, signed: bool, src: Var) -> Var {
        let dst = self.mir.new_var();
        if signed {
            self.sign_extend(dst, src, 32);
        } else {
            self.push(Inst::Mov { bits: Bits::B32, dst, src });
        }
        dst
    }
}
