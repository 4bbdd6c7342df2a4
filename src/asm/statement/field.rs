//! Fields of Rust types, as operands: an offset together with the width of the field.

/// The place of a field: its offset, and its width in bytes.
///
/// `bpf!` takes numbers out of braces, so a field has to be encoded as one: an offset in the low 64 bits of a number
/// that no field of an instruction could hold otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(hidden)]
pub struct Field {
    pub offset: i64,
    pub width: u32,
}

/// Marks the number that stands for a field, far above those of 64 bits.
const MARK: i128 = 1 << 120;

impl Field {
    /// The field as a number.
    pub const fn to_value(self) -> i128 {
        MARK | (self.width as i128) << 64 | self.offset as u64 as i128
    }

    /// The field that a number stands for, if it is one.
    pub const fn from_value(value: i128) -> Option<Field> {
        if value >> 96 != MARK >> 96 {
            return None;
        }
        Some(Field { offset: value as u64 as i64, width: (value >> 64) as u32 })
    }
}

/// The place of a field in a type, for [`field!`](crate::field).
#[doc(hidden)]
pub const fn field<T, F>(offset: usize, _type: fn(&T) -> &F) -> i128 {
    Field { offset: offset as i64, width: size_of::<F>() as u32 }.to_value()
}

/// The place of a field of a struct at the top of the stack, below the frame pointer, for [`stack!`](crate::stack).
#[doc(hidden)]
pub const fn stack<T, F>(offset: usize, _type: fn(&T) -> &F) -> i128 {
    // The frame is aligned to eight bytes, and so is what lies in it.
    let size = size_of::<T>().next_multiple_of(8);
    Field { offset: offset as i64 - size as i64, width: size_of::<F>() as u32 }.to_value()
}

/// The offset of a field of a `#[repr(C)]` type, for an operand of [`bpf!`](crate::bpf). An access at this offset must
/// have the width of the field: another width is a compile error that names both.
///
/// ```
/// use rawbpf::{asm::Code, bpf, field};
///
/// #[repr(C)]
/// struct Header {
///     kind: u16,
///     length: u16,
///     address: u64,
/// }
///
/// static LENGTH: Code = bpf! {
///     r0 = *(u16 *)(r1 + {field!(Header, length)});
///     exit;
/// };
/// assert_eq!(LENGTH.slots[0].offset(), 2);
/// ```
///
/// ```compile_fail
/// # use rawbpf::{asm::Code, bpf, field};
/// # #[repr(C)]
/// # struct Header { kind: u16, length: u16, address: u64 }
/// static WRONG: Code = bpf! {
///     r0 = *(u32 *)(r1 + {field!(Header, length)});       // a field of 2 bytes, and the access is one of 4
///     exit;
/// };
/// ```
#[macro_export]
macro_rules! field {
    ($type:ty, $($field:tt)+) => {
        $crate::asm::dsl::field::<$type, _>(
            ::core::mem::offset_of!($type, $($field)+),
            |value: &$type| &value.$($field)+,
        )
    };
}

/// The offset from the frame pointer, `r10`, of a field of a `#[repr(C)]` struct at the top of the stack: named stack
/// slots. As with [`field!`](crate::field), accesses must have the width of the field. Without a field, the offset of
/// the whole struct.
///
/// ```
/// use rawbpf::{asm::Code, bpf, stack};
///
/// #[repr(C)]
/// struct Frame {
///     key: u32,
///     value: u64,
/// }
///
/// static FRAME: Code = bpf! {
///     *(u32 *)(r10 + {stack!(Frame, key)}) = 1;
///     *(u64 *)(r10 + {stack!(Frame, value)}) = 2;
///     r2 = r10;
///     r2 += {stack!(Frame)};
///     r0 = 0;
///     exit;
/// };
/// assert_eq!(FRAME.slots[0].offset(), -16);
/// assert_eq!(FRAME.slots[1].offset(), -8);
/// assert_eq!(FRAME.slots[3].imm(), -16);
/// ```
#[macro_export]
macro_rules! stack {
    ($type:ty) => {
        -(::core::mem::size_of::<$type>().next_multiple_of(8) as i64)
    };
    ($type:ty, $($field:tt)+) => {
        $crate::asm::dsl::stack::<$type, _>(
            ::core::mem::offset_of!($type, $($field)+),
            |value: &$type| &value.$($field)+,
        )
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_told_from_every_number_of_64_bits() {
        for offset in [0, 1, -1, i64::MIN, i64::MAX] {
            for width in [0, 1, 8, u32::MAX] {
                let field = Field { offset, width };
                assert_eq!(Field::from_value(field.to_value()), Some(field));
            }
        }
        for number in [0, 1, -1, i128::from(u64::MAX), i128::from(i64::MIN)] {
            assert_eq!(Field::from_value(number), None);
        }
    }
}
