//! Iterators: a program that is run for each object of a kind, and a file to read its output (Linux 5.8).

use super::link::Attachment;
use super::{Link, Options, Target, trampoline};
use crate::error::{Error, Result};
use crate::map::Map;
use crate::permission::{self, Need};
use crate::program::Program;
use crate::syscall::{self, LinkCreate, LinkExtra};
use crate::uapi::{AttachType, Errno};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// One iteration over the objects. Reading it runs the program, which writes by `seq_write`, `seq_printf`; the end of the file
/// is that of the iteration.
#[derive(Debug)]
pub struct Iter(File);

impl Read for Iter {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl AsFd for Iter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Starts an iteration. There can be several of one link. `bpf(2)`, `BPF_ITER_CREATE`; Linux 5.8.
///
/// ```no_run
/// use rawbpf::attach::{self, Target, iter};
/// use rawbpf::{Loader, ProgramSpec, ProgramType, bpf};
/// use std::io::Read;
///
/// static DOT: ProgramSpec = ProgramSpec::new("dot", ProgramType::Tracing, bpf! {
///     r1 = *(u64 *)(r1 + 0);                          // the context's bpf_iter_meta
///     r1 = *(u64 *)(r1 + bpf_iter_meta.seq);
///     *(u8 *)(r10 - 1) = 46;
///     r2 = r10;
///     r2 += -1;
///     r3 = 1;
///     call seq_write;
///     r0 = 0;
///     exit;
/// });
/// let target: Target = "iter:task".parse()?;
/// let (_program, link) = attach::load_and_attach(&mut Loader::new(), &DOT, &target)?;
/// let mut dots = String::new();
/// iter::read(&link)?.read_to_string(&mut dots)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Target`] if it is no link of an iterator, [`Error::Call`] if the kernel refuses.
#[doc(alias = "BPF_ITER_CREATE")]
pub fn read(link: &Link) -> Result<Iter> {
    let fd = match (link.target(), link.as_bpf_link()) {
        (Target::Iter { .. }, Some(fd)) => fd,
        (target, _) => {
            return Err(Error::Target { target: target.to_string(), problem: "not an iterator" });
        }
    };
    let iter = syscall::iter_create(fd).map_err(|errno| Error::Call {
        action: "read",
        object: format!("the link to {}", link.target()),
        errno,
        why: permission::explain(errno, Need::Tracing),
        note: None,
    })?;
    Ok(Iter(iter.into()))
}

/// Attaches a program to a [`Target::Iter`].
///
/// # Errors
/// [`Error::Attach`] if the kernel refuses.
pub(super) fn attach(program: &Program, target: &Target, options: &Options) -> Result<Link> {
    // `union bpf_iter_link_info`, `task`: tid, pid, pid_fd. What stays 0 is not asked for.
    let mut info = [0; 12];
    if let Some(pid) = options.pid {
        info[4..8].copy_from_slice(&pid.to_ne_bytes());
    }
    let info = if options.pid.is_some() { &info[..] } else { &[] };
    create(program, target, info).map_err(|errno| match errno {
        Errno(libc::EINVAL | libc::E2BIG) if options.pid.is_some() => Error::Unsupported {
            what: "iterators over the tasks of one process",
            needs: "Linux 6.1",
        },
        errno => trampoline::refused(program, target, "BPF_LINK_CREATE", errno),
    })
}

/// Attaches a program to an iterator over the elements of a map: `iter:bpf_map_elem`, `iter:bpf_sk_storage_map`, `iter:sockmap`.
/// Linux 5.9.
///
/// # Errors
/// [`Error::Target`] if it is no target of an iterator, [`Error::Attach`] if the kernel refuses.
pub fn attach_to_map(program: &Program, target: &Target, map: &Map) -> Result<Link> {
    let target = target.plain();
    if !matches!(target, Target::Iter { .. }) {
        return Err(Error::Target { target: target.to_string(), problem: "not an iterator" });
    }
    target.check(program)?;
    // `union bpf_iter_link_info`, `map.map_fd`.
    let info = map.as_fd().as_raw_fd().to_ne_bytes();
    create(program, target, &info).map_err(|errno| match errno {
        Errno(libc::EINVAL | libc::EACCES) => {
            let note = "this iterator is not for a map of that type, or reads more of a key or value than it has";
            trampoline::noted(program, target, errno, note)
        }
        errno => trampoline::refused(program, target, "BPF_LINK_CREATE", errno),
    })
}

fn create(program: &Program, target: &Target, info: &[u8]) -> Result<Link, Errno> {
    let link = syscall::link_create(&LinkCreate {
        program: program.as_fd(),
        target: syscall::Target::None,
        attach_type: AttachType::TraceIter as u32,
        flags: 0,
        extra: if info.is_empty() { LinkExtra::None } else { LinkExtra::Iter(info) },
    })?;
    Ok(Link::new(target.clone(), vec![Attachment::Link(link)]))
}
