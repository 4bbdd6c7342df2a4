//! The text of a target, read.

use super::{CLOCK, Direction, PerfEventKind, Sampling, Target, TcMethod};
use crate::error::{Error, Result};
use crate::spec::attach_point::{Attach, Named};
use crate::user;
use crate::util::escape;
use crate::util::lines::is_octal;
use std::str::FromStr;

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Target, Error> {
        let wrong = |problem| Error::Target { target: text.into(), problem };
        if text.contains(['\0', '\n']) {
            return Err(wrong("no name holds a line break or a NUL"));
        }
        let named = Named::read(text)?;
        let target = read(&named).map_err(wrong)?;
        Ok(match named.suffix {
            Some(suffix) => Target::Suffixed { suffix, target: Box::new(target) },
            None => target,
        })
    }
}

/// The target that a name stands for.
fn read(named: &Named<'_>) -> Result<Target, &'static str> {
    let Named { point: Some(point), rest, place, .. } = *named else {
        return Err("it says a type of programs, and not a place");
    };
    Ok(match point.attach {
        Attach::No(instead) => return Err(instead),
        Attach::Kprobe { returns } => kprobe(rest, returns)?,
        Attach::Syscall { returns } => {
            Target::Kprobe { function: format!("sys_{}", name(rest)?), offset: 0, returns }
        }
        Attach::KprobeMulti { returns } => Target::KprobeMulti { pattern: name(rest)?, returns },
        Attach::KprobeSession => Target::KprobeSession { pattern: name(rest)? },
        Attach::Tracepoint => tracepoint(rest)?,
        Attach::RawTracepoint => Target::RawTracepoint { name: name(rest)? },
        Attach::RawTracepointWritable => Target::RawTracepointWritable { name: name(rest)? },
        Attach::BtfTracepoint => Target::BtfTracepoint { name: name(rest)? },
        Attach::Trampoline(at) => Target::Trampoline { at, function: name(rest)? },
        Attach::Lsm => Target::Lsm { hook: name(rest)? },
        Attach::Iter => Target::Iter { name: name(rest)? },
        Attach::Uprobe { returns } => uprobe(rest, returns)?,
        Attach::UprobeMulti { returns } => {
            let (file, pattern) = file_and_pattern(rest)?;
            Target::UprobeMulti { file, pattern, returns }
        }
        Attach::UprobeSession => {
            let (file, pattern) = file_and_pattern(rest)?;
            Target::UprobeSession { file, pattern }
        }
        Attach::Usdt => usdt(rest)?,
        Attach::Software => perf_event(rest, PerfEventKind::Software)?,
        Attach::Hardware => perf_event(rest, PerfEventKind::Hardware)?,
        Attach::Profile => profile(rest)?,
        Attach::Xdp(mode) => Target::Xdp { device: device(rest)?, mode },
        Attach::Tc(method) => tc(rest, method)?,
        Attach::Tcx(direction) => {
            Target::Tc { device: device(place)?, direction, method: TcMethod::Tcx }
        }
        Attach::Cgroup => match (place, point.attach_type) {
            ("", _) | (_, None) => {
                return Err(
                    "write cgroup:PATH:ATTACH_TYPE, as in cgroup:/sys/fs/cgroup:inet_ingress",
                );
            }
            (path, Some(attach_type)) => Target::Cgroup { path: escape::path(path), attach_type },
        },
        Attach::Netns => match point.attach_type {
            None => return Err("write netns:PATH:sk_lookup or netns:PATH:flow_dissector"),
            Some(attach_type) => Target::Netns { path: escape::path(place), attach_type },
        },
        Attach::Socket => Target::Socket { device: rest.into() },
    })
}

/// The name of a network device.
fn device(rest: &str) -> Result<String, &'static str> {
    match rest {
        "" => Err("say the network device: xdp:DEVICE, tcx:DEVICE/ingress"),
        rest => name(rest),
    }
}

/// One name, and nothing else.
fn name(rest: &str) -> Result<String, &'static str> {
    if rest.is_empty() {
        return Err("the name is missing");
    }
    if rest.contains([' ', '/', ':']) {
        return Err("the name holds a space, a colon or a slash");
    }
    Ok(rest.into())
}

/// `NAME` or `NAME+OFFSET`.
fn with_offset(rest: &str) -> Result<(String, u64), &'static str> {
    match rest.split_once('+') {
        None => Ok((name(rest)?, 0)),
        Some((function, offset)) => {
            Ok((name(function)?, number(offset).ok_or("the offset is not a number")?))
        }
    }
}

pub(in crate::attach) const NO_OFFSET: &str = "a function returns to one place: no offset";

fn kprobe(rest: &str, returns: bool) -> Result<Target, &'static str> {
    let (module, rest) = match rest.split_once(':') {
        Some((module, rest)) => (Some(name(module)?), rest),
        None => (None, rest),
    };
    let (function, offset) = with_offset(rest)?;
    // From the beginning of the kernel it is the place of a function.
    if returns && offset > 0 && function != "_text" {
        return Err(NO_OFFSET);
    }
    let function = module.map_or(function.clone(), |module| format!("{module}:{function}"));
    Ok(Target::Kprobe { function, offset, returns })
}

fn tracepoint(rest: &str) -> Result<Target, &'static str> {
    match rest.split_once(['/', ':']) {
        Some((category, event)) if !category.is_empty() && !event.is_empty() => {
            Ok(Target::Tracepoint { category: name(category)?, name: name(event)? })
        }
        _ => Err("write tracepoint:CATEGORY/NAME"),
    }
}

/// The text after the file can be the name of any symbol. An offset is read only at its end, and only if it is a number.
fn uprobe(rest: &str, returns: bool) -> Result<Target, &'static str> {
    let (file, place) = file_and_function(rest)?;
    let numbered = place.rsplit_once('+').and_then(|(name, offset)| Some((name, number(offset)?)));
    let (function, offset) = match (place.strip_prefix("0x"), numbered) {
        (Some(_), _) if number(place).is_some() => ("", number(place).unwrap_or_default()),
        // A function has one return: an offset stays in the name, and the lookup reports it.
        (_, Some((function, offset))) if !returns && !function.is_empty() => (function, offset),
        _ => (place, 0),
    };
    Ok(Target::Uprobe { file: file.into(), function: function.into(), offset, returns })
}

fn file_and_function(rest: &str) -> Result<(&str, &str), &'static str> {
    let usage = "write uprobe:FILE:FUNCTION, with a path or a library's name for FILE";
    user::file_and_function(rest).ok_or(usage)
}

/// Functions of a file, without an offset.
fn file_and_pattern(rest: &str) -> Result<(String, String), &'static str> {
    let (file, pattern) = file_and_function(rest)?;
    Ok((file.into(), pattern.into()))
}

fn usdt(rest: &str) -> Result<Target, &'static str> {
    let usage = "write usdt:FILE:PROVIDER:NAME or usdt:FILE:NAME";
    let (file, provider, name) = user::file_and_probe(rest).ok_or(usage)?;
    Ok(Target::Usdt { file: file.into(), provider: provider.into(), name: name.into() })
}

fn perf_event(rest: &str, kind: fn(String) -> PerfEventKind) -> Result<Target, &'static str> {
    let usage = "write software:EVENT:PERIOD or software:EVENT:RATEhz, and the same with hardware";
    let (event, every) = rest.split_once(':').ok_or(usage)?;
    let sampling = match every.strip_suffix("hz") {
        Some(rate) => number(rate).map(Sampling::Frequency),
        None => number(every).map(Sampling::Period),
    };
    match sampling {
        Some(Sampling::Period(0) | Sampling::Frequency(0)) | None => Err(usage),
        Some(sampling) => Ok(Target::PerfEvent { event: kind(name(event)?), sampling }),
    }
}

fn profile(rest: &str) -> Result<Target, &'static str> {
    let rate = rest.strip_prefix("hz:").and_then(number).filter(|rate| *rate > 0);
    let event = PerfEventKind::Software(CLOCK.into());
    match rate {
        Some(rate) => Ok(Target::PerfEvent { event, sampling: Sampling::Frequency(rate) }),
        None => Err("write profile:hz:RATE"),
    }
}

fn tc(rest: &str, method: TcMethod) -> Result<Target, &'static str> {
    let (device, direction) = rest.rsplit_once(['/', ':']).unwrap_or((rest, ""));
    let direction = match direction {
        "ingress" => Direction::Ingress,
        "egress" => Direction::Egress,
        _ => return Err("write tc:DEVICE/ingress or tc:DEVICE/egress"),
    };
    Ok(Target::Tc { device: name(device)?, direction, method })
}

pub(in crate::attach) fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        // Octal elsewhere.
        None => text.parse().ok().filter(|_| !is_octal(text)),
    }
}
