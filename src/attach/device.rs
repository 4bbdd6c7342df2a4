//! Network devices, by their names, and the kernel's reasons for refusing a program there.

use super::Target;
use crate::error::{Error, Result};
use crate::permission::{self, Denied, Need};
use crate::program::Program;
use crate::syscall::netlink::{Answer, DUMP, Message, Netlink, RTM_GETLINK, RTM_NEWLINK, Refusal};
use crate::uapi::Errno;
use crate::util::escape;
use crate::util::nearest::{Nearest, OFFERED};
use std::os::fd::{AsFd, OwnedFd};

/// `struct ifinfomsg`.
pub(super) const LINK: usize = 16;
const IFLA_IFNAME: u16 = 3;

/// The longest name of a device, `IFNAMSIZ` without its NUL.
const LONGEST: usize = 15;

/// A network device, and the netlink socket for it, in the network namespace of the thread that found it.
#[derive(Debug)]
pub(super) struct Device {
    pub netlink: Netlink,
    pub index: u32,
}

/// A `struct ifinfomsg` for a device, or for none by number.
pub(super) fn link_structure(index: u32) -> [u8; LINK] {
    let mut structure = [0; LINK];
    if let Some(place) = structure.get_mut(4..8) {
        place.copy_from_slice(&index.to_ne_bytes());
    }
    structure
}

impl Device {
    /// Finds the device that a target names.
    ///
    /// # Errors
    /// [`Error::NotFound`] with the nearest names.
    pub(super) fn find(program: &Program, target: &Target, name: &str) -> Result<Device> {
        let refused = |refusal| refused(program, target, refusal, Need::Network, &[]);
        let mut netlink = Netlink::open().map_err(refused)?;
        let mut index = None;
        let bytes = escape::bytes(name);
        if bytes.len() <= LONGEST {
            let message = Message::new(RTM_GETLINK, 0, &link_structure(0))
                .with(IFLA_IFNAME, &[&*bytes, b"\0"].concat());
            let answer = netlink.ask(message, |answer| index = index.or(number_of(answer)));
            match answer {
                // It has no such device; or none of a name like that, with a slash in it.
                Ok(()) | Err(Refusal { errno: Errno(libc::ENODEV | libc::EINVAL), .. }) => {}
                Err(refusal) => return Err(refused(refusal)),
            }
        }
        match index {
            Some(index) => Ok(Device { netlink, index }),
            None => Err(not_found(&mut netlink, name)),
        }
    }
}

fn number_of(answer: Answer<'_>) -> Option<u32> {
    (answer.kind == RTM_NEWLINK).then(|| answer.word(4))
}

fn not_found(netlink: &mut Netlink, name: &str) -> Error {
    let mut nearest = Nearest::new(name, OFFERED);
    // Without a list there is nothing to offer.
    let _ = netlink.ask(Message::new(RTM_GETLINK, DUMP, &link_structure(0)), |answer| {
        if let Some(name) = answer.attributes(LINK).text(IFLA_IFNAME) {
            nearest.offer(&name);
        }
    });
    Error::NotFound {
        what: "network device",
        name: name.into(),
        nearest: nearest.into_names(),
        note: Some("each network namespace has devices of its own"),
    }
}

/// The error of a step that the kernel refused, with what its answer means there.
pub(super) fn refused(
    program: &Program,
    target: &Target,
    refusal: Refusal,
    need: Need,
    notes: &[(i32, &'static str)],
) -> Error {
    let why = permission::explain(refusal.errno, need);
    refused_because(program, target, refusal, why, notes)
}

/// The same with a cause that is already determined, or `None`.
pub(super) fn refused_because(
    program: &Program,
    target: &Target,
    refusal: Refusal,
    why: Option<Denied>,
    notes: &[(i32, &'static str)],
) -> Error {
    let Refusal { step, errno, said, lost: _ } = refusal;
    let note = notes.iter().find(|(number, _)| *number == errno.0).map(|(_, note)| *note);
    let message = (!said.is_empty()).then(|| said.into());
    let (program, target) = (program.name().into(), target.to_string().into());
    Error::Attach { program, target, step, errno, message, why, note }
}

/// Duplicates the program's descriptor, for calls that name the program later.
pub(super) fn duplicate(program: impl AsFd) -> Result<OwnedFd, Refusal> {
    let duplicate = program.as_fd().try_clone_to_owned();
    duplicate.map_err(|error| Refusal::new("fcntl(F_DUPFD_CLOEXEC)", Errno::of(&error)))
}
