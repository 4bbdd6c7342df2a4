//! Comparison of strings, arrays and tuples.
//!
//! All of them have zeros behind what they hold, so that comparing bytes is enough.

use super::memory::{Place, pieces, word_at};
use super::{Lower, Lowered};
use crate::bt::hir::{Expr, ExprKind};
use crate::bt::types::Type;
use crate::codegen::{Block, Operand, Var};
use crate::insn::{Condition, Size};
use std::sync::Arc;

/// One side of a comparison.
enum Side {
    Constant(Arc<[u8]>),
    Memory(Place, u32),
}

impl Side {
    fn size(&self) -> u32 {
        match self {
            Side::Constant(bytes) => bytes.len() as u32,
            Side::Memory(_, size) => *size,
        }
    }

    fn align(&self) -> u32 {
        match self {
            Side::Constant(_) => 8,
            Side::Memory(place, _) => place.align,
        }
    }
}

/// The most bytes that `strcontains()` compares.
const MAX_COMPARED: u32 = 4096;

/// The number of words that are compared without a branch for each.
const TOGETHER: usize = 4;

impl<'p> Lower<'_, 'p, '_> {
    fn side(&mut self, of: &'p Expr) -> Lowered<Side> {
        match (&of.kind, &of.ty) {
            (ExprKind::Bytes(bytes), Type::String(_)) => {
                // The text and one zero.
                let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
                let mut text = bytes.get(..end).unwrap_or_default().to_vec();
                text.push(0);
                Ok(Side::Constant(text.into()))
            }
            (ExprKind::Convert(inner), Type::String(_)) if matches!(inner.ty, Type::String(_)) => {
                self.side(inner)
            }
            (ExprKind::Bytes(bytes), _) => Ok(Side::Constant(bytes.clone())),
            _ => Ok(Side::Memory(self.object(of)?, self.size(&of.ty))),
        }
    }

    /// Goes on with one block if two objects are the same, else with the other.
    pub(super) fn branch_objects(
        &mut self,
        left: &'p Expr,
        right: &'p Expr,
        same: Block,
        different: Block,
    ) -> Lowered<()> {
        let text = matches!(left.ty, Type::String(_));
        let (left, right) = (self.side(left)?, self.side(right)?);
        self.branch_sides(&left, &right, u32::MAX, text, same, different);
        Ok(())
    }

    /// `strncmp()`: 0 if the first bytes are the same.
    pub(super) fn compare_start(
        &mut self,
        left: &'p Expr,
        right: &'p Expr,
        length: u32,
    ) -> Lowered<Operand> {
        let (left, right) = (self.side(left)?, self.side(right)?);
        let result = self.f.var();
        self.f.number(result);
        let (same, different, after) = (self.f.block(), self.f.block(), self.f.block());
        let zero = self.load_global(crate::bt::plan::Globals::OPAQUE_ZERO);
        self.branch_sides(&left, &right, length, true, same, different);
        self.f.switch_to(same);
        self.f.assign(result, zero);
        self.f.jump(after);
        self.f.switch_to(different);
        let one = self.f.add(zero, 1);
        self.f.assign(result, one);
        self.f.switch_to(after);
        Ok(result.into())
    }

    /// `strcontains()` of a constant: at each place of the text, until the text ends.
    pub(super) fn contains(&mut self, text: &'p Expr, part: &'p Expr) -> Lowered<Operand> {
        let Side::Constant(needle) = self.side(part)? else {
            return self.unsupported(part.span, "strcontains of a part that is not a literal");
        };
        let needle = needle.strip_suffix(&[0]).unwrap_or(&needle).to_vec();
        let size = self.size(&text.ty);
        let places = (size + 1).saturating_sub(needle.len() as u32);
        if places.saturating_mul(needle.len() as u32) > MAX_COMPARED {
            let what = format!("strcontains of {} in {size} bytes", needle.len());
            return self.unsupported(text.span, what).map_err(
                |error: crate::bt::diagnostic::Diagnostic| {
                    error.hint("str(text, length) makes the text shorter")
                },
            );
        }
        let place = self.object(text)?;
        let zero = self.load_global(crate::bt::plan::Globals::OPAQUE_ZERO);
        let result = self.f.var();
        self.f.number(result);
        self.f.assign(result, zero);
        let (found, after) = (self.f.block(), self.f.block());
        for start in 0..places {
            let next = self.f.block();
            for (byte, index) in needle.iter().copied().zip(0..) {
                let at = place.at(start + index);
                let have = self.f.load(Size::Byte, at.address);
                let same = self.f.block();
                self.f.branch(Condition::Eq, have, u64::from(byte), same, next);
                self.f.switch_to(same);
            }
            self.f.jump(found);
            self.f.switch_to(next);
        }
        self.f.jump(after);
        self.f.switch_to(found);
        let one = self.f.add(zero, 1);
        self.f.assign(result, one);
        self.f.switch_to(after);
        Ok(result.into())
    }

    /// Compares at most `length` bytes. Behind the shorter side of two texts the other has to end.
    fn branch_sides(
        &mut self,
        left: &Side,
        right: &Side,
        length: u32,
        text: bool,
        same: Block,
        different: Block,
    ) {
        let common = left.size().min(right.size()).min(length);
        let align = left.align().min(right.align());
        let mut together = None;
        let (mut words, mut compared) = (0, Vec::new());
        for (offset, size) in pieces(common, align) {
            compared.push((offset, size));
        }
        for (offset, size) in compared {
            let a = self.word(left, offset, size);
            let b = self.word(right, offset, size);
            together = self.differ(together, a, b);
            words += 1;
            if words == TOGETHER {
                words = 0;
                self.unless_same(together.take(), different);
            }
        }
        // The longer of two texts ends where the shorter one has no more bytes; a constant has its zero.
        let longer = if left.size() > right.size() { left } else { right };
        let ends = matches!((left, right), (Side::Constant(_), _) | (_, Side::Constant(_)))
            && match (left, right) {
                (Side::Constant(constant), other) | (other, Side::Constant(constant)) => {
                    constant.len() as u32 <= other.size()
                }
                _ => false,
            };
        if text && !ends && common < length && longer.size() > common {
            let rest = self.word(longer, common, Size::Byte);
            together = self.differ(together, rest, 0.into());
        }
        match together {
            Some(difference) => self.f.branch(Condition::Eq, difference, 0, same, different),
            None => self.f.jump(same),
        }
    }

    fn word(&mut self, side: &Side, offset: u32, size: Size) -> Operand {
        match side {
            Side::Constant(bytes) => word_at(bytes, offset, size).into(),
            Side::Memory(place, _) => {
                let word = self.f.load(size, place.at(offset).address);
                self.f.number(word);
                word.into()
            }
        }
    }

    fn differ(&mut self, before: Option<Var>, a: Operand, b: Operand) -> Option<Var> {
        let difference = self.f.xor(a, b);
        Some(match before {
            None => difference,
            Some(before) => self.f.or(before, difference),
        })
    }

    fn unless_same(&mut self, difference: Option<Var>, different: Block) {
        if let Some(difference) = difference {
            let next = self.f.block();
            self.f.branch(Condition::Ne, difference, 0, different, next);
            self.f.switch_to(next);
        }
    }
}
