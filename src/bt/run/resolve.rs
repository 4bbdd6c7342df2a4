//! Names of what values only have numbers of: addresses, users, cgroups, times. Each is looked up when the first value
//! needs it, and kept.

use crate::bt::output::WallTime;
use crate::bt::types::{Clock, Space};
use crate::bt::value::{Frame, Stack, StackMode, Symbol};
use crate::kernel::symbols;
use crate::map::Map;
use crate::syscall;
use crate::util::glob::Glob;
use crate::util::{escape, file};
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::DirEntryExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Finds names.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The maps that stacks are kept in.
    stacks: Vec<(Space, u32, Map)>,
    kernel: Option<Option<symbols::KernelSymbols>>,
    processes: Processes,
    users: Option<HashMap<u32, Arc<str>>>,
    cgroups: HashMap<(u64, Vec<u8>), String>,
    clocks: Option<Clocks>,
}

/// The time by which the system's clocks are ahead of the boot clock, in nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    real: i128,
    monotonic: i128,
    tai: i128,
}

impl Names {
    /// Adds the map in which stacks of this kind and depth are.
    pub(super) fn add_stacks(&mut self, space: Space, depth: u32, map: Map) {
        self.stacks.push((space, depth, map));
    }

    /// Records from now on the mappings of a process, so that its addresses have names also when it has ended.
    pub(super) fn watch(&mut self, pid: u32) {
        // If that fails, names are found only while the process runs.
        let _ = self.processes.watch(pid);
    }

    /// From now on names of C++ and Rust are those of the symbol tables.
    pub(super) fn keep_mangled(&mut self) {
        self.processes.keep_mangled();
    }

    /// Records the new mappings of the watched processes.
    pub(super) fn look(&mut self) {
        self.processes.look();
    }

    /// Whether a process is watched.
    pub(super) fn watches(&self) -> bool {
        self.processes.watches()
    }

    /// Returns the stack that has an id; an id that is an error stands for an empty stack.
    pub(super) fn stack(
        &mut self,
        space: Space,
        depth: u32,
        mode: StackMode,
        id: i64,
        pid: u32,
    ) -> Stack {
        let addresses = self.addresses(space, depth, id);
        let user = space == Space::User;
        let raw = mode == StackMode::Raw;
        let frames = addresses.into_iter().enumerate().map(|(index, address)| {
            let unknown = Frame { address, symbol: None, offset: 0, module: None };
            // Frames but the innermost are the addresses behind calls, which can be the first of the next function.
            match (raw, user) {
                (true, _) => unknown,
                (_, true) => self.user_frame(pid, address, index > 0).unwrap_or(unknown),
                (_, false) => self.kernel_frame(address).unwrap_or(unknown),
            }
        });
        let frames = frames.collect();
        Stack { user, mode, frames }
    }

    /// Resolves a user address of a process; the return address of a caller lies behind its call.
    fn user_frame(&mut self, pid: u32, address: u64, caller: bool) -> Option<Frame> {
        let inside = if caller { address.saturating_sub(1) } else { address };
        let located = self.processes.frame(pid, inside)?;
        let offset = located.offset + (address - inside);
        let module = Some(escape::path_text(&located.path).into());
        Some(Frame { address, symbol: located.name.map(Into::into), offset, module })
    }

    fn addresses(&self, space: Space, depth: u32, id: i64) -> Vec<u64> {
        let Ok(id) = u32::try_from(id) else { return Vec::new() };
        let found = self.stacks.iter().find(|(of, deep, _)| (*of, *deep) == (space, depth));
        let value = found.and_then(|(.., map)| map.lookup(&id.to_ne_bytes()).ok().flatten());
        let words = value.unwrap_or_default();
        let words = words.chunks_exact(8).filter_map(|word| word.try_into().ok());
        words.map(u64::from_ne_bytes).take_while(|address| *address != 0).collect()
    }

    fn kernel_symbols(&mut self) -> Option<&symbols::KernelSymbols> {
        self.kernel.get_or_insert_with(|| symbols::KernelSymbols::read().ok()).as_ref()
    }

    fn kernel_frame(&mut self, address: u64) -> Option<Frame> {
        let found = self.kernel_symbols()?.at(address)?;
        let module = found.module.map(Into::into);
        Some(Frame { address, symbol: Some(found.name.into()), offset: found.offset, module })
    }

    /// Returns the symbol at an address of the kernel.
    pub(super) fn kernel_symbol(&mut self, address: u64) -> Symbol {
        let found = self.kernel_symbols().and_then(|kernel| kernel.at(address));
        Symbol { address, name: found.map(|found| found.name.into()) }
    }

    /// Returns the symbol at an address of a process.
    pub(super) fn user_symbol(&mut self, address: u64, pid: u32) -> Symbol {
        let found = self.user_frame(pid, address, false);
        Symbol { address, name: found.and_then(|found| found.symbol) }
    }

    /// Returns the name of a user.
    pub(super) fn user(&mut self, id: u32) -> Option<Arc<str>> {
        self.users.get_or_insert_with(users).get(&id).cloned()
    }

    /// Returns the paths of a cgroup in all hierarchies, `unified:/a,cpu:/b`, those that match the pattern.
    pub(super) fn cgroup(&mut self, id: u64, pattern: &[u8]) -> String {
        let key = (id, pattern.to_vec());
        self.cgroups.entry(key).or_insert_with(|| cgroup_paths(id, pattern)).clone()
    }

    /// Returns the text of a time by a clock.
    pub(super) fn time(
        &mut self,
        nanoseconds: u64,
        clock: Option<Clock>,
        format: &[u8],
    ) -> Vec<u8> {
        let clocks = self.clocks.get_or_insert_with(Clocks::now);
        let ahead = match clock {
            Some(Clock::Boot) | None => clocks.real,
            Some(Clock::Monotonic) => clocks.real - clocks.monotonic,
            Some(Clock::Tai | Clock::SoftwareTai) => clocks.real - clocks.tai,
        };
        let time = WallTime::from_unix_nanoseconds(i128::from(nanoseconds) + ahead);
        time.strftime(format)
    }
}

impl Clocks {
    fn now() -> Clocks {
        let clock = |clock| i128::from(syscall::clock_ns(clock));
        let boot = clock(libc::CLOCK_BOOTTIME);
        Clocks {
            real: clock(libc::CLOCK_REALTIME) - boot,
            monotonic: clock(libc::CLOCK_MONOTONIC) - boot,
            tai: clock(libc::CLOCK_TAI) - boot,
        }
    }
}

/// The users of `/etc/passwd`: `name:password:id:…`
fn users() -> HashMap<u32, Arc<str>> {
    let text = file::read("/etc/passwd").unwrap_or_default();
    users_of(&escape::text(&text))
}

fn users_of(text: &str) -> HashMap<u32, Arc<str>> {
    let mut users = HashMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(id)) = (fields.next(), fields.nth(1))
            && let Ok(id) = id.parse()
        {
            // The first one counts, as for getpwuid(3).
            users.entry(id).or_insert_with(|| name.into());
        }
    }
    users
}

/// A hierarchy of cgroups: its name, and where it is mounted.
#[derive(Debug, PartialEq, Eq)]
struct Hierarchy {
    name: String,
    path: PathBuf,
}

/// The paths of a cgroup.
fn cgroup_paths(id: u64, pattern: &[u8]) -> String {
    let pattern = escape::text(pattern);
    let glob = Glob::new(if pattern.is_empty() { "*" } else { &pattern });
    let mounts = file::read("/proc/self/mountinfo").unwrap_or_default();
    let mut paths = Vec::new();
    for Hierarchy { name, path: root } in hierarchies(&escape::text(&mounts)) {
        // The pattern is one for the names of hierarchies.
        if !glob.matches(&name) {
            continue;
        }
        let Some(found) = folder(&root, id) else { continue };
        let below = escape::path_text(found.strip_prefix(&root).unwrap_or(&found));
        paths.push(format!("{name}:/{below}"));
    }
    paths.join(",")
}

/// The hierarchies in `/proc/self/mountinfo`: the second version, and then those of the first, sorted by name.
fn hierarchies(mounts: &str) -> Vec<Hierarchy> {
    let mut all = Vec::new();
    for line in mounts.lines() {
        // 36 35 98:0 /root /mount/point options - cgroup source options
        let Some((before, behind)) = line.split_once(" - ") else { continue };
        let Some(path) = before.split(' ').nth(4) else { continue };
        let mut behind = behind.split(' ');
        match (behind.next(), behind.nth(1)) {
            (Some("cgroup2"), _) => {
                all.push(Hierarchy { name: "unified".into(), path: escape::path(path) });
            }
            (Some("cgroup"), Some(options)) => {
                let known = |word: &&str| {
                    !matches!(*word, "rw" | "ro" | "xattr" | "none" | "clone_children" | "noprefix")
                        && !word.starts_with("release_agent=")
                };
                for word in options.split(',').filter(known) {
                    let name = word.strip_prefix("name=").unwrap_or(word).to_owned();
                    all.push(Hierarchy { name, path: escape::path(path) });
                }
            }
            _ => {}
        }
    }
    all.sort_by(|one, other| {
        let rank = |one: &Hierarchy| (one.name != "unified", one.name.clone());
        rank(one).cmp(&rank(other))
    });
    all.dedup_by(|one, other| one.name == other.name);
    all
}

/// The maximum depth of cgroups, so that a loop of mounts ends.
const DEEPEST: usize = 64;

/// Returns the directory with that inode number, at or below the root.
fn folder(root: &Path, id: u64) -> Option<PathBuf> {
    if fs::metadata(root).is_ok_and(|about| about.ino() == id) {
        return Some(root.into());
    }
    let mut left = vec![(root.to_path_buf(), 0)];
    while let Some((path, depth)) = left.pop() {
        for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if entry.ino() == id {
                return Some(entry.path());
            }
            if depth < DEEPEST {
                left.push((entry.path(), depth + 1));
            }
        }
    }
    None
}

#[cfg(feature = "symbolize")]
use crate::user::Processes;

#[cfg(not(feature = "symbolize"))]
use without::Processes;

#[cfg(not(feature = "symbolize"))]
mod without {
    //! Without `symbolize`, addresses of processes have no names.

    use crate::error::Result;
    use std::path::PathBuf;

    #[derive(Debug, Default)]
    pub(super) struct Processes;

    /// A resolved address.
    pub(super) struct UserLocation {
        pub(super) name: Option<String>,
        pub(super) offset: u64,
        pub(super) path: PathBuf,
    }

    impl Processes {
        pub(super) fn watch(&mut self, _pid: u32) -> Result<()> {
            Ok(())
        }

        pub(super) fn keep_mangled(&mut self) {}

        pub(super) fn look(&mut self) {}

        pub(super) fn watches(&self) -> bool {
            false
        }

        pub(super) fn frame(&mut self, _pid: u32, _address: u64) -> Option<UserLocation> {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_the_first_name_of_their_id() {
        let users =
            users_of("root:x:0:0::/root:/bin/sh\ntoor:x:0:0\n\nnobody:x:65534:x\nbad:x:y\n");
        assert_eq!(users.get(&0).map(|name| &**name), Some("root"));
        assert_eq!(users.get(&65534).map(|name| &**name), Some("nobody"));
        assert_eq!(users.len(), 2);
    }

    #[test]
    fn hierarchies_of_both_versions_are_found() {
        let mounts = "30 24 0:26 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n\
                      31 24 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
                      32 24 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                      33 24 0:29 / /tmp rw - tmpfs tmpfs rw\n";
        let found = hierarchies(mounts);
        let names: Vec<_> = found.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["unified", "cpu", "cpuacct", "systemd"]);
        assert_eq!(found[2].path, Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        // A path that is not UTF-8.
        let found = hierarchies("30 24 0:26 / /a\u{efff} rw - cgroup2 cgroup2 rw\n");
        assert_eq!(found[0].path.as_os_str().as_encoded_bytes(), b"/a\xff");
    }
}
