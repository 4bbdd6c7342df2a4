//! The bytes of a file that another user may own.
//!
//! Such a file is never mapped: its owner may truncate it at any time, and an access to the mapping then raises SIGBUS.
//! It is read piece by piece into memory, and no more of it than a limit: a file of a few blocks can claim a size of
//! terabytes.

use object::read::{ReadCache, ReadRef};
use std::cell::RefCell;
use std::fs::File;
use std::ops::Range;

/// The bytes of a file, read on demand.
pub(super) type Bytes<'a> = &'a Pieces<'a>;

/// The most that is read of a file in large pieces. A million symbols, with names of 100 bytes, take half of it.
const MOST: u64 = 256 << 20;

/// The size from which a piece counts. Smaller ones are headers, whose number depends on the code and not on the file.
const LARGE: u64 = 64 << 10;

/// The pieces of a file that have been read.
pub(super) struct Pieces<'f> {
    cache: ReadCache<&'f File>,
    most: u64,
    /// The large pieces, by offset and size: each counts once.
    large: RefCell<Vec<(u64, u64)>>,
}

impl<'f> Pieces<'f> {
    pub(super) fn new(file: &'f File) -> Pieces<'f> {
        Pieces::limited(file, MOST)
    }

    fn limited(file: &'f File, most: u64) -> Pieces<'f> {
        Pieces { cache: ReadCache::new(file), most, large: RefCell::default() }
    }

    /// Counts a piece; `Err` if it is too much.
    fn count(&self, offset: u64, size: u64) -> Result<(), ()> {
        if size < LARGE {
            return Ok(());
        }
        let mut large = self.large.borrow_mut();
        if large.contains(&(offset, size)) {
            return Ok(());
        }
        let before: u64 = large.iter().map(|(_, size)| size).sum();
        if before.saturating_add(size) > self.most {
            return Err(());
        }
        large.push((offset, size));
        Ok(())
    }
}

impl<'a> ReadRef<'a> for &'a Pieces<'_> {
    fn len(self) -> Result<u64, ()> {
        (&self.cache).len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        self.count(offset, size)?;
        self.cache.read_bytes_at(offset, size)
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        self.cache.read_bytes_at_until(range, delimiter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::fake::Written;
    use std::os::unix::fs::FileExt;

    #[test]
    fn no_more_than_the_limit_is_read() {
        let written = Written::new(b"");
        let file = File::options().read(true).write(true).open(written.path()).unwrap();
        // Nothing but holes.
        file.set_len(1 << 40).unwrap();
        file.write_all_at(b"end", (1 << 40) - 3).unwrap();
        let pieces = &Pieces::limited(&file, 3 * LARGE);
        assert!(pieces.read_bytes_at(0, 1 << 39).is_err());
        assert!(pieces.read_bytes_at(0, 2 * LARGE).unwrap().iter().all(|byte| *byte == 0));
        // The same again, and what is small.
        assert!(pieces.read_bytes_at(0, 2 * LARGE).is_ok());
        assert_eq!(pieces.read_bytes_at((1 << 40) - 3, 3), Ok(&b"end"[..]));
        assert!(pieces.read_bytes_at(0, 2 * LARGE + 1).is_err());
        assert!(pieces.read_bytes_at(LARGE, LARGE).is_ok());
        assert!(pieces.read_bytes_at(2 * LARGE, LARGE).is_err());
    }

    #[test]
    fn a_file_that_becomes_shorter_is_an_error() {
        let written = Written::new(&[1; 4096]);
        let file = File::options().read(true).write(true).open(written.path()).unwrap();
        let pieces = &Pieces::new(&file);
        assert_eq!(pieces.read_bytes_at(0, 16), Ok(&[1; 16][..]));
        file.set_len(100).unwrap();
        assert!(pieces.read_bytes_at(64, 64).is_err());
        assert_eq!(pieces.read_bytes_at(64, 36), Ok(&[1; 36][..]));
    }
}
