//! The separate debug file of an ELF file: the symbols that were stripped off, as distributions ship them.
//!
//! There are three kinds, looked for in the order of the [GDB manual](https://sourceware.org/gdb/current/onlinedocs/gdb.html/Separate-Debug-Files.html):
//!
//! * `/usr/lib/debug/.build-id/ab/cdef….debug`, by the build ID of the file (Debian's `-dbg` and `-dbgsym`, Fedora's `-debuginfo`);
//! * the file that the section `.gnu_debuglink` names, beside the file, in `.debug` there, or below `/usr/lib/debug`; it is the right one if
//!   its checksum, or its build ID, is that of the file;
//! * the section `.gnu_debugdata` of the file itself: an ELF file with a table of symbols, compressed by xz (Fedora's MiniDebugInfo). Feature
//!   `minidebuginfo`.
//!
//! Addresses in a debug file are those of the file that it belongs to. Offsets are not: only that file says where its segments lie.

use super::elf::Elf;
use object::endian::{Endian, Endianness};
use std::ffi::OsStr;
use std::io::{self, Read, Seek};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// The directory in which distributions install them.
const FOLDER: &str = "usr/lib/debug";

/// The largest section `.gnu_debuglink`: a file name and a checksum.
const LONGEST_LINK: u64 = 8 << 10;

/// Finds the debug file of a file. One that is in memory alone has a path below `/proc/self/fd`, which is valid for as
/// long as it is kept.
pub(super) fn find(elf: &Elf) -> Option<Elf> {
    let path = elf.path().canonicalize().unwrap_or_else(|_| elf.path().into());
    let roots = roots(elf.path());
    by_build_id(elf, &roots).or_else(|| by_link(elf, &path, &roots)).or_else(|| embedded(elf))
}

/// Returns the root directories for a file: that of this process, and that of the process through which the file was
/// found (`/proc/PID/root/…`).
fn roots(path: &Path) -> Vec<PathBuf> {
    let mut roots = vec![PathBuf::from("/")];
    let parts: Vec<_> = path.components().take(4).collect();
    if let [
        Component::RootDir,
        Component::Normal(proc),
        Component::Normal(_),
        Component::Normal(root),
    ] = parts.as_slice()
        && *proc == "proc"
        && *root == "root"
    {
        roots.push(parts.iter().collect());
    }
    roots
}

fn by_build_id(elf: &Elf, roots: &[PathBuf]) -> Option<Elf> {
    let id = elf.build_id()?;
    let (first, rest) = id.split_first().filter(|(_, rest)| !rest.is_empty())?;
    let rest: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
    let name = format!("{FOLDER}/.build-id/{first:02x}/{rest}.debug");
    roots.iter().find_map(|root| {
        let debug = like(elf, &root.join(&name))?;
        (debug.build_id().as_deref() == Some(&id)).then_some(debug)
    })
}

fn by_link(elf: &Elf, path: &Path, roots: &[PathBuf]) -> Option<Elf> {
    let section = elf.section(".gnu_debuglink", LONGEST_LINK)?;
    let (name, checksum) = link(&section, elf.endian)?;
    let folder = path.parent()?;
    // Names from before `/lib` became a link to `/usr/lib` are still in use, and a path through the root of another process
    // does not lead there when its links are resolved.
    let folders = [Some(folder), elf.path().parent()].into_iter().flatten();
    let beside =
        folders.clone().flat_map(|folder| [folder.join(name), folder.join(".debug").join(name)]);
    let within = folders.flat_map(|folder| {
        roots.iter().map(move |root| {
            let inside = folder.strip_prefix(root).or(folder.strip_prefix("/")).unwrap_or(folder);
            root.join(FOLDER).join(inside).join(name)
        })
    });
    beside.chain(within).find_map(|place| {
        let debug = like(elf, &place).filter(|debug| debug.id() != elf.id())?;
        // The one takes no time, and the other is there in old files, too.
        let same_id = elf.build_id().is_some_and(|id| debug.build_id() == Some(id));
        (same_id || debug.len() <= LONGEST && checksum_is(&debug, checksum)).then_some(debug)
    })
}

/// An ELF file of the same kind as another one.
fn like(elf: &Elf, path: &Path) -> Option<Elf> {
    let kind = |elf: &Elf| (elf.is_64, elf.endian, elf.machine);
    Elf::open(path).ok().filter(|debug| kind(debug) == kind(elf))
}

/// The content of `.gnu_debuglink`: a file name, a NUL, up to three more to the next multiple of four, and the checksum.
fn link(section: &[u8], endian: Endianness) -> Option<(&OsStr, u32)> {
    let end = section.iter().position(|byte| *byte == 0)?;
    let name = section.get(..end).filter(|name| !name.is_empty() && !name.contains(&b'/'))?;
    let checksum = section.get((end + 1).next_multiple_of(4)..)?.first_chunk()?;
    Some((OsStr::from_bytes(name), endian.read_u32(*checksum)))
}

/// The longest file that is read as a whole for its checksum. It is not in memory, but one can be made that has no end.
const LONGEST: u64 = 2 << 30;

fn checksum_is(elf: &Elf, checksum: u32) -> bool {
    let mut file = elf.file();
    // Others have read of it.
    file.rewind().is_ok() && crc32(file.take(LONGEST)).is_ok_and(|found| found == checksum)
}

/// The checksum of a whole file: that of zlib, gzip and Ethernet, bits from the lowest on.
fn crc32(mut file: impl Read) -> io::Result<u32> {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let (mut value, mut bit) = (index as u32, 0);
            while bit < 8 {
                value = if value & 1 == 1 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 };
                bit += 1;
            }
            table[index] = value;
            index += 1;
        }
        table
    };
    let mut crc = u32::MAX;
    let mut bytes = vec![0; 64 << 10];
    loop {
        let read = file.read(&mut bytes)?;
        if read == 0 {
            return Ok(!crc);
        }
        for byte in bytes.iter().take(read) {
            let index = crc as u8 ^ byte;
            crc = crc >> 8 ^ TABLE[usize::from(index)];
        }
    }
}

/// Returns the file in the section `.gnu_debugdata`.
#[cfg(feature = "minidebuginfo")]
fn embedded(elf: &Elf) -> Option<Elf> {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    let packed = elf.section(".gnu_debugdata", LARGEST_PACKED)?;
    let bytes = unpacked(packed)?;
    let mut file = std::fs::File::from(crate::syscall::memfd_create(c"gnu_debugdata").ok()?);
    file.write_all(&bytes).ok()?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    Elf::of(Path::new(&path), file).ok()
}

#[cfg(not(feature = "minidebuginfo"))]
fn embedded(_: &Elf) -> Option<Elf> {
    None
}

/// The largest section `.gnu_debugdata`, and the most that is unpacked from one. (Those of the largest programs have some megabytes.)
#[cfg(feature = "minidebuginfo")]
const LARGEST_PACKED: u64 = 64 << 20;
#[cfg(feature = "minidebuginfo")]
const LARGEST: u64 = 256 << 20;

/// The largest dictionary: that of `xz -9`. A file can request 3 GiB.
#[cfg(feature = "minidebuginfo")]
const LARGEST_DICTIONARY: usize = 64 << 20;

/// Decompresses xz data; `None` if it is damaged, or crafted to fill the memory.
#[cfg(feature = "minidebuginfo")]
fn unpacked(packed: Vec<u8>) -> Option<Vec<u8>> {
    use std::num::NonZeroUsize;
    use xz4rust::{DICT_SIZE_MIN, XzDecoder, XzReader};
    let decoder = XzDecoder::in_heap_with_alloc_dict_size(DICT_SIZE_MIN, LARGEST_DICTIONARY);
    let buffer = NonZeroUsize::new(64 << 10)?;
    let packed = io::Cursor::new(packed);
    let reader = XzReader::new_with_buffer_size_and_decoder(packed, buffer, decoder);
    let mut bytes = Vec::new();
    reader.take(LARGEST + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= LARGEST).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn checksums_are_those_of_zlib() {
        // The check value of CRC-32/ISO-HDLC, and that of nothing.
        assert_eq!(crc32(&b"123456789"[..]).unwrap(), 0xcbf4_3926);
        assert_eq!(crc32(&b""[..]).unwrap(), 0);
    }

    #[test]
    fn links_are_read() {
        let (little, big) = (Endianness::Little, Endianness::Big);
        let name = OsStr::new("abc");
        assert_eq!(link(b"abc\0\x01\x02\x03\x04", little), Some((name, 0x0403_0201)));
        assert_eq!(link(b"abc\0\x01\x02\x03\x04", big), Some((name, 0x0102_0304)));
        let padded = link(b"abcd\0\0\0\0\x01\0\0\0", little);
        assert_eq!(padded, Some((OsStr::new("abcd"), 1)));
        // A name cannot lead to another directory.
        for none in [
            &b""[..],
            b"abc",
            b"abc\0",
            b"abc\0\x01\x02\x03",
            b"\0\0\0\0\x01\0\0\0",
            b"../a\0\0\0\0\x01\0\0\0",
        ] {
            assert_eq!(link(none, little), None, "{none:?}");
        }
    }

    #[test]
    fn a_file_of_another_process_has_two_roots() {
        let of = |path: &str| roots(Path::new(path));
        let (root, its) = (Path::new("/"), Path::new("/proc/1/root"));
        assert_eq!(of("/usr/bin/a"), [root]);
        assert_eq!(of("/proc/1/root"), [root, its]);
        assert_eq!(of("/proc/1/root/usr/bin/a"), [root, its]);
        assert_eq!(of("/proc/1/exe"), [root]);
        assert_eq!(of("proc/1/root/a"), [root]);
    }

    /// `printf 'hello, hello, hello\n' | xz --check=crc64`, xz 5.4.
    #[cfg(feature = "minidebuginfo")]
    const HELLO: &[u8] = b"\
        \xfd\x37\x7a\x58\x5a\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x16\x00\x00\x00\x74\x2f\xe5\xa3\
        \xe0\x00\x13\x00\x0e\x5d\x00\x34\x19\x49\xee\x8d\xef\x8c\x87\x31\xf5\x2f\x64\x00\x00\x00\x00\x00\
        \xb0\x48\x85\x59\xd7\xa9\xae\x4b\x00\x01\x2a\x14\x7e\xad\x37\x55\x1f\xb6\xf3\x7d\x01\x00\x00\x00\
        \x00\x04\x59\x5a";

    #[cfg(feature = "minidebuginfo")]
    #[test]
    fn xz_is_unpacked() {
        assert_eq!(unpacked(HELLO.to_vec()).as_deref(), Some(&b"hello, hello, hello\n"[..]));
        for cut in 0..HELLO.len() {
            assert_eq!(unpacked(HELLO[..cut].to_vec()), None, "{cut}");
        }
        // The content has a checksum.
        for at in 0..HELLO.len() {
            let mut damaged = HELLO.to_vec();
            damaged[at] ^= 0x10;
            let bytes = unpacked(damaged);
            assert!(bytes.is_none_or(|bytes| bytes == b"hello, hello, hello\n"), "{at}");
        }
    }

    proptest! {
        #[test]
        fn damaged_sections_do_no_harm(bytes: Vec<u8>, at in 0..200usize, byte: u8) {
            let _ = link(&bytes, Endianness::Little);
            #[cfg(feature = "minidebuginfo")]
            {
                let mut packed = HELLO.to_vec();
                packed.splice(at.min(packed.len()).., bytes.clone());
                if let Some(old) = packed.get_mut(at) {
                    *old = byte;
                }
                let _ = unpacked(packed);
                let _ = unpacked(bytes);
            }
            let _ = (at, byte);
        }
    }
}
