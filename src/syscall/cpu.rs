//! Sets of CPUs.

use super::Errno;

/// Returns how many bits a set of CPUs has in this kernel: no number of a CPU is as large.
pub(crate) fn cpu_set_bits() -> Result<usize, Errno> {
    affinity().map(|(_, bits)| bits)
}

/// Returns the CPUs that this thread may run on, ascending; those that are offline are not among them.
pub(crate) fn allowed_cpus() -> Result<Vec<u32>, Errno> {
    let (set, bits) = affinity()?;
    // It has fewer bits than 2^16.
    let has =
        |cpu: &u32| set.get(*cpu as usize / 64).is_some_and(|word| word >> (cpu % 64) & 1 != 0);
    Ok((0..bits as u32).filter(has).collect())
}

/// Returns a set, and how many bits of it there are in this kernel.
fn affinity() -> Result<([u64; 1024], usize), Errno> {
    // As many as a kernel can be built for, and more.
    let mut set = [0_u64; 1024];
    // SAFETY: `set` is live and as long as is said; the system call, unlike the function of the C library, returns how many
    // bytes the kernel's sets have.
    let answer = unsafe {
        libc::syscall(libc::SYS_sched_getaffinity, 0, size_of_val(&set), set.as_mut_ptr())
    };
    match usize::try_from(answer) {
        Ok(bytes) => Ok((set, bytes * 8)),
        Err(_) => Err(Errno::last()),
    }
}
