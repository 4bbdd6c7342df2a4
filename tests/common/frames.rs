//! A call of `getsid(2)` by functions whose frames the kernel finds: with frame pointers, and with names.

use std::ffi::c_int;

/// The functions, the innermost first, and how far into them its frame is.
pub(crate) const FRAMES: &[(&str, Option<u64>)] = if cfg!(target_arch = "x86_64") {
    // Behind the instructions below, which have 1, 3, 5 and 2 bytes.
    &[("rawbpf_test_inner", Some(1 + 3 + 5 + 2)), ("rawbpf_test_outer", Some(1 + 3 + 5))]
} else {
    &[("getsid", None)]
};

#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".globl rawbpf_test_outer",
    ".type rawbpf_test_outer, @function",
    "rawbpf_test_outer:",
    "push rbp",
    "mov rbp, rsp",
    "call rawbpf_test_inner",
    "pop rbp",
    "ret",
    ".size rawbpf_test_outer, . - rawbpf_test_outer",
    ".type rawbpf_test_inner, @function",
    "rawbpf_test_inner:",
    "push rbp",
    "mov rbp, rsp",
    "mov eax, {getsid}",
    "syscall",
    "pop rbp",
    "ret",
    ".size rawbpf_test_inner, . - rawbpf_test_inner",
    getsid = const libc::SYS_getsid,
);

#[cfg(target_arch = "x86_64")]
unsafe extern "C" {
    fn rawbpf_test_outer(pid: c_int) -> c_int;
}

/// Makes the call.
#[cfg(target_arch = "x86_64")]
pub(crate) fn getsid(pid: c_int) {
    // SAFETY: it is the function above, which takes an integer and touches no memory but the stack.
    unsafe { rawbpf_test_outer(pid) };
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn getsid(pid: c_int) {
    let _ = nix::unistd::getsid(Some(nix::unistd::Pid::from_raw(pid)));
}
