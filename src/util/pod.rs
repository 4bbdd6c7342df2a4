//! Plain data: the types of keys and values of maps, the same in Rust and in the kernel.

use super::{FieldDesc, TypeDesc};

/// A type without padding: integers, arrays, and structs of them that [`plain!`](macro@crate::plain) has
/// checked. Keys and values of maps are of such types.
///
/// The kernel compares keys byte by byte. A struct with padding would have uninitialised bytes, so that two
/// equal keys could differ; and a program that leaves them unset on its stack is rejected. So a type that
/// [`plain!`](macro@crate::plain) makes has none: the compiler refuses it.
///
/// Numbers are in the byte order of the machine, as programs see them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not plain data",
    note = "declare a struct in `plain! {{ #[repr(C)] struct … }}`; integers and arrays are plain, text is a `CharArray`"
)]
pub trait Plain: Sized + 'static {
    /// The size of the type, in bytes.
    const SIZE: usize;

    /// The description of the type for tools.
    const TYPE: TypeDesc<'static>;

    /// Writes it to the first [`SIZE`](Plain::SIZE) bytes of `to`, of which there are as many.
    fn write(&self, to: &mut [u8]);

    /// Reads it from the first [`SIZE`](Plain::SIZE) bytes of `from`, of which there are as many.
    fn read(from: &[u8]) -> Self;

    /// Its bytes.
    ///
    /// ```
    /// use rawbpf::Plain;
    ///
    /// assert_eq!([1u8, 2].to_bytes(), [1, 2]);
    /// assert_eq!(u16::from_bytes(&7u16.to_bytes()), Some(7));
    /// ```
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; Self::SIZE];
        self.write(&mut bytes);
        bytes
    }

    /// Creates a value from its bytes; `None` if their number is not its size.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == Self::SIZE).then(|| Self::read(bytes))
    }
}

/// The largest values that lie on the stack while they are passed to or from the kernel, in bytes.
const LARGEST_ON_STACK: usize = 1024;

/// Calls `f` with the bytes of a value, without allocating unless there are more than [`LARGEST_ON_STACK`].
#[inline]
pub(crate) fn with_bytes<T: Plain, R>(value: &T, f: impl FnOnce(&[u8]) -> R) -> R {
    with_zeroed(T::SIZE, |bytes| {
        value.write(bytes);
        f(bytes)
    })
}

/// Calls `f` with so many bytes of zeros, without allocating unless there are more than [`LARGEST_ON_STACK`].
///
/// With a size that is known when it is compiled one branch remains. There is no array of `T::SIZE` bytes in stable Rust.
#[inline(always)]
pub(crate) fn with_zeroed<R>(size: usize, f: impl FnOnce(&mut [u8]) -> R) -> R {
    #[inline(always)]
    fn on_stack<const N: usize, R>(size: usize, f: impl FnOnce(&mut [u8]) -> R) -> R {
        // `N` is never below `size`.
        f([0; N].get_mut(..size).unwrap_or_default())
    }
    match size {
        0..=16 => on_stack::<16, R>(size, f),
        17..=64 => on_stack::<64, R>(size, f),
        65..=256 => on_stack::<256, R>(size, f),
        257..=LARGEST_ON_STACK => on_stack::<LARGEST_ON_STACK, R>(size, f),
        _ => f(&mut vec![0; size]),
    }
}

macro_rules! integers {
    ($($int:ident $desc:ident,)*) => {$(
        impl Plain for $int {
            const SIZE: usize = size_of::<$int>();
            const TYPE: TypeDesc<'static> = TypeDesc::$desc;

            #[inline]
            fn write(&self, to: &mut [u8]) {
                for (to, from) in to.iter_mut().zip(self.to_ne_bytes()) {
                    *to = from;
                }
            }

            #[inline]
            fn read(from: &[u8]) -> Self {
                let mut bytes = [0; Self::SIZE];
                for (to, from) in bytes.iter_mut().zip(from) {
                    *to = *from;
                }
                $int::from_ne_bytes(bytes)
            }
        }
    )*};
}

integers! {
    u8 U8, u16 U16, u32 U32, u64 U64, u128 U128,
    i8 I8, i16 I16, i32 I32, i64 I64, i128 I128,
}

impl<T: Plain, const N: usize> Plain for [T; N] {
    const SIZE: usize = T::SIZE * N;
    const TYPE: TypeDesc<'static> = TypeDesc::Array { element: &T::TYPE, len: N as u32 };

    fn write(&self, to: &mut [u8]) {
        for (i, one) in self.iter().enumerate() {
            one.write(to.get_mut(i * T::SIZE..).unwrap_or_default());
        }
    }

    fn read(from: &[u8]) -> Self {
        std::array::from_fn(|i| T::read(from.get(i * T::SIZE..).unwrap_or_default()))
    }
}

/// A lock for `spin_lock` and `spin_unlock`, as a field of a value (Linux 5.1). The kernel finds it by its
/// type, so the map has to be made with types ([`MapSpec::with_types`](crate::MapSpec::with_types)). To user space it
/// is always 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct SpinLock(u32);

impl Plain for SpinLock {
    const SIZE: usize = 4;
    const TYPE: TypeDesc<'static> = TypeDesc::Struct {
        name: "bpf_spin_lock",
        size: 4,
        fields: &[FieldDesc { name: "val", offset: 0, desc: TypeDesc::U32 }],
    };

    fn write(&self, to: &mut [u8]) {
        self.0.write(to);
    }

    fn read(from: &[u8]) -> Self {
        SpinLock(u32::read(from))
    }
}

/// Makes structs [`Plain`]. They are declared as ever, with attributes, derives and comments; each has to be
/// `#[repr(C)]` and without padding.
///
/// ```
/// rawbpf::plain! {
///     /// Who did it, and where.
///     #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
///     #[repr(C)]
///     pub struct Key {
///         pub pid: u32,
///         pub cpu: u32,
///         name: [u8; 16],
///     }
/// }
/// use rawbpf::Plain;
/// let key = Key { pid: 1, cpu: 2, name: [0; 16] };
/// assert_eq!(Key::SIZE, 24);
/// assert_eq!(Key::from_bytes(&key.to_bytes()), Some(key));
/// ```
///
/// Padding does not compile: here 4 bytes of it would follow `pid`. Put the larger fields first, or give the
/// padding a name and a value (`pad: u32`).
///
/// ```compile_fail,E0080
/// rawbpf::plain! {
///     #[repr(C)]
///     struct Padded {
///         pid: u32,
///         time: u64,
///     }
/// }
/// ```
///
/// Neither does a field that is not itself plain: a reference, a `bool`, a `char`.
///
/// ```compile_fail,E0277
/// rawbpf::plain! {
///     #[repr(C)]
///     struct Flagged {
///         flag: bool,
///     }
/// }
/// ```
#[macro_export]
macro_rules! plain {
    ($(
        $(#[$meta:meta])*
        $vis:vis struct $name:ident { $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty),* $(,)? }
    )+) => {$(
        $(#[$meta])*
        $vis struct $name { $($(#[$field_meta])* $field_vis $field: $type,)* }

        impl $crate::Plain for $name {
            const SIZE: usize = {
                // The fields lie one after the other, as `write` and `read` have it, and leave nothing out.
                let end = 0;
                $(
                    assert!(
                        ::core::mem::offset_of!($name, $field) == end,
                        concat!(
                            "plain!: there is padding before `", stringify!($field), "` of `", stringify!($name),
                            "`, or it is not #[repr(C)]"
                        ),
                    );
                    let end = end + <$type as $crate::Plain>::SIZE;
                )*
                assert!(
                    end == ::core::mem::size_of::<$name>(),
                    concat!("plain!: there is padding at the end of `", stringify!($name), "`"),
                );
                end
            };

            const TYPE: $crate::btf::TypeDesc<'static> = $crate::btf::TypeDesc::Struct {
                name: stringify!($name),
                size: Self::SIZE as u32,
                fields: &[$(
                    $crate::btf::FieldDesc {
                        name: stringify!($field),
                        offset: ::core::mem::offset_of!($name, $field) as u32,
                        desc: <$type as $crate::Plain>::TYPE,
                    },
                )*],
            };

            fn write(&self, to: &mut [u8]) {
                $(
                    $crate::Plain::write(
                        &self.$field,
                        to.get_mut(::core::mem::offset_of!($name, $field)..).unwrap_or_default(),
                    );
                )*
                let _ = to;
            }

            fn read(from: &[u8]) -> Self {
                let _ = from;
                $name {$(
                    $field: $crate::Plain::read(
                        from.get(::core::mem::offset_of!($name, $field)..).unwrap_or_default(),
                    ),
                )*}
            }
        }

        // So that the check is made even if the type is not used.
        const _: usize = <$name as $crate::Plain>::SIZE;
    )+};
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    plain! {
        /// With all sorts of fields.
        #[derive(Debug, Clone, PartialEq)]
        #[repr(C)]
        struct Outer {
            wide: u64,
            pair: [Inner; 2],
            /// The last.
            r#type: i16,
            small: [u8; 6],
        }

        #[derive(Debug, Clone, PartialEq)]
        #[repr(C)]
        struct Inner {
            left: i32,
            right: u32,
        }
    }

    #[test]
    fn a_struct_is_described_as_the_compiler_lays_it_out() {
        assert_eq!((Outer::SIZE, Outer::TYPE.size()), (32, 32));
        let TypeDesc::Struct { name: "Outer", size: 32, fields } = Outer::TYPE else {
            panic!("{:?}", Outer::TYPE)
        };
        let offsets: Vec<_> = fields.iter().map(|field| field.offset).collect();
        assert_eq!(offsets, [0, 8, 24, 26]);
        assert_eq!(fields[1].desc.size(), 16);
        assert_eq!(SpinLock::TYPE.size(), 4);
    }

    #[test]
    fn a_wrong_number_of_bytes_is_nothing() {
        assert_eq!(u32::from_bytes(&[0; 3]), None);
        assert_eq!(u32::from_bytes(&[0; 5]), None);
        assert_eq!(Inner::from_bytes(&[0; 9]), None);
    }

    proptest! {
        /// Against the layout that the platform's C has: numbers in their order, one after the other.
        #[test]
        fn bytes_are_those_of_memory(wide: u64, left: i32, right: u32, kind: i16, small: [u8; 6]) {
            let inner = Inner { left, right };
            let one = Outer { wide, pair: [inner.clone(), Inner { left: right as i32, right: left as u32 }], r#type: kind, small };
            let mut expected = Vec::new();
            expected.extend(wide.to_ne_bytes());
            for half in [left, right as i32, right as i32, left] {
                expected.extend(half.to_ne_bytes());
            }
            expected.extend(kind.to_ne_bytes());
            expected.extend(small);
            prop_assert_eq!(one.to_bytes(), expected.clone());
            prop_assert_eq!(Outer::from_bytes(&expected), Some(one));
        }
    }
}
