//! The CPUs of a process: `sched_getaffinity(2)`.

use super::Errno;

/// Returns how many bits a set of CPUs has in this kernel: no number of a CPU is as large.
pub(crate) fn cpu_set_bits() -> Result<usize, Errno> {
    // As many as a kernel can be built for, and more.
    let mut set = [0_u64; 1024];
    // SAFETY: `set` is live and as long as is said; the system call, unlike the function of the C library, returns how many
    // bytes the kernel's sets have.
    let answer = unsafe {
        libc::syscall(libc::SYS_sched_getaffinity, 0, size_of_val(&set), set.as_mut_ptr())
    };
    match usize::try_from(answer) {
        Ok(bytes) => Ok(bytes * 8),
        Err(_) => Err(Errno::last()),
    }
}
