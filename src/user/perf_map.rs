//! Names of code that a process made itself: `/tmp/perf-PID.map`, which JIT compilers write for `perf report`.
//!
//! A line is the address, the size, both hexadecimal, and the name. The file belongs to the process, and so is treated as
//! untrusted: it is found in the mount namespace of the process and by its number in its own PID namespace, no link is
//! followed, nothing but a regular file of the process's user or of root is read, as perf does, and not more than a limit.

use super::process::Process;
use super::ranges::{Named, Names, append};
use crate::util::escape;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The most that is read of a file.
const MOST: u64 = 128 << 20;

/// The most names that are taken from one.
const MOST_NAMES: usize = 2 << 20;

/// The minimum time between reads of the file, if nothing has a name yet; it is also ten times as long as it took to
/// read it.
const PAUSE: Duration = Duration::from_millis(100);

/// The names that a process gives its own code.
#[derive(Debug)]
pub(super) struct PerfMap {
    process: Process,
    place: Option<Place>,
    /// The file, kept so that it can be read when nothing leads to it any more.
    found: Option<File>,
    names: Names,
    /// Size and time of the last change when it was read.
    version: Option<(u64, i64, i64)>,
    /// The time of the next read.
    again: Option<Instant>,
}

/// The location and the expected owner of the file of a process; kept from when the process was running.
#[derive(Debug, Clone)]
pub(super) struct Place {
    folder: Arc<File>,
    /// The process in its own PID namespace.
    number: u32,
    user: u32,
    /// The process, or the one that started it, and its start in seconds since the epoch: a file that was not written since
    /// is that of an earlier process with this PID.
    of: Process,
    started: u64,
}

impl PerfMap {
    pub(super) fn new(process: Process) -> PerfMap {
        PerfMap {
            process,
            place: None,
            found: None,
            names: Names::default(),
            version: None,
            again: None,
        }
    }

    /// Records the location of the file, so that it can be read when the process has ended. For a process that has
    /// ended already, it is derived from that of `parent`, the process that started it.
    pub(super) fn hold(&mut self, parent: Option<Place>) {
        if self.found.is_some() {
            return;
        }
        // The process may have become another user's since then.
        let now = Place::of(self.process);
        let inherited = || parent.map(|parent| Place { number: self.process.0, ..parent });
        self.place = now.or_else(|| self.place.take()).or_else(inherited);
        self.found = self.place.as_ref().and_then(Place::find);
    }

    /// Returns the location of the file.
    pub(super) fn place(&self) -> Option<Place> {
        self.place.clone()
    }

    /// The name of the code at an address, how far into it that is, and the file by the path that the process has for it.
    pub(super) fn at(&mut self, address: u64) -> Option<(&str, u64, PathBuf)> {
        if self.names.at(address).is_none() {
            self.look();
        }
        let (name, offset) = self.names.at(address)?;
        Some((name, offset, Path::new("/tmp").join(self.place.as_ref()?.name())))
    }

    /// Drops the names; they are read again when one is needed.
    pub(super) fn forget(&mut self) {
        (self.names, self.version, self.again) = (Names::default(), None, None);
    }

    /// Whether the file is kept open.
    pub(super) fn is_held(&self) -> bool {
        self.found.is_some()
    }

    /// Returns the memory that the names take, in bytes.
    pub(super) fn size(&self) -> usize {
        self.names.size()
    }

    /// Reads the lines added since the last read.
    fn look(&mut self) {
        let start = Instant::now();
        if self.again.is_some_and(|again| start < again) {
            return;
        }
        self.hold(None);
        if let Some(file) = &self.found
            && let Ok(about) = file.metadata()
        {
            let version = (about.size(), about.mtime(), about.mtime_nsec());
            if self.version != Some(version)
                && let Ok(text) = read(file)
            {
                self.version = Some(version);
                self.names = names(&text);
            }
        }
        self.again = start.checked_add(PAUSE.max(start.elapsed().saturating_mul(10)));
    }
}

impl Place {
    /// Returns the location for a running process.
    fn of(process: Process) -> Option<Place> {
        let status = fs::read(format!("/proc/{}/status", process.0)).ok()?;
        let (number, user) = number_and_user(&String::from_utf8_lossy(&status))?;
        let folder = Path::new("/proc").join(process.0.to_string()).join("root/tmp");
        let started = process.started_at().unwrap_or(0);
        Some(Place { number, user, of: process, started, folder: Place::folder(&folder)? })
    }

    fn folder(path: &Path) -> Option<Arc<File>> {
        // Each part by itself: a link of the process would be followed to where it leads from here.
        handle(path, libc::O_DIRECTORY).ok().map(Arc::new)
    }

    fn name(&self) -> String {
        format!("perf-{}.map", self.number)
    }

    /// The file, without any access to it.
    fn find(&self) -> Option<File> {
        let path = by_descriptor(&self.folder).join(self.name());
        // Before it is open here: this may be the process that is asked whether it has it open.
        let before = fs::symlink_metadata(&path).ok().filter(|about| self.is_of_this(about))?;
        let file = handle(&path, 0).ok()?;
        let about = file.metadata().ok()?;
        let same = (about.dev(), about.ino()) == (before.dev(), before.ino());
        (same && about.is_file() && [0, self.user].contains(&about.uid())).then_some(file)
    }

    /// Whether a file was written since the process started. The clock may have been set since then, which is no matter if the
    /// process still has it open.
    fn is_of_this(&self, file: &fs::Metadata) -> bool {
        // The start is known to the second.
        let written = u64::try_from(file.mtime()).unwrap_or(0).saturating_add(1);
        written >= self.started || self.of.has_open((file.dev(), file.ino()))
    }
}

/// Opens a file without side effects on devices and pipes.
fn handle(path: &Path, flags: i32) -> io::Result<File> {
    File::options().read(true).custom_flags(libc::O_PATH | libc::O_NOFOLLOW | flags).open(path)
}

/// A path that leads to an open file.
pub(super) fn by_descriptor(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

fn read(file: &File) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(by_descriptor(file))?.take(MOST).read_to_end(&mut text)?;
    Ok(text)
}

/// The number of a process in its own PID namespace, and its effective user, from `/proc/PID/status`.
fn number_and_user(status: &str) -> Option<(u32, u32)> {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    // Before Linux 4.1 there was no NSpid.
    let number = field("NSpid:").or_else(|| field("Pid:"))?;
    let number = number.split_whitespace().next_back()?.parse().ok()?;
    // Real, effective, saved, of the file system.
    let user = field("Uid:")?.split_whitespace().nth(1)?.parse().ok()?;
    Some((number, user))
}

/// The names in a file. Code takes the place of other code: the last line counts.
fn names(text: &[u8]) -> Names {
    let (mut all, mut ranges) = (String::new(), Vec::new());
    // What follows the last line feed is still being written.
    let end = text.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    for line in text.get(..end).unwrap_or_default().split(|byte| *byte == b'\n') {
        if ranges.len() == MOST_NAMES {
            break;
        }
        let Some((start, end, name)) = line_of(line) else { continue };
        let Some(name) = append(&mut all, &escape::text(name), usize::MAX) else {
            break;
        };
        ranges.push(Named { start, end, rank: ranges.len(), name });
    }
    Names::new(all, ranges)
}

fn line_of(line: &[u8]) -> Option<(u64, u64, &[u8])> {
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let mut number = || {
        let word = std::str::from_utf8(words.next()?).ok()?;
        u64::from_str_radix(word.strip_prefix("0x").unwrap_or(word), 16).ok()
    };
    let (start, size) = (number()?, number()?);
    let name = words.next()?.trim_ascii();
    Some((start, start.checked_add(size)?, name)).filter(|(.., name)| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;
    use std::os::unix::fs::symlink;
    use std::time::SystemTime;

    #[test]
    fn lines_of_node_and_java() {
        let text = b"7f3a10 1c JS:*add /app/x.js:1:13\n\
            0x7f3a40 0x20 Lcom/example/Main;::run\n\
            nonsense\n\
            7f3a50 8 inner\n\
            7f3a10 4 newer\n\
            7f3a80 10 \xff\n\
            7f3b00 10 is still being wri";
        let names = names(text);
        for (address, found) in [
            (0x7f3a10, Some(("newer", 0))),
            (0x7f3a14, Some(("JS:*add /app/x.js:1:13", 4))),
            (0x7f3a2c, None),
            (0x7f3a40, Some(("Lcom/example/Main;::run", 0))),
            (0x7f3a51, Some(("inner", 1))),
            (0x7f3a58, Some(("Lcom/example/Main;::run", 0x18))),
            (0x7f3a80, Some(("\u{efff}", 0))),
            (0x7f3b00, None),
        ] {
            assert_eq!(names.at(address), found, "{address:x}");
        }
        for none in [&b""[..], b"1", b"1 2", b"1 2 ", b"x 2 a", b"1 -2 a", b"ffffffffffffffff 2 a"]
        {
            assert_eq!(line_of(none), None);
        }
    }

    #[test]
    fn the_innermost_number_and_the_effective_user() {
        let status = "Name:\tnode\nPid:\t70\nUid:\t1000\t1001\t1002\t1003\nNSpid:\t70\t7\n";
        assert_eq!(number_and_user(status), Some((7, 1001)));
        assert_eq!(number_and_user("Pid:\t70\nUid:\t0\t0\t0\t0\n"), Some((70, 0)));
        assert_eq!(number_and_user("Pid:\t70\n"), None);
    }

    /// A place of this process.
    fn within(folder: &Path, number: u32, user: u32) -> Option<Place> {
        let of = Process(std::process::id());
        let started = of.started_at().unwrap();
        Some(Place { number, user, of, started, folder: Place::folder(folder)? })
    }

    #[test]
    fn a_file_from_before_the_process_is_that_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("perf-7.map");
        let mut file = File::create_new(&path).unwrap();
        file.write_all(b"1000 10 dead\n").unwrap();
        let place = within(folder.path(), 7, file.metadata().unwrap().uid()).unwrap();
        assert!(place.find().is_some(), "written since it started");
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(place.started);
        file.set_modified(start - Duration::from_secs(60)).unwrap();
        assert!(place.find().is_some(), "open");
        drop(file);
        assert!(place.find().is_none());
        // That of a process whose start is not known.
        assert!(Place { started: 0, ..place.clone() }.find().is_some());
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(b"2000 10 new\n").unwrap();
        drop(file);
        assert!(place.find().is_some(), "written again");
    }

    #[test]
    fn only_a_file_of_the_user_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |number: u32| folder.path().join(format!("perf-{number}.map"));
        fs::write(path(1), "1000 10 a\n").unwrap();
        let us = fs::metadata(path(1)).unwrap().uid();
        let find = |number, user| within(folder.path(), number, user).unwrap().find();
        assert_eq!(read(&find(1, us).unwrap()).unwrap(), b"1000 10 a\n");
        if us == 0 {
            std::os::unix::fs::chown(path(1), Some(1234), None).unwrap();
            assert!(find(1, 1234).is_some());
            assert!(find(1, 0).is_none() && find(1, 1000).is_none());
            std::os::unix::fs::chown(path(1), Some(0), None).unwrap();
            assert!(find(1, 1000).is_some(), "root's is good for all");
        }
        // Links, pipes and directories.
        symlink(path(1), path(2)).unwrap();
        nix::unistd::mkfifo(&path(3), nix::sys::stat::Mode::S_IRUSR).unwrap();
        fs::create_dir(path(4)).unwrap();
        for none in [2, 3, 4, 5] {
            assert!(find(none, us).is_none(), "{none}");
        }
        let link = folder.path().join("link");
        symlink(folder.path(), &link).unwrap();
        assert!(within(&link, 1, us).is_none());
    }

    #[test]
    fn that_of_a_process_that_has_ended_is_where_that_of_its_parent_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("perf-4294967295.map");
        fs::write(&path, "1000 10 a\n").unwrap();
        let us = fs::metadata(&path).unwrap().uid();
        let mut map = PerfMap::new(Process(u32::MAX));
        map.hold(None);
        assert_eq!(map.at(0x1000), None);
        map.again = None;
        map.hold(within(folder.path(), 7, us));
        assert_eq!(map.at(0x1000), Some(("a", 0, "/tmp/perf-4294967295.map".into())));
    }

    /// Changes of a file that is in use: it grows, is replaced, shrinks, is emptied.
    #[test]
    fn what_is_written_later_is_read_later() {
        let path = PathBuf::from(format!("/tmp/perf-{}.map", std::process::id()));
        let mut map = PerfMap::new(Process(std::process::id()));
        assert_eq!(map.at(0x1000), None);
        map.again = None;
        fs::write(&path, "1000 10 one\n").unwrap();
        assert_eq!(map.at(0x1004), Some(("one", 4, path.clone())));
        fs::write(&path, "1000 10 one\n2000 10 two\n").unwrap();
        assert_eq!(map.at(0x2000), None, "not at once");
        map.again = None;
        assert_eq!(map.at(0x2000), Some(("two", 0, path.clone())));
        fs::remove_file(&path).unwrap();
        map.forget();
        assert_eq!(map.at(0x2001), Some(("two", 1, path.clone())), "it is held");
    }

    proptest! {
        #[test]
        fn any_text_has_names_or_not(text: Vec<u8>, lines in "([0-9a-fx]{0,17} [0-9a-f]{0,17} [a-z ]{0,4}\n){0,6}", address: u64) {
            let _ = names(&text).at(address);
            let _ = names(lines.as_bytes()).at(address);
        }
    }
}
