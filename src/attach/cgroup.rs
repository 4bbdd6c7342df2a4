//! Attaches programs to control groups, for their processes and those of the groups below: packets, sockets, addresses,
//! options, devices (`cgroups(7)`, version 2; Linux 4.10).
//!
//! The program is attached to the group by a link (Linux 5.7), which is detached when its descriptor is closed. Kernels without
//! links take it by `BPF_PROG_ATTACH`; that outlives the process if it is killed, and ends with the group. Either way other
//! programs may be attached, too (`BPF_F_ALLOW_MULTI`); those of a group run before those of the groups above it.
//!
//! [`AttachType::LsmCgroup`] needs the name of its hook at load, in [`ProgramSpec::target`](crate::ProgramSpec::target):
//! `socket_bind`.

use super::Target;
use super::device::{duplicate, refused_because};
use super::link::{Attachment, Link};
use crate::error::{Error, Result};
use crate::features::{Feature, Features};
use crate::permission::{self, Denied, Need};
use crate::program::Program;
use crate::syscall::netlink::Refusal;
use crate::syscall::{self, LinkCreate, LinkExtra, ProgAttach, Relative};
use crate::uapi::{AttachType, Errno};
use crate::util::file;
use crate::util::nearest::{Nearest, OFFERED};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The call that attaches a program to a control group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CgroupMethod {
    /// The first of the others that this kernel has.
    Best,
    /// By a `bpf_link` (Linux 5.7).
    Link,
    /// By `BPF_PROG_ATTACH` (Linux 4.10, several programs 4.15).
    ProgAttach,
}

const BPF_F_ALLOW_MULTI: u32 = 1 << 1;

const NOTES: [(i32, &str); 4] = [
    (
        libc::EPERM,
        "a program of this kind is there already, or in a group above, and allows no others: `bpftool cgroup tree` shows \
         which were attached without `multi`",
    ),
    (libc::E2BIG, "64 programs of this kind are there already"),
    (
        libc::EINVAL,
        "the kernel has no such attach type, or the program was loaded for another one (Target::spec makes one that fits), \
         or is there already",
    ),
    (libc::EEXIST, "this program is there already"),
];

/// Attaches a program to a [`Target::Cgroup`].
///
/// # Errors
/// [`Error::NotFound`] with the nearest names if there is no such control group of version 2; [`Error::Attach`] if the
/// kernel refuses: `EPERM` if a program in a group above allows none here; [`Error::NoFeature`] if the kernel has no such
/// links and was to use them.
pub fn attach(program: &Program, target: &Target, method: CgroupMethod) -> Result<Link> {
    let target = target.plain();
    let Target::Cgroup { path, attach_type } = target else {
        return Err(Error::Target { target: target.to_string(), problem: "not a control group" });
    };
    target.check(program)?;
    let group = open(path)?;
    let refused = |step, errno| {
        if errno == Errno(libc::EBADF) {
            return none(path, OTHER_VERSION);
        }
        // Only a certain cause: with permission, the likely reason of a refusal is another program, not a security module.
        let why = permission::explain(errno, Need::Network).filter(Denied::is_certain);
        let notes = if why.is_some() { &[][..] } else { &NOTES };
        refused_because(program, target, Refusal::new(step, errno), why, notes)
    };
    if method != CgroupMethod::ProgAttach {
        let link = LinkCreate {
            program: program.as_fd(),
            target: syscall::Target::Fd(group.as_fd()),
            attach_type: *attach_type as u32,
            flags: 0,
            extra: LinkExtra::None,
        };
        match syscall::link_create(&link) {
            Ok(link) => return Ok(Link::new(target.clone(), vec![Attachment::Link(link)])),
            // A kernel without links rejects the command. A newer one that refuses for another reason does so again below.
            Err(Errno(libc::EINVAL)) if method == CgroupMethod::Best => {}
            Err(errno) => {
                if errno == Errno(libc::EINVAL) {
                    Features::new().demand(Feature::LinkCreate)?;
                }
                return Err(refused("BPF_LINK_CREATE", errno));
            }
        }
    }
    let attached = Attached::new(group, program, *attach_type)
        .map_err(|Refusal { step, errno, .. }| refused(step, errno))?;
    Ok(Link::new(target.clone(), vec![Attachment::kept(attached)]))
}

const OTHER_VERSION: &str =
    "the folder is there, and is no control group of version 2, as `mount -t cgroup2` makes them";

/// Opens the folder of a control group.
fn open(path: &Path) -> Result<File> {
    let folder = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(path);
    folder.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => {
            none(path, "control groups are the folders of a cgroup2 file system")
        }
        _ => permission::file("open", path, source),
    })
}

/// Returns the error for a control group that does not exist, with similar names, or the mount point of `cgroup2`.
fn none(path: &Path, note: &'static str) -> Error {
    let wanted = path.display().to_string();
    let mut nearest = Nearest::new(&wanted, OFFERED);
    let mounts = file::read_to_string("/proc/self/mounts").unwrap_or_default();
    let roots: Vec<_> = mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (place, kind) = (words.next()?, words.next()?);
            (kind == "cgroup2").then_some(place)
        })
        .collect();
    let parent = path.parent().filter(|parent| roots.iter().any(|root| parent.starts_with(root)));
    for entry in parent.and_then(|parent| fs::read_dir(parent).ok()).into_iter().flatten().flatten()
    {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            nearest.offer(&entry.path().display().to_string());
        }
    }
    let mut nearest = nearest.into_names();
    if nearest.is_empty() {
        nearest.extend(roots.iter().take(OFFERED).map(|root| (*root).to_owned()));
    }
    Error::NotFound { what: "control group", name: wanted, nearest, note: Some(note) }
}

/// A program attached to a control group, which is detached when this is dropped.
#[derive(Debug)]
pub(super) struct Attached {
    group: File,
    program: OwnedFd,
    attach_type: AttachType,
}

impl Attached {
    fn new(group: File, program: &Program, attach_type: AttachType) -> Result<Attached, Refusal> {
        // First, so that nothing can fail once it is attached.
        let program = duplicate(program)?;
        let attach = ProgAttach {
            target: syscall::Target::Fd(group.as_fd()),
            program: program.as_fd(),
            attach_type: attach_type as u32,
            flags: BPF_F_ALLOW_MULTI,
            replace: None,
            relative: Relative::None,
            expected_revision: 0,
        };
        syscall::prog_attach(&attach).map_err(|errno| Refusal::new("BPF_PROG_ATTACH", errno))?;
        Ok(Attached { group, program, attach_type })
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let group = syscall::Target::Fd(self.group.as_fd());
        // If the group has been removed this fails, and the program is detached already.
        let _ = syscall::prog_detach(group, self.program.as_fd(), self.attach_type as u32);
    }
}
