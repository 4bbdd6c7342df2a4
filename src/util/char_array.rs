//! Text in an array of fixed size.

use super::TypeDesc;
use super::escape;
use super::pod::Plain;
use std::fmt;

/// C's `char[N]`: text in an array of fixed size, such as a process's `comm`, up to the first zero byte or the end of the
/// array. A key, a value or a field of one, in the place of `[u8; N]`.
///
/// Displayed, it is its text, with control characters and bytes that are not UTF-8 escaped; so are `{:?}`, in quotes, and what
/// tools print that know the types of a map, such as `rawbpf map dump` and `bpftool map dump`.
///
/// ```
/// use rawbpf::{CharArray, Plain, plain};
///
/// plain! {
///     #[derive(Debug, PartialEq)]
///     #[repr(C)]
///     struct Key {
///         pid: u32,
///         comm: CharArray<16>,
///     }
/// }
///
/// let key = Key::from_bytes(b"\x01\0\0\0bash\0\0\0\0\0\0\0\0\0\0\0\0").unwrap();
/// assert_eq!(key.comm.to_string(), "bash");
/// assert_eq!(format!("{:>6}|", key.comm), "  bash|");
/// # #[cfg(target_endian = "little")]
/// assert_eq!(format!("{key:?}"), r#"Key { pid: 1, comm: "bash" }"#);
/// assert_eq!(CharArray::<16>::new("bash"), Some(key.comm));
/// assert_eq!(CharArray::<4>::new("bash!"), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct CharArray<const N: usize>(pub [u8; N]);

impl<const N: usize> CharArray<N> {
    /// Returns an array that begins with these bytes, and zeros behind them, as the kernel fills up a `comm`; `None` if there are
    /// more than `N`.
    pub fn new(text: impl AsRef<[u8]>) -> Option<Self> {
        let text = text.as_ref();
        let mut bytes = [0; N];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(CharArray(bytes))
    }

    /// Returns the bytes up to the first zero, or all.
    pub fn text(&self) -> &[u8] {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(N);
        self.0.get(..end).unwrap_or_default()
    }
}

impl<const N: usize> Default for CharArray<N> {
    fn default() -> Self {
        CharArray([0; N])
    }
}

impl<const N: usize> fmt::Display for CharArray<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape::shown_bytes(self.text()).fmt(f)
    }
}

impl<const N: usize> fmt::Debug for CharArray<N> {
    /// Bytes behind the first zero are shown if there are any but zeros: two arrays that differ look different.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = self.0.get(self.text().len()..).unwrap_or_default();
        let shown = if rest.iter().all(|byte| *byte == 0) { self.text() } else { &self.0 };
        write!(f, "\"{}\"", shown.escape_ascii())
    }
}

impl<const N: usize> Plain for CharArray<N> {
    const SIZE: usize = N;
    const TYPE: TypeDesc<'static> = TypeDesc::Array { element: &TypeDesc::CHAR, len: N as u32 };

    #[inline]
    fn write(&self, to: &mut [u8]) {
        self.0.write(to);
    }

    #[inline]
    fn read(from: &[u8]) -> Self {
        CharArray(<[u8; N]>::read(from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_ends_at_the_first_zero_or_with_the_array() {
        let shown = |bytes: [u8; 4]| CharArray(bytes).to_string();
        assert_eq!(shown(*b"full"), "full");
        assert_eq!(shown(*b"ab\0c"), "ab");
        assert_eq!(shown(*b"\0abc"), "");
        assert_eq!(CharArray([]).to_string(), "");
        assert_eq!(CharArray::<4>::new("full"), Some(CharArray(*b"full")));
        assert_eq!(CharArray::<4>::new("").unwrap(), CharArray::default());
        assert_eq!(CharArray::<3>::new("full"), None);
    }

    #[test]
    fn what_could_drive_a_terminal_is_escaped() {
        let comm = CharArray(*b"\x1b[2J\xff\0\0\0");
        assert_eq!(comm.to_string(), "\\u001b[2J\\xff");
        assert_eq!(format!("{comm:?}"), r#""\x1b[2J\xff""#);
        assert_eq!(format!("{:?}", CharArray(*b"a\0b")), r#""a\x00b""#);
        assert_eq!(format!("{:?}", CharArray(*b"a\"\0")), r#""a\"""#);
    }

    /// The name that makes tools show an array as text, and no other: `btf_dumper_array` of bpftool asks for it.
    #[test]
    fn its_elements_are_chars() {
        let TypeDesc::Array { element, len: 16 } = CharArray::<16>::TYPE else {
            panic!("{:?}", CharArray::<16>::TYPE)
        };
        assert_eq!(*element, TypeDesc::Int { name: "char", size: 1, signed: true });
        assert_eq!(CharArray::<16>::TYPE.size() as usize, CharArray::<16>::SIZE);
    }
}
