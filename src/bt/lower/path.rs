//! `path()`: by a helper that takes only pointers whose type the verifier tracks.

use super::memory::{Place, Prepared};
use super::{Lower, Lowered, helper};
use crate::bt::hir::{Access, Builtin, Expr, ExprKind};
use crate::bt::probe::Kind;
use crate::bt::types::{Space, Type};
use crate::codegen::{Block, Var};
use crate::insn::{Condition, Size};

impl<'p> Lower<'_, 'p, '_> {
    /// The path of a `struct path` of the kernel, as a string of so many bytes; empty if there is none or if it is longer.
    pub(super) fn path(&mut self, of: &'p Expr, size: u32) -> Lowered<Prepared> {
        let room = self.room(size);
        // Linux 5.10 requires initialized memory here.
        self.zero(room, size);
        let (none, after) = (self.f.block(), self.f.block());
        let (base, offset) = match &of.kind {
            ExprKind::Address { address, offset } => (&**address, *offset),
            _ => (of, 0),
        };
        let Some(base) = self.tracked(base, none) else {
            return self.unsupported(
                of.span,
                "path of other than an argument of fentry or fexit, what iter goes over, and what these point to",
            );
        };
        let path = match offset {
            0 => base,
            offset => self.f.add(base, offset),
        };
        let to = self.pointer(room);
        let length = self.call_number(helper::D_PATH, &[path.into(), to, size.into()]);
        self.f.branch(Condition::SignedLt, length, 0, none, after);
        self.f.switch_to(none);
        self.f.store(Size::Byte, room.address, 0);
        self.f.switch_to(after);
        // What the kernel leaves behind the end of the path is not part of it.
        let address = self.pointer(room);
        Ok(Prepared::Str { address, space: Space::Kernel, limit: None, size })
    }

    /// Loads a pointer so that the verifier tracks its type, from the context on. Goes on with `none` where it is 0.
    fn tracked(&mut self, of: &Expr, none: Block) -> Option<Var> {
        let from = match &of.kind {
            ExprKind::Load { address, offset, bits: None, access }
                if matches!(of.ty, Type::Pointer(_)) && *access != Access::User =>
            {
                let offset = i32::try_from(*offset).ok()?;
                match address.kind {
                    ExprKind::Context => Place::aligned(self.context.at(offset)),
                    _ => Place::aligned(self.tracked(address, none)?.at(offset)),
                }
            }
            ExprKind::Builtin(Builtin::Arg(number))
                if matches!(self.probe.kind, Kind::Fentry | Kind::Fexit) =>
            {
                Place::aligned(self.context.at(i32::try_from(number * 8).ok()?))
            }
            ExprKind::Convert(value) => return self.tracked(value, none),
            _ => return None,
        };
        let pointer = self.f.load(Size::Double, from.address);
        let some = self.f.block();
        self.f.branch(Condition::Ne, pointer, 0, some, none);
        self.f.switch_to(some);
        Some(pointer)
    }
}
