//! A blob of BTF for machines of the other byte order.

/// The first two bytes (`BTF_MAGIC`).
const MAGIC: u16 = 0xeb9f;

/// The position of the five header words that follow magic number, version and flags.
const WORDS: std::ops::Range<usize> = 4..24;

/// Converts a blob to the other byte order: the magic number, the words of the header, and the records of types, which
/// consist of words throughout. `None` if the header is malformed.
pub(crate) fn swapped(mut blob: Vec<u8>) -> Option<Vec<u8>> {
    let magic = blob.first_chunk_mut::<2>()?;
    let foreign = match u16::from_ne_bytes(*magic) {
        MAGIC => false,
        other if other == MAGIC.swap_bytes() => true,
        _ => return None,
    };
    magic.reverse();
    let (words, _) = blob.get_mut(WORDS)?.as_chunks_mut::<4>();
    let mut header = [0; 5];
    for (word, value) in words.iter_mut().zip(&mut header) {
        let here = u32::from_ne_bytes(*word);
        *value = if foreign { here.swap_bytes() } else { here };
        word.reverse();
    }
    let [length, start, size, _, _] = header.map(|word| word as usize);
    let start = length.checked_add(start)?;
    let types = blob.get_mut(start..start.checked_add(size)?)?;
    let (words, _) = types.as_chunks_mut::<4>();
    words.iter_mut().for_each(|word| word.reverse());
    Some(blob)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::{Btf, BtfError, Builder, Member};

    #[test]
    fn a_blob_goes_there_and_back() -> Result<(), BtfError> {
        let mut builder = Builder::new();
        let word = builder.int("unsigned int", 4, false);
        let member = Member { name: "second", of: word, bit_offset: 32, bits: None };
        builder.composite("pair", false, 8, &[member]);
        let blob = builder.finish()?;
        let other = swapped(blob.clone()).unwrap();
        // Documentation/bpf/btf.rst: struct btf_header.
        let magic = if cfg!(target_endian = "little") { [0xeb, 0x9f] } else { [0x9f, 0xeb] };
        assert_eq!(other[..2], magic);
        assert_eq!(other[2..4], [1, 0]);
        assert_eq!(other[4..8], 24_u32.swap_bytes().to_ne_bytes());
        assert!(other.ends_with(b"pair\0second\0") || other.ends_with(b"second\0pair\0"));
        assert!(matches!(Btf::new(other.clone()), Err(BtfError::Header { .. })));
        let back = swapped(other).unwrap();
        assert_eq!(back, blob);
        assert_eq!(Btf::new(back)?.field("pair.second")?.offset, 4);
        Ok(())
    }

    #[test]
    fn what_is_no_blob_is_none() {
        for wrong in [&b""[..], b"\x9f", b"\x9f\xeb\x01\0", &[0; 64], &[0xff; 64]] {
            assert_eq!(swapped(wrong.to_vec()), None);
        }
        let mut beyond = vec![0xff; 64];
        beyond[..2].copy_from_slice(&0xeb9f_u16.to_ne_bytes());
        assert_eq!(swapped(beyond), None);
    }
}
