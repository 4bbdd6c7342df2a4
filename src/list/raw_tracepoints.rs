//! Raw tracepoints: the tracepoints whose arguments programs get as they are.

use crate::btf::{KernelTypes, Kind};
use crate::error::{Error, Result};
use crate::kernel::tracefs;

/// The prefix of a tracepoint's name in the name of its BTF type (`__BPF_DECLARE_TRACE`, `include/trace/bpf_probe.h`).
pub(crate) const PREFIX: &str = "btf_trace_";

/// Passes the name of every tracepoint to `f`, in no order and perhaps more than once: by BTF, or by tracefs of a kernel
/// without (which does not list those that only programs can use).
///
/// # Errors
/// The errors of [`KernelTypes::vmlinux`] and [`tracefs::categories`].
pub(crate) fn each(mut f: impl FnMut(&str)) -> Result<()> {
    let types = KernelTypes::new();
    let by_btf = types.each(|_, btf| {
        for found in btf.types() {
            let found = found?;
            if found.kind == Kind::Typedef
                && let Some(name) = found.name.strip_prefix(PREFIX)
            {
                f(name);
            }
        }
        Ok(())
    });
    match by_btf {
        Err(Error::Unsupported { .. }) => {}
        answer => return answer,
    }
    for category in tracefs::categories()? {
        // A system call is no tracepoint of its own: all share `sys_enter` and `sys_exit`.
        if category != "syscalls" {
            tracefs::tracepoints(&category)?.iter().for_each(|name| f(name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::requires::{Thing, needs};

    #[test]
    fn this_kernel_has_some() {
        needs!(Btf);
        let mut found = Vec::new();
        super::each(|name| found.push(name.to_owned())).unwrap();
        for name in ["sched_switch", "sys_enter"] {
            assert!(found.iter().any(|one| one == name), "{name}");
        }
    }
}
