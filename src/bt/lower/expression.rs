//! Values: scalars in variables, objects prepared for their place.

use super::memory::{Place, Prepared, int_size};
use super::{Lower, Lowered};
use crate::bt::ast::BinaryOp;
use crate::bt::check::MAX_VALUE;
use crate::bt::hir::{Expr, ExprKind, Unary};
use crate::bt::plan::RecordKind;
use crate::bt::types::{Bits, Space, Type, tuple_layout};
use crate::codegen::{Binary, Operand, Var};
use crate::insn::{Condition, Size};

impl<'p> Lower<'_, 'p, '_> {
    /// Evaluates an expression of a scalar type.
    pub(super) fn scalar(&mut self, of: &'p Expr) -> Lowered<Operand> {
        let span = std::mem::replace(&mut self.span, of.span);
        self.at(of.span);
        let value = self.scalar_at(of);
        self.at(span);
        value
    }

    fn scalar_at(&mut self, of: &'p Expr) -> Lowered<Operand> {
        if !of.ty.is_scalar() && of.ty != Type::Void {
            // The address of an object that is read from: a string, an array.
            let place = self.object(of)?;
            return Ok(self.pointer(place));
        }
        Ok(match &of.kind {
            ExprKind::Int(value) => (*value).into(),
            ExprKind::Variable(variable) => self.read_variable(*variable, &of.ty)?,
            ExprKind::Map { map, key } => self.read_map(*map, key.as_deref(), &of.ty)?,
            ExprKind::Aggregated(value) => self.aggregated(value)?,
            ExprKind::Builtin(builtin) => self.builtin(*builtin)?,
            ExprKind::Context => self.context.into(),
            ExprKind::Load { address, offset, access, bits } => {
                self.load(address, *offset, *access, *bits, &of.ty)?
            }
            ExprKind::Address { address, offset } => self.offset_address(address, *offset)?,
            ExprKind::DataLocation { offset, relative } => self.data_location(*offset, *relative),
            ExprKind::Extract { value, offset, index, bits } => {
                let size = bits.map_or(self.size(&of.ty), |bits| bits.bytes);
                let place = self.part(value, *offset, index.as_ref(), size)?;
                self.scalar_part(place, *bits, &of.ty)
            }
            ExprKind::Unary(Unary::Not, _)
            | ExprKind::Compare { .. }
            | ExprKind::CompareObjects { .. }
            | ExprKind::Logical { .. } => self.boolean(of)?,
            ExprKind::Unary(Unary::Negate, value) => {
                let value = self.number(value)?;
                self.f.neg(value).into()
            }
            ExprKind::Unary(Unary::Invert, value) => {
                let value = self.number(value)?;
                self.f.not(value).into()
            }
            ExprKind::Binary { op, signed, left, right } => {
                let mut left_value = self.number(left)?;
                // The verifier rejects adding an unbounded scalar to a pointer to the context.
                if is_context(left)
                    && !matches!(right.kind, ExprKind::Int(_))
                    && let Operand::Var(pointer) = left_value
                {
                    left_value = self.as_number(pointer);
                }
                let left = left_value;
                let right = self.number(right)?;
                self.arithmetic(*op, *signed, left, right)
            }
            ExprKind::Ternary { condition, then, otherwise } => {
                self.choose(condition, then, otherwise)?
            }
            ExprKind::Convert(value) => self.convert(value, &of.ty)?,
            ExprKind::StepVariable { variable, by, prefix } => {
                self.step_variable(*variable, *by, *prefix, &of.ty)?
            }
            ExprKind::StepMap { map, key, by, prefix } => {
                self.step_map(*map, key.as_deref(), *by, *prefix)?
            }
            ExprKind::Block(statements, value) => {
                self.statements(statements)?;
                match value.ty {
                    Type::Void => {
                        self.effect(value)?;
                        0.into()
                    }
                    _ => self.scalar(value)?,
                }
            }
            ExprKind::Call(call) => self.call_scalar(call, of)?,
            ExprKind::Tuple(_) | ExprKind::Bytes(_) => return self.never(),
        })
    }

    /// Evaluates a number for arithmetic: never a pointer whose type the verifier tracks.
    pub(super) fn number(&mut self, of: &'p Expr) -> Lowered<Operand> {
        let value = self.scalar(of)?;
        match value {
            Operand::Var(var) if self.typed && is_typed(of) => Ok(self.as_number(var)),
            value => Ok(value),
        }
    }

    /// A pointer as a number: a copy that a helper makes.
    fn as_number(&mut self, pointer: Var) -> Operand {
        let (from, to) = (self.room(8), self.room(8));
        self.f.store(Size::Double, from.address, pointer);
        let address = self.pointer(from);
        self.put(&Prepared::Read { address, space: Space::Kernel, size: 8 }, to, false);
        let number = self.f.load(Size::Double, to.address);
        self.f.number(number);
        number.into()
    }

    /// Evaluates an expression for its side effects.
    pub(super) fn effect(&mut self, of: &'p Expr) -> Lowered<()> {
        self.at(of.span);
        match &of.kind {
            ExprKind::StepMap { map, key, by, .. } => {
                return self.add_to_map(*map, key.as_deref(), (*by).into());
            }
            ExprKind::Block(statements, value) => {
                self.statements(statements)?;
                return self.effect(value);
            }
            ExprKind::Ternary { condition, then, otherwise } if of.ty == Type::Void => {
                let (yes, no, after) = (self.f.block(), self.f.block(), self.f.block());
                self.branch(condition, yes, no)?;
                self.f.switch_to(yes);
                self.effect(then)?;
                self.f.jump(after);
                self.f.switch_to(no);
                self.effect(otherwise)?;
                self.f.switch_to(after);
                return Ok(());
            }
            ExprKind::Tuple(elements) => {
                return elements.iter().try_for_each(|element| self.effect(element));
            }
            _ => {}
        }
        match of.ty.is_scalar() || of.ty == Type::Void {
            true => self.scalar(of).map(drop),
            false => self.prepare(of).map(drop),
        }
    }

    /// Evaluates everything that a value depends on.
    pub(super) fn prepare(&mut self, of: &'p Expr) -> Lowered<Prepared> {
        let span = self.span;
        self.at(of.span);
        let value = self.prepare_at(of);
        self.at(span);
        value
    }

    fn prepare_at(&mut self, of: &'p Expr) -> Lowered<Prepared> {
        let size = self.size(&of.ty);
        if of.ty.is_scalar() {
            let value = self.scalar(of)?;
            return Ok(Prepared::Scalar(value, int_size(size)));
        }
        // Before code is made for each word of it.
        if size > MAX_VALUE {
            let feature = format!("so much memory in a probe: {size} bytes");
            return self.unsupported(of.span, feature);
        }
        Ok(match &of.kind {
            ExprKind::Bytes(bytes) => Prepared::Bytes(bytes.clone(), size),
            ExprKind::Variable(variable) => Prepared::Copy(self.variable_place(*variable)?, size),
            ExprKind::Map { map, key } => {
                Prepared::Copy(self.map_object(*map, key.as_deref())?, size)
            }
            ExprKind::Builtin(builtin) => self.builtin_object(*builtin, &of.ty)?,
            ExprKind::Load { address, offset, access, .. } => {
                self.prepare_load(address, *offset, *access, &of.ty)?
            }
            ExprKind::Extract { value, offset, index, .. } => {
                Prepared::Copy(self.part(value, *offset, index.as_ref(), size)?, size)
            }
            ExprKind::Tuple(elements) => {
                let Type::Tuple(types) = &of.ty else { return self.never() };
                let layout = tuple_layout(types, self.structs());
                let mut parts = Vec::with_capacity(elements.len());
                for (element, offset) in elements.iter().zip(layout.offsets) {
                    parts.push((offset, self.prepare(element)?));
                }
                Prepared::Parts { parts, size: layout.size }
            }
            ExprKind::Ternary { condition, then, otherwise } => {
                let room = self.room(size);
                let (yes, no, after) = (self.f.block(), self.f.block(), self.f.block());
                self.branch(condition, yes, no)?;
                for (block, value) in [(yes, then), (no, otherwise)] {
                    self.f.switch_to(block);
                    let value = self.prepare(value)?;
                    self.put(&value, room, true);
                    self.f.jump(after);
                }
                self.f.switch_to(after);
                Prepared::Copy(room, size)
            }
            ExprKind::Convert(value) => self.prepare_convert(value, &of.ty)?,
            ExprKind::Block(statements, value) => {
                self.statements(statements)?;
                self.prepare(value)?
            }
            ExprKind::Call(call) => self.call_object(call, of)?,
            _ => return self.never(),
        })
    }

    /// An object in memory.
    pub(super) fn object(&mut self, of: &'p Expr) -> Lowered<Place> {
        let value = self.prepare(of)?;
        Ok(self.in_memory(&value))
    }

    /// The place of a part of an object.
    fn part(
        &mut self,
        value: &'p Expr,
        offset: u32,
        index: Option<&'p (Box<Expr>, u32)>,
        size: u32,
    ) -> Lowered<Place> {
        let whole = self.size(&value.ty);
        let place = match value.ty.is_scalar() {
            true => {
                let prepared = self.prepare(value)?;
                self.in_memory(&prepared)
            }
            false => self.object(value)?,
        };
        if offset.saturating_add(size) > whole {
            return self.never();
        }
        let Some((index, element)) = index else { return Ok(place.at(offset)) };
        let index = self.number(index)?;
        let rest = place.at(offset);
        let rest_size = match &value.ty {
            Type::Array(of, length) => self.size(of).saturating_mul(*length),
            _ => whole - offset,
        };
        Ok(self.indexed(rest, rest_size.min(whole - offset), index, *element))
    }

    fn scalar_part(&mut self, place: Place, bits: Option<Bits>, ty: &Type) -> Operand {
        let size = bits.map_or(self.size(ty), |bits| bits.bytes);
        if let Some(bits) = bits.filter(|bits| !matches!(bits.bytes, 1 | 2 | 4 | 8)) {
            return self.gather(place, bits, ty);
        }
        if u32::from(int_size(size).bytes()) > place.align {
            // Put together from bytes where they lie badly.
            let room = self.room(8);
            self.copy(place, room, size);
            return self.scalar_part(room, bits, ty);
        }
        let value = self.load_sized(place, int_size(size), ty);
        match bits {
            None => value.into(),
            Some(bits) => self.extract(value.into(), bits, ty),
        }
    }

    /// Arithmetic on 64-bit integers.
    pub(super) fn arithmetic(
        &mut self,
        op: BinaryOp,
        signed: bool,
        left: Operand,
        right: Operand,
    ) -> Operand {
        let plain = match op {
            BinaryOp::Add => Binary::Add,
            BinaryOp::Sub => Binary::Sub,
            BinaryOp::Mul => Binary::Mul,
            BinaryOp::BitAnd => Binary::And,
            BinaryOp::BitOr => Binary::Or,
            BinaryOp::BitXor => Binary::Xor,
            BinaryOp::Shl => Binary::Lsh,
            BinaryOp::Shr if signed => Binary::Arsh,
            BinaryOp::Shr => Binary::Rsh,
            BinaryOp::Div => return self.divide(Binary::Div, signed, left, right),
            BinaryOp::Mod => return self.divide(Binary::Mod, signed, left, right),
            BinaryOp::Eq
            | BinaryOp::Ne
            | BinaryOp::Lt
            | BinaryOp::Le
            | BinaryOp::Gt
            | BinaryOp::Ge => {
                return self.f.compare(super::condition::condition(op, signed), left, right).into();
            }
        };
        self.f.binary(plain, left, right).into()
    }

    /// Lowers a division or remainder. With divisor 0 the result is 1, and a record reports it.
    fn divide(&mut self, op: Binary, signed: bool, left: Operand, right: Operand) -> Operand {
        let op = match (op, signed) {
            (Binary::Div, true) => Binary::SignedDiv,
            (Binary::Mod, true) => Binary::SignedMod,
            (op, _) => op,
        };
        if let Operand::Imm(right) = right
            && right != 0
        {
            return self.f.binary(op, left, right).into();
        }
        let result = self.f.var();
        self.f.number(result);
        let (divide, after) = (self.f.block(), self.f.block());
        let zero = self.cold(move |lower| {
            lower.f.assign(result, 1);
            lower.send(RecordKind::DivisionByZero, &[]);
            lower.f.jump(after);
        });
        self.f.branch(Condition::Ne, right, 0, divide, zero);
        self.f.switch_to(divide);
        self.f.binary_to(result, crate::insn::Bits::B64, op, left, right);
        self.f.switch_to(after);
        result.into()
    }

    /// `c ? x : y` of scalars.
    fn choose(
        &mut self,
        condition: &'p Expr,
        then: &'p Expr,
        otherwise: &'p Expr,
    ) -> Lowered<Operand> {
        // Branches would give the verifier two paths with constants, which it follows to the end.
        if let (ExprKind::Int(then), ExprKind::Int(otherwise)) = (&then.kind, &otherwise.kind) {
            let condition = self.scalar(condition)?;
            let difference = then.wrapping_sub(*otherwise);
            let scaled = self.f.mul(condition, difference);
            return Ok(self.f.add(scaled, *otherwise).into());
        }
        let result = self.f.var();
        let (yes, no, after) = (self.f.block(), self.f.block(), self.f.block());
        self.branch(condition, yes, no)?;
        for (block, value) in [(yes, then), (no, otherwise)] {
            self.f.switch_to(block);
            let value = self.number(value)?;
            self.f.assign(result, value);
            self.f.jump(after);
        }
        self.f.switch_to(after);
        Ok(result.into())
    }

    /// Converts to a scalar.
    fn convert(&mut self, value: &'p Expr, to: &Type) -> Lowered<Operand> {
        if !value.ty.is_scalar() {
            return self.convert_object(value, to);
        }
        let from = match (&value.ty, to) {
            (Type::Int(from) | Type::Enum(_, from), Type::Int(to) | Type::Enum(_, to)) => {
                let value = self.scalar(value)?;
                let fits = to.size == 8
                    || from.signed == to.signed && from.size <= to.size
                    || !from.signed && from.size < to.size;
                return Ok(if fits { value } else { self.truncate(value, *to) });
            }
            _ => self.number(value)?,
        };
        Ok(match to {
            Type::Bool if value.ty == Type::Bool => from,
            Type::Bool => self.f.compare(Condition::Ne, from, 0).into(),
            Type::Int(int) | Type::Enum(_, int) if value.ty != Type::Bool => {
                self.truncate(from, *int)
            }
            _ => from,
        })
    }

    /// Returns an array of the size of an integer, or the first bytes of an object, as an integer.
    fn convert_object(&mut self, value: &'p Expr, to: &Type) -> Lowered<Operand> {
        let (have, want) = (self.size(&value.ty), self.size(to));
        let mut place = self.object(value)?;
        if have < want || place.align < want {
            let room = self.room(8);
            self.zero(room, 8);
            self.copy(place, room, have.min(want));
            place = room;
        }
        Ok(self.load_sized(place, int_size(want), to).into())
    }

    /// Converts to an object.
    fn prepare_convert(&mut self, value: &'p Expr, to: &Type) -> Lowered<Prepared> {
        let size = self.size(to);
        if value.ty.is_scalar() {
            let from = self.size(&value.ty);
            let number = self.number(value)?;
            let words = vec![(0, int_size(from.min(size)), number)];
            return Ok(Prepared::Words { words, size });
        }
        let inner = self.prepare(value)?;
        self.widened(inner, &value.ty, to)
    }

    /// An object of a type as one of a larger type of its kind.
    fn widened(&mut self, value: Prepared, from: &Type, to: &Type) -> Lowered<Prepared> {
        let (old, size) = (self.size(from), self.size(to));
        match (from, to) {
            _ if from == to => Ok(value),
            (Type::Tuple(from), Type::Tuple(to)) => {
                let (old, new) =
                    (tuple_layout(from, self.structs()), tuple_layout(to, self.structs()));
                let place = self.in_memory(&value);
                let mut parts = Vec::with_capacity(to.len());
                let types = from.iter().zip(&**to);
                for ((from, to), (old, new)) in types.zip(old.offsets.iter().zip(new.offsets)) {
                    let element = self.element(place.at(*old), from);
                    parts.push((new, self.widened_element(element, from, to)?));
                }
                Ok(Prepared::Parts { parts, size: new.size })
            }
            _ if old <= size => Ok(Prepared::Parts { parts: vec![(0, value)], size }),
            // A cast to a smaller object takes the first bytes.
            _ => {
                let place = self.in_memory(&value);
                Ok(Prepared::Copy(place, size))
            }
        }
    }

    fn element(&mut self, place: Place, ty: &Type) -> Prepared {
        let size = self.size(ty);
        match ty.is_scalar() {
            true => Prepared::Scalar(self.scalar_part(place, None, ty), int_size(size)),
            false => Prepared::Copy(place, size),
        }
    }

    fn widened_element(&mut self, value: Prepared, from: &Type, to: &Type) -> Lowered<Prepared> {
        match value {
            Prepared::Scalar(value, _) => {
                let value = match to {
                    Type::Bool => value,
                    Type::Int(to) | Type::Enum(_, to) => self.truncate(value, *to),
                    _ => value,
                };
                Ok(Prepared::Scalar(value, int_size(self.size(to))))
            }
            value => self.widened(value, from, to),
        }
    }
}

/// Whether a value is a pointer to the context.
fn is_context(of: &Expr) -> bool {
    match &of.kind {
        ExprKind::Context | ExprKind::DataLocation { .. } => true,
        ExprKind::Address { address, .. } | ExprKind::Convert(address) => is_context(address),
        _ => false,
    }
}

/// Whether a value may be a pointer whose type the verifier tracks.
fn is_typed(of: &Expr) -> bool {
    match &of.kind {
        ExprKind::Load { .. } => matches!(of.ty, Type::Pointer(_)),
        ExprKind::Convert(value) => is_typed(value),
        ExprKind::Builtin(crate::bt::hir::Builtin::Arg(_)) => true,
        ExprKind::Address { .. } | ExprKind::Context => true,
        _ => false,
    }
}
