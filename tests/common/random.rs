//! Random bytes from the kernel.
#![allow(unsafe_code, reason = "a system call that has no function of its own here")]

/// Asks the kernel for random bytes. (The C library would make them itself, since glibc 2.41: without a system call.)
pub(crate) fn getrandom(bytes: usize) {
    let mut memory = vec![0u8; bytes];
    // SAFETY: the memory is live, and as long as is said.
    let got = unsafe { libc::syscall(libc::SYS_getrandom, memory.as_mut_ptr(), bytes, 0) };
    assert_eq!(usize::try_from(got), Ok(bytes));
}
