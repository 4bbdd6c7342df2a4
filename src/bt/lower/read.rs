//! Reading memory: the context, the kernel, the process.

use super::memory::{Place, Prepared, int_size};
use super::{Lower, Lowered, helper};
use crate::bt::hir::{Access, Builtin, Expr, ExprKind};
use crate::bt::probe::Kind;
use crate::bt::types::{Bits, Int, Space, Type};
use crate::codegen::{Binary, Operand, Var};
use crate::insn::{Condition, Size};

/// Whether an address is a pointer that came from the context through reads that the verifier tracks.
pub(super) fn is_from_context(address: &Expr) -> bool {
    match &address.kind {
        ExprKind::Load { access: Access::Context, address, .. } => {
            matches!(address.kind, ExprKind::Context)
        }
        ExprKind::Load { access: Access::Btf, bits: None, address, .. } => is_from_context(address),
        _ => false,
    }
}

/// The operands of a scalar read: address and offset, and the bits of it that are meant.
struct Scalar<'e> {
    address: &'e Expr,
    offset: i64,
    access: Access,
    bits: Option<Bits>,
    ty: &'e Type,
}

impl<'p> Lower<'_, 'p, '_> {
    /// Reads a scalar.
    pub(super) fn load(
        &mut self,
        address: &'p Expr,
        offset: i64,
        access: Access,
        bits: Option<Bits>,
        ty: &'p Type,
    ) -> Lowered<Operand> {
        let of = Scalar { address, offset, access, bits, ty };
        let bytes = bits.map_or(self.size(ty), |bits| bits.bytes);
        if let Some(bits) = bits.filter(|bits| !matches!(bits.bytes, 1 | 2 | 4 | 8)) {
            let from = self.offset_address(address, offset)?;
            let to = self.room(16);
            let dst = self.f.address(to.address);
            let read =
                helper::read(if access == Access::User { Space::User } else { Space::Kernel });
            self.call_read(read, &[dst.into(), bytes.into(), from]);
            return Ok(self.gather(to, bits, ty));
        }
        let size = int_size(bytes);
        let (value, extended) = match access {
            Access::Context if self.context_allows(address, offset, size) => {
                self.load_context(offset, size, &of)
            }
            Access::Btf if bits.is_none() && self.follows(address) => {
                let pointer = self.typed_pointer(address)?;
                let place = self.offset_of(pointer, offset);
                (self.load_sized(place, size, ty), true)
            }
            _ => {
                let space = if access == Access::User { Space::User } else { Space::Kernel };
                let from = self.offset_address(address, offset)?;
                let to = self.room(8);
                let dst = self.f.address(to.address);
                let args = [dst.into(), u32::from(size.bytes()).into(), from];
                self.call_read(helper::read(space), &args);
                (self.load_sized(to, size, ty), true)
            }
        };
        Ok(match bits {
            Some(bits) => self.extract(value.into(), bits, ty),
            None if extended => value.into(),
            None => self.extend(value.into(), ty),
        })
    }

    /// Whether the verifier allows a direct load from the context.
    fn context_allows(&self, address: &Expr, offset: i64, size: Size) -> bool {
        let bytes = i64::from(size.bytes());
        let aligned = match self.probe.kind {
            Kind::RawTracepoint | Kind::Fentry | Kind::Fexit | Kind::Special => offset % 8 == 0,
            // The first eight bytes are not the program's.
            Kind::Tracepoint => offset % bytes == 0 && offset >= 8,
            _ => offset % bytes == 0,
        };
        matches!(address.kind, ExprKind::Context) && aligned && i16::try_from(offset).is_ok()
    }

    /// A load from the context, and whether its result is extended as its type demands.
    fn load_context(&mut self, offset: i64, size: Size, of: &Scalar<'_>) -> (Var, bool) {
        let place = Place::aligned(self.context.at(offset as i32));
        match self.probe.kind {
            // All arguments have eight bytes, of which the upper ones may hold anything.
            Kind::RawTracepoint | Kind::Fentry | Kind::Fexit | Kind::Special => {
                let value = self.f.load(Size::Double, place.address);
                (value, size == Size::Double)
            }
            _ => (self.load_sized(place, size, of.ty), true),
        }
    }

    /// Whether the verifier tracks the type of a pointer.
    fn follows(&self, address: &Expr) -> bool {
        if !self.shared.target.direct_loads {
            return false;
        }
        match &address.kind {
            ExprKind::Builtin(Builtin::Curtask) => {
                self.shared.target.has(crate::bt::plan::Feature::CurrentTaskBtf)
            }
            ExprKind::Load { access: Access::Btf, bits: None, address, .. } => {
                self.follows(address)
            }
            _ => self.typed && is_from_context(address),
        }
    }

    /// Returns a pointer whose type the verifier tracks.
    fn typed_pointer(&mut self, address: &'p Expr) -> Lowered<Operand> {
        match address.kind {
            ExprKind::Builtin(Builtin::Curtask) => {
                Ok(self.call(helper::CURRENT_TASK_BTF, &[]).into())
            }
            _ => self.scalar(address),
        }
    }

    /// Loads a number of a type from memory of the program.
    pub(super) fn load_sized(&mut self, from: Place, size: Size, ty: &Type) -> Var {
        let signed = ty.int().is_some_and(|int| int.signed) && size != Size::Double;
        match signed {
            true => self.f.load_signed(size, from.address),
            false => self.f.load(size, from.address),
        }
    }

    fn offset_of(&mut self, pointer: Operand, offset: i64) -> Place {
        let pointer = self.as_var(pointer);
        match i32::try_from(offset) {
            Ok(offset) => Place { address: pointer.at(offset), align: 8 },
            Err(_) => Place { address: self.f.add(pointer, offset).at(0), align: 8 },
        }
    }

    /// The address of a load, as a number for a helper.
    pub(super) fn offset_address(&mut self, address: &'p Expr, offset: i64) -> Lowered<Operand> {
        let address = self.scalar(address)?;
        Ok(match offset {
            0 => address,
            offset => self.f.binary(Binary::Add, address, offset).into(),
        })
    }

    /// Takes the bits of a bit-field out of its storage unit. As in bpftrace they are a number without a sign, unless
    /// they are the whole unit: a flag of one bit is 1 even if C calls it `int`.
    pub(super) fn extract(&mut self, value: Operand, bits: Bits, ty: &Type) -> Operand {
        let (left, right) =
            (64_u32.saturating_sub(bits.shift + bits.size), 64_u32.saturating_sub(bits.size));
        let high = self.f.binary(Binary::Lsh, value, left);
        let whole = bits.size == self.size(ty).saturating_mul(8);
        let op = if whole && ty.is_signed() { Binary::Arsh } else { Binary::Rsh };
        self.f.binary(op, high, right).into()
    }

    /// Takes a bit-field out of bytes that are no integer of the machine.
    pub(super) fn gather(&mut self, from: Place, bits: Bits, ty: &Type) -> Operand {
        let mut value: Option<Var> = None;
        for byte in 0..bits.bytes {
            let loaded = self.f.load(Size::Byte, from.at(byte).address);
            self.f.number(loaded);
            let moved = match bits.place_of_byte(byte) {
                0 => loaded,
                right @ ..0 => self.f.binary(Binary::Rsh, loaded, right.unsigned_abs()),
                left => self.f.binary(Binary::Lsh, loaded, left.unsigned_abs()),
            };
            value = Some(match value {
                Some(value) => self.f.binary(Binary::Or, value, moved),
                None => moved,
            });
        }
        let all: Operand = value.map_or(0.into(), Operand::from);
        self.extract(all, Bits { shift: 0, ..bits }, ty)
    }

    /// Makes 64 bits of the lower bytes of a value of a type.
    pub(super) fn extend(&mut self, value: Operand, ty: &Type) -> Operand {
        match ty {
            Type::Bool => self.f.zero_extend(value, Size::Byte).into(),
            Type::Int(int) | Type::Enum(_, int) => self.truncate(value, *int),
            _ => value,
        }
    }

    /// Cuts a value to an integer type.
    pub(super) fn truncate(&mut self, value: Operand, int: Int) -> Operand {
        if let Operand::Imm(value) = value {
            return int.truncate(value as u64).into();
        }
        match (int_size(int.size.into()), int.signed) {
            (Size::Double, _) => value,
            (size, true) => self.f.sign_extend(value, size).into(),
            (size, false) => self.f.zero_extend(value, size).into(),
        }
    }

    /// Reads an object.
    pub(super) fn prepare_load(
        &mut self,
        address: &'p Expr,
        offset: i64,
        access: Access,
        ty: &Type,
    ) -> Lowered<Prepared> {
        let space = if access == Access::User { Space::User } else { Space::Kernel };
        let size = self.size(ty);
        let address = self.offset_address(address, offset)?;
        Ok(match ty {
            Type::String(_) => Prepared::Str { address, space, limit: None, size },
            _ => Prepared::Read { address, space, size },
        })
    }

    /// The address that a `__data_loc` field stands for.
    pub(super) fn data_location(&mut self, offset: u32, relative: bool) -> Operand {
        let place = self.context.at(i32::try_from(offset).unwrap_or(i32::MAX));
        let location = self.f.load(Size::Word, place);
        let start = self.f.and(location, 0xffff);
        let address = self.f.add(self.context, start);
        match relative {
            true => self.f.add(address, offset.saturating_add(4)).into(),
            false => address.into(),
        }
    }

    /// A part of an object at an index of run time; zeros if there is no such part.
    pub(super) fn indexed(
        &mut self,
        value: Place,
        size: u32,
        index: Operand,
        element: u32,
    ) -> Place {
        let count = size / element.max(1);
        let pointer = self.f.var();
        let (zeros, _) = self.zeros();
        self.f.assign(pointer, zeros);
        let (inside, after) = (self.f.block(), self.f.block());
        let index = self.as_var(index);
        self.f.branch(Condition::Lt, index, count, inside, after);
        self.f.switch_to(inside);
        let offset = self.f.mul(index, element);
        let base = self.f.address(value.address);
        let found = self.f.add(base, offset);
        self.f.assign(pointer, found);
        self.f.switch_to(after);
        let align = 1 << element.trailing_zeros().min(3);
        Place { address: pointer.at(0), align: value.align.min(align) }
    }

    /// An operand in a variable.
    pub(super) fn as_var(&mut self, operand: Operand) -> Var {
        match operand {
            Operand::Var(var) => var,
            Operand::Imm(value) => self.f.imm(value),
        }
    }
}
