//! Instructions over variables, in blocks, with the variables that they read and write.

use super::ir::{Arg, Base, Inst, Object, ObjectData, Span, Src, Var};
use crate::insn::{AluOp, Bits, Condition};

/// A function between lowering and register allocation.
#[derive(Debug, Clone)]
pub(super) struct Mir<'a> {
    /// The number of variables.
    pub vars: u32,
    pub objects: Vec<ObjectData>,
    /// The blocks in the order of the layout, the entry first.
    pub blocks: Vec<MirBlock<'a>>,
}

#[derive(Debug, Clone)]
pub(super) struct MirBlock<'a> {
    pub insts: Vec<(Inst<'a>, Span)>,
    pub end: (MirEnd<'a>, Span),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum MirEnd<'a> {
    Jump(u32),
    Branch { bits: Bits, condition: Condition, a: Var, b: Src, then: u32, other: u32 },
    Return(Arg<'a>),
}

impl MirEnd<'_> {
    pub(super) fn targets(&self) -> impl Iterator<Item = u32> + use<> {
        let (first, second) = match *self {
            MirEnd::Jump(to) => (Some(to), None),
            MirEnd::Branch { then, other, .. } => (Some(then), Some(other)),
            MirEnd::Return(_) => (None, None),
        };
        first.into_iter().chain(second)
    }

    pub(super) fn map_targets(&mut self, map: impl Fn(u32) -> u32) {
        match self {
            MirEnd::Jump(to) => *to = map(*to),
            MirEnd::Branch { then, other, .. } => (*then, *other) = (map(*then), map(*other)),
            MirEnd::Return(_) => {}
        }
    }

    /// The variables that are read, to be changed.
    pub(super) fn for_uses_mut(&mut self, mut f: impl FnMut(&mut Var)) {
        match self {
            MirEnd::Branch { a, b, .. } => {
                f(a);
                if let Src::Var(b) = b {
                    f(b);
                }
            }
            MirEnd::Return(Arg::Var(var)) => f(var),
            MirEnd::Jump(_) | MirEnd::Return(_) => {}
        }
    }

    pub(super) fn for_uses(&self, mut f: impl FnMut(Var)) {
        let mut end = *self;
        end.for_uses_mut(|var| f(*var));
    }
}

impl<'a> Mir<'a> {
    pub(super) fn new_var(&mut self) -> Var {
        let var = Var(self.vars);
        self.vars += 1;
        var
    }

    /// The blocks that jump to each block.
    pub(super) fn predecessors(&self) -> Vec<Vec<u32>> {
        let mut into = vec![Vec::new(); self.blocks.len()];
        for (block, from) in self.blocks.iter().zip(0..) {
            for to in block.end.0.targets() {
                if let Some(into) = into.get_mut(to as usize) {
                    into.push(from);
                }
            }
        }
        into
    }
}

/// Whether the order of the operands makes no difference.
pub(super) fn is_commutative(op: AluOp) -> bool {
    matches!(op, AluOp::Add | AluOp::Mul | AluOp::And | AluOp::Or | AluOp::Xor)
}

impl<'a> Inst<'a> {
    /// Passes each variable that is read to `f`, to be changed. The second argument is whether the variable is still
    /// read when the result is written, so that the two need different registers.
    pub(super) fn for_uses_mut(&mut self, mut f: impl FnMut(&mut Var, bool)) {
        let base = |base: &mut Base, late, f: &mut dyn FnMut(&mut Var, bool)| {
            if let Base::Var(var) = base {
                f(var, late);
            }
        };
        match self {
            Inst::Imm { .. }
            | Inst::Symbol { .. }
            | Inst::Address { .. }
            | Inst::Start(_)
            | Inst::Keep(_)
            | Inst::Parameter { .. }
            | Inst::Fill { .. } => {}
            Inst::Mov { src, .. }
            | Inst::Neg { src, .. }
            | Inst::Extend { src, .. }
            | Inst::Swap { src, .. }
            | Inst::Spill { src, .. } => f(src, false),
            Inst::Alu { op, signed, a, b, .. } => {
                let late = *signed || !is_commutative(*op);
                if let Src::Var(b) = b {
                    let late = late && b != a;
                    f(b, late);
                }
                f(a, false);
            }
            Inst::Load { base: at, .. } => base(at, false, &mut f),
            Inst::FillFar { base, .. } => f(base, false),
            Inst::SpillFar { base, src, .. } => {
                f(base, false);
                f(src, false);
            }
            Inst::Store { base: at, src, .. } => {
                base(at, false, &mut f);
                if let Src::Var(src) = src {
                    f(src, false);
                }
            }
            Inst::Atomic { base: at, src, .. } => {
                base(at, false, &mut f);
                f(src, false);
            }
            Inst::Fetch { base: at, src, .. } => {
                base(at, true, &mut f);
                f(src, false);
            }
            Inst::CompareExchange { base: at, expected, new, .. } => {
                base(at, true, &mut f);
                f(new, true);
                f(expected, false);
            }
            Inst::Call { args, .. } => {
                for arg in args.as_mut_slice() {
                    if let Arg::Var(var) = arg {
                        f(var, false);
                    }
                }
            }
        }
    }

    pub(super) fn for_uses(&self, mut f: impl FnMut(Var, bool)) {
        let mut inst = *self;
        inst.for_uses_mut(|var, late| f(*var, late));
    }

    /// The variable that is written.
    pub(super) fn def_mut(&mut self) -> Option<&mut Var> {
        match self {
            Inst::Imm { dst, .. }
            | Inst::Symbol { dst, .. }
            | Inst::Address { dst, .. }
            | Inst::Mov { dst, .. }
            | Inst::Alu { dst, .. }
            | Inst::Neg { dst, .. }
            | Inst::Extend { dst, .. }
            | Inst::Swap { dst, .. }
            | Inst::Load { dst, .. }
            | Inst::Fetch { dst, .. }
            | Inst::CompareExchange { dst, .. }
            | Inst::Parameter { dst, .. }
            | Inst::Fill { dst, .. }
            | Inst::FillFar { dst, .. } => Some(dst),
            Inst::Call { dst, .. } => dst.as_mut(),
            Inst::Store { .. }
            | Inst::Atomic { .. }
            | Inst::Start(_)
            | Inst::Keep(_)
            | Inst::Spill { .. }
            | Inst::SpillFar { .. } => None,
        }
    }

    pub(super) fn def(&self) -> Option<Var> {
        let mut inst = *self;
        inst.def_mut().copied()
    }

    /// The objects that are named.
    pub(super) fn for_objects(&self, mut f: impl FnMut(Object)) {
        match self {
            Inst::Address { object, .. } | Inst::Keep(object) => f(*object),
            Inst::Load { base: Base::Object(object), .. }
            | Inst::Store { base: Base::Object(object), .. }
            | Inst::Atomic { base: Base::Object(object), .. }
            | Inst::Fetch { base: Base::Object(object), .. }
            | Inst::CompareExchange { base: Base::Object(object), .. } => f(*object),
            Inst::Call { args, .. } => {
                for arg in args.as_slice() {
                    if let Arg::Address(object, _) = arg {
                        f(*object);
                    }
                }
            }
            _ => {}
        }
    }

    /// Whether nothing but the result is lost if it is left out.
    pub(super) fn is_pure(&self) -> bool {
        match self {
            Inst::Imm { .. }
            | Inst::Symbol { .. }
            | Inst::Address { .. }
            | Inst::Mov { .. }
            | Inst::Alu { .. }
            | Inst::Neg { .. }
            | Inst::Extend { .. }
            | Inst::Swap { .. }
            | Inst::Parameter { .. }
            | Inst::Fill { .. }
            | Inst::FillFar { .. } => true,
            Inst::Load { kind, .. } => *kind != super::ir::LoadKind::Acquire,
            _ => false,
        }
    }
}

impl Inst<'_> {
    /// An instruction that is to be taken out.
    pub(super) const NOTHING: Inst<'static> = Inst::Keep(Object(u32::MAX));
}
