//! Virtual code: variables, objects, blocks, and the statements over them.

use crate::insn::{
    AluOp, AtomicOp, AtomicSize, Bits, Condition, SignBits, SignExtend, Size, Swap, SwapBits,
};
use crate::spec::MapSpec;
use std::ops::Range;

/// A variable of a [`Function`](super::Function): 64 bits, assigned any number of times. One that is read before any
/// assignment holds 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Var(pub(super) u32);

/// Bytes in the memory of a [`Function`](super::Function): on its stack, or in its scratch memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Object(pub(super) u32);

/// A block of a [`Function`](super::Function): statements that end with a jump, a branch or a return.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Block(pub(super) u32);

/// A function of a [`Unit`](super::Unit) that others call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionId(pub(super) u32);

/// Constant bytes of a [`Unit`](super::Unit).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rodata {
    pub(super) offset: u32,
    pub(super) size: u32,
}

impl Rodata {
    /// Returns the number of bytes.
    pub const fn size(self) -> u32 {
        self.size
    }
}

/// A value that is read: a variable or a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operand {
    /// A variable.
    Var(Var),
    /// A constant; unsigned ones by their bits.
    Imm(i64),
}

impl From<Var> for Operand {
    fn from(var: Var) -> Operand {
        Operand::Var(var)
    }
}

impl From<i64> for Operand {
    fn from(value: i64) -> Operand {
        Operand::Imm(value)
    }
}

impl From<i32> for Operand {
    fn from(value: i32) -> Operand {
        Operand::Imm(value.into())
    }
}

impl From<u32> for Operand {
    fn from(value: u32) -> Operand {
        Operand::Imm(value.into())
    }
}

impl From<u64> for Operand {
    fn from(value: u64) -> Operand {
        Operand::Imm(value as i64)
    }
}

/// A place in memory: a pointer or an object, and bytes from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address {
    pub(super) base: Base,
    pub(super) offset: i32,
}

impl Address {
    /// Returns the place `bytes` further on.
    pub const fn at(self, bytes: i32) -> Address {
        Address { base: self.base, offset: self.offset.saturating_add(bytes) }
    }
}

impl From<Var> for Address {
    fn from(var: Var) -> Address {
        var.at(0)
    }
}

impl From<Object> for Address {
    fn from(object: Object) -> Address {
        object.at(0)
    }
}

impl Var {
    /// Returns the place `bytes` from where the variable points to.
    pub const fn at(self, bytes: i32) -> Address {
        Address { base: Base::Var(self), offset: bytes }
    }
}

impl Object {
    /// Returns the place `bytes` from the object's first byte.
    pub const fn at(self, bytes: i32) -> Address {
        Address { base: Base::Object(self), offset: bytes }
    }
}

/// An operation on two values. All of them are total, as RFC 9669 defines them: `x / 0` is 0, `x % 0` is `x`, the least
/// signed number divided by -1 is itself, and shift counts are taken modulo the width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    /// Unsigned division.
    Div,
    /// Unsigned remainder.
    Mod,
    /// Signed division, towards zero.
    SignedDiv,
    /// Signed remainder, with the sign of the first operand.
    SignedMod,
    And,
    Or,
    Xor,
    /// Shift left.
    Lsh,
    /// Shift right, filling with zeros.
    Rsh,
    /// Shift right, keeping the sign.
    Arsh,
}

/// An atomic operation on memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum AtomicBinary {
    Add,
    Or,
    And,
    Xor,
}

/// A number that is resolved by name against the kernel that loads the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KernelValue {
    /// The offset of a field, bytes, or the value of an enumerator: `task_struct.tgid`, `pid_type.PIDTYPE_TGID`,
    /// `enum.BPF_F_CURRENT_CPU`, `args.filename`, `pt_regs.parm1`.
    Value,
    /// The size, bytes, of a type or a field: `task_struct`.
    Size,
    /// 1 if the kernel has such a type or field, else 0.
    Exists,
}

/// The base of an [`Address`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Base {
    Var(Var),
    Object(Object),
}

/// A constant that is resolved by the loader or the layout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Symbol<'a> {
    Map(&'a MapSpec<'a>),
    MapValue(&'a MapSpec<'a>, u32),
    Function(FunctionId),
    Rodata(u32),
    Kernel(&'a str, KernelValue),
}

/// The second operand of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Src {
    Var(Var),
    Imm(i32),
}

/// An argument of a call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Arg<'a> {
    Var(Var),
    Imm(u64),
    Symbol(Symbol<'a>),
    Address(Object, i32),
    /// The value of a spill slot.
    Slot(u32),
}

/// Up to five arguments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Args<'a> {
    args: [Arg<'a>; 5],
    count: u8,
}

impl<'a> Args<'a> {
    /// The first five of them.
    pub(super) fn new(from: impl IntoIterator<Item = Arg<'a>>) -> Args<'a> {
        let mut all = Args { args: [Arg::Imm(0); 5], count: 0 };
        for (to, arg) in all.args.iter_mut().zip(from) {
            *to = arg;
            all.count += 1;
        }
        all
    }

    pub(super) fn as_slice(&self) -> &[Arg<'a>] {
        self.args.get(..self.count.into()).unwrap_or_default()
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [Arg<'a>] {
        self.args.get_mut(..self.count.into()).unwrap_or_default()
    }
}

/// The target of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target<'a> {
    Helper(i32),
    Kfunc { btf_id: i32, fd_index: i16 },
    KfuncNamed(&'a str),
    Local(FunctionId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoadKind {
    Zero,
    Signed(SignBits),
    Acquire,
}

/// An instruction over variables: one of BPF, or few (a move and an operation).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Inst<'a> {
    Imm {
        dst: Var,
        value: u64,
    },
    Symbol {
        dst: Var,
        symbol: Symbol<'a>,
    },
    Address {
        dst: Var,
        object: Object,
        offset: i32,
    },
    Mov {
        bits: Bits,
        dst: Var,
        src: Var,
    },
    Alu {
        bits: Bits,
        op: AluOp,
        /// `s/` and `s%`.
        signed: bool,
        dst: Var,
        a: Var,
        b: Src,
    },
    Neg {
        bits: Bits,
        dst: Var,
        src: Var,
    },
    Extend {
        extend: SignExtend,
        dst: Var,
        src: Var,
    },
    Swap {
        swap: Swap,
        bits: SwapBits,
        dst: Var,
        src: Var,
    },
    Load {
        kind: LoadKind,
        size: Size,
        dst: Var,
        base: Base,
        offset: i32,
        field: Option<&'a str>,
    },
    Store {
        size: Size,
        release: bool,
        base: Base,
        offset: i32,
        src: Src,
    },
    /// Without a result.
    Atomic {
        size: AtomicSize,
        op: AtomicOp,
        base: Base,
        offset: i32,
        src: Var,
    },
    /// With the old value as the result.
    Fetch {
        size: AtomicSize,
        op: AtomicOp,
        base: Base,
        offset: i32,
        src: Var,
        dst: Var,
    },
    CompareExchange {
        size: AtomicSize,
        base: Base,
        offset: i32,
        expected: Var,
        new: Var,
        dst: Var,
    },
    Call {
        target: Target<'a>,
        args: Args<'a>,
        dst: Option<Var>,
    },
    /// The object's lifetime begins here: its previous contents are undefined.
    Start(Object),
    /// The object is of interest up to here.
    Keep(Object),
    /// The parameter as it comes in its register; only at the start of the entry.
    Parameter {
        dst: Var,
        index: u8,
    },
    Fill {
        dst: Var,
        slot: u32,
    },
    Spill {
        slot: u32,
        src: Var,
    },
    /// From scratch memory.
    FillFar {
        dst: Var,
        base: Var,
        offset: i32,
    },
    /// To scratch memory.
    SpillFar {
        base: Var,
        offset: i32,
        src: Var,
    },
}

/// A statement as it is written: an instruction, or an operation that expands to several.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Stmt<'a> {
    Inst(Inst<'a>),
    Assign { dst: Var, src: Operand },
    Binary { bits: Bits, op: Binary, dst: Var, a: Operand, b: Operand },
    SignExtend { from: SignBits, dst: Var, src: Operand },
    Swap { swap: Swap, bits: SwapBits, dst: Var, src: Operand },
    Compare { bits: Bits, condition: Condition, dst: Var, a: Operand, b: Operand },
    Store { size: Size, release: bool, to: Address, src: Operand },
    Atomic { size: AtomicSize, op: AtomicBinary, to: Address, src: Operand },
    Fetch { size: AtomicSize, op: AtomicOp, to: Address, src: Operand, dst: Var },
    CompareExchange { size: AtomicSize, to: Address, expected: Operand, new: Operand, dst: Var },
    Address { dst: Var, of: Address },
    Call { target: Target<'a>, args: [Operand; 5], count: u8, dst: Var },
}

/// The terminator of a block, as it is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum End {
    Jump(Block),
    Branch { bits: Bits, condition: Condition, a: Operand, b: Operand, then: Block, other: Block },
    Return(Operand),
}

impl End {
    pub(super) fn targets(&self) -> impl Iterator<Item = Block> + use<> {
        let (first, second) = match *self {
            End::Jump(to) => (Some(to), None),
            End::Branch { then, other, .. } => (Some(then), Some(other)),
            End::Return(_) => (None, None),
        };
        first.into_iter().chain(second)
    }
}

/// A piece of the source.
pub(super) type Span = Option<(u32, u32)>;

pub(super) fn span(range: Range<u32>) -> Span {
    Some((range.start, range.end))
}

#[derive(Debug, Clone, Default)]
pub(super) struct BlockData<'a> {
    pub stmts: Vec<(Stmt<'a>, Span)>,
    pub end: Option<(End, Span)>,
    pub placed: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct ObjectData {
    pub size: u32,
}

impl Stmt<'_> {
    /// The variables that are read.
    pub(super) fn for_uses(&self, mut f: impl FnMut(Var)) {
        let mut operand = |operand: &Operand| {
            if let Operand::Var(var) = operand {
                f(*var);
            }
        };
        let base = |address: &Address| match address.base {
            Base::Var(var) => Operand::Var(var),
            Base::Object(_) => Operand::Imm(0),
        };
        match self {
            Stmt::Inst(inst) => inst.for_uses(|var, _| f(var)),
            Stmt::Assign { src, .. } | Stmt::SignExtend { src, .. } | Stmt::Swap { src, .. } => {
                operand(src);
            }
            Stmt::Binary { a, b, .. } | Stmt::Compare { a, b, .. } => {
                [a, b].into_iter().for_each(operand)
            }
            Stmt::Store { to, src, .. }
            | Stmt::Atomic { to, src, .. }
            | Stmt::Fetch { to, src, .. } => [&base(to), src].into_iter().for_each(operand),
            Stmt::CompareExchange { to, expected, new, .. } => {
                [&base(to), expected, new].into_iter().for_each(operand)
            }
            Stmt::Address { of, .. } => operand(&base(of)),
            Stmt::Call { args, count, .. } => args.iter().take((*count).into()).for_each(operand),
        }
    }

    /// The variable that is written.
    pub(super) fn def(&self) -> Option<Var> {
        match self {
            Stmt::Inst(inst) => inst.def(),
            Stmt::Assign { dst, .. }
            | Stmt::Binary { dst, .. }
            | Stmt::SignExtend { dst, .. }
            | Stmt::Swap { dst, .. }
            | Stmt::Compare { dst, .. }
            | Stmt::Fetch { dst, .. }
            | Stmt::CompareExchange { dst, .. }
            | Stmt::Address { dst, .. }
            | Stmt::Call { dst, .. } => Some(*dst),
            Stmt::Store { .. } | Stmt::Atomic { .. } => None,
        }
    }
}

impl End {
    /// The variables that are read.
    pub(super) fn for_uses(&self, mut f: impl FnMut(Var)) {
        let operands = match *self {
            End::Jump(_) => [None, None],
            End::Branch { a, b, .. } => [Some(a), Some(b)],
            End::Return(value) => [Some(value), None],
        };
        for operand in operands.into_iter().flatten() {
            if let Operand::Var(var) = operand {
                f(var);
            }
        }
    }
}
