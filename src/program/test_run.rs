//! Running a program once, or many times, without attaching it.

use super::Program;
use crate::error::{Error, Result};
use crate::kernel::denied::{self, Need};
use crate::spec::ProgramType;
use crate::syscall::{self, ENOTSUPP, Errno, ProgTestRun};
use std::os::fd::AsFd;
use std::time::Duration;

/// What came of [`Program::test_run`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestRun {
    /// What the last run returned: the low half of its `r0`.
    pub returned: u32,
    /// The mean time of one run, to the nanosecond.
    pub time: Duration,
}

impl Program {
    /// Has the kernel run the program `repeat` times (0 counts as 1) over `data`, here and now. `bpf(2)`,
    /// `BPF_PROG_TEST_RUN`; Linux 4.12 for socket filters. Kprobes and tracepoints cannot be run so.
    ///
    /// For a socket filter `data` is an Ethernet frame: 14 bytes of header, which the program does not see, and up
    /// to some 3 KiB.
    ///
    /// ```no_run
    /// use rawbpf::{Loader, ProgramSpec, ProgramType, bpf};
    ///
    /// static FIRST: ProgramSpec = ProgramSpec::new("first", ProgramType::SocketFilter, bpf! {
    ///     r6 = r1;                    // where the next one looks for the packet
    ///     r0 = *(u8 *)skb[0];
    ///     exit;
    /// });
    ///
    /// let mut frame = [0; 60];
    /// frame[14] = 42;
    /// let program = Loader::new().load(&FIRST)?;
    /// assert_eq!(program.test_run(&frame, 1)?.returned, 42);
    /// # Ok::<(), rawbpf::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::TestRun`] if the kernel refuses, or a signal comes (`EINTR`).
    pub fn test_run(&self, data: &[u8], repeat: u32) -> Result<TestRun> {
        let mut run =
            ProgTestRun { program: self.fd.as_fd(), data, repeat, returned: 0, duration: 0 };
        match syscall::prog_test_run(&mut run) {
            Ok(()) => Ok(TestRun {
                returned: run.returned,
                time: Duration::from_nanos(run.duration.into()),
            }),
            Err(errno) => Err(Error::TestRun {
                program: self.name.clone(),
                kind: self.kind,
                errno,
                why: denied::explain(errno, Need::Bpf),
                note: note(self.kind, errno),
            }),
        }
    }
}

/// What an answer means.
fn note(kind: ProgramType, errno: Errno) -> Option<&'static str> {
    match (errno, kind) {
        (Errno(ENOTSUPP), _) => Some("programs of this type can only be attached"),
        (Errno(libc::EINVAL), ProgramType::SocketFilter) => {
            Some("its data has to be an Ethernet frame: 14 bytes at least, less than a page")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf;
    use crate::error::ErrorKind;
    use crate::program::Loader;
    use crate::spec::ProgramSpec;
    use crate::syscall::{Call, fake};

    static SPEC: ProgramSpec =
        ProgramSpec::new("one", ProgramType::SocketFilter, bpf! { r0 = 1; exit; });

    /// Loads and runs with a kernel that answers the run like this.
    fn run(answer: fn(&mut ProgTestRun<'_>) -> Result<i64, Errno>) -> Result<TestRun> {
        let kernel = move |call: &mut Call<'_, '_>| match call {
            Call::ProgLoad(_) => Some(fake::descriptor()),
            Call::ProgTestRun(run) => Some(answer(run)),
            _ => None,
        };
        fake::with(kernel, || Loader::new().load(&SPEC)?.test_run(b"data", 7))
    }

    #[test]
    fn the_data_goes_in_and_the_answer_comes_out() {
        let answer = run(|run| {
            assert_eq!((run.data, run.repeat), (&b"data"[..], 7));
            (run.returned, run.duration) = (u32::MAX, 12);
            Ok(0)
        });
        let expected = TestRun { returned: u32::MAX, time: Duration::from_nanos(12) };
        assert_eq!(answer.unwrap(), expected);
    }

    #[test]
    fn a_refusal_says_what_it_means() {
        let error = run(|_| Err(Errno(ENOTSUPP))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let words =
            "cannot run program `one` (socket_filter): Operation is not supported (ENOTSUPP) (";
        assert!(error.to_string().starts_with(words), "{error}");

        let error = run(|_| Err(Errno(libc::EINVAL))).unwrap_err();
        assert!(error.to_string().contains("Ethernet frame: 14 bytes"), "{error}");
        let error = run(|_| Err(Errno(libc::EINTR))).unwrap_err();
        assert!(error.to_string().ends_with("(EINTR)"), "{error}");
    }
}
