//! The sections of an ELF file that debug information is in.

use super::{DwarfError, Result};
use crate::user::bytes::Pieces;
use crate::user::elf::Elf;
use gimli::{DwarfSections, SectionId};
use object::elf::{ELFCOMPRESS_ZLIB, ELFCOMPRESS_ZSTD, FileHeader64, SHF_COMPRESSED, SHT_NOBITS};
use object::endian::{Endian, Endianness};
use object::read::elf::{FileHeader, SectionHeader};
use std::os::unix::fs::FileExt;

/// The most that is read of all sections together, and the most that they are after decompression.
const LARGEST: u64 = 2 << 30;

/// The sections that are read.
const WANTED: [SectionId; 9] = [
    SectionId::DebugAbbrev,
    SectionId::DebugAddr,
    SectionId::DebugInfo,
    SectionId::DebugLineStr,
    SectionId::DebugRanges,
    SectionId::DebugRngLists,
    SectionId::DebugStr,
    SectionId::DebugStrOffsets,
    SectionId::DebugTypes,
];

/// The compression of a section.
enum Packed {
    /// It is not.
    Not,
    /// Its flags say so, and its header how.
    Marked,
    /// Its name says so, as before there was such a flag.
    Named,
}

/// The range of a section in the file.
struct Place {
    id: SectionId,
    offset: u64,
    size: u64,
    packed: Packed,
}

/// Reads the sections; `None` if there is no debug information.
pub(super) fn read(elf: &Elf) -> Result<Option<DwarfSections<Vec<u8>>>> {
    if !elf.is_64 {
        return Err(DwarfError::Unsupported("debug information of 32-bit programs"));
    }
    let places = places(elf).map_err(|_| DwarfError::Damaged)?;
    if !places.iter().any(|place| place.id == SectionId::DebugInfo && place.size > 0) {
        return Ok(None);
    }
    // A sparse file can have any size, and sections can overlap.
    checked(places.iter().fold(0, |sum: u64, place| sum.saturating_add(place.size)))?;
    let mut left = LARGEST;
    DwarfSections::load(|id| match places.iter().find(|place| place.id == id) {
        Some(place) => {
            let bytes = place.read(elf, left)?;
            left -= bytes.len() as u64;
            Ok(bytes)
        }
        None => Ok(Vec::new()),
    })
    .map(Some)
}

impl Place {
    /// Reads it; `left` is the most that it may be.
    fn read(&self, elf: &Elf, left: u64) -> Result<Vec<u8>> {
        let end = self.offset.checked_add(self.size);
        if end.is_none_or(|end| end > elf.len()) {
            return Err(DwarfError::Damaged);
        }
        let mut bytes = vec![0; checked(self.size)?];
        elf.file().read_exact_at(&mut bytes, self.offset).map_err(|_| DwarfError::Damaged)?;
        match self.packed {
            Packed::Not => Ok(bytes),
            Packed::Marked => {
                // Elf64_Chdr: type and four reserved bytes, size, alignment.
                let (header, rest) = bytes.split_first_chunk::<24>().ok_or(DwarfError::Damaged)?;
                let [a, b, c, d, _, _, _, _, size @ ..] = *header;
                let [size, _] = size.as_chunks::<8>().0 else { return Err(DwarfError::Damaged) };
                match elf.endian.read_u32([a, b, c, d]) {
                    it if it == ELFCOMPRESS_ZLIB.0 => {
                        unpacked(rest, elf.endian.read_u64(*size), left)
                    }
                    it if it == ELFCOMPRESS_ZSTD.0 => {
                        Err(DwarfError::Unsupported("debug information compressed by zstd"))
                    }
                    _ => Err(DwarfError::Damaged),
                }
            }
            Packed::Named => {
                // `ZLIB`, and the size in the order of networks.
                let (header, rest) = bytes.split_first_chunk::<12>().ok_or(DwarfError::Damaged)?;
                let [b'Z', b'L', b'I', b'B', size @ ..] = *header else {
                    return Err(DwarfError::Damaged);
                };
                unpacked(rest, u64::from_be_bytes(size), left)
            }
        }
    }
}

/// A size, if so much is read.
fn checked(size: u64) -> Result<usize> {
    match usize::try_from(size) {
        Ok(size) if size as u64 <= LARGEST => Ok(size),
        _ => Err(DwarfError::Unsupported("more than 2 GiB of debug information")),
    }
}

/// Decompresses zlib data whose size after decompression is given.
fn unpacked(packed: &[u8], size: u64, left: u64) -> Result<Vec<u8>> {
    checked(size.saturating_add(LARGEST - left))?;
    let bytes = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(packed, checked(size)?);
    bytes.ok().filter(|bytes| bytes.len() as u64 == size).ok_or(DwarfError::Damaged)
}

fn places(elf: &Elf) -> object::read::Result<Vec<Place>> {
    let data = &Pieces::new(elf.file());
    let header = FileHeader64::<Endianness>::parse(data)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, data)?;
    let mut places = Vec::new();
    for section in sections.iter() {
        // A section of a file whose debug information is elsewhere can be there in name only.
        if section.sh_type(endian) == SHT_NOBITS {
            continue;
        }
        let name = sections.section_name(endian, section)?;
        let old = name.starts_with(b".zdebug_");
        let is = |id: &SectionId| {
            let wanted = id.name().as_bytes();
            name == wanted || old && name.get(2..) == wanted.get(1..)
        };
        if let Some(id) = WANTED.into_iter().find(is) {
            places.push(Place {
                id,
                offset: section.sh_offset(endian),
                size: section.sh_size(endian),
                packed: match section.sh_flags(endian).contains(SHF_COMPRESSED) {
                    true => Packed::Marked,
                    false if old => Packed::Named,
                    false => Packed::Not,
                },
            });
        }
    }
    Ok(places)
}

/// The offsets and sizes of the sections of a file.
#[cfg(test)]
pub(super) fn places_of(elf: &Elf) -> Vec<(u64, u64)> {
    let places = places(elf).unwrap().into_iter().filter(|place| place.size > 0);
    places.map(|place| (place.offset, place.size)).collect()
}
