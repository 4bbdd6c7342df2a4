//! The objects of the kernel, read without the code under test: the ids of programs, and information on
//! one. `bpf(2)`, `BPF_PROG_GET_NEXT_ID` and its relatives; Linux 4.13.
#![allow(unsafe_code, reason = "bpf(2) has no safe wrapper but the one that is tested")]

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

const PROG_GET_NEXT_ID: i64 = 11;
const PROG_GET_FD_BY_ID: i64 = 13;
const OBJ_GET_INFO_BY_FD: i64 = 15;
const LINK_GET_FD_BY_ID: i64 = 30;
const LINK_GET_NEXT_ID: i64 = 31;

/// The kernel's information on a program: the first fields of `struct bpf_prog_info`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Info {
    pub(crate) id: u32,
    pub(crate) name: String,
    /// The maps it uses, by their numbers.
    pub(crate) maps: Vec<u32>,
}

/// The programs that are in the kernel now.
pub(crate) fn programs() -> Vec<Info> {
    let mut found = Vec::new();
    let mut id = 0;
    loop {
        // start_id, next_id, open_flags
        let mut attr = [id, 0, 0];
        if bpf(PROG_GET_NEXT_ID, &mut attr).is_err() {
            return found;
        }
        id = attr[1];
        let Ok(fd) = bpf(PROG_GET_FD_BY_ID, &mut [id, 0, 0]) else { continue };
        // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(RawFd::try_from(fd).unwrap()) };
        found.push(info(&fd));
    }
}

/// The numbers of the links that hold a program. Linux 5.8.
pub(crate) fn links_of(program: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut id = 0;
    loop {
        // start_id, next_id, open_flags
        let mut attr = [id, 0, 0];
        if bpf(LINK_GET_NEXT_ID, &mut attr).is_err() {
            return found;
        }
        id = attr[1];
        let Ok(fd) = bpf(LINK_GET_FD_BY_ID, &mut [id, 0, 0]) else { continue };
        // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(RawFd::try_from(fd).unwrap()) };
        // type, id; prog_id and what fills it up: the first fields of `struct bpf_link_info`
        let mut info = [0u64; 2];
        let raw = fd.as_raw_fd().cast_unsigned();
        let room = pair(raw, size_of_val(&info) as u32);
        let mut attr = [u64::from_ne_bytes(room), info.as_mut_ptr() as u64];
        bpf(OBJ_GET_INFO_BY_FD, &mut attr).unwrap();
        if words(info[1])[0] == program {
            found.push(id);
        }
    }
}

/// The kernel's information on the program behind a descriptor.
pub(crate) fn info(program: impl AsFd) -> Info {
    let mut maps = [0u32; 16];
    // type, id; tag; lengths; two pointers; load_time; uid, nr_map_ids; map_ids; name (16)
    let mut info = [0u64; 10];
    info[6] = u64::from_ne_bytes(pair(0, maps.len() as u32));
    info[7] = maps.as_mut_ptr() as u64;
    let fd = program.as_fd().as_raw_fd();
    let mut attr = [
        u64::from_ne_bytes(pair(fd.cast_unsigned(), size_of_val(&info) as u32)),
        info.as_mut_ptr() as u64,
    ];
    bpf(OBJ_GET_INFO_BY_FD, &mut attr).unwrap();
    let [_, id] = words(info[0]);
    let [_, count] = words(info[6]);
    let name: Vec<u8> = info[8..].iter().flat_map(|word| word.to_ne_bytes()).collect();
    let name = name.split(|byte| *byte == 0).next().unwrap();
    Info {
        id,
        name: String::from_utf8(name.to_vec()).unwrap(),
        maps: maps[..count as usize].to_vec(),
    }
}

/// Two `u32` as they lie in memory.
fn pair(first: u32, second: u32) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&first.to_ne_bytes());
    bytes[4..].copy_from_slice(&second.to_ne_bytes());
    bytes
}

fn words(word: u64) -> [u32; 2] {
    let bytes = word.to_ne_bytes();
    let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
    [word(0), word(4)]
}

fn bpf<T>(command: i64, attr: &mut [T]) -> std::io::Result<i64> {
    let size = size_of_val(attr);
    // SAFETY: the kernel reads and writes `size` bytes at `attr`, which are ours, any bit pattern being
    // an integer; what pointers are in it are of arrays that live and are not otherwise used until
    // after the call, with their true sizes beside them.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, attr.as_mut_ptr(), size) };
    if answer < 0 { Err(std::io::Error::last_os_error()) } else { Ok(answer) }
}
