//! Test runs: running a program once or repeatedly, without attaching it.

mod runner;

use super::Program;
use crate::error::{Error, Result};
use crate::permission::{self, Need};
use crate::syscall::{self, ProgTestRun};
use crate::uapi::flags::BPF_F_TEST_RUN_ON_CPU;
use crate::uapi::{Errno, TestRunFlags};
#[cfg(feature = "cli")]
pub(crate) use runner::takes_packet;
use runner::{Out, note, runner};
use std::os::fd::AsFd;
use std::time::Duration;

/// The result of [`Program::test_run`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestRun {
    /// The return value of the last run: the low half of its `r0`.
    pub returned: u32,
    /// The mean duration of one run, rounded to nanoseconds.
    pub time: Duration,
}

/// The input of [`Program::test_run_with`], and the options of the run.
///
/// Support by program type, and the Linux version that added it:
///
/// | types | Linux | data | context | besides |
/// |---|---|---|---|---|
/// | `socket_filter`, `sched_cls`, `sched_act`, `cgroup_skb`, `lwt_in`, `lwt_out`, `lwt_xmit` | 4.12 | an Ethernet frame | `struct __sk_buff` (5.2) | repeat |
/// | `lwt_seg6local` | 4.18 | an Ethernet frame | `struct __sk_buff` (5.2) | repeat |
/// | `xdp` | 4.12 | an Ethernet frame | `struct xdp_md` (5.15) | repeat; live frames and batch size (5.18) |
/// | `flow_dissector` | 5.1 | an Ethernet frame; what comes out is `struct bpf_flow_keys` | flags for the dissector (5.3) | repeat |
/// | `tracing` | 5.7 | | | the kernel calls functions of its own that are there for that |
/// | `raw_tracepoint` | 5.10 | | the arguments, a `u64` each; not given back | CPU |
/// | `sk_lookup` | 5.13 | | `struct bpf_sk_lookup` | repeat |
/// | `syscall` | 5.14 | | any bytes | |
/// | `struct_ops` | 5.16 | | the arguments | of `bpf_dummy_ops` alone |
/// | `netfilter` | 6.4 | an Ethernet frame with an IP packet | `struct nf_hook_state`'s first fields | repeat |
///
/// All other types can only be attached.
#[derive(Debug, Clone, Copy, Default)]
pub struct TestRunOptions<'a> {
    data: &'a [u8],
    context: &'a [u8],
    data_room: Option<usize>,
    context_room: Option<usize>,
    repeat: u32,
    flags: TestRunFlags,
    cpu: Option<u32>,
    batch_size: u32,
}

impl<'a> TestRunOptions<'a> {
    /// Creates options for one run without input.
    pub const fn new() -> TestRunOptions<'a> {
        TestRunOptions {
            data: &[],
            context: &[],
            data_room: None,
            context_room: None,
            repeat: 0,
            flags: TestRunFlags::empty(),
            cpu: None,
            batch_size: 0,
        }
    }

    /// Sets the input data: a packet.
    pub const fn data(mut self, data: &'a [u8]) -> Self {
        self.data = data;
        self
    }

    /// Sets the context, as bytes of the struct of the program type.
    pub const fn context(mut self, context: &'a [u8]) -> Self {
        self.context = context;
        self
    }

    /// Sets the maximum number of bytes of data to return; 0 for none. The default (64 KiB and a page more than the
    /// input) is enough for anything that a program can make of a packet.
    pub const fn data_room(mut self, bytes: usize) -> Self {
        self.data_room = Some(bytes);
        self
    }

    /// Sets the maximum number of bytes of context to return; 0 for none. By default it is returned if one is passed
    /// in.
    pub const fn context_room(mut self, bytes: usize) -> Self {
        self.context_room = Some(bytes);
        self
    }

    /// Sets the number of runs; 0 counts as 1. All runs work on the same data, as the run before left it.
    pub const fn repeat(mut self, times: u32) -> Self {
        self.repeat = times;
        self
    }

    /// Sets the flags.
    pub const fn flags(mut self, flags: TestRunFlags) -> Self {
        self.flags = flags;
        self
    }

    /// Sets the CPU to run on, in place of the one that the call is made on. Only for raw tracepoints, Linux 5.10.
    pub const fn cpu(mut self, cpu: u32) -> Self {
        self.cpu = Some(cpu);
        self
    }

    /// Sets the number of packets per batch with
    /// [`TestRunFlags::XDP_LIVE_FRAMES`]: by default 64, at most 256. Linux
    /// 5.18.
    pub const fn batch_size(mut self, packets: u32) -> Self {
        self.batch_size = packets;
        self
    }
}

/// The result of [`Program::test_run_with`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestRunOutput {
    /// The return value of the last run: the low half of its `r0`.
    pub returned: u32,
    /// The mean duration of one run, rounded to nanoseconds. Zero where the kernel does not measure it: `tracing`,
    /// `raw_tracepoint`, `syscall`, `struct_ops`.
    pub time: Duration,
    /// The data as the program left it, up to the requested size. Empty if none is returned.
    pub data: Vec<u8>,
    /// The full length of the data, which is greater than that of `data` if the requested size was too small.
    pub data_len: usize,
    /// The context as the program left it, up to the requested size. Empty if none is returned, and also if the data
    /// did not fit, because the kernel then stops there.
    pub context: Vec<u8>,
    /// The full length of the context, which is greater than that of `context` if the requested size was too small.
    pub context_len: usize,
}

/// The most that a packet can grow: the MTU of the loopback device, which packets of test runs come from, is 64 KiB.
const GROWTH: usize = (64 << 10) + 4096;

/// A size greater than that of any context struct.
const CONTEXT_ROOM: usize = 256;

impl Program {
    /// Runs the program in the kernel, `repeat` times (0 counts as 1), over `data`. `bpf(2)`, `BPF_PROG_TEST_RUN`;
    /// Linux 4.12 for socket filters. Kprobes and tracepoints cannot be run this way.
    ///
    /// For a socket filter `data` is an Ethernet frame: 14 bytes of header, which the program does not see, and up
    /// to some 3 KiB. [`TestRunOptions`] lists the other types.
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
    /// [`Error::Call`] if the kernel refuses, or a signal interrupts the run (`EINTR`).
    #[doc(alias("BPF_PROG_TEST_RUN", "BPF_PROG_RUN"))]
    pub fn test_run(&self, data: &[u8], repeat: u32) -> Result<TestRun> {
        let options = TestRunOptions::new().data(data).repeat(repeat).data_room(0);
        let TestRunOutput { returned, time, .. } = self.test_run_with(&options)?;
        Ok(TestRun { returned, time })
    }

    /// Runs the program in the kernel with all options, and returns the output. `bpf(2)`, `BPF_PROG_TEST_RUN`; Linux
    /// 4.12.
    ///
    /// ```no_run
    /// use rawbpf::{Loader, ProgramSpec, ProgramType, TestRunOptions, bpf};
    ///
    /// static DROP: ProgramSpec = ProgramSpec::new("drop", ProgramType::Xdp, bpf! {
    ///     r0 = 1;                     // XDP_DROP
    ///     exit;
    /// });
    ///
    /// let program = Loader::new().load(&DROP)?;
    /// let run = program.test_run_with(&TestRunOptions::new().data(&[0; 64]).repeat(1_000_000))?;
    /// println!("returned {}, {:?} a run, {} bytes", run.returned, run.time, run.data.len());
    /// # Ok::<(), rawbpf::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Call`] if the kernel refuses, or a signal interrupts the run (`EINTR`).
    #[doc(alias("BPF_PROG_TEST_RUN", "BPF_PROG_RUN"))]
    pub fn test_run_with(&self, options: &TestRunOptions<'_>) -> Result<TestRunOutput> {
        let runner = runner(self.kind);
        let gives_data = runner.is_some_and(|runner| runner.data_out);
        let context_goes = runner.map_or(Out::Nowhere, |runner| runner.context_out);

        let data_room = match options.data_room {
            Some(room) => room,
            None if gives_data => options.data.len() + GROWTH,
            None => 0,
        };
        let context_room = match options.context_room {
            Some(room) => room,
            None if options.context.is_empty() || context_goes != Out::Beside => 0,
            None => options.context.len().max(CONTEXT_ROOM),
        };
        // Before Linux 5.0 the kernel does not check the size of the buffer.
        let mut data = vec![0; if data_room == 0 { 0 } else { data_room.max(GROWTH) }];
        let room = data.len();
        let mut context = options.context.to_vec();
        let mut context_out = vec![0; context_room];

        let mut run = ProgTestRun {
            data: options.data,
            data_out: &mut data,
            context: &mut context,
            context_out: &mut context_out,
            repeat: options.repeat,
            flags: options.flags.bits()
                | if options.cpu.is_some() { BPF_F_TEST_RUN_ON_CPU } else { 0 },
            cpu: options.cpu.unwrap_or(0),
            batch_size: options.batch_size,
            ..ProgTestRun::new(self.fd.as_fd())
        };
        let answer = syscall::prog_test_run(&mut run);
        let ProgTestRun { returned, duration, data_len, context_len, .. } = run;
        match answer {
            // The program has run, and part of the output did not fit.
            Ok(()) | Err(Errno(libc::ENOSPC)) => {}
            Err(errno) => {
                return Err(Error::Call {
                    action: "run",
                    object: format!("program `{}` ({})", self.name, self.kind),
                    errno,
                    why: permission::explain(errno, Need::Bpf),
                    note: note(self.kind, errno, options),
                });
            }
        }
        let (data_len, context_len) = (data_len as usize, context_len as usize);
        data.truncate(data_room.min(data_len));
        let (context, context_len) = match context_goes {
            Out::InPlace => {
                let len = context.len();
                (context, len)
            }
            _ if context_room == 0 => (Vec::new(), 0),
            // If the data does not fit, the context, which follows it, is not written.
            _ if answer.is_err() && data_len > room => (Vec::new(), 0),
            _ => {
                context_out.truncate(context_len);
                (context_out, context_len)
            }
        };
        let time = Duration::from_nanos(duration.into());
        Ok(TestRunOutput { returned, time, data, data_len, context, context_len })
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
    use crate::uapi::{ENOTSUPP, ProgramType};

    type Kernel = fn(&mut ProgTestRun<'_>) -> Result<i64, Errno>;

    /// Loads, and runs with a kernel that answers the run with this function.
    fn run_as(
        kind: ProgramType,
        options: &TestRunOptions<'_>,
        answer: Kernel,
    ) -> Result<TestRunOutput> {
        let kernel = move |call: &mut Call<'_, '_>| match call {
            Call::ProgLoad(_) => Some(fake::descriptor()),
            Call::ProgTestRun(run) => Some(answer(run)),
            _ => None,
        };
        let spec = ProgramSpec::new("one", kind, bpf! { r0 = 1; exit; });
        fake::with(kernel, || Loader::new().load(&spec)?.test_run_with(options))
    }

    const SKB: ProgramType = ProgramType::SocketFilter;

    #[test]
    fn the_simple_form_wants_nothing_back() {
        let kernel = |call: &mut Call<'_, '_>| match call {
            Call::ProgLoad(_) => Some(fake::descriptor()),
            Call::ProgTestRun(run) => {
                assert_eq!((run.data, run.repeat, run.data_out.len()), (&b"data"[..], 7, 0));
                assert_eq!((run.context.len(), run.context_out.len(), run.flags), (0, 0, 0));
                (run.returned, run.duration, run.data_len) = (u32::MAX, 12, 4);
                Some(Ok(0))
            }
            _ => None,
        };
        let spec = ProgramSpec::new("one", SKB, bpf! { r0 = 1; exit; });
        let answer = fake::with(kernel, || Loader::new().load(&spec)?.test_run(b"data", 7));
        let expected = TestRun { returned: u32::MAX, time: Duration::from_nanos(12) };
        assert_eq!(answer.unwrap(), expected);
    }

    #[test]
    fn data_and_context_come_back_shorter_or_longer() {
        let options = TestRunOptions::new().data(b"data").context(b"ctx").repeat(2).batch_size(3);
        let answer = run_as(SKB, &options, |run| {
            assert_eq!((&*run.context, run.batch_size, run.cpu), (&b"ctx"[..], 3, 0));
            run.data_out[..6].copy_from_slice(b"longer");
            run.context_out[0] = b'c';
            (run.data_len, run.context_len) = (6, 1);
            Ok(0)
        });
        let answer = answer.unwrap();
        assert_eq!((&answer.data[..], answer.data_len), (&b"longer"[..], 6));
        assert_eq!((&answer.context[..], answer.context_len), (&b"c"[..], 1));
    }

    #[test]
    fn what_does_not_fit_is_told_by_its_length() {
        // A kernel before 5.0 writes all of the data: the buffer has room for it, whatever size was requested.
        let options = TestRunOptions::new().data(b"data").data_room(2);
        let answer = run_as(SKB, &options, |run| {
            assert!(run.data_out.len() >= 1 << 16);
            run.data_out[..4].copy_from_slice(b"data");
            run.data_len = 4;
            Ok(0)
        })
        .unwrap();
        assert_eq!((&answer.data[..], answer.data_len), (&b"da"[..], 4));

        // The context is longer than its buffer: the kernel writes the part that fits, and reports it.
        let options = TestRunOptions::new().context(b"x").context_room(2);
        let answer = run_as(SKB, &options, |run| {
            run.context_out.copy_from_slice(b"ct");
            (run.returned, run.data_len, run.context_len) = (5, 0, 192);
            Err(Errno(libc::ENOSPC))
        })
        .unwrap();
        assert_eq!((&answer.context[..], answer.context_len), (&b"ct"[..], 192));
        assert_eq!(answer.returned, 5);

        // The data is longer too, and there the kernel stops.
        let options = TestRunOptions::new().context(b"x");
        let answer = run_as(SKB, &options, |run| {
            run.data_len = 1 << 20;
            Err(Errno(libc::ENOSPC))
        })
        .unwrap();
        assert_eq!((answer.data_len, answer.data.len()), (1 << 20, GROWTH));
        assert_eq!((answer.context, answer.context_len), (vec![], 0));
    }

    #[test]
    fn types_without_data_are_asked_for_none() {
        let options = TestRunOptions::new().context(&[7; 16]).cpu(1);
        let answer = run_as(ProgramType::RawTracepoint, &options, |run| {
            assert_eq!((run.data_out.len(), run.context_out.len()), (0, 0));
            assert_eq!((run.flags, run.cpu), (BPF_F_TEST_RUN_ON_CPU, 1));
            Ok(0)
        });
        assert!(answer.unwrap().context.is_empty());
        let answer = run_as(ProgramType::Syscall, &TestRunOptions::new().context(b"in"), |run| {
            assert_eq!(run.context_out.len(), 0);
            run.context.copy_from_slice(b"ou");
            Ok(0)
        });
        assert_eq!(answer.unwrap().context, b"ou");
    }

    #[test]
    fn a_refusal_says_what_it_means() {
        let refused = |kind, options: TestRunOptions<'_>, answer: Kernel| {
            run_as(kind, &options, answer).unwrap_err()
        };
        let plain = TestRunOptions::new();
        for (kind, words) in [
            (SKB, "(Linux 4.12 brought it)"),
            (ProgramType::Kprobe, "(programs of this type can only be attached)"),
            (ProgramType::Netfilter, "(Linux 6.4 brought it)"),
        ] {
            let error = refused(kind, plain, |_| Err(Errno(ENOTSUPP)));
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            let expected = format!(
                "cannot run program `one` ({kind}): Operation is not supported (ENOTSUPP) {words}"
            );
            assert_eq!(error.to_string(), expected);
        }
        let error = refused(SKB, plain, |_| Err(Errno(libc::EINVAL)));
        assert!(error.to_string().contains("Ethernet frame: 14 bytes"), "{error}");
        let error = refused(ProgramType::RawTracepoint, plain.cpu(9), |_| Err(Errno(libc::ENXIO)));
        assert!(
            error.to_string().ends_with("(there is no such CPU, or it does not run)"),
            "{error}"
        );
        let error = refused(SKB, plain.context(&[1; 999]), |_| Err(Errno(libc::E2BIG)));
        assert!(error.to_string().contains("has to be 0"), "{error}");
        let error = refused(SKB, plain, |_| Err(Errno(libc::EINTR)));
        assert!(error.to_string().ends_with("(EINTR)"), "{error}");
    }
}
