//! Arithmetic on constants, as the instructions do it.

use super::ir::Binary;
use crate::insn::{Bits, ByteOrder, Condition, SignBits, Swap, SwapBits};

/// `a op b`.
pub(super) fn binary(bits: Bits, op: Binary, a: u64, b: u64) -> u64 {
    match bits {
        Bits::B64 => binary64(op, a, b),
        Bits::B32 => binary32(op, a as u32, b as u32).into(),
    }
}

fn binary64(op: Binary, a: u64, b: u64) -> u64 {
    let (signed_a, signed_b) = (a as i64, b as i64);
    match op {
        Binary::Add => a.wrapping_add(b),
        Binary::Sub => a.wrapping_sub(b),
        Binary::Mul => a.wrapping_mul(b),
        Binary::Div => a.checked_div(b).unwrap_or(0),
        Binary::Mod => a.checked_rem(b).unwrap_or(a),
        Binary::SignedDiv if b == 0 => 0,
        Binary::SignedDiv => signed_a.wrapping_div(signed_b) as u64,
        Binary::SignedMod if b == 0 => a,
        Binary::SignedMod => signed_a.wrapping_rem(signed_b) as u64,
        Binary::And => a & b,
        Binary::Or => a | b,
        Binary::Xor => a ^ b,
        Binary::Lsh => a.wrapping_shl(b as u32),
        Binary::Rsh => a.wrapping_shr(b as u32),
        Binary::Arsh => signed_a.wrapping_shr(b as u32) as u64,
    }
}

fn binary32(op: Binary, a: u32, b: u32) -> u32 {
    let (signed_a, signed_b) = (a as i32, b as i32);
    match op {
        Binary::Add => a.wrapping_add(b),
        Binary::Sub => a.wrapping_sub(b),
        Binary::Mul => a.wrapping_mul(b),
        Binary::Div => a.checked_div(b).unwrap_or(0),
        Binary::Mod => a.checked_rem(b).unwrap_or(a),
        Binary::SignedDiv if b == 0 => 0,
        Binary::SignedDiv => signed_a.wrapping_div(signed_b) as u32,
        Binary::SignedMod if b == 0 => a,
        Binary::SignedMod => signed_a.wrapping_rem(signed_b) as u32,
        Binary::And => a & b,
        Binary::Or => a | b,
        Binary::Xor => a ^ b,
        Binary::Lsh => a.wrapping_shl(b),
        Binary::Rsh => a.wrapping_shr(b),
        Binary::Arsh => signed_a.wrapping_shr(b) as u32,
    }
}

/// Whether the condition holds.
pub(super) fn compare(bits: Bits, condition: Condition, a: u64, b: u64) -> bool {
    let ((a, b), (signed_a, signed_b)) = match bits {
        Bits::B64 => ((a, b), (a as i64, b as i64)),
        Bits::B32 => {
            let (a, b) = (a as u32, b as u32);
            ((a.into(), b.into()), (i64::from(a as i32), i64::from(b as i32)))
        }
    };
    match condition {
        Condition::Eq => a == b,
        Condition::Ne => a != b,
        Condition::Gt => a > b,
        Condition::Ge => a >= b,
        Condition::Lt => a < b,
        Condition::Le => a <= b,
        Condition::SignedGt => signed_a > signed_b,
        Condition::SignedGe => signed_a >= signed_b,
        Condition::SignedLt => signed_a < signed_b,
        Condition::SignedLe => signed_a <= signed_b,
        Condition::Set => a & b != 0,
    }
}

pub(super) fn sign_extend(from: SignBits, value: u64) -> u64 {
    match from {
        SignBits::B8 => value as i8 as u64,
        SignBits::B16 => value as i16 as u64,
        SignBits::B32 => value as i32 as u64,
    }
}

/// The low bytes reordered, on a machine of this byte order.
pub(super) fn swap(swap: Swap, bits: SwapBits, value: u64) -> u64 {
    let reversed = match swap {
        Swap::Always => true,
        Swap::Le => ByteOrder::NATIVE == ByteOrder::Big,
        Swap::Be => ByteOrder::NATIVE == ByteOrder::Little,
    };
    match (bits, reversed) {
        (SwapBits::B16, true) => (value as u16).swap_bytes().into(),
        (SwapBits::B32, true) => (value as u32).swap_bytes().into(),
        (SwapBits::B64, true) => value.swap_bytes(),
        (SwapBits::B16, false) => value as u16 as u64,
        (SwapBits::B32, false) => value as u32 as u64,
        (SwapBits::B64, false) => value,
    }
}

/// The condition with the operands the other way round.
pub(super) fn mirrored(condition: Condition) -> Condition {
    match condition {
        Condition::Gt => Condition::Lt,
        Condition::Ge => Condition::Le,
        Condition::Lt => Condition::Gt,
        Condition::Le => Condition::Ge,
        Condition::SignedGt => Condition::SignedLt,
        Condition::SignedGe => Condition::SignedLe,
        Condition::SignedLt => Condition::SignedGt,
        Condition::SignedLe => Condition::SignedGe,
        same @ (Condition::Eq | Condition::Ne | Condition::Set) => same,
    }
}

/// The condition that holds where this one does not; `Set` has none.
pub(super) fn negated(condition: Condition) -> Option<Condition> {
    Some(match condition {
        Condition::Eq => Condition::Ne,
        Condition::Ne => Condition::Eq,
        Condition::Gt => Condition::Le,
        Condition::Ge => Condition::Lt,
        Condition::Lt => Condition::Ge,
        Condition::Le => Condition::Gt,
        Condition::SignedGt => Condition::SignedLe,
        Condition::SignedGe => Condition::SignedLt,
        Condition::SignedLt => Condition::SignedGe,
        Condition::SignedLe => Condition::SignedGt,
        Condition::Set => return None,
    })
}
