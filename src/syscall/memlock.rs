//! The limit on locked memory, which stood in the way of BPF before Linux 5.11.

use crate::syscall::{self, Errno, MapCreate};
use crate::uapi::MapType;
use std::os::fd::OwnedFd;

/// Whether a kernel of this release counts BPF objects against the limit on locked memory. Linux 5.11
/// counts them against the memory control group instead (`bpf: Eliminate rlimit-based memory accounting`).
pub(crate) fn counts_memlock(release: &str) -> bool {
    let mut parts = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < (5, 11),
        _ => false,
    }
}

/// Runs `f`, which creates a map or a program; if a kernel before 5.11 refuses it because of the limit on locked
/// memory, runs it once more with the limit raised as far as this process may, and restores the limit.
///
/// The limit belongs to the whole process, so for that moment other threads see it raised. On kernels
/// since 5.11 the cost is that of `f` itself.
pub(crate) fn with_memlock<T>(f: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    with_memlock_on(syscall::release, |errno| errno == Errno(libc::EPERM), f)
}

/// Creates a map, with no limit on locked memory in the way.
pub(crate) fn create_map(map: &MapCreate<'_>) -> Result<OwnedFd, Errno> {
    // Maps of devices return EINVAL where the others return EPERM (dev_map_init_map() before Linux 5.11).
    let devices = [MapType::DevMap as u32, MapType::DevMapHash as u32].contains(&map.map_type);
    let says = |errno| match errno {
        Errno(libc::EPERM) => true,
        Errno(libc::EINVAL) => devices,
        _ => false,
    };
    with_memlock_on(syscall::release, says, || syscall::map_create(map))
}

fn with_memlock_on<T>(
    release: fn() -> String,
    says: impl Fn(Errno) -> bool,
    mut f: impl FnMut() -> Result<T, Errno>,
) -> Result<T, Errno> {
    match f() {
        Err(errno) if says(errno) => match Raised::if_counted(release) {
            Some(_raised) => f(),
            None => Err(errno),
        },
        answer => answer,
    }
}

/// The limit, raised. Dropping this puts it back.
struct Raised {
    soft: u64,
    hard: u64,
}

impl Raised {
    /// Raises the limit, if a kernel of this release counts against it, there is one and this process may.
    #[cold]
    fn if_counted(release: fn() -> String) -> Option<Raised> {
        if !counts_memlock(&release()) {
            return None;
        }
        let (soft, hard) = syscall::memlock().ok()?;
        if soft == syscall::UNLIMITED {
            return None;
        }
        // Above the hard limit takes CAP_SYS_RESOURCE; up to it nothing.
        let raised = syscall::set_memlock(syscall::UNLIMITED, syscall::UNLIMITED).is_ok()
            || soft < hard && syscall::set_memlock(hard, hard).is_ok();
        raised.then(|| Raised { soft, hard })
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        // Lowering is always allowed, so this cannot fail.
        let _ = syscall::set_memlock(self.soft, self.hard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syscall::{Call, fake};
    use std::cell::RefCell;
    use std::rc::Rc;

    #[test]
    fn releases() {
        for old in ["5.10.0-36-cloud-amd64", "4.19.0", "5.4", "5.10-rc1"] {
            assert!(counts_memlock(old), "{old}");
        }
        for new in ["5.11.0", "6.1.0-40", "6.18.44-fc-v657", "10.0", "", "x", "5", "5.x"] {
            assert!(!counts_memlock(new), "{new}");
        }
    }

    /// Returns the calls that the fake kernel received, in order; `creates` answers each creation.
    fn asked(
        release: fn() -> String,
        limits: (u64, u64),
        unlimited: bool,
        mut creates: Vec<Result<(), Errno>>,
    ) -> (Result<(), Errno>, Vec<String>) {
        let log = Rc::new(RefCell::new(Vec::new()));
        let seen = log.clone();
        let fake = move |call: &mut Call<'_, '_>| {
            let (said, answer) = match call {
                Call::MemlockGet { soft, hard } => {
                    (**soft, **hard) = limits;
                    ("get".to_string(), Ok(0))
                }
                Call::MemlockSet { soft: syscall::UNLIMITED, hard } => {
                    assert_eq!(*hard, syscall::UNLIMITED);
                    let answer = if unlimited { Ok(0) } else { Err(Errno(libc::EPERM)) };
                    ("set unlimited".to_string(), answer)
                }
                Call::MemlockSet { soft, hard } => (format!("set {soft} {hard}"), Ok(0)),
                other => panic!("{other:?}"),
            };
            seen.borrow_mut().push(said);
            Some(answer)
        };
        let creating = log.clone();
        let answer = fake::with(fake, || {
            with_memlock_on(
                release,
                |errno| errno == Errno(libc::EPERM),
                || {
                    creating.borrow_mut().push("create".into());
                    creates.remove(0)
                },
            )
        });
        let log = log.borrow().clone();
        (answer, log)
    }

    const EPERM: Result<(), Errno> = Err(Errno(libc::EPERM));

    #[test]
    fn the_limit_is_raised_and_put_back() {
        let (answer, log) = asked(|| "5.10.0".into(), (65536, 65536), true, vec![EPERM, Ok(())]);
        assert_eq!(answer, Ok(()));
        assert_eq!(log, ["create", "get", "set unlimited", "create", "set 65536 65536"]);
    }

    #[test]
    fn maps_of_devices_say_it_in_another_word() {
        // What counts is the release of this kernel: on one that does not count there is nothing to raise.
        let counts = counts_memlock(&syscall::release());
        for (map_type, errno, tries) in [
            (MapType::DevMap, libc::EINVAL, 1 + u32::from(counts)),
            (MapType::DevMapHash, libc::EINVAL, 1 + u32::from(counts)),
            (MapType::Hash, libc::EINVAL, 1),
            (MapType::Hash, libc::EPERM, 1 + u32::from(counts)),
        ] {
            let asked = Rc::new(std::cell::Cell::new(0));
            let count = Rc::clone(&asked);
            let kernel = move |call: &mut Call<'_, '_>| match call {
                Call::MapCreate(_) => {
                    count.set(count.get() + 1);
                    Some(Err(Errno(errno)))
                }
                Call::MemlockGet { soft, hard } => {
                    (**soft, **hard) = (65536, 65536);
                    Some(Ok(0))
                }
                Call::MemlockSet { .. } => Some(Ok(0)),
                _ => None,
            };
            let map = MapCreate { map_type: map_type as u32, ..MapCreate::default() };
            let answer = fake::with(kernel, || create_map(&map));
            assert_eq!((answer.err(), asked.get()), (Some(Errno(errno)), tries), "{map_type}");
        }
    }

    #[test]
    fn the_limit_is_put_back_after_a_second_refusal() {
        let (answer, log) = asked(|| "4.19.0".into(), (65536, 99999), true, vec![EPERM, EPERM]);
        assert_eq!(answer, EPERM);
        assert_eq!(log.last().unwrap(), "set 65536 99999");
    }

    #[test]
    fn the_limit_is_put_back_after_a_panic() {
        let sets = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&sets);
        let kernel = move |call: &mut Call<'_, '_>| match call {
            Call::MemlockGet { soft, hard } => {
                (**soft, **hard) = (65536, 99999);
                Some(Ok(0))
            }
            Call::MemlockSet { soft, hard } => {
                seen.borrow_mut().push((*soft, *hard));
                Some(Ok(0))
            }
            _ => None,
        };
        let mut answers = [EPERM].into_iter();
        let create = || answers.next().expect("it panics in the second call");
        let panicked = fake::with(kernel, || {
            let run = || with_memlock_on(|| "5.10.0".into(), |_| true, create);
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err()
        });
        assert!(panicked);
        assert_eq!(*sets.borrow(), [(syscall::UNLIMITED, syscall::UNLIMITED), (65536, 99999)]);
    }

    #[test]
    fn without_the_capability_it_is_raised_to_the_hard_limit() {
        let (answer, log) = asked(|| "5.10.0".into(), (65536, 99999), false, vec![EPERM, Ok(())]);
        assert_eq!(answer, Ok(()));
        assert_eq!(
            log,
            ["create", "get", "set unlimited", "set 99999 99999", "create", "set 65536 99999"]
        );
        let (answer, log) = asked(|| "5.10.0".into(), (65536, 65536), false, vec![EPERM]);
        assert_eq!(answer, EPERM);
        assert_eq!(log, ["create", "get", "set unlimited"]);
    }

    #[test]
    fn the_limit_is_left_alone_where_it_is_not_the_cause() {
        // Newer kernels.
        assert_eq!(asked(|| "5.11.0".into(), (65536, 65536), true, vec![EPERM]).1, ["create"]);
        // Other answers.
        let invalid = Err(Errno(libc::EINVAL));
        assert_eq!(asked(|| "5.10.0".into(), (65536, 65536), true, vec![invalid]).1, ["create"]);
        assert_eq!(asked(|| "5.10.0".into(), (65536, 65536), true, vec![Ok(())]).1, ["create"]);
        // No limit.
        let unlimited = (syscall::UNLIMITED, syscall::UNLIMITED);
        assert_eq!(asked(|| "5.10.0".into(), unlimited, true, vec![EPERM]).1, ["create", "get"]);
    }
}
