//! A line of the trace, taken apart.

/// The fields of a line as `trace_pipe` prints it:
///
/// ```text
///             bash-13364   [002] d... 24573433.052937: bpf_trace_printk: Hello, World!
/// ^task            ^pid     ^cpu ^flags ^time            ^function         ^message
/// ```
///
/// ```
/// use rawbpf::trace_pipe::TraceFields;
///
/// let line = b"    tmux: server-18181   [001] b..11  2682.887718: bpf_trace_printk: Hello, World!";
/// let fields = TraceFields::parse(line).unwrap();
/// assert_eq!(fields.task, b"tmux: server");
/// assert_eq!((fields.pid, fields.cpu, fields.flags), (18181, 1, "b..11"));
/// assert_eq!(fields.time_ns, 2_682_887_718_000);
/// assert_eq!(fields.message, b"Hello, World!");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceFields<'a> {
    /// The name of the task, without the spaces before it; `<...>` if the kernel has forgotten it, and
    /// possibly the name it had a while ago. Any bytes but NUL.
    pub task: &'a [u8],
    /// The number of the thread, which user space calls its TID.
    pub pid: u32,
    /// The number of its process, with the trace option `record-tgid` and if the kernel remembers it.
    pub tgid: Option<u32>,
    /// The CPU it ran on.
    pub cpu: u32,
    /// Interrupts, scheduling and preemption, a letter each: four before Linux 5.17, five since; empty
    /// without the trace option `irq-info`. `Documentation/trace/ftrace.rst` explains them.
    pub flags: &'a str,
    /// When: nanoseconds by the kernel's trace clock, of which it prints whole microseconds. The usual
    /// clock, `local`, counts from boot and not while the machine sleeps.
    pub time_ns: u64,
    /// Whether the trace clock does not measure time (`counter`, `x86-tsc`). Then `time_ns` is the number
    /// that it counted.
    pub time_is_count: bool,
    /// The helper that printed it: `bpf_trace_printk` since Linux 5.9; nothing before.
    pub function: Option<&'a str>,
    /// The printed message. A line break ends it: the text after it is a line of its own, without fields.
    pub message: &'a [u8],
}

impl<'a> TraceFields<'a> {
    /// Takes a line apart; `None` if it does not have these fields, as the second line of a message or
    /// any line under the trace options `latency-format` and `nocontext-info`.
    ///
    /// A task may call itself anything, `1 [000] 1.1: a:` for instance. The kernel prints its name in
    /// exactly 16 columns (`trace_print_context`, `kernel/trace/trace_output.c`), so the end of the name
    /// is where it must be, not where it seems to be. Only in a line that has lost its leading spaces
    /// is it the last place of the first 16 from which the rest can be read. Spaces that a name begins
    /// with cannot be distinguished from the column's, and a line break in a name makes its line unreadable.
    ///
    /// In a line without a function, as old kernels print them, a message that begins with a word
    /// and a colon has that word taken for the function.
    pub fn parse(line: &'a [u8]) -> Option<TraceFields<'a>> {
        let at = |dash: usize| {
            let (task, rest) = line.split_at_checked(dash)?;
            context(task.trim_ascii_start(), rest.strip_prefix(b"-")?)
        };
        at(TASK_WIDTH).or_else(|| (0..TASK_WIDTH).rev().find_map(at))
    }
}

/// The columns of a task's name: one more than it can be long.
const TASK_WIDTH: usize = 16;

/// Reads what follows the task's name and the dash: `1234    [001] d..31 12345.678901: …`.
fn context<'a>(task: &'a [u8], rest: &'a [u8]) -> Option<TraceFields<'a>> {
    let (pid, rest) = number(rest)?;
    let rest = spaces(rest)?;
    let (tgid, rest) = match rest.strip_prefix(b"(") {
        None => (None, rest),
        Some(rest) => {
            let (tgid, rest) = split_at_byte(rest, b')')?;
            let unknown = tgid.iter().all(|byte| *byte == b'-');
            let tgid = if unknown { None } else { Some(whole_number(tgid.trim_ascii())?) };
            (tgid, spaces(rest)?)
        }
    };
    let (cpu, rest) = split_at_byte(rest.strip_prefix(b"[")?, b']')?;
    let cpu = whole_number(cpu)?;
    let rest = spaces(rest)?;
    let (first, after) = word(rest);
    // Flags are letters, digits and dots as a time is, but end with no colon.
    let (flags, (stamp, rest)) = match first.ends_with(b":") {
        true => (&b""[..], (first, after)),
        false => (first, word(spaces(after)?)),
    };
    let flags = std::str::from_utf8(flags).ok().filter(|flags| flags.is_ascii())?;
    let (time_ns, time_is_count) = time(stamp.strip_suffix(b":")?)?;
    let (function, message) = body(rest.strip_prefix(b" ").unwrap_or(rest));
    let pid = u32::try_from(pid).ok()?;
    Some(TraceFields { task, pid, tgid, cpu, flags, time_ns, time_is_count, function, message })
}

/// Reads what was printed, and by what: `bpf_trace_printk: text`, `0x00000001: text`, `: text`.
fn body(rest: &[u8]) -> (Option<&str>, &[u8]) {
    let part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.$+/".contains(byte);
    let name_ends = rest.iter().position(|byte| !part(byte)).unwrap_or(rest.len());
    let (name, after) = rest.split_at_checked(name_ends).unwrap_or((rest, b""));
    let message = match after {
        b":" => b"",
        [b':', b' ', message @ ..] => message,
        _ => return (None, rest),
    };
    // An address stands for "no function": `bpf_trace_printk` used to give 1.
    let named = name.first().is_some_and(|first| !first.is_ascii_digit());
    (std::str::from_utf8(name).ok().filter(|_| named), message)
}

/// A time, `12345.678901`, in nanoseconds; or what another clock counted, `12345`.
fn time(text: &[u8]) -> Option<(u64, bool)> {
    let (whole, rest) = number(text)?;
    let Some(fraction) = rest.strip_prefix(b".") else {
        return rest.is_empty().then_some((whole, true));
    };
    let (part, rest) = number(fraction)?;
    let missing = 9u32.checked_sub(u32::try_from(fraction.len()).ok()?)?;
    let part = part.checked_mul(10u64.checked_pow(missing)?)?;
    let time = whole.checked_mul(1_000_000_000)?.checked_add(part)?;
    rest.is_empty().then_some((time, false))
}

/// The decimal number at the start, and what follows.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, rest))
}

/// All of it, as a number.
fn whole_number(text: &[u8]) -> Option<u32> {
    let (value, rest) = number(text)?;
    if rest.is_empty() { u32::try_from(value).ok() } else { None }
}

/// Returns the text after one space or more.
fn spaces(text: &[u8]) -> Option<&[u8]> {
    let rest = text.strip_prefix(b" ")?;
    let end = rest.iter().position(|byte| *byte != b' ').unwrap_or(rest.len());
    rest.get(end..)
}

/// Splits at the next space, which stays with the rest.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, b""))
}

/// Splits a text at a byte, which is left out.
fn split_at_byte(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|other| *other == byte)?;
    Some((text.get(..end)?, text.get(end + 1..)?))
}

/// Returns the number of events lost, if the line reports them: `CPU:1 [LOST 508 EVENTS]`, or `CPU:1
/// [LOST EVENTS]` where the kernel does not know the number, which counts as one (`print_trace_line`,
/// `kernel/trace/trace.c`).
pub(super) fn lost_events(line: &[u8]) -> Option<u64> {
    let (_, rest) = number(line.strip_prefix(b"CPU:")?)?;
    let rest = rest.strip_prefix(b" [LOST ")?;
    if rest == b"EVENTS]" {
        return Some(1);
    }
    let (count, rest) = number(rest)?;
    (rest == b" EVENTS]").then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(line: &[u8]) -> TraceFields<'_> {
        TraceFields::parse(line).unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(line)))
    }

    /// The task, pid, CPU, flags, function and message.
    type Expected = (&'static [u8], u32, u32, &'static str, Option<&'static str>, &'static [u8]);

    /// Lines that kernels printed: Linux 6.18 where nothing is said.
    const PRINTED: &[(&[u8], Expected)] = &[
        (
            b"               x-18181   [000] b..11  2682.909470: bpf_trace_printk: a: b: c",
            (b"x", 18181, 0, "b..11", Some("bpf_trace_printk"), b"a: b: c"),
        ),
        (
            b"               x-18181   [001] b..11  2682.951946: bpf_trace_printk: ",
            (b"x", 18181, 1, "b..11", Some("bpf_trace_printk"), b""),
        ),
        (
            b"           <...>-6164    [001] ...1.  1500.092907: tracing_mark_write: Hello, World!",
            (b"<...>", 6164, 1, "...1.", Some("tracing_mark_write"), b"Hello, World!"),
        ),
        (
            b"    tmux: server-6489    [000] ...1.  1594.943059: tracing_mark_write: hello",
            (b"tmux: server", 6489, 0, "...1.", Some("tracing_mark_write"), b"hello"),
        ),
        (
            b"         a-b [9]-6490    [001] ...1.  1594.966274: tracing_mark_write: x",
            (b"a-b [9]", 6490, 1, "...1.", Some("tracing_mark_write"), b"x"),
        ),
        (
            b"  x-1 [000] ....-6491    [001] ...1.  1594.989837: tracing_mark_write: trick",
            (b"x-1 [000] ....", 6491, 1, "...1.", Some("tracing_mark_write"), b"trick"),
        ),
        (
            b" 1 [000] 1.1: a:-6492    [001] ...1.  1595.013073: tracing_mark_write: trick2",
            (b"1 [000] 1.1: a:", 6492, 1, "...1.", Some("tracing_mark_write"), b"trick2"),
        ),
        (
            b"            sp  -6493    [001] ...1.  1595.036150: tracing_mark_write: spaces",
            (b"sp  ", 6493, 1, "...1.", Some("tracing_mark_write"), b"spaces"),
        ),
        (
            b"            \xff\xfe-\x80-6494    [001] ...1.  1595.059276: tracing_mark_write: \xff\xfe",
            (b"\xff\xfe-\x80", 6494, 1, "...1.", Some("tracing_mark_write"), b"\xff\xfe"),
        ),
        (
            b"          p-3: q-6496    [001] ...1.  1595.105822: tracing_mark_write: m: [001] 12.3: foo: bar",
            (b"p-3: q", 6496, 1, "...1.", Some("tracing_mark_write"), b"m: [001] 12.3: foo: bar"),
        ),
        (
            b"             cat-6264    [000] .....  1559.769104: sys_enter: NR 1 (1, 7f563c4a3000, 62)",
            (b"cat", 6264, 0, ".....", Some("sys_enter"), b"NR 1 (1, 7f563c4a3000, 62)"),
        ),
        // Without the trace option irq-info.
        (
            b"           <...>-6261    [000]   1559.433039: tracing_mark_write: noirq",
            (b"<...>", 6261, 0, "", Some("tracing_mark_write"), b"noirq"),
        ),
        // Linux 4.x, from the BCC tutorial; one that still has its address, and trimmed.
        (
            b"            bash-13364 [002] d... 24573433.052937: : Hello, World!",
            (b"bash", 13364, 2, "d...", None, b"Hello, World!"),
        ),
        (
            b"              sh-1234  [000] d... 12345.678901: 0x00000001: Hello",
            (b"sh", 1234, 0, "d...", None, b"Hello"),
        ),
        (
            b"sshd-1234  [000] d... 12345.678901: 0x1: a-b [1] 2.3: c",
            (b"sshd", 1234, 0, "d...", None, b"a-b [1] 2.3: c"),
        ),
        // Documentation/trace/ftrace.rst.
        (
            b"            bash-1977  [000] .... 17284.993652: sys_close <-system_call_fastpath",
            (b"bash", 1977, 0, "....", None, b"sys_close <-system_call_fastpath"),
        ),
        (
            b"          <idle>-0     [001] d.h2.   230.859933: irq_handler_entry: irq=162 name=arch_timer",
            (b"<idle>", 0, 1, "d.h2.", Some("irq_handler_entry"), b"irq=162 name=arch_timer"),
        ),
    ];

    #[test]
    fn lines_that_kernels_print() {
        for (line, expected) in PRINTED {
            let TraceFields { task, pid, cpu, flags, function, message, .. } = parse(line);
            assert_eq!((task, pid, cpu, flags, function, message), *expected);
        }
    }

    #[test]
    fn times() {
        let time = |line| (parse(line).time_ns, parse(line).time_is_count);
        assert_eq!(
            time(b"           <...>-6164    [001] ...1.  1500.092907: tracing_mark_write: x"),
            (1_500_092_907_000, false)
        );
        // The clock `uptime`, and one that counts.
        assert_eq!(
            time(b"           <...>-6261    [000] ...1.     0.000156: tracing_mark_write: x"),
            (156_000, false)
        );
        assert_eq!(
            time(b"           <...>-6261    [000] ...1.        12345: tracing_mark_write: x"),
            (12345, true)
        );
        assert_eq!(super::time(b"1.123456789"), Some((1_123_456_789, false)));
        assert_eq!(super::time(b"18446744073.709551615"), Some((u64::MAX, false)));
        for refused in ["", ".", "1.", ".1", "1.1234567890", "1.2.3", "-1", "18446744073.709551616"]
        {
            assert_eq!(super::time(refused.as_bytes()), None, "{refused}");
        }
    }

    #[test]
    fn processes_are_named_with_record_tgid() {
        let unknown = b"           <...>-6319    (-------) [000] ...1.  1559.310023: tracing_mark_write: tgid";
        assert_eq!((parse(unknown).pid, parse(unknown).tgid), (6319, None));
        let known =
            b"           <...>-6361    (   6360) [000] ...1.  1559.424585: tracing_mark_write: t";
        assert_eq!((parse(known).pid, parse(known).tgid), (6361, Some(6360)));
        let old = b"            bash-1977  ( 1977) [000] .... 17284.993652: : t";
        assert_eq!(parse(old).tgid, Some(1977));
    }

    #[test]
    fn other_lines_have_no_fields() {
        let lines: &[&[u8]] = &[
            b"",
            b"lines",
            b"b",
            b"q-6497    [001] ...1.  1595.129123",
            b"tracing_mark_write: nocontext",
            b"CPU:1 [LOST 508 EVENTS]",
            b"# tracer: nop",
            b"            bash-6261    0d..1.  123us : latency",
            b"           <...>-6164    [001] ...1.  later: tracing_mark_write: Hello, World!",
            b"           <...>-        [001] ...1.  1500.092907: tracing_mark_write: x",
            b"           <...>-99999999999 [001] ...1.  1500.092907: tracing_mark_write: x",
        ];
        for line in lines {
            assert_eq!(TraceFields::parse(line), None, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn lost_events_are_recognised() {
        assert_eq!(lost_events(b"CPU:1 [LOST 508 EVENTS]"), Some(508));
        assert_eq!(lost_events(b"CPU:12 [LOST EVENTS]"), Some(1));
        for line in
            ["", "CPU:1", "CPU: [LOST 1 EVENTS]", "CPU:1 [LOST x EVENTS]", " CPU:1 [LOST 1 EVENTS]"]
        {
            assert_eq!(lost_events(line.as_bytes()), None, "{line}");
        }
    }

    /// A name as the kernel keeps it: 15 bytes, and here no line break.
    fn task() -> impl Strategy<Value = Vec<u8>> {
        let byte = (1..=255u8).prop_filter("a line break", |byte| *byte != b'\n');
        let tricky = "[-a0-9 \\[\\]:.()]{1,15}".prop_map(String::into_bytes);
        prop_oneof![prop::collection::vec(byte, 1..16), tricky]
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_line_or_not(bytes: Vec<u8>, text in "[ a-c]{0,3}[- 0-9a-c\\[\\]():.]{0,60}") {
            for line in [&bytes, text.as_bytes()] {
                let _ = TraceFields::parse(line);
                let _ = lost_events(line);
            }
        }

        /// Formatted as `trace_print_context` does, in its old and its new widths.
        #[test]
        fn a_printed_line_reads_back(
            task in task(),
            pid in 0..=4_194_304u32,
            tgid in prop::option::of(prop::option::of(1..=4_194_304u32)),
            cpu in 0..8192u32,
            flags in prop_oneof![Just(String::new()), "[.dDbX][.NnpBL][.hHszZ][.0-9a-f]{1,2}"],
            seconds in 0..10_000_000_000u64,
            micros in 0..1_000_000u64,
            count: bool,
            function in prop::option::of("[a-z_][a-z0-9_]{0,20}"),
            message in prop::collection::vec(any::<u8>(), 0..40),
            old: bool,
        ) {
            let width = if old { 5 } else { 7 };
            let mut line = vec![b' '; 16 - task.len()];
            line.extend(&task);
            line.extend(format!("-{pid:<width$} ").bytes());
            match tgid {
                Some(Some(tgid)) => line.extend(format!("({tgid:width$}) ").bytes()),
                Some(None) => line.extend(format!("({}) ", "-".repeat(width)).bytes()),
                None => {}
            }
            line.extend(format!("[{cpu:03}] {flags}").bytes());
            match count {
                true => line.extend(format!(" {seconds:12}: ").bytes()),
                false => line.extend(format!(" {seconds:5}.{micros:06}: ").bytes()),
            }
            line.extend(format!("{}: ", function.as_deref().unwrap_or("")).bytes());
            line.extend(&message);

            let time_ns = if count { seconds } else { seconds * 1_000_000_000 + micros * 1000 };
            prop_assert_eq!(TraceFields::parse(&line), Some(TraceFields {
                task: task.trim_ascii_start(),
                pid,
                tgid: tgid.flatten(),
                cpu,
                flags: &flags,
                time_ns,
                time_is_count: count,
                function: function.as_deref(),
                message: &message,
            }));
        }
    }
}
