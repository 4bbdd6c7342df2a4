//! The commands about links: a program in its place, for as long as a descriptor or a pin is there.

use super::attr::{
    LinkHead, LinkIterAttr, LinkKprobeMultiAttr, LinkNetfilterAttr, LinkPerfEventAttr,
    LinkRelativeAttr, LinkTracingAttr, LinkUpdateAttr, LinkUprobeMultiAttr, TwoAttr,
};
use super::{
    Answer, Call, Errno, Relative, Target, address, bpf, call, length, owned, raw, relative_raw,
    target_raw,
};
use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

const BPF_LINK_CREATE: i32 = 28;
const BPF_LINK_UPDATE: i32 = 29;
const BPF_ITER_CREATE: i32 = 33;
const BPF_LINK_DETACH: i32 = 34;

/// The arguments of `bpf(BPF_LINK_CREATE)`.
#[derive(Debug, Clone)]
pub(crate) struct LinkCreate<'a> {
    /// The program, or the map of a `struct_ops` (6.4).
    pub program: BorrowedFd<'a>,
    pub target: Target<'a>,
    pub attach_type: u32,
    pub flags: u32,
    pub extra: LinkExtra<'a>,
}

/// Arguments that only some links take.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LinkExtra<'a> {
    /// Nothing: control groups, XDP, `sk_lookup`, `struct_ops`, …
    None,
    /// The objects that an iterator visits, a `union bpf_iter_link_info` (5.8); empty for all.
    Iter(&'a [u8]),
    /// The cookie that `get_attach_cookie` returns (5.15).
    PerfEvent { cookie: u64 },
    /// Kernel functions by name (5.18). As many cookies as functions, or none.
    KprobeMulti { flags: u32, functions: &'a [&'a CStr], cookies: &'a [u64] },
    /// Entry or exit of a function, or a hook; the number where `target` is a program (5.19).
    Tracing { target_btf_id: u32, cookie: u64 },
    /// A hook of netfilter (6.4).
    Netfilter { pf: u32, hooknum: u32, priority: i32, flags: u32 },
    /// The program before or after which it goes, as the flags say, in a list that must have this revision (0 is any):
    /// tcx (6.6), netkit (6.7), control groups (6.17).
    Relative { relative: Relative<'a>, expected_revision: u64 },
    /// Places in a file, by offset; `pid` 0 is every process (6.6). As many reference counters and cookies as
    /// offsets, or none.
    UprobeMulti {
        path: &'a CStr,
        offsets: &'a [u64],
        ref_ctr_offsets: &'a [u64],
        cookies: &'a [u64],
        flags: u32,
        pid: u32,
    },
}

/// Attaches a program by a link. `bpf(2)`, `BPF_LINK_CREATE` (Linux 5.7).
pub(crate) fn link_create(link: &LinkCreate<'_>) -> Result<OwnedFd, Errno> {
    owned(call(Call::LinkCreate(link)))
}

/// Replaces the program (or `struct_ops` map, Linux 6.4) of a link. `bpf(2)`, `BPF_LINK_UPDATE` (Linux 5.7).
pub(crate) fn link_update(link: BorrowedFd<'_>, new: BorrowedFd<'_>) -> Result<(), Errno> {
    call(Call::LinkUpdate { link, new }).map(drop)
}

/// Takes a link's program away from its place, although the link is still open or pinned. `bpf(2)`, `BPF_LINK_DETACH`
/// (Linux 5.9).
pub(crate) fn link_detach(link: BorrowedFd<'_>) -> Result<(), Errno> {
    call(Call::LinkDetach { link }).map(drop)
}

/// Creates a readable iterator from its link. `bpf(2)`, `BPF_ITER_CREATE` (Linux 5.8).
pub(crate) fn iter_create(link: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    owned(call(Call::IterCreate { link }))
}

/// The address of what there is one of for each of `count`, or null if there are none.
pub(super) fn for_each<T>(items: &[T], count: usize) -> Result<u64, Errno> {
    if items.is_empty() || items.len() == count {
        Ok(address(items))
    } else {
        // The kernel would read `count` of them.
        Err(Errno(libc::EINVAL))
    }
}

pub(super) fn create(link: &LinkCreate<'_>) -> Answer {
    let mut head = LinkHead {
        prog_fd: raw(link.program),
        target: target_raw(link.target),
        attach_type: link.attach_type,
        flags: link.flags,
    };
    let pad = 0;
    match link.extra {
        LinkExtra::None => bpf(BPF_LINK_CREATE, &mut head),
        LinkExtra::Iter(info) => {
            let (iter_info, iter_info_len) = (address(info), length(info)?);
            bpf(BPF_LINK_CREATE, &mut LinkIterAttr { head, iter_info, iter_info_len, pad })
        }
        LinkExtra::PerfEvent { cookie } => {
            bpf(BPF_LINK_CREATE, &mut LinkPerfEventAttr { head, bpf_cookie: cookie })
        }
        LinkExtra::KprobeMulti { flags, functions, cookies } => {
            let mut attr = LinkKprobeMultiAttr { head, flags, ..Default::default() };
            // Lives until the call has returned.
            let names: Vec<_> = functions.iter().map(|name| name.as_ptr()).collect();
            attr.syms = address(&names);
            attr.cnt = u32::try_from(names.len()).map_err(|_| Errno(libc::E2BIG))?;
            attr.cookies = for_each(cookies, names.len())?;
            bpf(BPF_LINK_CREATE, &mut attr)
        }
        LinkExtra::Tracing { target_btf_id, cookie } => {
            bpf(BPF_LINK_CREATE, &mut LinkTracingAttr { head, target_btf_id, pad, cookie })
        }
        LinkExtra::Netfilter { pf, hooknum, priority, flags } => {
            bpf(BPF_LINK_CREATE, &mut LinkNetfilterAttr { head, pf, hooknum, priority, flags })
        }
        LinkExtra::Relative { relative, expected_revision } => {
            let relative = relative_raw(relative);
            bpf(BPF_LINK_CREATE, &mut LinkRelativeAttr { head, relative, pad, expected_revision })
        }
        LinkExtra::UprobeMulti { path, offsets, ref_ctr_offsets, cookies, flags, pid } => {
            let mut attr = LinkUprobeMultiAttr {
                head,
                path: path.as_ptr() as u64,
                offsets: address(offsets),
                ref_ctr_offsets: for_each(ref_ctr_offsets, offsets.len())?,
                cookies: for_each(cookies, offsets.len())?,
                cnt: length(offsets)?,
                flags,
                pid,
                path_fd: 0,
            };
            bpf(BPF_LINK_CREATE, &mut attr)
        }
    }
}

pub(super) fn update(link: BorrowedFd<'_>, new: BorrowedFd<'_>) -> Answer {
    let mut attr = LinkUpdateAttr { link_fd: raw(link), new_fd: raw(new), flags: 0, old_fd: 0 };
    bpf(BPF_LINK_UPDATE, &mut attr)
}

pub(super) fn detach(link: BorrowedFd<'_>) -> Answer {
    bpf(BPF_LINK_DETACH, &mut TwoAttr { first: raw(link), second: 0 })
}

pub(super) fn iter(link: BorrowedFd<'_>) -> Answer {
    bpf(BPF_ITER_CREATE, &mut TwoAttr { first: raw(link), second: 0 })
}
