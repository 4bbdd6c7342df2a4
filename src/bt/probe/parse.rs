//! Parser of attach points, from their parts.

use super::{AttachPoint, Rate, Watched};
use crate::bt::ast::{self, Component};
use crate::bt::diagnostic::Diagnostic;
use crate::bt::literal;
use crate::bt::source::Span;
use crate::util::nearest::{Nearest, OFFERED};

/// A provider: its names, how its attach points are written, and how they are read.
pub(crate) struct Provider {
    /// Its name, and the others that it has.
    pub names: &'static [&'static str],
    /// The syntax of its attach points.
    pub form: &'static str,
    /// The least and the most parts after the name.
    parts: (usize, usize),
    read: fn(&Provider, &[Component]) -> Result<AttachPoint, Diagnostic>,
}

/// All providers.
pub(crate) const PROVIDERS: &[Provider] = &[
    Provider {
        names: &["BEGIN", "begin"],
        form: "BEGIN",
        parts: (0, 0),
        read: |_, _| Ok(AttachPoint::Begin),
    },
    Provider {
        names: &["END", "end"],
        form: "END",
        parts: (0, 0),
        read: |_, _| Ok(AttachPoint::End),
    },
    Provider { names: &["self"], form: "self:signal:SIGUSR1", parts: (2, 2), read: signal },
    Provider {
        names: &["interval", "i"],
        form: "interval:s:1, :ms:, :us:, :hz: or interval:1s",
        parts: (1, 2),
        read: timer,
    },
    Provider {
        names: &["profile", "p"],
        form: "profile:hz:99, :s:, :ms: or :us:",
        parts: (1, 2),
        read: timer,
    },
    Provider {
        names: &["software", "s"],
        form: "software:EVENT[:COUNT]",
        parts: (1, 2),
        read: event,
    },
    Provider {
        names: &["hardware", "h"],
        form: "hardware:EVENT[:COUNT]",
        parts: (1, 2),
        read: event,
    },
    Provider {
        names: &["tracepoint", "t"],
        form: "tracepoint:CATEGORY:EVENT",
        parts: (2, 2),
        read: tracepoint,
    },
    Provider {
        names: &["rawtracepoint", "rt"],
        form: "rawtracepoint:[MODULE:]EVENT",
        parts: (1, 2),
        read: raw_tracepoint,
    },
    Provider {
        names: &["kprobe", "k"],
        form: "kprobe:[MODULE:]FUNCTION[+OFFSET] or kprobe:ADDRESS",
        parts: (1, 2),
        read: kprobe,
    },
    Provider {
        names: &["kretprobe", "kr"],
        form: "kretprobe:[MODULE:]FUNCTION",
        parts: (1, 2),
        read: kprobe,
    },
    Provider {
        names: &["fentry", "kfunc", "f"],
        form: "fentry:[MODULE:]FUNCTION",
        parts: (1, 2),
        read: fentry,
    },
    Provider {
        names: &["fexit", "kretfunc", "fr"],
        form: "fexit:[MODULE:]FUNCTION",
        parts: (1, 2),
        read: fentry,
    },
    Provider {
        names: &["uprobe", "u"],
        form: "uprobe:FILE:FUNCTION[+OFFSET] or uprobe:FILE:ADDRESS",
        parts: (2, 3),
        read: uprobe,
    },
    Provider {
        names: &["uretprobe", "ur"],
        form: "uretprobe:FILE:FUNCTION",
        parts: (2, 3),
        read: uprobe,
    },
    Provider {
        names: &["usdt", "U"],
        form: "usdt:FILE:[PROVIDER:]NAME",
        parts: (2, 3),
        read: usdt,
    },
    Provider {
        names: &["watchpoint", "w"],
        form: "watchpoint:ADDRESS:LENGTH:MODE",
        parts: (3, 3),
        read: watchpoint,
    },
    Provider {
        names: &["asyncwatchpoint", "aw"],
        form: "asyncwatchpoint:FUNCTION+argN:LENGTH:MODE",
        parts: (3, 3),
        read: watchpoint,
    },
    Provider { names: &["iter", "it"], form: "iter:TYPE[:PIN]", parts: (1, 2), read: iter },
    Provider { names: &["bench"], form: "bench:NAME", parts: (1, 1), read: on_request },
    Provider { names: &["test"], form: "test:NAME", parts: (1, 1), read: on_request },
];

impl Provider {
    fn is(&self, name: &str) -> bool {
        self.names.first() == Some(&name)
    }

    fn error(&self, span: Span, problem: impl std::fmt::Display) -> Diagnostic {
        let name = self.names.first().unwrap_or(&"");
        Diagnostic::error(span, format!("{name}: {problem}"))
            .hint(format!("write it as {}", self.form))
    }
}

/// Reads an attach point.
pub(crate) fn parse(point: &ast::AttachPoint) -> Result<AttachPoint, Diagnostic> {
    let [first, rest @ ..] = point.parts.as_slice() else {
        return Err(Diagnostic::error(point.span, "expected an attach point"));
    };
    // `name=` in front is for bpftrace's own use.
    let word = first.text.rsplit('=').next().unwrap_or_default();
    let Some(provider) = PROVIDERS.iter().find(|provider| provider.names.contains(&word)) else {
        let mut nearest = Nearest::new(word, OFFERED);
        PROVIDERS.iter().flat_map(|one| one.names).for_each(|name| nearest.offer(name));
        let message = format!("unknown probe type: `{word}`");
        return Err(Diagnostic::error(first.span, message).nearest(&nearest.into_names()));
    };
    let (least, most) = provider.parts;
    // `software:faults:` is one that bpftrace prints.
    let rest = match rest {
        [rest @ .., last] if last.text.is_empty() && rest.len() >= least => rest,
        rest => rest,
    };
    if rest.len() < least || rest.len() > most {
        let parts = if least == most { least.to_string() } else { format!("{least} to {most}") };
        let problem = format!("{} parts after the type, expected {parts}", rest.len());
        return Err(provider.error(point.span, problem));
    }
    let empty = rest.iter().find(|part| part.text.is_empty() && part.quoted.is_none());
    // `usdt::provider:name` is one of the process of -p, `usdt:file::name` one of any provider.
    let may_be_empty = provider.is("usdt") && rest.last().is_some_and(|name| !name.text.is_empty());
    if let Some(empty) = empty.filter(|_| !may_be_empty) {
        return Err(provider.error(point.span.to(empty.span), "a part is empty"));
    }
    (provider.read)(provider, rest)
}

fn text(part: &Component) -> String {
    part.text.clone()
}

/// The module and the name.
fn qualified(parts: &[Component]) -> (Option<String>, &Component) {
    match parts {
        [name] => (None, name),
        [module, .., name] => (Some(text(module)), name),
        // The number of parts has been checked.
        [] => unreachable_part(),
    }
}

fn unreachable_part() -> (Option<String>, &'static Component) {
    static NONE: Component =
        Component { text: String::new(), quoted: None, span: Span { start: 0, end: 0 } };
    (None, &NONE)
}

fn number(provider: &Provider, part: &Component) -> Result<u64, Diagnostic> {
    literal::integer(&part.text).map_err(|problem| provider.error(part.span, problem))
}

fn signal(provider: &Provider, parts: &[Component]) -> Result<AttachPoint, Diagnostic> {
    match parts {
        [kind, name] if kind.text == "signal" && name.text == "SIGUSR1" => {
            Ok(AttachPoint::Signal(text(name)))
        }
        [kind, name] if kind.text == "signal" => {
            Err(provider.error(name.span, format!("signal `{}`, expected SIGUSR1", name.text)))
        }
        _ => Err(provider
            .error(parts.first().map_or(Span::default(), |part| part.span), "expected `signal`")),
    }
}

fn timer(provider: &Provider, parts: &[Component]) -> Result<AttachPoint, Diagnostic> {
    let (unit, value) = match parts {
        [unit, value] => (Some(unit), value),
        _ => (None, qualified(parts).1),
    };
    let count = number(provider, value)?;
    if count == 0 {
        return Err(provider.error(value.span, "0, expected more"));
    }
    let period = |unit| Rate::Period { count, unit };
    let rate = match unit.map(|part| part.text.as_str()) {
        None => period(1),
        Some("hz") => Rate::Hertz(count),
        Some("s") => period(1_000_000_000),
        Some("ms") => period(1_000_000),
        Some("us") => period(1_000),
        Some("ns") => period(1),
        Some(word) => {
            let span = unit.map_or(value.span, |part| part.span);
            let problem = format!("unknown unit: `{word}`, expected hz, s, ms or us");
            return Err(provider.error(span, problem));
        }
    };
    if matches!(rate, Rate::Period { count, unit } if count.checked_mul(unit).is_none()) {
        return Err(provider.error(value.span, "more than 2^64 nanoseconds"));
    }
    Ok(match provider.is("interval") {
        true => AttachPoint::Interval(rate),
        false => AttachPoint::Profile(rate),
    })
}

fn event(provider: &Provider, parts: &[Component]) -> Result<AttachPoint, Diagnostic> {
    let (event, count) = match parts {
        [event, count] => (event, Some(number(provider, count)?)),
        _ => (qualified(parts).1, None),
    };
    Ok(AttachPoint::Event { hardware: provider.is("hardware"), event: text(event), count })
}

fn tracepoint(_: &Provider, parts: &[Component]) -> Result<AttachPoint, Diagnostic> {
    let (category, name) = qualified(parts);
    Ok(AttachPoint::Tracepoint { category: category.unwrap_or_default(), name: text(name) })
}

fn raw_tracepoint(_: &Provider, parts: &[Component]) -> Result<AttachPoint, Diagnostic> {
    let (module, name) = qualified(parts);
    Ok(AttachPoint::RawTracepoint { module, name: text(name) })
}

/// A function with an offset, or an address.
fn place(provider: &Provider, part: &Component) -> Result<(String, u64), Diagnostic> {
    if let Some(quoted) = part.quoted {
        // An offset stands behind the quotes.
        let (function, behind) = part.text.split_at_checked(quoted).unwrap_or((&part.text, ""));
        let Some(offset) = behind.strip_prefix('+') else { return Ok((text(part), 0)) };
        let offset =
            literal::integer(offset).map_err(|problem| provider.error(part.span, problem))?;
        return Ok((function.into(), offset));
    }
    if part.text.starts_with(|first: char| first.is_ascii_digit()) {
        return number(provider, part).map(|address| (String::new(), address));
    }
    match part.text.split_once('+') {
        None => Ok((text(part), 0)),
        Some((function, offset)) => {
            let offset =
                literal::integer(offset).map_err(|problem| provider.error(part.span, problem))?;
            Ok((function.into(), offset))
        }
    }
}

fn kprobe(provider: &Provider, parts: &[Component]) -> Result<AttachPoint, Diagnostic> {
    let (module, name) = qualified(parts);
    let (function, offset) = place(provider, name)?;
    let ret = provider.is("kretprobe");
    if ret && offset != 0 {
        return Err(provider.error(name.span, "offsets are not possible where a function returns"));
    }
    Ok(AttachPoint::Kprobe { ret, module, function, offset })
}

fn fentry(provider: &Provider, parts: &[Component]) -> Result<AttachPoint, Diagnostic> {
    let (module, name) = qualified(parts);
    if module.as_deref() == Some("bpf") {
        return Err(Diagnostic::unsupported(name.span, "fentry and fexit of BPF programs"));
    }
    Ok(AttachPoint::Fentry { exit: provider.is("fexit"), module, function: text(name) })
}

fn uprobe(provider: &Provider, parts: &[Component]) -> Result<AttachPoint, Diagnostic> {
    let (path, name) = qualified(parts);
    let demangled = match parts {
        [_, language, _] if matches!(language.text.as_str(), "cpp" | "rust") => true,
        [_, language, _] => {
            let problem = format!("unknown language: `{}`, expected cpp", language.text);
            return Err(provider.error(language.span, problem));
        }
        _ => false,
    };
    let (function, offset) = place(provider, name)?;
    let ret = provider.is("uretprobe");
    if ret && offset != 0 {
        return Err(provider.error(name.span, "offsets are not possible where a function returns"));
    }
    Ok(AttachPoint::Uprobe { ret, path: path.unwrap_or_default(), function, offset, demangled })
}

fn usdt(_: &Provider, parts: &[Component]) -> Result<AttachPoint, Diagnostic> {
    let (path, name) = qualified(parts);
    let provider = match parts {
        [_, provider, _] => Some(text(provider)).filter(|provider| !provider.is_empty()),
        _ => None,
    };
    Ok(AttachPoint::Usdt { path: path.unwrap_or_default(), provider, name: text(name) })
}

fn watchpoint(provider: &Provider, parts: &[Component]) -> Result<AttachPoint, Diagnostic> {
    let [address, length, mode] = parts else {
        return Err(provider.error(Span::default(), "expected three parts"));
    };
    let watched = match address.text.split_once("+arg") {
        Some((function, argument)) => {
            let argument = argument.parse();
            let argument = argument
                .map_err(|_| provider.error(address.span, "expected the number of an argument"))?;
            Watched::Argument(function.into(), argument)
        }
        None => Watched::Address(number(provider, address)?),
    };
    let size = number(provider, length)?;
    if !matches!(size, 1 | 2 | 4 | 8) {
        return Err(provider.error(length.span, format!("length {size}, expected 1, 2, 4 or 8")));
    }
    let mut letters: Vec<char> = mode.text.chars().collect();
    letters.sort_unstable();
    letters.dedup();
    let known = letters.iter().all(|letter| "rwx".contains(*letter));
    if !known || letters.is_empty() || letters.len() != mode.text.len() {
        return Err(
            provider.error(mode.span, format!("mode `{}`, expected r, w, rw or x", mode.text))
        );
    }
    let asynchronous = provider.is("asyncwatchpoint");
    Ok(AttachPoint::Watchpoint {
        asynchronous,
        address: watched,
        length: size,
        mode: letters.iter().collect(),
    })
}

fn iter(_: &Provider, parts: &[Component]) -> Result<AttachPoint, Diagnostic> {
    match parts {
        [target, pin] => Ok(AttachPoint::Iter { target: text(target), pin: Some(text(pin)) }),
        _ => Ok(AttachPoint::Iter { target: text(qualified(parts).1), pin: None }),
    }
}

fn on_request(provider: &Provider, parts: &[Component]) -> Result<AttachPoint, Diagnostic> {
    Ok(AttachPoint::OnRequest { test: provider.is("test"), name: text(qualified(parts).1) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bt::parser::{Given, parse as parse_script};
    use crate::bt::source::Source;

    fn read(text: &str) -> Result<AttachPoint, String> {
        let source = Source::new("stdin", &format!("{text} {{ 1 }}"));
        let (script, diagnostics) = parse_script(&source, &Given::default());
        assert!(diagnostics.0.is_empty(), "{}", diagnostics.render(&source));
        parse(&script.probes[0].attach_points[0]).map_err(|diagnostic| diagnostic.message)
    }

    #[test]
    fn names_are_those_that_bpftrace_prints() {
        for (text, name) in [
            ("begin", "BEGIN"),
            ("END", "END"),
            ("i:s:1", "interval:s:1"),
            ("interval:1s", "interval:us:1000000"),
            ("interval:1500", "interval:1500"),
            ("p:hz:99", "profile:hz:99"),
            ("s:faults:100", "software:faults:100"),
            ("hardware:cache-misses:1e6", "hardware:cache-misses:1000000"),
            ("t:syscalls:sys_enter_*", "tracepoint:syscalls:sys_enter_*"),
            ("rt:sched_switch", "rawtracepoint:sched_switch"),
            ("rawtracepoint:vmlinux:kfree_skb", "rawtracepoint:vmlinux:kfree_skb"),
            ("k:vfs_read+0x10", "kprobe:vfs_read+16"),
            ("kr:kvm:x86_emulate_insn", "kretprobe:kvm:x86_emulate_insn"),
            ("kfunc:vfs_read", "fentry:vfs_read"),
            ("fr:nf_tables:nft_trans_alloc_gfp", "fexit:nf_tables:nft_trans_alloc_gfp"),
            ("uprobe:/bin/bash:readline", "uprobe:/bin/bash:readline"),
            ("uprobe:/bin/bash:0x1234", "uprobe:/bin/bash:0x1234"),
            (r#"uprobe:/bin/bash:"a b"+16"#, "uprobe:/bin/bash:a b+16"),
            (r#"uprobe:/bin/bash:"a+1""#, "uprobe:/bin/bash:a+1"),
            ("ur:libc:malloc", "uretprobe:libc:malloc"),
            ("usdt:./a:ns:probe", "usdt:./a:ns:probe"),
            ("w:0x10000000:8:wr", "watchpoint:0x10000000:8:rw"),
            ("aw:increment+arg1:4:w", "asyncwatchpoint:increment+arg1:4:w"),
            ("it:task", "iter:task"),
            ("self:signal:SIGUSR1", "self:signal:SIGUSR1"),
        ] {
            assert_eq!(read(text).map(|point| point.to_string()), Ok(name.into()), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, expected) in [
            ("kprob:f", "unknown probe type: `kprob`"),
            ("kprobe", "kprobe: 0 parts after the type, expected 1 to 2"),
            ("interval:x:1", "interval: unknown unit: `x`, expected hz, s, ms or us"),
            ("interval:s:0", "interval: 0, expected more"),
            ("interval:s:x", "interval: not a number: `x`"),
            ("kretprobe:f+4", "kretprobe: offsets are not possible where a function returns"),
            ("tracepoint:x", "tracepoint: 1 parts after the type, expected 2"),
            ("w:1:3:w", "watchpoint: length 3, expected 1, 2, 4 or 8"),
            ("w:1:4:y", "watchpoint: mode `y`, expected r, w, rw or x"),
            ("uprobe:/a:java:f", "uprobe: unknown language: `java`, expected cpp"),
            ("BEGIN:x", "BEGIN: 1 parts after the type, expected 0"),
        ] {
            assert_eq!(read(text), Err(expected.into()), "{text}");
        }
    }
}
