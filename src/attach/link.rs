//! Links: attached programs, for as long as the link is kept.

use super::Target;
use crate::error::{Error, Result};
use crate::permission::{self, Need};
use crate::program::{Program, pin_object};
use crate::syscall;
use crate::uapi::Errno;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;

/// An attached program. Dropping it detaches, and the kernel does the same for a process that is killed.
#[derive(Debug)]
#[must_use = "dropping a link detaches the program: keep it, as in `let _link = …`; `let _ = …` drops it"]
#[doc(alias = "bpf_link")]
pub struct Link {
    target: Target,
    /// The objects that keep the program attached, dropped in this order: the first of them is the last to go.
    parts: Vec<Attachment>,
    /// The number of places.
    places: usize,
    /// The number of places that were skipped.
    skipped: usize,
}

/// An object that keeps a program attached until it is dropped.
#[derive(Debug)]
pub(super) enum Attachment {
    /// A `bpf_link`.
    Link(OwnedFd),
    /// A perf event, a socket: an object to which the program is tied by its own descriptor. (A link holds its event itself.)
    Held(#[allow(dead_code, reason = "held open, not looked at")] OwnedFd),
    /// An object whose drop detaches: a probe in tracefs, a program on a device, a filter. Boxed, so that a program
    /// that attaches in one way links only that way of detaching.
    Kept(#[allow(dead_code, reason = "its drop takes it off")] Box<dyn Keep>),
}

/// An object whose drop detaches a program.
pub(super) trait Keep: fmt::Debug + Send + Sync + UnwindSafe + RefUnwindSafe {}

impl<T: fmt::Debug + Send + Sync + UnwindSafe + RefUnwindSafe> Keep for T {}

impl Attachment {
    /// Creates a part that detaches when it is dropped.
    pub(super) fn kept(keep: impl Keep + 'static) -> Attachment {
        Attachment::Kept(Box::new(keep))
    }
}

impl Link {
    /// A link that lives as long as its parts, which are dropped in their order.
    pub(super) fn new(target: Target, parts: Vec<Attachment>) -> Link {
        Link { target, parts, places: 1, skipped: 0 }
    }

    /// The same, for a target that stands for many places: the number of matches that have the program, and the number that
    /// were skipped.
    pub(super) fn of_many(mut self, places: usize, skipped: usize) -> Link {
        (self.places, self.skipped) = (places, skipped);
        self
    }

    /// Returns the target that the program is attached to, by the kernel's own name: `kprobe:__x64_sys_clone`.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Returns the number of places that the program is attached to: 1, or as many as the pattern of the target matched.
    pub fn places(&self) -> usize {
        self.places
    }

    /// Returns the number of places that the pattern of the target matched and that were skipped because they cannot be probed:
    /// functions that the kernel excludes from kprobes, and names that several functions have; of a perf event, CPUs that were
    /// listed as online and have no such event (`ENODEV`).
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// The parts that are links of the kernel's.
    fn links(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.parts.iter().filter_map(|part| match part {
            Attachment::Link(fd) => Some(fd.as_fd()),
            _ => None,
        })
    }

    /// The `bpf_link`, where the program is held by one and by nothing else (from Linux 5.7 on, by the kind of place).
    pub fn as_bpf_link(&self) -> Option<BorrowedFd<'_>> {
        let mut links = self.links();
        let first = links.next()?;
        links.next().is_none().then_some(first)
    }

    /// Replaces the program atomically: no packet passes between the two unseen. Both
    /// are loaded for the same kind of place. `bpf(2)`, `BPF_LINK_UPDATE`: control groups (Linux 5.7), network namespaces
    /// (5.8), XDP (5.9), tcx (6.6). Probes keep the program that they have.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the program is held there by something that is not a single `bpf_link`,
    /// [`Error::Call`] if the kernel refuses: `EINVAL` if the link is of another kind, or the program; `ENOLINK` if what it was
    /// attached to is gone.
    #[doc(alias = "BPF_LINK_UPDATE")]
    pub fn update(&self, program: &Program) -> Result<()> {
        let Some(link) = self.as_bpf_link() else {
            return Err(Error::Unsupported {
                what: "way to change the program of this attachment",
                needs: "it has to be held by a single bpf_link",
            });
        };
        syscall::link_update(link, program.as_fd()).map_err(|errno| Error::Call {
            action: "update",
            object: format!("the link to {}", self.target),
            errno,
            why: permission::explain(errno, Need::Bpf),
            note: match errno {
                Errno(libc::EINVAL) => Some(
                    "links of this kind keep the program that they have, or this one is for another kind of place",
                ),
                Errno(libc::ENOLINK) => Some("what it was attached to is gone"),
                _ => None,
            },
        })
    }

    /// Pins the link in the BPF file system. The program then stays attached when this is dropped and when the
    /// process ends, until the file is removed. `bpf(2)`, `BPF_OBJ_PIN`; Linux 5.7.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the kernel holds the program there by something that cannot be pinned,
    /// [`Error::Call`] if it refuses.
    #[doc(alias = "BPF_OBJ_PIN")]
    pub fn pin(&self, path: impl AsRef<Path>) -> Result<()> {
        let Some(link) = self.as_bpf_link() else {
            return Err(Error::Unsupported {
                what: "pinning of this attachment",
                needs: "only one that is held by a single bpf_link can be pinned",
            });
        };
        pin_object(link, path.as_ref()).map_err(|(errno, note)| Error::Call {
            action: "pin",
            object: format!("the link to {}", self.target),
            errno,
            why: permission::explain(errno, Need::Bpf),
            note,
        })
    }
}
