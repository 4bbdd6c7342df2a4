//! The tracing file system: its location, and its information about tracepoints.
//!
//! The usual place, `/sys/kernel/tracing` (Linux 4.1), is used without looking; only if a file is missing there is another
//! place looked up in `/proc/self/mounts`. Where tracefs is not mounted at all, this process gets a detached mount of its own
//! (`fsmount(2)`, Linux 5.2), which no other process sees.

use crate::error::{Error, Result};
use crate::kernel::read_value;
use crate::permission::{self, Need};
use crate::syscall;
use crate::uapi::Errno;
use crate::util::file;
use crate::util::glob::Glob;
use crate::util::nearest::{Nearest, OFFERED};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;

/// The usual mount point of tracefs.
const USUAL: &str = "/sys/kernel/tracing";

/// Its folder inside debugfs, the only place before Linux 4.1. Looking there makes the kernel mount it.
const IN_DEBUGFS: &str = "tracing";

/// Returns the folder that tracefs is mounted on; if it is not mounted, that of a mount private to this process. `what` is the
/// purpose, for the error if there is none: `reading trace_pipe`.
///
/// # Errors
/// [`Error::NoTracefs`] if it is not mounted and this process may not mount it, or the kernel is older than 5.2.
pub fn root(what: &'static str) -> Result<PathBuf> {
    // `EACCES` means that something is there; the error will be that of the file that is opened.
    match fs::symlink_metadata(Path::new(USUAL).join("events")) {
        Err(error) if is_missing(&error) => elsewhere(what),
        _ => Ok(USUAL.into()),
    }
}

/// The number of the tracepoint `events/CATEGORY/NAME`: what `perf_event_open(2)` takes as `config`. It
/// can differ from boot to boot.
///
/// # Errors
/// [`Error::NotFound`] with the names that come nearest, [`Error::NoTracefs`] if tracefs is not
/// mounted, [`Error::File`] if this process may not read it.
pub fn tracepoint_id(category: &str, name: &str) -> Result<u64> {
    if !plain(category) || !plain(name) {
        return Err(not_found(category, name));
    }
    let id = format!("events/{category}/{name}/id");
    let (file, path) = match open(TRACEPOINTS, id.as_ref(), OpenOptions::new().read(true)) {
        Err(Error::File { source, .. }) if is_missing(&source) => {
            return Err(not_found(category, name));
        }
        answer => answer?,
    };
    let text = read_value(file).map_err(|source| permission::file("read", &path, source))?;
    let number = std::str::from_utf8(&text).ok().and_then(|text| text.trim_end().parse().ok());
    number.ok_or(Error::Format { path, problem: "not the number of a tracepoint" })
}

/// The names of the tracepoints in a category, sorted.
///
/// # Errors
/// As [`tracepoint_id`].
pub fn tracepoints(category: &str) -> Result<Vec<String>> {
    let events = root(TRACEPOINTS)?.join("events");
    tracepoints_in(&events, category)?.ok_or_else(|| no_category(&events, category))
}

/// The names of the categories of tracepoints, sorted.
///
/// # Errors
/// [`Error::NoTracefs`] if tracefs is not mounted, [`Error::File`] if this process may not read it.
pub fn categories() -> Result<Vec<String>> {
    folders(&root(TRACEPOINTS)?.join("events"))
}

/// The tracepoints whose category and name match patterns.
///
/// # Errors
/// [`Error::NotFound`] if there is none; else as [`categories`].
pub(crate) fn matching(category: &str, name: &str) -> Result<Vec<(String, String)>> {
    let (wanted, names) = (Glob::new(category), Glob::new(name));
    let mut found = Vec::new();
    for category in categories()? {
        if wanted.matches(&category) {
            let all = tracepoints(&category)?.into_iter();
            found.extend(all.filter(|n| names.matches(n)).map(|name| (category.clone(), name)));
        }
    }
    if found.is_empty() {
        return Err(Error::NotFound {
            what: "tracepoint that matches",
            name: format!("{category}/{name}"),
            nearest: Vec::new(),
            note: None,
        });
    }
    Ok(found)
}

/// The purpose of [`root`] here.
const TRACEPOINTS: &str = "attaching to a tracepoint";

/// Whether a name stays inside its folder: one with a slash would be a path to some other file.
fn plain(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
}

fn folders(path: &Path) -> Result<Vec<String>> {
    let read = |source| permission::file("read", path, source);
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(path).map_err(read)? {
        let entry = entry.map_err(read)?;
        if entry.file_type().map_err(read)?.is_dir()
            && let Ok(name) = entry.file_name().into_string()
        {
            // Some hundred: not worth the code of a sort, which is several times that of the rest.
            let place = names.partition_point(|other| *other < name);
            names.insert(place, name);
        }
    }
    Ok(names)
}

/// The tracepoints of a category, or `None` if there is no such category.
fn tracepoints_in(events: &Path, category: &str) -> Result<Option<Vec<String>>> {
    if !plain(category) {
        return Ok(None);
    }
    match folders(&events.join(category)) {
        Err(Error::File { source, .. }) if is_missing(&source) => Ok(None),
        answer => answer.map(Some),
    }
}

/// The error for a tracepoint that is not there: which of its two names is wrong, and what they could
/// have been.
fn not_found(category: &str, name: &str) -> Error {
    match root(TRACEPOINTS) {
        Ok(root) => not_found_in(&root.join("events"), category, name),
        Err(error) => error,
    }
}

fn not_found_in(events: &Path, category: &str, name: &str) -> Error {
    let names = match tracepoints_in(events, category) {
        Ok(Some(names)) => names,
        Ok(None) => return no_category(events, category),
        Err(error) => return error,
    };
    let mut nearest = Nearest::new(name, OFFERED);
    names.iter().for_each(|name| nearest.offer(name));
    let nearest = nearest.into_names();
    Error::NotFound {
        what: "tracepoint",
        name: format!("{category}/{name}"),
        nearest: nearest.iter().map(|name| format!("{category}/{name}")).collect(),
        note: None,
    }
}

fn no_category(events: &Path, category: &str) -> Error {
    let names = match folders(events) {
        Ok(names) => names,
        Err(error) => return error,
    };
    let mut nearest = Nearest::new(category, OFFERED);
    names.iter().for_each(|name| nearest.offer(name));
    let syscalls = category == "syscalls";
    Error::NotFound {
        what: "category of tracepoints",
        name: category.into(),
        nearest: nearest.into_names(),
        note: syscalls.then_some("it needs a kernel built with CONFIG_FTRACE_SYSCALLS"),
    }
}

/// Opens a file of tracefs, and returns its path too. `what` is the purpose, for the error if there is no tracefs.
pub(crate) fn open(
    what: &'static str,
    relative: &Path,
    options: &OpenOptions,
) -> Result<(File, PathBuf)> {
    let path = Path::new(USUAL).join(relative);
    let missing = match options.open(&path) {
        Ok(file) => return Ok((file, path)),
        Err(source) if is_missing(&source) => source,
        Err(source) => return Err(permission::file("open", &path, source)),
    };
    let root = elsewhere(what)?;
    if root.as_os_str() == USUAL {
        return Err(permission::file("open", &path, missing));
    }
    let path = root.join(relative);
    match options.open(&path) {
        Ok(file) => Ok((file, path)),
        Err(source) => Err(permission::file("open", &path, source)),
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(Errno::of(error), Errno(libc::ENOENT | libc::ENOTDIR))
}

/// Returns the location of tracefs by the list of mounts, or else a private mount.
fn elsewhere(what: &'static str) -> Result<PathBuf> {
    let path = Path::new("/proc/self/mounts");
    let mounts = file::read(path).map_err(|source| permission::file("read", path, source))?;
    let in_debugfs = |debugfs: &Path| debugfs.join(IN_DEBUGFS).join("events").exists();
    // Something else can be mounted over it.
    let is_there = |place: &PathBuf| !matches!(place.join("events").try_exists(), Ok(false));
    if let Some(place) = mounted(&mounts, in_debugfs).filter(is_there) {
        return Ok(place);
    }
    detached().map_err(|_| Error::NoTracefs {
        what,
        why: permission::explain(Errno(libc::EPERM), Need::Mount),
    })
}

/// The root of a mount that has no place, by its descriptor. There is one a process, kept until it ends: what is opened in it
/// stays open, but paths that were given out lead through it.
fn detached() -> std::result::Result<PathBuf, Errno> {
    static MOUNT: Mutex<Option<OwnedFd>> = Mutex::new(None);
    let mut mount = MOUNT.lock().unwrap_or_else(PoisonError::into_inner);
    let root = match &*mount {
        Some(root) => root.as_raw_fd(),
        None => mount.insert(syscall::mount_detached(c"tracefs")?).as_raw_fd(),
    };
    Ok(PathBuf::from(format!("/proc/self/fd/{root}")))
}

/// Picks tracefs from the text of `/proc/self/mounts` (`fstab(5)`): at the usual place if it is there, or
/// else anywhere, or else inside a debugfs that has it.
fn mounted(mounts: &[u8], in_debugfs: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let of_type = |wanted: &'static [u8]| {
        mounts.split(|byte| *byte == b'\n').filter_map(move |line| {
            let mut fields = line.split(|byte| *byte == b' ');
            let (place, kind) = (fields.nth(1)?, fields.next()?);
            (kind == wanted).then(|| PathBuf::from(OsString::from_vec(unescaped(place))))
        })
    };
    if of_type(b"tracefs").any(|place| place.as_os_str() == USUAL) {
        return Some(USUAL.into());
    }
    let inside = || of_type(b"debugfs").find(|place| in_debugfs(place));
    of_type(b"tracefs").next().or_else(|| inside().map(|debugfs| debugfs.join(IN_DEBUGFS)))
}

/// A field of `/proc/self/mounts`: space, tab, line break and backslash are written as `\` and three
/// octal digits (`mangle_path`, `fs/seq_file.c`).
fn unescaped(mut field: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(field.len());
    while let [first, rest @ ..] = field {
        let octal = |digit: u8| char::from(digit).to_digit(8);
        let escaped = match (*first, rest) {
            (b'\\', [a, b, c, rest @ ..]) => octal(*a)
                .zip(octal(*b))
                .zip(octal(*c))
                .and_then(|((a, b), c)| u8::try_from(a << 6 | b << 3 | c).ok())
                .map(|byte| (byte, rest)),
            _ => None,
        };
        let (byte, rest) = escaped.unwrap_or((*first, rest));
        path.push(byte);
        field = rest;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn find(mounts: &str) -> Option<PathBuf> {
        mounted(mounts.as_bytes(), |_| false)
    }

    #[test]
    fn tracefs_is_found_where_it_is_mounted() {
        assert_eq!(find("proc /proc proc rw 0 0\nsysfs /sys sysfs rw 0 0\n"), None);
        assert_eq!(
            find("proc /proc proc rw 0 0\nnodev /mnt/my\\040trace tracefs rw,relatime 0 0\n"),
            Some("/mnt/my trace".into())
        );
        // The usual place goes before all others.
        assert_eq!(
            find(
                "a /sys/kernel/debug/tracing tracefs rw 0 0\nb /sys/kernel/tracing tracefs rw 0 0\n"
            ),
            Some(USUAL.into())
        );
        // A name alone does not make it one.
        assert_eq!(find("tracefs /sys/kernel/tracing tmpfs rw 0 0\n"), None);
        assert_eq!(find(""), None);
    }

    #[test]
    fn tracefs_can_be_inside_debugfs() {
        let mounts = b"debugfs /sys/kernel/debug debugfs rw 0 0\n";
        let inside = Some(PathBuf::from("/sys/kernel/debug/tracing"));
        assert_eq!(mounted(mounts, |place| place == Path::new("/sys/kernel/debug")), inside);
        assert_eq!(mounted(mounts, |_| false), None);
    }

    #[test]
    fn escapes() {
        assert_eq!(unescaped(br"/a\040b\011c\012d\134e"), b"/a b\tc\nd\\e");
        assert_eq!(unescaped(br"/a\04"), br"/a\04");
        assert_eq!(unescaped(br"/a\999\777\"), br"/a\999\777\");
    }

    /// A folder that looks like `events`, gone when dropped.
    struct Events(PathBuf);

    impl Events {
        fn new(test: &str) -> Events {
            let path = std::env::temp_dir().join(format!("rawbpf-{test}-{}", std::process::id()));
            for name in ["sched/sched_switch", "sched/sched_wakeup", "syscalls/sys_enter_clone"] {
                fs::create_dir_all(path.join(name)).unwrap();
                fs::write(path.join(name).join("id"), "312\n").unwrap();
            }
            fs::write(path.join("enable"), "0\n").unwrap();
            fs::write(path.join("sched/filter"), "none\n").unwrap();
            Events(path)
        }
    }

    impl Drop for Events {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn only_folders_are_tracepoints() {
        let events = Events::new("folders");
        assert_eq!(folders(&events.0).unwrap(), ["sched", "syscalls"]);
        let names = tracepoints_in(&events.0, "sched").unwrap().unwrap();
        assert_eq!(names, ["sched_switch", "sched_wakeup"]);
    }

    #[test]
    fn a_misspelled_tracepoint_gets_the_nearest() {
        let events = Events::new("nearest");
        assert_eq!(
            not_found_in(&events.0, "sched", "sched_swich").to_string(),
            "tracepoint `sched/sched_swich` does not exist on this kernel; the nearest: \
             sched/sched_switch"
        );
        assert_eq!(
            not_found_in(&events.0, "shed", "sched_switch").to_string(),
            "category of tracepoints `shed` does not exist on this kernel; the nearest: sched"
        );
        for outside in ["..", ".", "", "sched/../sched", "/"] {
            let error = not_found_in(&events.0, outside, "x");
            assert!(matches!(error, Error::NotFound { what: "category of tracepoints", .. }));
        }
    }

    #[test]
    fn a_kernel_without_system_call_tracepoints_is_told_apart() {
        let events = Events::new("syscalls");
        fs::remove_dir_all(events.0.join("syscalls")).unwrap();
        let error = not_found_in(&events.0, "syscalls", "sys_enter_clone").to_string();
        assert!(error.contains("CONFIG_FTRACE_SYSCALLS"), "{error}");
    }

    proptest! {
        #[test]
        fn any_mounts_will_do(bytes: Vec<u8>, text in "[a-z/ \\\\0-9\n]{0,60}") {
            let _ = mounted(&bytes, |_| false);
            let _ = mounted(text.as_bytes(), |_| true);
            let _ = unescaped(&bytes);
        }

        #[test]
        fn escaped_paths_read_back(path in prop::collection::vec(1..=255u8, 0..40)) {
            let mut field = Vec::new();
            for byte in &path {
                match byte {
                    b' ' | b'\t' | b'\n' | b'\\' => field.extend(format!("\\{byte:03o}").bytes()),
                    byte => field.push(*byte),
                }
            }
            prop_assert_eq!(unescaped(&field), path);
        }
    }
}
