//! Displays virtual code as text, to inspect the code that a compiler generates.

use super::function::Function;
use super::ir::{
    Address, Base, Binary, Block, End, Inst, KernelValue, LoadKind, Object, Operand, Stmt, Symbol,
    Target, Var,
};
use crate::insn::{AtomicOp, AtomicSize, Bits, Condition, Size};
use std::fmt::{self, Display, Formatter};

impl Display for Var {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl Display for Object {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "o{}", self.0)
    }
}

impl Display for Block {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "b{}", self.0)
    }
}

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Var(var) => var.fmt(f),
            Operand::Imm(value) => value.fmt(f),
        }
    }
}

impl Display for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.base {
            Base::Var(var) => var.fmt(f)?,
            Base::Object(object) => object.fmt(f)?,
        }
        let sign = if self.offset < 0 { '-' } else { '+' };
        write!(f, " {sign} {}", self.offset.unsigned_abs())
    }
}

/// The statements, a line each; blocks in the order in which they are laid out.
impl Display for Function<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "function {}(", self.name.escape_debug())?;
        for (var, index) in self.parameters.iter().zip(0..) {
            write!(f, "{}{var}", if index == 0 { "" } else { ", " })?;
        }
        writeln!(f, ")")?;
        for block in &self.order {
            let Some(data) = self.blocks.get(block.0 as usize) else { continue };
            writeln!(f, "{block}:")?;
            for (stmt, _) in &data.stmts {
                if !matches!(stmt, Stmt::Inst(Inst::Parameter { .. })) {
                    f.write_str("    ")?;
                    self.write_stmt(f, stmt)?;
                    writeln!(f)?;
                }
            }
            match &data.end {
                Some((End::Jump(to), _)) => writeln!(f, "    goto {to}")?,
                Some((End::Branch { bits, condition, a, b, then, other }, _)) => {
                    let (condition, half) = (sign(*condition), half(*bits));
                    writeln!(f, "    if{half} {a} {condition} {b} goto {then} else {other}")?;
                }
                Some((End::Return(value), _)) => writeln!(f, "    return {value}")?,
                None => {}
            }
        }
        Ok(())
    }
}

impl Function<'_> {
    fn write_stmt(&self, f: &mut Formatter<'_>, stmt: &Stmt<'_>) -> fmt::Result {
        match stmt {
            Stmt::Inst(inst) => self.write_inst(f, inst),
            Stmt::Assign { dst, src } => write!(f, "{dst} = {src}"),
            Stmt::Binary { bits, op, dst, a, b } => {
                write!(f, "{dst} = {a} {}{} {b}", operator(*op), half(*bits))
            }
            Stmt::SignExtend { from, dst, src } => write!(f, "{dst} = (s{}){src}", *from as u8),
            Stmt::Swap { swap, bits, dst, src } => {
                let name = match swap {
                    crate::insn::Swap::Le => "le",
                    crate::insn::Swap::Be => "be",
                    crate::insn::Swap::Always => "bswap",
                };
                write!(f, "{dst} = {name}{} {src}", *bits as u8)
            }
            Stmt::Compare { bits, condition, dst, a, b } => {
                write!(f, "{dst} = {a} {}{} {b}", sign(*condition), half(*bits))
            }
            Stmt::Store { size, release, to, src } => {
                let release = if *release { "release " } else { "" };
                write!(f, "{release}*({} *)({to}) = {src}", unsigned(*size))
            }
            Stmt::Atomic { size, op, to, src } => {
                let op = match op {
                    super::ir::AtomicBinary::Add => "+",
                    super::ir::AtomicBinary::Or => "|",
                    super::ir::AtomicBinary::And => "&",
                    super::ir::AtomicBinary::Xor => "^",
                };
                write!(f, "lock *({} *)({to}) {op}= {src}", atomic(*size))
            }
            Stmt::Fetch { size, op, to, src, dst } => {
                let name = match op {
                    AtomicOp::FetchAdd => "fetch_add",
                    AtomicOp::FetchOr => "fetch_or",
                    AtomicOp::FetchAnd => "fetch_and",
                    AtomicOp::FetchXor => "fetch_xor",
                    _ => "xchg",
                };
                write!(f, "{dst} = {name}(({} *)({to}), {src})", atomic(*size))
            }
            Stmt::CompareExchange { size, to, expected, new, dst } => {
                write!(f, "{dst} = cmpxchg(({} *)({to}), {expected}, {new})", atomic(*size))
            }
            Stmt::Address { dst, of } => write!(f, "{dst} = &{of}"),
            Stmt::Call { target, args, count, dst } => {
                write!(f, "{dst} = ")?;
                match target {
                    Target::Helper(number) => match crate::asm::HELPERS.get(*number as usize) {
                        Some(name) => write!(f, "{name}(")?,
                        None => write!(f, "helper {number}(")?,
                    },
                    Target::Kfunc { btf_id, .. } => write!(f, "kfunc {btf_id}(")?,
                    Target::KfuncNamed(name) => write!(f, "{}(", name.escape_debug())?,
                    Target::Local(id) => write!(f, "function {}(", id.0)?,
                }
                for (arg, index) in args.iter().take((*count).into()).zip(0..) {
                    write!(f, "{}{arg}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str(")")
            }
        }
    }

    fn write_inst(&self, f: &mut Formatter<'_>, inst: &Inst<'_>) -> fmt::Result {
        match *inst {
            Inst::Symbol { dst, symbol } => {
                write!(f, "{dst} = ")?;
                match symbol {
                    Symbol::Map(map) => write!(f, "map {}", map.name.escape_debug()),
                    Symbol::MapValue(map, offset) => {
                        write!(f, "{}[{offset}]", map.name.escape_debug())
                    }
                    Symbol::Function(id) => write!(f, "&function {}", id.0),
                    Symbol::Rodata(offset) => write!(f, ".rodata[{offset}]"),
                    Symbol::Kernel(name, value) => {
                        let name = name.escape_debug();
                        match value {
                            KernelValue::Value => write!(f, "{name}"),
                            KernelValue::Size => write!(f, "sizeof({name})"),
                            KernelValue::Exists => write!(f, "exists({name})"),
                        }
                    }
                }
            }
            Inst::Load { kind, size, dst, base, offset, field } => {
                let kind = match kind {
                    LoadKind::Zero => unsigned(size).to_owned(),
                    LoadKind::Signed(bits) => format!("s{}", bits as u8),
                    LoadKind::Acquire => format!("acquire {}", unsigned(size)),
                };
                match (field, base) {
                    (Some(field), Base::Var(base)) => {
                        write!(f, "{dst} = *({kind} *)({base} + {})", field.escape_debug())
                    }
                    _ => write!(f, "{dst} = *({kind} *)({})", Address { base, offset }),
                }
            }
            Inst::Start(object) => {
                let size = self.objects.get(object.0 as usize).map_or(0, |data| data.size);
                write!(f, "{object}: {size} bytes")
            }
            Inst::Keep(object) => write!(f, "keep {object}"),
            // Of these there are none before registers are allocated.
            _ => f.write_str("an instruction of the compiler's own"),
        }
    }
}

fn half(bits: Bits) -> &'static str {
    match bits {
        Bits::B64 => "",
        Bits::B32 => "32",
    }
}

fn unsigned(size: Size) -> &'static str {
    match size {
        Size::Byte => "u8",
        Size::Half => "u16",
        Size::Word => "u32",
        Size::Double => "u64",
    }
}

fn atomic(size: AtomicSize) -> &'static str {
    match size {
        AtomicSize::Word => "u32",
        AtomicSize::Double => "u64",
    }
}

fn operator(op: Binary) -> &'static str {
    match op {
        Binary::Add => "+",
        Binary::Sub => "-",
        Binary::Mul => "*",
        Binary::Div => "/",
        Binary::Mod => "%",
        Binary::SignedDiv => "s/",
        Binary::SignedMod => "s%",
        Binary::And => "&",
        Binary::Or => "|",
        Binary::Xor => "^",
        Binary::Lsh => "<<",
        Binary::Rsh => ">>",
        Binary::Arsh => "s>>",
    }
}

fn sign(condition: Condition) -> &'static str {
    match condition {
        Condition::Eq => "==",
        Condition::Ne => "!=",
        Condition::Gt => ">",
        Condition::Ge => ">=",
        Condition::Lt => "<",
        Condition::Le => "<=",
        Condition::SignedGt => "s>",
        Condition::SignedGe => "s>=",
        Condition::SignedLt => "s<",
        Condition::SignedLe => "s<=",
        Condition::Set => "&",
    }
}
