//! The memory mappings of a process: `/proc/PID/maps`, `proc_pid_maps(5)`.

use crate::util::file;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A process, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process(pub u32);

/// A part of its memory that shows a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapping {
    pub start: u64,
    pub end: u64,
    pub executable: bool,
    /// The file offset of the mapping, in bytes.
    pub offset: u64,
    /// The file, as the process sees it; of a deleted one, by the path that it had.
    pub path: PathBuf,
    /// Its inode, by which the file is not known if it is on `overlayfs`.
    pub inode: u64,
    /// The device of the file, as `/proc/PID/maps` has it: major, minor.
    pub device: (u32, u32),
    pub backing: Backing,
}

/// The backing of a memory mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Backing {
    /// A file that has a path.
    File,
    /// A file that no path leads to any more, or never did, such as that of `memfd_create(2)`.
    Deleted,
    /// None: memory of the process alone.
    Anonymous,
}

impl Process {
    /// All there are.
    pub(crate) fn all() -> Vec<Process> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries
            .filter_map(|entry| Some(Process(entry.file_name().to_str()?.parse().ok()?)))
            .collect()
    }

    /// The files that it has mapped, in the order of their addresses; without those that are deleted.
    pub(super) fn mappings(self) -> io::Result<Vec<Mapping>> {
        let mut all = self.all_mappings()?;
        all.retain(|mapping| mapping.backing == Backing::File);
        Ok(all)
    }

    /// Returns the executable mappings, in the order of addresses, without those of the kernel, such as the vDSO.
    #[cfg(feature = "symbolize")]
    pub(super) fn executable_mappings(self) -> io::Result<Vec<Mapping>> {
        let mut all = self.all_mappings()?;
        all.retain(|mapping| mapping.executable);
        Ok(all)
    }

    fn all_mappings(self) -> io::Result<Vec<Mapping>> {
        let text = file::read(format!("/proc/{}/maps", self.0))?;
        Ok(text.split(|byte| *byte == b'\n').filter_map(mapping).collect())
    }

    /// Whether it has a file mapped; `None` if that cannot be known.
    #[cfg(feature = "bt")]
    pub(crate) fn maps(self, path: &Path) -> Option<bool> {
        let wanted = identity(path)?;
        let mut paths: Vec<_> =
            self.mappings().ok()?.into_iter().map(|mapping| mapping.path).collect();
        paths.dedup();
        Some(paths.iter().any(|path| identity(&self.path(path)) == Some(wanted)))
    }

    /// A path of it as a path for this process.
    pub(super) fn path(self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.0));
        root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Returns the same path, or `path` itself if that is the same file here.
    pub(super) fn short_path(self, path: &Path) -> PathBuf {
        let long = self.path(path);
        let same = identity(path).is_some_and(|id| Some(id) == identity(&long));
        if same { path.into() } else { long }
    }

    /// Returns the same path for a process that may have ended: `path` itself, unless it is known to be another file in
    /// the process's root.
    #[cfg(feature = "symbolize")]
    pub(super) fn path_here(self, path: &Path) -> PathBuf {
        let long = self.path(path);
        let other = identity(&long).is_some_and(|id| Some(id) != identity(path));
        if other { long } else { path.into() }
    }

    /// Returns what tells it from others that have or had its PID, and from the program that it ran before an `execve(2)`;
    /// `None` if it has ended, also if its parent has not waited for it yet.
    #[cfg(feature = "symbolize")]
    pub(super) fn life(self) -> Option<Life> {
        life(&file::read(format!("/proc/{}/stat", self.0)).ok()?)
    }

    /// Returns the time when it started, in seconds since the epoch, by the clock as it goes now; `None` if it has ended.
    #[cfg(feature = "symbolize")]
    pub(super) fn started_at(self) -> Option<u64> {
        /// `USER_HZ`, in which the kernel tells times, on all machines that have BPF.
        const TICKS: u64 = 100;
        let ticks = started(&file::read(format!("/proc/{}/stat", self.0)).ok()?)?;
        let now = |clock| crate::syscall::clock_ns(clock) / 1_000_000_000;
        now(libc::CLOCK_REALTIME).checked_add(ticks / TICKS)?.checked_sub(now(libc::CLOCK_BOOTTIME))
    }

    /// Whether it has a file open, as far as that may be known.
    #[cfg(feature = "symbolize")]
    pub(super) fn has_open(self, file: (u64, u64)) -> bool {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.0)).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| identity(&entry.path()) == Some(file))
    }

    /// Its memory, to be read by address.
    pub(super) fn memory(self) -> io::Result<Memory> {
        Ok(Memory(File::open(format!("/proc/{}/mem", self.0))?))
    }
}

/// The life of a process with one program: fields of `/proc/PID/stat`, of which some are 0 for those who may not know them.
#[cfg(feature = "symbolize")]
pub(super) type Life = [u64; 11];

/// The start time, and where code, stack, data, arguments and environment begin and end: addresses that are drawn by lot at
/// each `execve(2)`.
#[cfg(feature = "symbolize")]
fn life(stat: &[u8]) -> Option<Life> {
    const FIELDS: [usize; 11] = [22, 26, 27, 28, 45, 46, 47, 48, 49, 50, 51];
    let fields: Vec<_> = fields(stat)?.collect();
    // `Z`, `X`: it has ended, and its parent has not waited for it yet.
    if matches!(fields.first(), Some(&("Z" | "X"))) {
        return None;
    }
    // Old kernels have fewer, all of them the first.
    let field = |number: usize| fields.get(number - FIRST).and_then(|text| text.parse().ok());
    let _: u64 = field(22)?;
    let life = FIELDS.map(|number| field(number).unwrap_or_default());
    // The code of one without memory, which it gives back before it has ended, begins at 0; to those who may not know where it
    // begins, at 1.
    let [_, code, ..] = life;
    (code != 0).then_some(life)
}

/// Returns the start time in `/proc/PID/stat`, field 22, in clock ticks since boot.
pub(crate) fn started(stat: &[u8]) -> Option<u64> {
    fields(stat)?.nth(22 - FIRST)?.parse().ok()
}

/// Returns the state in `/proc/PID/stat`: `R` for a process that runs or could, `S` for one that sleeps.
#[cfg(feature = "bt-cli")]
pub(crate) fn state(stat: &[u8]) -> Option<&str> {
    fields(stat)?.next()
}

/// The first of [`fields`].
const FIRST: usize = 3;

/// Returns the fields of `/proc/PID/stat` from the third on (proc_pid_stat(5)). The second is a name in parentheses that can
/// hold anything, parentheses too.
fn fields(stat: &[u8]) -> Option<impl Iterator<Item = &str>> {
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    Some(std::str::from_utf8(stat.get(after_name..)?).ok()?.split_whitespace())
}

/// Device and inode of a file.
pub(super) fn identity(path: &Path) -> Option<(u64, u64)> {
    let about = fs::metadata(path).ok()?;
    Some((about.dev(), about.ino()))
}

/// The memory of a process.
#[derive(Debug)]
pub(super) struct Memory(File);

impl Memory {
    pub(super) fn read<const N: usize>(&self, address: u64) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.0.read_exact_at(&mut bytes, address)?;
        Ok(bytes)
    }
}

/// A line, `7f0c1000-7f0c2000 r-xp 00026000 08:01 1234   /lib/libc.so.6`; `None` if it is the kernel's: `[vdso]` and the like.
fn mapping(line: &[u8]) -> Option<Mapping> {
    let mut words = line.splitn(6, |byte| *byte == b' ');
    let mut word = || std::str::from_utf8(words.next()?).ok();
    let (start, end) = word()?.split_once('-')?;
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let (start, end) = (hex(start)?, hex(end)?);
    let executable = word()?.get(2..3)? == "x";
    let offset = hex(word()?)?;
    let (major, minor) = word()?.split_once(':')?;
    let number = |text: &str| u32::from_str_radix(text, 16).ok();
    let device = (number(major)?, number(minor)?);
    let inode = word()?.parse().ok()?;
    let path = words.next()?.trim_ascii_start();
    if end < start {
        return None;
    }
    let (backing, path) = backing(path)?;
    Some(Mapping { start, end, executable, offset, path: unescaped(path), inode, device, backing })
}

/// Returns the backing that the name of a mapping stands for, and the path of the file; `None` if the mapping is the
/// kernel's. (`show_map_vma`, `fs/proc/task_mmu.c`)
pub(super) fn backing(name: &[u8]) -> Option<(Backing, &[u8])> {
    if name.starts_with(b"/") && !name.starts_with(b"//") {
        return Some(match name.strip_suffix(b" (deleted)") {
            Some(path) => (Backing::Deleted, path),
            None => (Backing::File, name),
        });
    }
    // `[heap]`, `[stack]`, `[anon:NAME]` belong to the process; perf calls the rest of its own `//anon`.
    let own =
        [&b""[..], b"//anon", b"[heap]", b"[stack]"].contains(&name) || name.starts_with(b"[anon");
    own.then_some((Backing::Anonymous, b""))
}

/// A line break in a path is written `\012`, and nothing else is changed (`seq_path`, `fs/seq_file.c`).
fn unescaped(path: &[u8]) -> PathBuf {
    let mut rest = path;
    let mut plain = Vec::with_capacity(path.len());
    while let [first, after @ ..] = rest {
        let (byte, after) = match rest.strip_prefix(b"\\012") {
            Some(after) => (b'\n', after),
            None => (*first, after),
        };
        plain.push(byte);
        rest = after;
    }
    OsString::from_vec(plain).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines() {
        let line = b"7f2a1c028000-7f2a1c17d000 r-xp 00026000 fe:00 1311                       /usr/lib/a b/libc.so.6";
        assert_eq!(
            mapping(line),
            Some(Mapping {
                start: 0x7f2a_1c02_8000,
                end: 0x7f2a_1c17_d000,
                executable: true,
                offset: 0x26000,
                path: "/usr/lib/a b/libc.so.6".into(),
                device: (0xfe, 0),
                inode: 1311,
                backing: Backing::File,
            })
        );
        let with_break = mapping(b"1000-2000 rw-p 00000000 00:01 7 /tmp/a\\012b").unwrap();
        assert_eq!((with_break.executable, with_break.path), (false, PathBuf::from("/tmp/a\nb")));
        let what = |line: &[u8]| mapping(line).map(|mapping| (mapping.backing, mapping.path));
        let deleted = |path: &str| Some((Backing::Deleted, PathBuf::from(path)));
        assert_eq!(what(b"1000-2000 r-xp 00000000 00:01 7 /tmp/a (deleted)"), deleted("/tmp/a"));
        assert_eq!(
            what(b"1000-2000 r-xp 00000000 00:01 7 /memfd:x (deleted)"),
            deleted("/memfd:x")
        );
        for anonymous in [
            &b"7ffd0000-7ffd1000 rw-p 00000000 00:00 0                          [stack]"[..],
            b"1000-2000 rwxp 00000000 00:00 0 ",
            b"1000-2000 rwxp 00000000 00:00 0                          [anon:v8]",
        ] {
            assert_eq!(what(anonymous), Some((Backing::Anonymous, PathBuf::new())));
        }
        for none in [
            &b"7ffd0000-7ffd1000 r-xp 00000000 00:00 0                          [vdso]"[..],
            b"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0            [vsyscall]",
            b"1000 rw-p 0 0 0 /a",
            b"",
        ] {
            assert_eq!(mapping(none), None);
        }
    }

    #[test]
    fn this_process_has_its_program_mapped() {
        let us = Process(std::process::id());
        assert!(Process::all().contains(&us));
        let program = identity(Path::new("/proc/self/exe"));
        let mappings = us.mappings().unwrap();
        let ours = |mapping: &&Mapping| identity(&us.path(&mapping.path)) == program;
        let code = mappings.iter().filter(ours).find(|mapping| mapping.executable).unwrap();
        // What is there in the file is there in memory.
        let mut bytes = [0; 16];
        let file = File::open("/proc/self/exe").unwrap();
        file.read_exact_at(&mut bytes, code.offset).unwrap();
        assert_eq!(us.memory().unwrap().read::<16>(code.start).unwrap(), bytes);
        assert_eq!(us.short_path(&code.path), code.path);
    }

    #[test]
    fn a_name_may_hold_anything() {
        let rest: Vec<_> = (3..=52).map(|field| field.to_string()).collect();
        for name in ["sh", "a b", ") R 1 2", "((", "1 (x) 2\n"] {
            let stat = format!("7 ({name}) {}\n", rest.join(" "));
            assert_eq!(started(stat.as_bytes()), Some(22), "{name}");
            #[cfg(feature = "cli")]
            assert_eq!(state(stat.as_bytes()), Some("3"), "{name}");
            #[cfg(feature = "symbolize")]
            assert_eq!(life(stat.as_bytes()), Some([22, 26, 27, 28, 45, 46, 47, 48, 49, 50, 51]));
        }
        for none in ["", "7 (a) S 1 2", "7 (a"] {
            assert_eq!(started(none.as_bytes()), None);
        }
    }

    #[cfg(feature = "symbolize")]
    #[test]
    fn one_that_has_ended_has_no_life() {
        let stat = |state: &str, code: u32| {
            let rest: Vec<_> = (23..=52).map(|field: u32| field.to_string()).collect();
            let rest = rest.join(" ").replacen("26", &code.to_string(), 1);
            format!("7 (sh) {state} {} 22 {rest}\n", ["1"; 18].join(" "))
        };
        let life = |state, code| life(stat(state, code).as_bytes()).map(|life| life[..2].to_vec());
        assert_eq!(life("S", 4096), Some(vec![22, 4096]));
        // For another user's process.
        assert_eq!(life("R", 1), Some(vec![22, 1]));
        for (state, code) in [("Z", 0), ("X", 0), ("Z", 4096), ("R", 0)] {
            assert_eq!(life(state, code), None, "{state} {code}");
        }
    }

    #[cfg(feature = "symbolize")]
    #[test]
    fn a_process_has_started_between_boot_and_now() {
        let us = Process(std::process::id());
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let started = us.started_at().unwrap();
        // It was a moment ago, and in whole seconds.
        assert!((now - 3_600..=now + 1).contains(&started), "{started} {now}");
        assert_eq!((us.life(), Process(u32::MAX).life()), (us.life(), None));
    }

    proptest! {
        #[test]
        fn any_line_is_a_mapping_or_none(bytes: Vec<u8>, text in "[0-9a-f]{1,8}-[0-9a-f]{1,8} [r-][w-][x-]p [0-9a-f]{1,8} [0-9:]{1,5} [0-9]{1,3} [ /a-z\\\\0-2]{0,12}") {
            let _ = mapping(&bytes);
            let _ = mapping(text.as_bytes());
        }
    }
}
