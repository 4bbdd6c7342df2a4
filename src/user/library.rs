//! Search for libraries, as the dynamic linker does it (`ld.so(8)`), and for programs, as a shell does.

use super::ld_cache;
use super::process::Process;
use crate::error::{Error, Result};
use crate::util::{escape, file};
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The default directories of the linker; those of one architecture, `/lib/x86_64-linux-gnu`, are below.
const FOLDERS: [&str; 4] = ["/lib", "/usr/lib", "/lib64", "/usr/lib64"];

/// Finds a program or a library.
///
/// * A name with a slash is a path.
/// * Else it is a library, `c`, `libc` or `libc.so.6`: looked for in the directories of `LD_LIBRARY_PATH`, in
///   `/etc/ld.so.cache`, and in `/lib`, `/usr/lib` and the like, with `-linux-gnu` directories in them. Without a version
///   it is `libNAME.so` if that is a library, or else that of the highest version. It is one for the same kind of machine
///   as this program. (Libraries for particular CPUs, in `glibc-hwcaps`, have to be given by their paths.)
/// * Else it is a program, looked for in the directories of `PATH`.
///
/// With a process it is the file that this process sees: looked for first among the files that it has mapped, and then
/// as above, but in its root and with its environment.
///
/// A byte of the name that is not UTF-8 is written as the private code point U+EF00 plus the byte.
///
/// # Errors
/// [`Error::NoFile`] if there is no file of that name, with the places that were searched.
pub fn find_file(name: &str, pid: Option<u32>) -> Result<PathBuf> {
    let view = View { process: pid.map(Process) };
    if name.contains('/') {
        // From where this process is, if it does not begin with a slash.
        return Ok(match view.process {
            Some(process) if name.starts_with('/') => process.short_path(&escape::path(name)),
            _ => escape::path(name),
        });
    }
    let mut places = Vec::new();
    let library = Library { name, native: view.native() };
    if let Some(found) = view.mapped(&library, &mut places) {
        return Ok(found);
    }
    let in_folders = |folders: Vec<PathBuf>, places: &mut Vec<String>| {
        folders.into_iter().find_map(|folder| {
            places.push(escape::shown_path(&folder).to_string());
            library.in_folder(&view, &folder)
        })
    };
    in_folders(view.folders("LD_LIBRARY_PATH"), &mut places)
        .or_else(|| {
            places.push(LD_CACHE.into());
            library.in_cache(&view)
        })
        .or_else(|| in_folders(view.usual_folders(), &mut places))
        .or_else(|| {
            let folders = view.folders("PATH");
            places.extend(folders.iter().map(|folder| escape::shown_path(folder).to_string()));
            folders
                .into_iter()
                .map(|folder| view.path(&folder.join(escape::path(name))))
                .find(|path| is_program(path))
        })
        .ok_or_else(|| Error::NoFile { file: name.into(), names: library.names(), places })
}

const LD_CACHE: &str = "/etc/ld.so.cache";

/// The view of the file system: that of a process, or our own.
struct View {
    process: Option<Process>,
}

impl View {
    fn path(&self, path: &Path) -> PathBuf {
        match self.process {
            Some(process) if path.is_absolute() => process.short_path(path),
            _ => path.into(),
        }
    }

    /// Class, byte order and machine of the program that this process runs. `None` if it cannot be read.
    fn native(&self) -> Option<Machine> {
        let pid = self.process.map_or_else(|| "self".into(), |process| process.0.to_string());
        machine(Path::new(&format!("/proc/{pid}/exe")))
    }

    /// Returns the directories in an environment variable.
    fn folders(&self, variable: &str) -> Vec<PathBuf> {
        let value = match self.process {
            None => env::var_os(variable).map(|value| value.as_bytes().to_vec()),
            Some(process) => {
                let all = file::read(format!("/proc/{}/environ", process.0)).unwrap_or_default();
                let mut lines = all.split(|byte| *byte == 0);
                lines.find_map(|line| {
                    let value = line.strip_prefix(variable.as_bytes())?.strip_prefix(b"=")?;
                    Some(value.to_vec())
                })
            }
        };
        // The linker takes semicolons, too.
        let separator = |byte: &u8| *byte == b':' || *byte == b';' && variable != "PATH";
        let value = value.unwrap_or_default();
        if value.is_empty() {
            return Vec::new();
        }
        // An empty name between two colons is the current directory, which differs between this process and another.
        let names = value.split(separator).map(|name| if name.is_empty() { b"." } else { name });
        let folders = names.map(|name| PathBuf::from(OsStr::from_bytes(name)));
        folders.filter(|folder| self.process.is_none() || folder.is_absolute()).collect()
    }

    fn usual_folders(&self) -> Vec<PathBuf> {
        let mut folders = Vec::new();
        for folder in FOLDERS.map(Path::new) {
            let entries = fs::read_dir(self.path(folder)).into_iter().flatten().flatten();
            let names = entries.map(|entry| entry.file_name());
            let names = names.filter(|name| name.to_string_lossy().contains("-linux-"));
            // The dynamic linker is called like that, too, and may be a link: `ld-linux-x86-64.so.2`.
            let mut below: Vec<_> = names.map(|name| folder.join(name)).collect();
            below.retain(|below| self.path(below).is_dir());
            below.sort();
            folders.append(&mut below);
            folders.push(folder.into());
        }
        folders
    }

    /// A library that the process has mapped.
    fn mapped(&self, library: &Library<'_>, places: &mut Vec<String>) -> Option<PathBuf> {
        let process = self.process?;
        places.push(format!("/proc/{}/maps", process.0));
        let mappings = process.mappings().unwrap_or_default();
        let fits = |mapping: &super::process::Mapping| {
            let name = mapping.path.file_name()?;
            library.fits(&escape::text(name.as_bytes())).map(|rank| (rank, mapping.path.clone()))
        };
        let (_, path) = mappings.iter().filter_map(fits).max()?;
        Some(process.short_path(&path))
    }
}

/// Class, byte order and machine, which a file and a process must have in common.
type Machine = ([u8; 2], [u8; 2]);

fn machine(path: &Path) -> Option<Machine> {
    let mut head = [0; 20];
    file::open(path).ok()?.read_exact_at(&mut head, 0).ok()?;
    match head {
        [0x7f, b'E', b'L', b'F', class, order, .., m, n] => Some(([class, order], [m, n])),
        _ => None,
    }
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

/// A library by its name.
struct Library<'n> {
    name: &'n str,
    native: Option<Machine>,
}

/// The rank of a file name, the greatest is best: whether it is the very name, whether it has no version, its version.
type Rank = (bool, bool, Vec<u64>);

impl Library<'_> {
    /// Returns the possible names of its file, for messages.
    fn names(&self) -> String {
        match self.name {
            name if name.contains(".so") => format!("{name}, {name}.*"),
            name if name.starts_with("lib") => {
                format!("{name}.so, {name}.so.*, lib{name}.so, {name}")
            }
            name => format!("lib{name}.so, lib{name}.so.*, {name}"),
        }
    }

    /// Returns the rank of a file's name, if it is one for the library.
    fn fits(&self, file: &str) -> Option<Rank> {
        if file == self.name {
            // The name of a program, unless it contains `.so`.
            return file.contains(".so").then(|| (true, true, Vec::new()));
        }
        let with = |stem: &str| {
            let rest = file.strip_prefix(stem)?;
            if self.name.contains(".so") {
                return rest.strip_prefix('.');
            }
            // musl names the machine, too: `libc.musl-x86_64.so.1`.
            let rest = match rest.strip_prefix(".musl-") {
                Some(rest) => rest.get(rest.find(".so")?..)?,
                None => rest,
            };
            match rest.strip_prefix(".so")? {
                "" => Some(""),
                version => version.strip_prefix('.'),
            }
        };
        let library = format!("lib{}", self.name);
        let whole = self.name.starts_with("lib").then_some(self.name);
        let version = whole.and_then(with).or_else(|| with(&library))?;
        if version.is_empty() {
            return Some((false, true, Vec::new()));
        }
        let numbers = version.split('.').map(|number| number.parse().ok());
        Some((false, false, numbers.collect::<Option<_>>()?))
    }

    /// Whether a file is a library for this machine: `libc.so` is often a text for the linker.
    fn is_at(&self, path: &Path) -> bool {
        let machine = machine(path);
        machine.is_some() && (self.native.is_none() || machine == self.native)
    }

    fn best(&self, found: impl Iterator<Item = (Rank, PathBuf)>) -> Option<PathBuf> {
        let mut found: Vec<_> = found.collect();
        found.sort_by(|a, b| b.cmp(a));
        found.into_iter().map(|(_, path)| path).find(|path| self.is_at(path))
    }

    fn in_folder(&self, view: &View, folder: &Path) -> Option<PathBuf> {
        let entries = fs::read_dir(view.path(folder)).into_iter().flatten().flatten();
        self.best(entries.filter_map(|entry| {
            let name = entry.file_name();
            let rank = self.fits(&escape::text(name.as_bytes()))?;
            Some((rank, view.path(&folder.join(name))))
        }))
    }

    fn in_cache(&self, view: &View) -> Option<PathBuf> {
        let bytes = file::read(view.path(Path::new(LD_CACHE))).ok()?;
        self.best(ld_cache::entries(&bytes).into_iter().filter_map(|entry| {
            let rank = self.fits(&escape::text(entry.name))?;
            Some((rank, view.path(entry.path)))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn best<'a>(name: &str, files: &[&'a str]) -> Option<&'a str> {
        let library = Library { name, native: None };
        let ranks = files.iter().filter_map(|file| Some((library.fits(file)?, *file)));
        ranks.max().map(|(_, file)| file)
    }

    #[test]
    fn names_of_libraries() {
        let libc = ["libc.so.6", "libcap.so.2", "libc++.so.1", "c", "libc.so.6.bak", "cc"];
        for name in ["c", "libc", "libc.so", "libc.so.6"] {
            assert_eq!(best(name, &libc[..5]), Some("libc.so.6"), "{name}");
        }
        assert_eq!(best("c", &["c", "cc", "libcc.so", "libc.a", "libc-2.31.so"]), None);
        // Without a version the one for linking, and else the highest.
        assert_eq!(best("x", &["libx.so.9", "libx.so.10.1", "libx.so.10"]), Some("libx.so.10.1"));
        assert_eq!(best("x", &["libx.so.9", "libx.so"]), Some("libx.so"));
        assert_eq!(
            best("libx.so.9", &["libx.so.9", "libx.so.10", "libx.so.9.1"]),
            Some("libx.so.9")
        );
        // Libraries whose name begins with `lib` once more, and musl's.
        assert_eq!(best("libfoo", &["liblibfoo.so.1"]), Some("liblibfoo.so.1"));
        assert_eq!(best("c", &["libc.musl-x86_64.so.1"]), Some("libc.musl-x86_64.so.1"));
        // A program is none.
        assert_eq!(best("bash", &["bash"]), None);
    }

    #[test]
    fn a_name_with_a_slash_is_a_path() {
        assert_eq!(find_file("/no/such/file", None).unwrap(), Path::new("/no/such/file"));
        assert_eq!(find_file("./a", None).unwrap(), Path::new("./a"));
        // Of a process that sees the same files, by the same name.
        assert_eq!(
            find_file("/proc/version", Some(std::process::id())).unwrap(),
            Path::new("/proc/version")
        );
    }

    #[test]
    fn what_is_nowhere_says_where_it_was_looked_for() {
        let error = find_file("rawbpf_no_such_thing", None).unwrap_err();
        let words = error.to_string();
        for part in ["librawbpf_no_such_thing.so", LD_CACHE, "/usr/lib", "rawbpf_no_such_thing"] {
            assert!(words.contains(part), "{words}");
        }
        let words =
            find_file("rawbpf_no_such_thing", Some(std::process::id())).unwrap_err().to_string();
        assert!(words.contains("/maps, "), "{words}");
    }

    #[test]
    fn no_file_is_a_default_directory() {
        // Both that of this process and that of another: all of them see such a file on glibc, the dynamic linker.
        for process in [None, Some(Process(std::process::id()))] {
            let view = View { process };
            let folders = view.usual_folders();
            let files: Vec<_> =
                folders.iter().filter(|folder| view.path(folder).is_file()).collect();
            assert_eq!(files, Vec::<&PathBuf>::new());
            assert!(
                FOLDERS.iter().all(|folder| folders.iter().any(|one| one == Path::new(folder)))
            );
        }
    }

    #[test]
    fn files_say_for_which_machine_they_are() {
        let us = env::current_exe().unwrap();
        let native = machine(&us);
        assert!(native.is_some() && native == View { process: None }.native());
        assert_eq!(machine(Path::new("/proc/version")), None);
        assert_eq!(machine(Path::new("/")), None);
        assert_eq!(native, View { process: Some(Process(std::process::id())) }.native());
    }

    #[test]
    fn variables_of_a_process_are_read() {
        let of = |process| View { process }.folders("PATH");
        let us: Vec<_> = of(None).into_iter().filter(|folder| folder.is_absolute()).collect();
        assert_eq!(of(Some(Process(std::process::id()))), us);
    }

    proptest! {
        #[test]
        fn any_names_do(name in "\\PC{0,8}", file in "\\PC{0,8}", stem in "[a-c.]{0,4}") {
            let _ = Library { name: &name, native: None }.fits(&file);
            let _ = Library { name: &stem, native: None }.fits(&format!("lib{stem}.musl-{file}"));
        }
    }
}
