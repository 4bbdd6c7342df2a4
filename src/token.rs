//! BPF tokens: rights that a BPF file system lends.

use crate::error::{Error, Result};
use crate::permission::{self, Denied, Need};
use crate::syscall;
use crate::uapi::Errno;
use crate::util::escape::shown_path;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A BPF token: the right to create maps, BTF and programs, delegated to the root of a user namespace, which has none
/// otherwise, so that a container without privileges can load a program. Linux 6.9.
///
/// A privileged process mounts a BPF file system for the namespace, and delegates with the options `delegate_cmds`,
/// `delegate_maps`, `delegate_progs` and `delegate_attachs`: names as in `delegate_cmds=map_create:btf_load:prog_load`,
/// or `any`. (The file system is opened in the namespace, with `fsopen(2)`, and configured and mounted outside: the
/// container's manager does it.) Inside, a token is made of it and given to a [`Loader`](crate::Loader):
///
/// ```no_run
/// use rawbpf::{Loader, ProgramSpec, ProgramType, Token, bpf};
///
/// let spec = ProgramSpec::new("pass", ProgramType::Xdp, bpf! { r0 = 2; exit; });
/// let token = Token::create("/sys/fs/bpf")?;
/// let program = Loader::new().token(&token).load(&spec)?;
/// # Ok::<(), rawbpf::Error>(())
/// ```
///
/// Objects that the loader makes stay when the token is dropped. The process needs `CAP_BPF` in its user namespace all
/// the same, and `CAP_PERFMON` or `CAP_NET_ADMIN` as outside. A token allows nothing that does not go through `bpf(2)`,
/// such as `perf_event_open(2)` for a kprobe.
#[derive(Debug)]
pub struct Token(OwnedFd);

impl Token {
    /// Makes one of the BPF file system that is mounted here. `bpf(2)`, `BPF_TOKEN_CREATE`; Linux 6.9.
    ///
    /// # Errors
    /// [`Error::Call`], which names what the file system or the process lacks.
    #[doc(alias = "BPF_TOKEN_CREATE")]
    pub fn create(mount: impl AsRef<Path>) -> Result<Token> {
        let mount = mount.as_ref();
        let refused = |errno, why, note| Error::Call {
            action: "create a BPF token of",
            object: shown_path(mount).to_string(),
            errno,
            why,
            note,
        };
        let folder = File::open(mount).map_err(|source| refused(Errno::of(&source), None, None))?;
        syscall::token_create(folder.as_fd()).map(Token).map_err(|errno| {
            // The capability has to be held in the namespace of the process.
            let why = permission::explain(errno, Need::Bpf)
                .filter(|why| matches!(why, Denied::Capability { .. }));
            let note = match errno {
                Errno(libc::EPERM) if why.is_none() => {
                    Some("the file system belongs to another user namespace than this process")
                }
                Errno(libc::EINVAL) => {
                    Some("it takes Linux 6.9, and the folder at which a BPF file system is mounted")
                }
                Errno(libc::ENOENT) => Some(
                    "the file system lends nothing: it has to be mounted with delegate_cmds=… by who is privileged",
                ),
                Errno(libc::EOPNOTSUPP) => Some(
                    "the file system is of the first user namespace, where the capabilities themselves serve",
                ),
                _ => None,
            };
            refused(errno, why, note)
        })
    }
}

impl AsFd for Token {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{MapSpec, ProgramSpec};
    use crate::syscall::{Call, fake};
    use crate::uapi::ProgramType;
    use crate::{Loader, bpf};
    use std::cell::RefCell;
    use std::os::fd::AsRawFd;
    use std::rc::Rc;

    static INNER: MapSpec = MapSpec::array("inner", 4, 1);
    static OUTER: MapSpec = MapSpec::array_of_maps("outer", 2, &INNER);
    static KEYED: MapSpec = MapSpec::hash("keyed", 4, 8, 4).with_types::<u32, u64>();
    static SPEC: ProgramSpec = ProgramSpec::new(
        "all",
        ProgramType::Kprobe,
        bpf! {
            r1 = OUTER ll;
            r1 = KEYED ll;
            r1 = "text" ll;
            r0 = 0;
            exit;
        },
    );

    /// A kernel that notes whose token each call that makes something carries.
    #[allow(clippy::type_complexity)]
    fn noting(
        refuse: Option<i32>,
    ) -> (
        Rc<RefCell<Vec<(&'static str, Option<i32>)>>>,
        impl FnMut(&mut Call<'_, '_>) -> Option<Result<i64, Errno>>,
    ) {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let log = Rc::clone(&seen);
        let kernel = move |call: &mut Call<'_, '_>| {
            let raw = |token: Option<BorrowedFd<'_>>| token.map(|fd| fd.as_raw_fd());
            let what = match call {
                Call::MapCreate(map) => ("map", raw(map.token)),
                Call::BtfLoad(load) => ("types", raw(load.token)),
                Call::ProgLoad(load) => ("program", raw(load.token)),
                Call::TokenCreate { .. } => return Some(fake::descriptor()),
                Call::MapUpdate { .. } | Call::MapFreeze { .. } => return Some(Ok(0)),
                _ => return None,
            };
            log.borrow_mut().push(what);
            Some(match refuse {
                Some(errno) if what.0 == "program" => Err(Errno(errno)),
                _ => fake::descriptor(),
            })
        };
        (seen, kernel)
    }

    #[test]
    fn all_that_a_loader_makes_carries_its_token() {
        let (seen, kernel) = noting(None);
        let fd = fake::with(kernel, || {
            let token = Token::create("/").unwrap();
            let mut loader = Loader::new().token(&token);
            loader.load(&SPEC).unwrap();
            token.as_fd().as_raw_fd()
        });
        let seen = seen.borrow();
        assert!(seen.iter().all(|(_, token)| *token == Some(fd)), "{seen:?}");
        let count = |what| seen.iter().filter(|(one, _)| *one == what).count();
        // Two maps with the one inside and the string; the types of one map and of the program.
        assert_eq!((count("map"), count("types"), count("program")), (4, 2, 1), "{seen:?}");
    }

    #[test]
    fn without_a_token_there_is_none() {
        let (seen, kernel) = noting(None);
        fake::with(kernel, || Loader::new().load(&SPEC).unwrap());
        assert!(seen.borrow().iter().all(|(_, token)| token.is_none()), "{seen:?}");
    }

    #[test]
    fn what_is_missing_is_said() {
        for (errno, words) in [
            (libc::EINVAL, "it takes Linux 6.9"),
            (libc::ENOENT, "delegate_cmds"),
            (libc::EOPNOTSUPP, "first user namespace"),
        ] {
            let refuse = move |_: &mut Call<'_, '_>| Some(Err(Errno(errno)));
            let error = fake::with(refuse, || Token::create("/").unwrap_err());
            let text = error.to_string();
            assert!(text.starts_with("cannot create a BPF token of /: "), "{text}");
            assert!(text.contains(words), "{text}");
        }
        let error = Token::create("/no/such/folder").unwrap_err();
        assert!(matches!(error, Error::Call { errno: Errno(libc::ENOENT), note: None, .. }));
    }
}
