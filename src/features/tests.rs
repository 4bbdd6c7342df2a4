//! The tables against the enums, and what is kept, with a fake in the kernel's place.

use super::*;
use crate::syscall::{Call, fake};
use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;

#[test]
fn everything_has_one_row() {
    for probe in Probe::all() {
        assert!(probe.since() >= Version::new(3, 19), "{probe:?}");
    }
    let features: HashSet<_> = Feature::ALL.iter().map(|one| (one.group(), one.name())).collect();
    assert_eq!(features.len(), Feature::ALL.len());
    let rows = [code::ROWS, commands::ROWS, objects::ROWS, types::ROWS];
    assert_eq!(rows.iter().map(|rows| rows.len()).sum::<usize>(), Feature::ALL.len());
    assert_eq!(program_types::ROWS.len(), ProgramType::ALL.len());
    assert_eq!(map_types::ROWS.len(), MapType::ALL.len());
    assert_eq!(attach_types::ROWS.len(), AttachType::ALL.len());
}

/// Answers every load and every map with this, and counts them. There is no limit that could be raised for another try,
/// as there is on kernels before Linux 5.11.
#[allow(clippy::type_complexity)]
fn answering(
    errno: i32,
) -> (Rc<Cell<u32>>, impl FnMut(&mut Call<'_, '_>) -> Option<Result<i64, Errno>>) {
    let count = Rc::new(Cell::new(0));
    let seen = Rc::clone(&count);
    let kernel = move |call: &mut Call<'_, '_>| match call {
        Call::MapCreate(_) | Call::ProgLoad(_) => {
            seen.set(seen.get() + 1);
            Some(if errno == 0 { fake::descriptor() } else { Err(Errno(errno)) })
        }
        Call::MemlockGet { soft, hard } => {
            (**soft, **hard) = (crate::syscall::UNLIMITED, crate::syscall::UNLIMITED);
            Some(Ok(0))
        }
        _ => None,
    };
    (count, kernel)
}

#[test]
fn the_kernel_is_asked_once_and_only_when_somebody_asks() {
    let (count, kernel) = answering(0);
    fake::with(kernel, || {
        let features = Features::new();
        assert_eq!(count.get(), 0);
        assert!(features.has(MapType::RingBuf).unwrap());
        assert!(features.has_map_type(MapType::RingBuf).unwrap());
        features.demand(MapType::RingBuf).unwrap();
        assert_eq!(count.get(), 1);
        assert!(features.has_program_type(ProgramType::Xdp).unwrap());
        assert_eq!(count.get(), 2);
    });
}

#[test]
fn a_missing_feature_is_an_error_with_its_version_and_option() {
    let (count, kernel) = answering(libc::EINVAL);
    fake::with(kernel, || {
        let features = Features::new();
        assert!(!features.has(MapType::XskMap).unwrap());
        let error = features.demand(MapType::XskMap).unwrap_err();
        assert_eq!(
            error.to_string(),
            "this kernel has no map type `xskmap`: Linux 4.18 brought it; it needs CONFIG_XDP_SOCKETS"
        );
        assert_eq!(error.kind(), crate::ErrorKind::Unsupported);
        assert_eq!(count.get(), 1);
        let error = features.demand(Feature::BoundedLoops).unwrap_err();
        assert_eq!(
            error.to_string(),
            "this kernel has no program feature `bounded_loops`: Linux 5.3 brought it"
        );
    });
}

#[test]
fn not_permitted_is_neither_yes_nor_no() {
    let (count, kernel) = answering(libc::EPERM);
    fake::with(kernel, || {
        let features = Features::new();
        for _ in 0..2 {
            let error = features.has(ProgramType::Xdp).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::NotPermitted);
            let reported = "cannot determine whether this kernel has program type `xdp`: Operation not permitted";
            assert!(error.to_string().starts_with(reported), "{error}");
        }
        assert_eq!(count.get(), 1);
    });
    // There may be memory the next time.
    let (count, kernel) = answering(libc::ENOMEM);
    fake::with(kernel, || {
        let features = Features::new();
        assert_eq!(features.has(MapType::Hash).unwrap_err().kind(), crate::ErrorKind::Failed);
        assert!(features.has(MapType::Hash).is_err());
        assert_eq!(count.get(), 2);
    });
}

#[test]
fn helpers_are_judged_by_what_the_verifier_says() {
    let says = |text: &'static str| {
        move |call: &mut Call<'_, '_>| {
            let Call::ProgLoad(load) = call else { return None };
            let log = load.log.as_mut().unwrap();
            log.buffer[..text.len()].copy_from_slice(text.as_bytes());
            Some(Err(Errno(libc::EINVAL)))
        }
    };
    for (text, expected) in [
        ("0: (85) call unknown#999\ninvalid func unknown#999\n", false),
        ("0: (85) call bpf_loop#181\nunknown func bpf_loop#181\n", false),
        ("0: (85) call bpf_loop#181\nprogram of this type cannot use helper bpf_loop#181\n", false),
        ("0: (85) call bpf_loop#181\nR1 !read_ok\n", true),
        // The kernel has no such type of program.
        ("", false),
        // Linux 5.10: it has not come to the call.
        (
            "bpf_lsm_file_open is not sleepable\nprocessed 0 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n",
            false,
        ),
    ] {
        let has =
            fake::with(says(text), || Features::new().has_helper(ProgramType::Kprobe, "loop"));
        assert_eq!(has.unwrap(), expected, "{text}");
    }
}

#[test]
fn helpers_that_cannot_be_are_not_asked_for() {
    let none = |_: &mut Call<'_, '_>| -> Option<Result<i64, Errno>> { panic!("asked") };
    fake::with(none, || {
        let features = Features::new();
        let error = features.has_helper(ProgramType::Kprobe, "ringbuf_ouput").unwrap_err();
        assert!(error.to_string().contains("ringbuf_output"), "{error}");
        assert!(matches!(features.has_helper(ProgramType::Ext, "loop"), Err(Error::Spec { .. })));
        assert_eq!(Probe::helpers(ProgramType::Ext).count(), 0);
        assert_eq!(Probe::helpers(ProgramType::Xdp).count(), 208);
    });
}
