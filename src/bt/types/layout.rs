//! The size and alignment of values in memory, and the layout of tuples.

use super::{Space, Stack, Structs, Type, hist};

impl Type {
    /// Returns the size in bytes in memory, 0 of `Void`.
    pub(crate) fn size(&self, structs: &Structs) -> u32 {
        match self {
            Type::Void => 0,
            Type::Bool => 1,
            Type::Int(int) | Type::Enum(_, int) => int.size.into(),
            Type::Pointer(_) => 8,
            Type::String(size) => *size,
            Type::Buffer(size) => size.saturating_add(4 + 3) & !3,
            Type::Tuple(elements) => tuple_layout(elements, structs).size,
            Type::Array(of, len) => of.size(structs).saturating_mul(*len),
            Type::Struct(id) => structs.get(*id).map_or(0, |found| found.size),
            Type::Stack(Stack { space: Space::Kernel, .. }) => 8,
            Type::Stack(_) | Type::UserSymbol | Type::Timestamp | Type::CgroupPath => 16,
            Type::KernelSymbol | Type::Described(_) | Type::Probe | Type::Function => 8,
            Type::Count | Type::Sum(_) => 8,
            Type::Inet => 20,
            Type::Mac => 6,
            Type::User => 4,
            Type::Avg(_) | Type::Min(_) | Type::Max(_) | Type::Stats(_) => 16,
            Type::Hist(bits) => hist::buckets(*bits) * 8,
            Type::Lhist(lhist) => lhist.buckets().saturating_mul(8),
        }
    }

    /// Returns size and alignment, in one walk over what a tuple or an array is made of.
    fn size_and_align(&self, structs: &Structs) -> (u32, u32) {
        match self {
            Type::Tuple(elements) => {
                let layout = tuple_layout(elements, structs);
                (layout.size, layout.align)
            }
            Type::Array(of, len) => {
                let (size, align) = of.size_and_align(structs);
                (size.saturating_mul(*len), align)
            }
            other => (other.size(structs), other.align(structs)),
        }
    }

    /// Returns the alignment in bytes: 1, 2, 4 or 8.
    pub(crate) fn align(&self, structs: &Structs) -> u32 {
        match self {
            Type::Void | Type::Bool | Type::String(_) | Type::Mac => 1,
            Type::Int(int) | Type::Enum(_, int) => u32::from(int.size).max(1),
            Type::Buffer(_) | Type::Inet | Type::User => 4,
            Type::Tuple(elements) => tuple_layout(elements, structs).align,
            Type::Array(of, _) => of.align(structs),
            // The definition does not say; assume a member as large as its size allows.
            Type::Struct(_) => 1 << self.size(structs).trailing_zeros().min(3),
            _ => 8,
        }
    }
}

/// The layout of a tuple.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TupleLayout {
    /// The offset of each element.
    pub offsets: Vec<u32>,
    /// The size with padding.
    pub size: u32,
    /// The alignment.
    pub align: u32,
}

/// Lays out a tuple as C would a struct of its elements.
pub(crate) fn tuple_layout(elements: &[Type], structs: &Structs) -> TupleLayout {
    let (mut offsets, mut size, mut align) = (Vec::with_capacity(elements.len()), 0_u32, 1_u32);
    for element in elements {
        let (bytes, needed) = element.size_and_align(structs);
        let needed = needed.max(1);
        align = align.max(needed);
        size = size.saturating_add(needed - 1) & !(needed - 1);
        offsets.push(size);
        size = size.saturating_add(bytes);
    }
    TupleLayout { offsets, size: size.saturating_add(align - 1) & !(align - 1), align }
}

#[cfg(test)]
mod tests {
    use super::super::Int;
    use super::*;

    #[test]
    fn tuples_are_laid_out_as_c_structs() {
        let tuple = [Type::Int(Int::U8), Type::String(3), Type::U64, Type::U32];
        let layout = tuple_layout(&tuple, &Structs::default());
        // As `struct { uint8_t a; char b[3]; uint64_t c; uint32_t d; }` on every 64-bit ABI.
        assert_eq!(layout, TupleLayout { offsets: vec![0, 1, 8, 16], size: 24, align: 8 });
        let empty = tuple_layout(&[], &Structs::default());
        assert_eq!(empty, TupleLayout { offsets: vec![], size: 0, align: 1 });
    }
}
