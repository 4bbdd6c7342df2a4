//! Stacks that programs have kept, with the names of functions.

use super::contents::number;
use super::map::per_cpu;
use super::session::{Source, Stage};
use super::stdio::warn;
use super::{Failure, Format};
use crate::error::Error;
use crate::kernel::symbols::{self, KernelSymbols};
use crate::map::Map;
use crate::uapi::{Errno, MapFlags, MapType};
use crate::user::{Processes, UserLocation};
use crate::util::escape;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::os::fd::BorrowedFd;

/// Whether a map holds the addresses of stacks. With build ids there are files and offsets in it instead.
pub(super) fn is_stacks(map: &Map) -> bool {
    map.kind() == MapType::StackTrace && !map.flags().contains(MapFlags::STACK_BUILD_ID)
}

/// The processes whose stacks there can be in maps: those that are known to be traced, even if they have ended when the
/// stacks are shown; and all others that live then.
#[derive(Debug, Default)]
pub(super) struct Owners(Processes);

impl Owners {
    /// Notes from now on what a process maps, and those that it starts.
    pub(super) fn watch(&mut self, pid: u32) {
        if let Err(error) = self.0.watch(pid) {
            warn(format_args!("{error}; when it has ended its stacks will have no names"));
        }
    }
}

impl Source for Owners {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        // Readable for ever when the process has ended; there is an interval.
        None
    }

    fn read(&mut self, _: &mut Stage) -> Result<(), Error> {
        self.0.look();
        Ok(())
    }

    fn interval(&self) -> Option<std::time::Duration> {
        self.0.watches().then_some(super::trace::INTERVAL)
    }
}

/// A stack, or why there is none, and how often it was counted.
#[derive(Debug)]
struct Stack {
    id: u32,
    frames: Vec<u64>,
    count: Option<u64>,
}

/// Prints the stacks that `get_stackid` has stored: frames, the innermost first, with 0 after the last one
/// (`kernel/bpf/stackmap.c`). Their counts are looked for in the other maps.
pub(super) fn stacks(
    map: &Map,
    maps: &[Map],
    owners: &Owners,
    format: Format,
) -> Result<String, Failure> {
    let name = map.name();
    let mut stacks = Vec::new();
    for entry in map {
        let (key, value) = entry?;
        let frames = value.chunks_exact(8).filter_map(number).take_while(|frame| *frame != 0);
        let Some(Ok(id)) = number(&key).map(u32::try_from) else { continue };
        stacks.push(Stack { id, frames: frames.collect(), count: None });
    }
    for map in maps {
        if count(&mut stacks, map)? {
            break;
        }
    }
    stacks.sort_by_key(|stack| (stack.count, stack.id));
    if stacks.is_empty() {
        return Ok(match format {
            Format::Text => format!("\n{name}: empty\n"),
            Format::Json => String::new(),
        });
    }
    let places: Vec<_> = stacks.iter().map(|stack| owners.0.locate(&stack.frames)).collect();
    let kernel = match places.iter().flatten().any(Option::is_none) {
        true => Some(KernelSymbols::read()?),
        false => None,
    };
    let mut out = String::new();
    if format == Format::Text {
        let _ = writeln!(out, "\n{name}:");
    }
    for (stack, places) in stacks.iter().zip(places) {
        let frames = stack.frames.iter().zip(places).map(|(address, place)| {
            let in_kernel = || kernel.as_ref().and_then(|kernel| kernel.at(*address));
            let in_kernel = if place.is_none() { in_kernel() } else { None };
            Frame { address: *address, place, in_kernel }
        });
        match format {
            Format::Text => text(stack, frames, &mut out),
            Format::Json => json(name, stack, frames, &mut out),
        }
    }
    Ok(out)
}

/// An address, and where in a process or in the kernel it lies.
struct Frame<'k> {
    address: u64,
    place: Option<UserLocation>,
    in_kernel: Option<symbols::KernelLocation<'k>>,
}

fn text<'k>(stack: &Stack, frames: impl Iterator<Item = Frame<'k>>, out: &mut String) {
    let title = match error(stack.id) {
        Some(error) => format!("no stack: {error}"),
        None => format!("stack {}", stack.id),
    };
    let count = stack.count.map(|count| format!(" (count {count})")).unwrap_or_default();
    let _ = writeln!(out, "    {title}{count}");
    for Frame { address, place, in_kernel } in frames {
        let place = place.map(|place| format!(" {place}"));
        let place = place.or_else(|| in_kernel.map(|place| format!(" {place}")));
        let _ = writeln!(out, "        {address:016x}{}", place.unwrap_or_default());
    }
}

fn json<'k>(map: &str, stack: &Stack, frames: impl Iterator<Item = Frame<'k>>, out: &mut String) {
    let frame = |Frame { address, place, in_kernel }| match (place, in_kernel) {
        (Some(UserLocation { name, offset, path, .. }), _) => {
            let file = escape::path_text(&path);
            json!({ "address": address, "name": name, "offset": offset, "file": file })
        }
        (None, Some(symbols::KernelLocation { name, offset, module })) => {
            json!({ "address": address, "name": name, "offset": offset, "module": module })
        }
        (None, None) => json!({ "address": address }),
    };
    let frames: Value = frames.map(frame).collect();
    let mut row = match error(stack.id) {
        Some(error) => json!({ "map": map, "error": error.to_string() }),
        None => json!({ "map": map, "stack": stack.id, "frames": frames }),
    };
    if let (Some(count), Value::Object(row)) = (stack.count, &mut row) {
        row.insert("count".into(), count.into());
    }
    let _ = writeln!(out, "{row}");
}

/// The error that an id stands for if it is none of a stack: `get_stackid` returns it instead of one.
fn error(id: u32) -> Option<Errno> {
    let answer = id.cast_signed();
    (-4095..0).contains(&answer).then_some(Errno(-answer))
}

/// Takes the counts of a hash table, if its keys are the ids of stacks; what the helper answered where it kept none may
/// be among them, and becomes a stack of its own.
fn count(stacks: &mut Vec<Stack>, map: &Map) -> Result<bool, Failure> {
    let hash = matches!(
        map.kind(),
        MapType::Hash | MapType::PercpuHash | MapType::LruHash | MapType::LruPercpuHash
    );
    if !hash || map.key_size() != 4 || !matches!(map.value_size(), 4 | 8) {
        return Ok(false);
    }
    let mut counts = Vec::new();
    for entry in map {
        let (key, value) = entry?;
        let cpus = per_cpu(map, &value)?;
        let count = match cpus[..] {
            [] => number(&value),
            _ => Some(cpus.iter().filter_map(|(_, value)| number(value)).sum()),
        };
        let Some(Ok(id)) = number(&key).map(u32::try_from) else { return Ok(false) };
        counts.push((id, count.unwrap_or(0)));
    }
    let known = |(id, _): &(u32, u64)| stacks.iter().any(|stack| stack.id == *id);
    let fits = |count: &(u32, u64)| known(count) || error(count.0).is_some();
    if counts.is_empty() || !counts.iter().all(fits) {
        return Ok(false);
    }
    for (id, count) in counts {
        match stacks.iter_mut().find(|stack| stack.id == id) {
            Some(stack) => stack.count = Some(count),
            None => stacks.push(Stack { id, frames: Vec::new(), count: Some(count) }),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_are_no_ids() {
        assert_eq!(error((-14i32).cast_unsigned()), Some(Errno(libc::EFAULT)));
        assert_eq!(error((-4095i32).cast_unsigned()), Some(Errno(4095)));
        for id in [0, 17, i32::MAX.cast_unsigned(), (-4096i32).cast_unsigned()] {
            assert_eq!(error(id), None, "{id}");
        }
    }
}
