//! `/etc/ld.so.cache`: the libraries that `ldconfig(8)` found.
//!
//! The format is that of glibc (`sysdeps/generic/dl-cache.h`): a header, entries that point to names and paths, and
//! these. Since glibc 2.32 it stands alone; before, it followed one in an older format, and offsets do not count that.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";

/// The magic of the older format.
const OLD_MAGIC: &[u8] = b"ld.so-1.7.0";

/// Bytes before the first entry, and of each of them.
const HEADER: usize = 48;
const ENTRY: usize = 24;

/// A library in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// The name that programs ask for: `libc.so.6`.
    pub name: &'a [u8],
    pub path: &'a Path,
}

/// Returns the libraries in a cache, without those for particular CPUs (`glibc-hwcaps`); none if the cache is invalid.
/// (The dynamic linker continues without it then, too.)
pub(super) fn entries(bytes: &[u8]) -> Vec<Entry<'_>> {
    let cache = match bytes.starts_with(OLD_MAGIC) {
        true => {
            let start = bytes.windows(MAGIC.len()).position(|window| window == MAGIC);
            bytes.get(start.unwrap_or(bytes.len())..).unwrap_or_default()
        }
        false => bytes,
    };
    if !cache.starts_with(MAGIC) {
        return Vec::new();
    }
    // Two bits hold the byte order, if the cache is new enough to have them.
    let big = match cache.get(28).map(|flags| flags & 3) {
        Some(2) => false,
        Some(3) => true,
        _ => cfg!(target_endian = "big"),
    };
    let count = number(cache, 20, big).unwrap_or_default() as usize;
    let table = cache.get(HEADER..).unwrap_or_default().chunks_exact(ENTRY);
    table.take(count).filter_map(|one| entry(cache, one, big)).collect()
}

fn entry<'a>(cache: &'a [u8], entry: &[u8], big: bool) -> Option<Entry<'a>> {
    // flags, name, path, osversion, hwcap (eight bytes).
    let field = |at| number(entry, at, big);
    if (field(16)?, field(20)?) != (0, 0) {
        return None;
    }
    let text = |at: u32| {
        let text = cache.get(at as usize..)?;
        let end = text.iter().position(|byte| *byte == 0)?;
        text.get(..end).filter(|text| !text.is_empty())
    };
    Some(Entry { name: text(field(4)?)?, path: Path::new(OsStr::from_bytes(text(field(8)?)?)) })
}

fn number(bytes: &[u8], at: usize, big: bool) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(if big { u32::from_be_bytes(*bytes) } else { u32::from_le_bytes(*bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requires;
    use proptest::prelude::*;
    use std::process::Command;

    /// A cache with these entries: name, path, hwcap.
    fn cache(big: bool, entries: &[(&str, &str, u64)]) -> Vec<u8> {
        let number = |n: u32| if big { n.to_be_bytes() } else { n.to_le_bytes() };
        let mut strings = Vec::new();
        let mut table = Vec::new();
        let start = HEADER + ENTRY * entries.len();
        let mut text = |text: &str| {
            let at = start + strings.len();
            strings.extend(text.bytes());
            strings.push(0);
            number(at as u32)
        };
        for (name, path, hwcap) in entries {
            table.extend(number(0x303));
            table.extend(text(name));
            table.extend(text(path));
            table.extend(number(0));
            table.extend(if big { hwcap.to_be_bytes() } else { hwcap.to_le_bytes() });
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend(number(entries.len() as u32));
        bytes.extend(number(strings.len() as u32));
        bytes.extend([if big { 3 } else { 2 }, 0, 0, 0]);
        bytes.resize(HEADER, 0);
        bytes.extend(table);
        bytes.extend(strings);
        bytes
    }

    fn names(bytes: &[u8]) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let entries = entries(bytes).into_iter();
        entries.map(|e| (text(e.name), e.path.display().to_string())).collect()
    }

    const ENTRIES: &[(&str, &str, u64)] = &[
        ("libz.so.1", "/lib/libz.so.1", 0),
        ("libm.so.6", "/lib/glibc-hwcaps/x86-64-v3/libm.so.6", 1 << 62 | 1),
        ("libc.so.6", "/lib/libc.so.6", 0),
    ];

    #[test]
    fn libraries_in_both_orders_and_formats() {
        let expected = [("libz.so.1", "/lib/libz.so.1"), ("libc.so.6", "/lib/libc.so.6")];
        let expected = expected.map(|(name, path)| (name.to_owned(), path.to_owned()));
        for big in [false, true] {
            let new = cache(big, ENTRIES);
            assert_eq!(names(&new), expected);
            let mut old = OLD_MAGIC.to_vec();
            old.resize(64, 0);
            old.extend(&new);
            assert_eq!(names(&old), expected);
        }
        assert!(names(b"").is_empty() && names(MAGIC).is_empty() && names(OLD_MAGIC).is_empty());
    }

    /// `ldconfig -p` prints what it wrote: `\tlibc.so.6 (libc6,x86-64) => /lib/x86_64-linux-gnu/libc.so.6`.
    #[test]
    fn it_agrees_with_ldconfig() {
        fn here() {}
        let bytes = match std::fs::read("/etc/ld.so.cache") {
            Ok(bytes) => bytes,
            Err(why) => return requires::skip("ld_cache", &why.to_string(), here),
        };
        let run = |path: &str| Command::new(path).arg("-p").env("LC_ALL", "C").output();
        let output = match run("/sbin/ldconfig").or_else(|_| run("ldconfig")) {
            Ok(output) => output,
            Err(why) => return requires::skip("ldconfig", &why.to_string(), here),
        };
        // That of musl knows no `-p`.
        if !output.status.success() {
            let why = format!("ldconfig -p: {}", String::from_utf8_lossy(&output.stderr));
            return requires::skip("ldconfig", why.trim(), here);
        }
        let text = String::from_utf8(output.stdout).unwrap();
        let mut expected: Vec<_> = text
            .lines()
            .filter(|line| !line.contains("hwcap"))
            .filter_map(|line| {
                let (name, path) = line.strip_prefix('\t')?.split_once(" => ")?;
                Some((name.split_once(" (")?.0.to_owned(), path.to_owned()))
            })
            .collect();
        let mut found = names(&bytes);
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
    }

    proptest! {
        #[test]
        fn a_damaged_cache_does_no_harm(at in 0..200usize, byte: u8, cut in 0..200usize, any: Vec<u8>) {
            let _ = entries(&any);
            let mut bytes = cache(false, ENTRIES);
            if let Some(old) = bytes.get_mut(at) {
                *old = byte;
            }
            let _ = entries(&bytes);
            bytes.truncate(cut);
            let _ = entries(&bytes);
        }
    }
}
