//! Netlink: messages to the part of the kernel that configures the network, and its answers. `netlink(7)`,
//! `rtnetlink(7)`, `Documentation/userspace-api/netlink/intro.rst`.
//!
//! Everything here is bytes in safe code; the socket is one of `socket.rs`. It belongs to the network namespace in which it was
//! opened, so that a configuration made by it can be undone by it, whatever namespace a thread is in by then.

use super::{Errno, receive, send, set_option, socket};
use crate::util::escape;
use std::os::fd::{AsFd, OwnedFd};

/// Messages, by the name and number of `include/uapi/linux/rtnetlink.h`.
pub(crate) const RTM_NEWLINK: u16 = 16;
pub(crate) const RTM_GETLINK: u16 = 18;
pub(crate) const RTM_SETLINK: u16 = 19;
pub(crate) const RTM_NEWQDISC: u16 = 36;
pub(crate) const RTM_DELQDISC: u16 = 37;
pub(crate) const RTM_GETQDISC: u16 = 38;
pub(crate) const RTM_NEWTFILTER: u16 = 44;
pub(crate) const RTM_DELTFILTER: u16 = 45;
pub(crate) const RTM_GETTFILTER: u16 = 46;

/// The messages that are sent.
const NAMES: &[(u16, &str)] = &[
    (RTM_GETLINK, "RTM_GETLINK"),
    (RTM_SETLINK, "RTM_SETLINK"),
    (RTM_NEWQDISC, "RTM_NEWQDISC"),
    (RTM_DELQDISC, "RTM_DELQDISC"),
    (RTM_GETQDISC, "RTM_GETQDISC"),
    (RTM_NEWTFILTER, "RTM_NEWTFILTER"),
    (RTM_DELTFILTER, "RTM_DELTFILTER"),
    (RTM_GETTFILTER, "RTM_GETTFILTER"),
];

/// `NLM_F_CREATE | NLM_F_EXCL`: creates the object, fails if it exists.
pub(crate) const CREATE: u16 = 0x400 | 0x200;
/// `NLM_F_ECHO`: returns the resulting object.
pub(crate) const ECHO: u16 = 0x8;
/// `NLM_F_DUMP`: returns all objects.
pub(crate) const DUMP: u16 = 0x300;

/// `NLM_F_REQUEST`, `NLM_F_ACK`.
const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
/// Flags of an error message: it holds no more of the request than its header; it ends in attributes.
const CAPPED: u16 = 0x100;
const ACK_TLVS: u16 = 0x200;

/// Types of answers.
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const FIRST_OF_FAMILY: u16 = 16;

/// `NLMSGERR_ATTR_MSG`.
const ERROR_TEXT: u16 = 1;

const SOL_NETLINK: i32 = 270;
const NETLINK_CAP_ACK: i32 = 10;
const NETLINK_EXT_ACK: i32 = 11;

/// Length, type, flags, sequence number, port: `struct nlmsghdr`.
const HEADER: usize = 16;
/// The bits of an attribute's type that are not flags.
const ATTRIBUTE_TYPE: u16 = 0x3fff;
const NESTED: u16 = 0x8000;

/// The size of the receive buffer of a dump. The kernel makes no part of one longer than that.
const ROOM: usize = 32 << 10;

/// The number of attempts, each interrupted by a signal.
const ATTEMPTS: usize = 32;

/// A request under construction.
#[derive(Debug, Clone)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    /// A message of this type, with the structure that those of its family begin with.
    pub(crate) fn new(kind: u16, flags: u16, structure: &[u8]) -> Message {
        let mut bytes = vec![0; HEADER];
        put(&mut bytes, 4, &kind.to_ne_bytes());
        let wants_end = if flags & DUMP == DUMP { 0 } else { ACK };
        put(&mut bytes, 6, &(flags | REQUEST | wants_end).to_ne_bytes());
        bytes.extend(structure);
        pad(&mut bytes);
        Message(bytes)
    }

    /// Adds an attribute.
    pub(crate) fn with(mut self, kind: u16, value: &[u8]) -> Message {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value.iter().take(usize::from(length) - 4));
        pad(&mut self.0);
        self
    }

    /// Adds an attribute that holds attributes.
    pub(crate) fn with_nested(self, kind: u16, attributes: &[(u16, &[u8])]) -> Message {
        let inner = attributes
            .iter()
            .fold(Message(Vec::new()), |inner, (kind, value)| inner.with(*kind, value));
        self.with(kind | NESTED, &inner.0)
    }

    fn name(&self) -> &'static str {
        name(number(&self.0, 4, u16::from_ne_bytes).unwrap_or(0))
    }

    fn finish(&mut self, sequence: u32) {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        put(&mut self.0, 0, &length.to_ne_bytes());
        put(&mut self.0, 8, &sequence.to_ne_bytes());
    }
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    for (to, from) in bytes.iter_mut().skip(at).zip(value) {
        *to = *from;
    }
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

fn name(kind: u16) -> &'static str {
    NAMES.iter().find(|(number, _)| *number == kind).map_or("netlink", |(_, name)| name)
}

/// Returns the name of the request in a message that is sent.
pub(super) fn words(bytes: &[u8]) -> &'static str {
    name(number(bytes, 4, u16::from_ne_bytes).unwrap_or(0))
}

/// One message of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer<'a> {
    pub kind: u16,
    /// The structure and the attributes.
    pub body: &'a [u8],
}

impl<'a> Answer<'a> {
    /// A number in its structure.
    pub(crate) fn word(&self, at: usize) -> u32 {
        number(self.body, at, u32::from_ne_bytes).unwrap_or(0)
    }

    /// The attributes after a structure of so many bytes.
    pub(crate) fn attributes(&self, structure: usize) -> Attributes<'a> {
        Attributes(self.body.get(structure.next_multiple_of(4)..).unwrap_or_default())
    }
}

/// Attributes, one after the other: types without flags, and values. What cannot be one ends them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes<'a>(pub &'a [u8]);

impl<'a> Attributes<'a> {
    /// The value of the first of a type.
    pub(crate) fn get(mut self, wanted: u16) -> Option<&'a [u8]> {
        self.find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
    }

    pub(crate) fn text(self, wanted: u16) -> Option<String> {
        let bytes = self.get(wanted)?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        Some(escape::text(bytes.get(..end)?).into_owned())
    }

    pub(crate) fn word(self, wanted: u16) -> Option<u32> {
        number(self.get(wanted)?, 0, u32::from_ne_bytes)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(number(self.0, 0, u16::from_ne_bytes)?);
        let kind = number(self.0, 2, u16::from_ne_bytes)? & ATTRIBUTE_TYPE;
        let Some(value) = self.0.get(4..length) else {
            self.0 = &[];
            return None;
        };
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}

/// The messages in what was received: type, flags, sequence number, body. What cannot be one ends them.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (u16, u16, u32, &[u8])> {
    std::iter::from_fn(move || {
        let length = number(bytes, 0, u32::from_ne_bytes)? as usize;
        let kind = number(bytes, 4, u16::from_ne_bytes)?;
        let flags = number(bytes, 6, u16::from_ne_bytes)?;
        let sequence = number(bytes, 8, u32::from_ne_bytes)?;
        let body = bytes.get(HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, flags, sequence, body))
    })
}

fn number<T, const N: usize>(bytes: &[u8], at: usize, from: fn([u8; N]) -> T) -> Option<T> {
    bytes.get(at..)?.first_chunk().copied().map(from)
}

/// The kernel's answer to a request that it refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The step that failed: a system call, or the name of a message.
    pub step: &'static str,
    pub errno: Errno,
    /// The kernel's reason as text (Linux 4.12), or empty.
    pub said: String,
    /// Its answer was not received: it may have done what was asked for.
    pub lost: bool,
}

impl Refusal {
    pub(crate) fn new(step: &'static str, errno: Errno) -> Refusal {
        Refusal { step, errno, said: String::new(), lost: false }
    }
}

/// A socket of `NETLINK_ROUTE`.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    pub(crate) fn open() -> Result<Netlink, Refusal> {
        let opened = socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE);
        let socket = opened.map_err(|errno| Refusal::new("socket", errno))?;
        // For errors with text, and without the whole request. Kernels before Linux 4.12 have no such text.
        for option in [NETLINK_EXT_ACK, NETLINK_CAP_ACK] {
            let _ = set_option(socket.as_fd(), SOL_NETLINK, option, &1i32.to_ne_bytes());
        }
        Ok(Netlink { socket, sequence: 0 })
    }

    /// Sends a request, passes to `each` what comes back, and waits for the end of it.
    pub(crate) fn ask(
        &mut self,
        mut message: Message,
        mut each: impl FnMut(Answer<'_>),
    ) -> Result<(), Refusal> {
        let step = message.name();
        let refused = |errno| Refusal::new(step, errno);
        self.sequence = self.sequence.wrapping_add(1);
        message.finish(self.sequence);
        retry_interrupted(|| send(self.socket.as_fd(), &message.0)).map_err(refused)?;
        let mut room = vec![0; ROOM];
        loop {
            let lost = |errno| Refusal { lost: true, ..refused(errno) };
            let received = retry_interrupted(|| receive(self.socket.as_fd(), &mut room));
            let length = received.map_err(lost)?;
            // A truncated message is rejected.
            let bytes = room.get(..length).ok_or_else(|| lost(Errno(libc::EMSGSIZE)))?;
            for (kind, flags, sequence, body) in messages(bytes) {
                match kind {
                    // The end of an earlier request, which was given up.
                    _ if sequence != self.sequence => {}
                    NLMSG_ERROR | NLMSG_DONE => return end(step, kind, flags, body),
                    FIRST_OF_FAMILY.. => each(Answer { kind, body }),
                    _ => {}
                }
            }
            if length == 0 {
                return Err(lost(Errno(libc::EIO)));
            }
        }
    }
}

/// Reads the last message of an answer: `struct nlmsgerr`, or the end of a dump.
fn end(step: &'static str, kind: u16, flags: u16, body: &[u8]) -> Result<(), Refusal> {
    let errno = match number(body, 0, i32::from_ne_bytes) {
        Some(0) => return Ok(()),
        // The end of a dump need not have an error number.
        None if kind == NLMSG_DONE => return Ok(()),
        Some(negative) => Errno(negative.saturating_neg()),
        None => Errno(libc::EIO),
    };
    // After the number comes the request, or its header.
    let request = match kind {
        NLMSG_DONE => 0,
        _ if flags & CAPPED != 0 => HEADER,
        _ => number(body, 4, u32::from_ne_bytes).unwrap_or(0) as usize,
    };
    let words = request.checked_add(4).and_then(|after| after.checked_next_multiple_of(4));
    let words = words.and_then(|after| body.get(after..)).filter(|_| flags & ACK_TLVS != 0);
    let words = words.unwrap_or_default();
    let said = Attributes(words).text(ERROR_TEXT).unwrap_or_default();
    Err(Refusal { step, errno, said: said.trim().into(), lost: false })
}

/// A call, again if a signal interrupted it.
fn retry_interrupted<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    for _ in 0..ATTEMPTS {
        match call() {
            Err(Errno(libc::EINTR)) => {}
            answer => return answer,
        }
    }
    Err(Errno(libc::EINTR))
}

#[cfg(test)]
mod tests;
