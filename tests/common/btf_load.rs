//! Asks the kernel, without the code under test, whether it takes a blob: `bpf(2)`, `BPF_BTF_LOAD`, Linux 4.18.
#![allow(unsafe_code, reason = "bpf(2) has no safe wrapper but the one that is tested")]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

const BTF_LOAD: i64 = 18;

/// The blob's descriptor, or what the kernel says against it.
pub(crate) fn load(blob: &[u8]) -> Result<OwnedFd, String> {
    let mut log = vec![0u8; 1 << 16];
    // btf, btf_log_buf, btf_size, btf_log_size, btf_log_level
    let sizes = [blob.len() as u32, log.len() as u32, 1, 0];
    let mut attr = [blob.as_ptr() as u64, log.as_mut_ptr() as u64, 0, 0];
    for (word, pair) in attr[2..].iter_mut().zip(sizes.chunks(2)) {
        let bytes: Vec<u8> = pair.iter().flat_map(|half| half.to_ne_bytes()).collect();
        *word = u64::from_ne_bytes(bytes.try_into().unwrap());
    }
    // SAFETY: the kernel reads 28 bytes at `attr`, and through it `blob`, and writes `log`, each of the size that
    // stands beside it; all of them live until after the call.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, BTF_LOAD, attr.as_mut_ptr(), 28) };
    if answer < 0 {
        let errno = std::io::Error::last_os_error();
        let end = log.iter().position(|byte| *byte == 0).unwrap_or(0);
        return Err(format!("{errno}\n{}", String::from_utf8_lossy(&log[..end])));
    }
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(RawFd::try_from(answer).unwrap()) })
}
