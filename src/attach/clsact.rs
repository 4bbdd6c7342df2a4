//! Programs as filters of the queueing discipline `clsact`, in direct-action mode (Linux 4.5), by rtnetlink.
//!
//! `clsact` is created if it does not exist, and removed with the last filter if it was created here. The process that removes the
//! last filter may be another one, and has to know that; so the names of the filters carry a mark. A filter that is added while
//! one with the mark exists gets the mark, too.

use super::Direction;
use super::device::Device;
use crate::program::Program;
use crate::syscall::netlink::{
    Answer, Attributes, CREATE, DUMP, ECHO, Message, RTM_DELQDISC, RTM_DELTFILTER, RTM_GETQDISC,
    RTM_GETTFILTER, RTM_NEWQDISC, RTM_NEWTFILTER, Refusal,
};
use crate::uapi::Errno;
use std::os::fd::{AsFd, AsRawFd};

/// `struct tcmsg`: family, device, handle, parent, and `info`: a filter's priority and protocol.
const STRUCTURE: usize = 20;
const HANDLE: usize = 8;
const PARENT: usize = 12;
const INFO: usize = 16;

/// `TC_H_CLSACT`, and its minor numbers for what comes in and what goes out.
const CLSACT: u32 = 0xffff_fff1;
const CLSACT_HANDLE: u32 = 0xffff_0000;
const INGRESS: u32 = 0xffff_fff2;
const EGRESS: u32 = 0xffff_fff3;

const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_BPF_FD: u16 = 6;
const TCA_BPF_NAME: u16 = 7;
const TCA_BPF_FLAGS: u16 = 8;
const TCA_BPF_ID: u16 = 11;
/// `TCA_BPF_FLAG_ACT_DIRECT`: what the program returns is what is done.
const ACT_DIRECT: u32 = 1;

/// `ETH_P_ALL`, as the network has it.
const ALL_PROTOCOLS: u16 = 3u16.to_be();

/// The priority of the first filter, as the kernel chooses it; there is room below and above.
const MIDDLE: u16 = 0xc000;

/// The end of the name of a filter whose `clsact` was created for filters of this library.
const MARK: &str = " [clsact by rawbpf]";
/// `CLS_BPF_NAME_LEN`, without its NUL.
const LONGEST_NAME: usize = 255;

/// The end of the list of filters at which one is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    First,
    Last,
}

/// A filter, which is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Filter {
    device: Device,
    parent: u32,
    /// Priority and protocol, and the number among those of the same priority.
    info: u32,
    handle: u32,
    /// The number of the program (Linux 4.13), or 0.
    program: u32,
    /// Whether `clsact` is to be removed with the last filter.
    marked: bool,
}

/// A filter that exists, as the kernel lists it.
#[derive(Debug)]
struct Seen {
    info: u32,
    handle: u32,
    program: u32,
    marked: bool,
}

impl Filter {
    pub(super) fn new(
        mut device: Device,
        direction: Direction,
        end: End,
        program: &Program,
    ) -> Result<Filter, Refusal> {
        let made = make_clsact(&mut device, direction)?;
        let mut attached = Filter {
            parent: match direction {
                Direction::Ingress => INGRESS,
                Direction::Egress => EGRESS,
            },
            device,
            info: 0,
            handle: 0,
            program: 0,
            marked: made,
        };
        // On an error, dropping it removes whatever was created so far, if only `clsact`.
        attached.add(end, program)?;
        Ok(attached)
    }

    fn add(&mut self, end: End, program: &Program) -> Result<(), Refusal> {
        let incoming = filters(&mut self.device, INGRESS)?;
        let outgoing = filters(&mut self.device, EGRESS)?;
        self.marked |= incoming.iter().chain(&outgoing).any(|filter| filter.marked);
        let others = if self.parent == INGRESS { incoming } else { outgoing };
        let priorities = others.iter().map(|filter| (filter.info >> 16) as u16);
        let priority = match end {
            End::First => priorities.min().map(|first| first.saturating_sub(1).max(1)),
            End::Last => priorities.max().map(|last| last.saturating_add(1)),
        };
        let info = u32::from(priority.unwrap_or(MIDDLE)) << 16 | u32::from(ALL_PROTOCOLS);
        let fd = program.as_fd().as_raw_fd();
        let name = name(program.name(), self.marked);
        let message = Message::new(
            RTM_NEWTFILTER,
            CREATE | ECHO,
            &structure(self.device.index, 0, self.parent, info),
        )
        .with(TCA_KIND, b"bpf\0")
        .with_nested(
            TCA_OPTIONS,
            &[
                (TCA_BPF_FD, &fd.to_ne_bytes()),
                (TCA_BPF_NAME, &name),
                (TCA_BPF_FLAGS, &ACT_DIRECT.to_ne_bytes()),
            ],
        );
        let mut made = None;
        let answer = self.device.netlink.ask(message, |answer| made = made.take().or(seen(answer)));
        if answer.as_ref().is_err_and(|refusal| refusal.lost) {
            made = self.look_for(info, program);
        }
        if let Some(made) = made {
            // From here on dropping it removes the filter.
            (self.info, self.handle, self.program) = (made.info, made.handle, made.program);
        }
        match answer {
            // The filter exists and was not identified; no kernel is known to do that.
            Ok(()) if self.handle == 0 => Err(Refusal::new("RTM_NEWTFILTER", Errno(libc::EIO))),
            answer => answer,
        }
    }

    /// Finds a filter by its priority and its program, after the kernel's answer was lost.
    fn look_for(&mut self, info: u32, program: &Program) -> Option<Seen> {
        let program = program.info().ok()?.id;
        let filters = filters(&mut self.device, self.parent).ok()?;
        filters.into_iter().find(|filter| filter.info == info && filter.program == program)
    }

    /// Removes the filter, if it still has this program.
    fn remove(&mut self) -> Result<(), Refusal> {
        let about = structure(self.device.index, self.handle, self.parent, self.info);
        let get = Message::new(RTM_GETTFILTER, 0, &about).with(TCA_KIND, b"bpf\0");
        let mut there = None;
        self.device.netlink.ask(get, |answer| there = there.take().or(seen(answer)))?;
        if there.is_some_and(|there| there.program == self.program) {
            let delete = Message::new(RTM_DELTFILTER, 0, &about).with(TCA_KIND, b"bpf\0");
            self.device.netlink.ask(delete, |_| {})?;
        }
        Ok(())
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        if self.handle != 0 {
            let _ = self.remove();
        }
        // A filter that is added between the query and the removal is lost: the kernel has no way to remove `clsact`
        // only if it is empty.
        let mut empty =
            |parent| filters(&mut self.device, parent).is_ok_and(|filters| filters.is_empty());
        if self.marked && empty(INGRESS) && empty(EGRESS) {
            let about = structure(self.device.index, CLSACT_HANDLE, CLSACT, 0);
            let delete = Message::new(RTM_DELQDISC, 0, &about).with(TCA_KIND, b"clsact\0");
            let _ = self.device.netlink.ask(delete, |_| {});
        }
    }
}

/// Creates `clsact` if it does not exist; returns whether it was created. (If the kernel's answer is lost, an empty one may
/// stay, which is harmless.)
fn make_clsact(device: &mut Device, direction: Direction) -> Result<bool, Refusal> {
    let about = structure(device.index, CLSACT_HANDLE, CLSACT, 0);
    let make = Message::new(RTM_NEWQDISC, CREATE, &about).with(TCA_KIND, b"clsact\0");
    let refusal = match device.netlink.ask(make, |_| {}) {
        Ok(()) => return Ok(true),
        Err(refusal) if refusal.errno == Errno(libc::EEXIST) => refusal,
        Err(refusal) => return Err(refusal),
    };
    if direction == Direction::Ingress {
        // The older `ingress` may be there, and is sufficient.
        return Ok(false);
    }
    // The older `ingress` would accept egress filters, too, and run them on ingress.
    let (index, mut kind) = (device.index, None);
    let all = Message::new(RTM_GETQDISC, DUMP, &structure(index, 0, 0, 0));
    device.netlink.ask(all, |answer| {
        if answer.word(4) == index && answer.word(PARENT) == CLSACT {
            kind = answer.attributes(STRUCTURE).text(TCA_KIND);
        }
    })?;
    if kind.as_deref() == Some("clsact") { Ok(false) } else { Err(refusal) }
}

/// The filters of a device and a direction.
fn filters(device: &mut Device, parent: u32) -> Result<Vec<Seen>, Refusal> {
    let mut found = Vec::new();
    let all = Message::new(RTM_GETTFILTER, DUMP, &structure(device.index, 0, parent, 0));
    device.netlink.ask(all, |answer| found.extend(seen(answer)))?;
    Ok(found)
}

/// Reads a filter from an answer, or the head of those of one priority, whose number is 0.
fn seen(answer: Answer<'_>) -> Option<Seen> {
    let attributes = answer.attributes(STRUCTURE);
    let (info, handle) = (answer.word(INFO), answer.word(HANDLE));
    if answer.kind != RTM_NEWTFILTER {
        return None;
    }
    let options = Attributes(attributes.get(TCA_OPTIONS).unwrap_or(&[]));
    let name = options.text(TCA_BPF_NAME).unwrap_or_default();
    Some(Seen {
        info,
        handle,
        program: options.word(TCA_BPF_ID).unwrap_or(0),
        marked: name.ends_with(MARK),
    })
}

fn name(program: &str, marked: bool) -> Vec<u8> {
    let mark = if marked { MARK } else { "" };
    let mut name = program.as_bytes().to_vec();
    name.retain(|byte| *byte != 0);
    name.truncate(LONGEST_NAME - MARK.len());
    [&name, mark.as_bytes(), b"\0"].concat()
}

fn structure(index: u32, handle: u32, parent: u32, info: u32) -> [u8; STRUCTURE] {
    let mut structure = [0; STRUCTURE];
    for (at, word) in [(4, index), (HANDLE, handle), (PARENT, parent), (INFO, info)] {
        if let Some(place) = structure.get_mut(at..at + 4) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
    }
    structure
}
