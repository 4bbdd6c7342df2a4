//! Attaches programs to network namespaces (`network_namespaces(7)`): they choose the socket of a packet or a connection (`sk_lookup`,
//! Linux 5.9), and dissect the headers of a packet (`flow_dissector`, a link Linux 5.8). Both by links alone.

use super::Target;
use super::device::refused;
use super::link::{Attachment, Link};
use crate::error::{Error, Result};
use crate::features::Features;
use crate::permission::{self, Need};
use crate::program::Program;
use crate::syscall::netlink::Refusal;
use crate::syscall::{self, LinkCreate, LinkExtra};
use crate::uapi::{AttachType, Errno};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

/// The namespace that this thread is in.
const OWN: &str = "/proc/thread-self/ns/net";

const NOTES: [(i32, &str); 3] = [
    (
        libc::EEXIST,
        "another flow dissector is there, or is in the first network namespace, where it is the only one of all",
    ),
    (libc::E2BIG, "as many programs as can be are there: one flow dissector, 64 of sk_lookup"),
    (
        libc::EINVAL,
        "the path is no network namespace (/proc/PID/ns/net, /run/netns/NAME), or the program was loaded for something else: \
         Target::spec makes one that fits",
    ),
];

/// Attaches a program to a [`Target::Netns`].
///
/// # Errors
/// [`Error::File`] if there is no such file, [`Error::Attach`] if the kernel refuses, [`Error::NoFeature`] if it is too old.
pub fn attach(program: &Program, target: &Target) -> Result<Link> {
    let target = target.plain();
    let Target::Netns { path, attach_type } = target else {
        return Err(Error::Target {
            target: target.to_string(),
            problem: "not a network namespace",
        });
    };
    target.check(program)?;
    let path = if path.as_os_str().is_empty() { Path::new(OWN) } else { path };
    let namespace = File::open(path).map_err(|source| permission::file("open", path, source))?;
    let link = LinkCreate {
        program: program.as_fd(),
        target: syscall::Target::Fd(namespace.as_fd()),
        attach_type: *attach_type as u32,
        flags: 0,
        extra: LinkExtra::None,
    };
    match syscall::link_create(&link) {
        Ok(link) => Ok(Link::new(target.clone(), vec![Attachment::Link(link)])),
        Err(errno) => {
            if errno == Errno(libc::EINVAL) && *attach_type == AttachType::SkLookup {
                Features::new().demand(AttachType::SkLookup)?;
            }
            let refusal = Refusal::new("BPF_LINK_CREATE", errno);
            Err(refused(program, target, refusal, Need::Network, &NOTES))
        }
    }
}
