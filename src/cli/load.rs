//! `rawbpf load`: loads the programs of a text, and shows how that is done.

use super::pins::Pins;
use super::stdio::{print, warn};
use super::text::TextArgs;
use super::{Failure, Format, loader};
use crate::asm::{Code, Collection, Section};
use crate::map::Map;
use crate::program::{Loader, Program};
use crate::spec::{MapSpec, ProgramSpec};
use crate::syscall::{ObjInfo, obj_info};
use crate::syscall_trace::{self, SystemCall};
use crate::util::escape;
use clap::Args;
use serde_json::{Value, json};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct LoadArgs {
    #[command(flatten)]
    text: TextArgs,

    /// Print each system call as it is made, in the way of strace, on standard output before the results
    #[arg(long)]
    trace: bool,

    /// Pin maps and programs as DIR/NAME in the BPF file system, where they stay, and data as DIR/_bss, _data and _rodata; else
    /// they are gone when the command ends
    #[arg(long, value_name = "DIR")]
    pin: Option<PathBuf>,

    /// Format of calls and results
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Loads what the arguments name: all of it, or nothing stays.
pub(super) fn load(args: &LoadArgs) -> Result<u8, Failure> {
    let text = args.text.read()?;
    let module = text.parse()?;
    let specs = text.specs(&module)?;
    let (held, absent) = (module.held(), loader().absent(&module)?);
    let specs: Vec<_> = specs
        .iter()
        .filter(|spec| spec.is_loaded(&held) && !absent.contains(spec.name()))
        .map(|spec| args.text.program(spec))
        .collect::<Result<_, _>>()?;
    let mut pins = args.pin.as_deref().map(Pins::new).transpose()?;
    let format = args.format;
    let mut make = || make(&module, &specs, pins.as_mut());
    let made = match args.trace {
        true => syscall_trace::observe(move |call| show(call, format), make),
        false => make(),
    };
    let (mut loader, programs) = made?;

    let place = |name: &str| args.pin.as_deref().map(|dir| Pins::path(dir, name));
    let mut lines = String::new();
    for spec in created(&module) {
        lines += &map_line(loader.map(spec)?, place(spec.name).as_deref(), format);
    }
    for (code, section) in sections(&module, &specs) {
        let map = loader.section(code, section)?;
        lines += &map_line(map, place(section.name()).as_deref(), format);
    }
    for data in module.data().more {
        let map = loader.named_section(data)?;
        lines += &map_line(map, place(&data.name).as_deref(), format);
    }
    for (program, spec) in programs.iter().zip(&specs) {
        lines += &program_line(program, spec, place(spec.name).as_deref(), format);
    }
    print(&lines)?;
    match pins {
        Some(pins) => pins.keep(),
        None => warn("nothing pinned; programs are unloaded on exit (--pin keeps them)"),
    }
    Ok(0)
}

/// The maps that are created.
fn created<'a>(module: &'a Collection<'a>) -> impl Iterator<Item = &'a MapSpec<'a>> {
    module.maps().iter().filter(|map| map.autocreate)
}

/// The sections of data that there are, with code that has them: all programs of a text have the same.
fn sections<'s, 'a>(
    module: &'s Collection<'a>,
    specs: &'s [ProgramSpec<'a, 'a>],
) -> impl Iterator<Item = (&'s Code<'a>, Section)> {
    let code = specs.first().map(|spec| &spec.code);
    let there = |section: &Section| !module.data().section(*section).is_empty();
    let all = [Section::Rodata, Section::Data, Section::Bss].into_iter().filter(there);
    all.filter_map(move |section| Some((code?, section)))
}

/// Creates the objects in the order that `--trace` shows: maps, then programs, then pins.
fn make<'a>(
    module: &'a Collection<'a>,
    specs: &[ProgramSpec<'a, 'a>],
    pins: Option<&mut Pins>,
) -> Result<(Loader<'a>, Vec<Program>), Failure> {
    let mut loader = loader();
    let all: Vec<_> = specs.iter().map(|spec| (*spec, None)).collect();
    let programs = loader.load_programs(module, &all)?;
    if let Some(pins) = pins {
        for map in created(module) {
            pins.pin(map.name, loader.map(map)?.as_fd())?;
        }
        for (code, section) in sections(module, specs) {
            pins.pin(section.name(), loader.section(code, section)?.as_fd())?;
        }
        for data in module.data().more {
            pins.pin(&data.name, loader.named_section(data)?.as_fd())?;
        }
        for program in &programs {
            pins.pin(program.name(), program.as_fd())?;
        }
    }
    Ok((loader, programs))
}

/// Prints a call. An error of the output is left to the printing of the results.
fn show(call: &SystemCall, format: Format) {
    let line = match format {
        Format::Text => format!("{call}\n"),
        Format::Json => format!("{}\n", call_object(call)),
    };
    let _ = print(&line);
}

fn call_object(call: &SystemCall) -> Value {
    let fields = call.fields.iter().map(|(name, value)| ((*name).to_owned(), bare(value)));
    json!({
        "call": call.call,
        "command": call.command,
        "fields": Value::Object(fields.collect()),
        "result": call.result.ok(),
        "errno": call.result.err().map(|errno| errno.name().map_or(json!(errno.0), Value::from)),
        "time_ns": u64::try_from(call.time.as_nanos()).unwrap_or(u64::MAX),
    })
}

/// Numbers and strings as JSON has them; all else as it stands in the line.
fn bare(value: &str) -> Value {
    match serde_json::from_str(value) {
        Ok(bare @ (Value::Number(_) | Value::String(_))) => bare,
        _ => value.into(),
    }
}

fn map_line(map: &Map, pinned: Option<&Path>, format: Format) -> String {
    let id = info(map.as_fd()).map(|info| info[MAP_ID]);
    let (name, kind, max) = (map.name(), map.kind(), map.max_entries());
    match format {
        Format::Text => format!(
            "{name}: {kind} map{}, at most {max} {}{}\n",
            with_id(id),
            if max == 1 { "entry" } else { "entries" },
            at(pinned),
        ),
        Format::Json => {
            let object = json!({
                "map": name, "type": kind.name(), "id": id, "max_entries": max, "pinned": pinned.map(escape::path_text),
            });
            format!("{object}\n")
        }
    }
}

fn program_line(
    program: &Program,
    spec: &ProgramSpec<'_, '_>,
    pinned: Option<&Path>,
    format: Format,
) -> String {
    let info = info(program.as_fd());
    let id = info.map(|info| info[PROG_ID]);
    // Without a compiler there are none.
    let jited = info.map(|info| info[PROG_JITED_LEN]).filter(|bytes| *bytes != 0);
    let (name, kind, slots) = (program.name(), program.kind(), spec.code.slots.len());
    match format {
        Format::Text => format!(
            "{name}: {kind} program{}, {slots} {}{}{}\n",
            with_id(id),
            if slots == 1 { "slot" } else { "slots" },
            jited.map_or_else(String::new, |bytes| format!(", JITed to {bytes} bytes")),
            at(pinned),
        ),
        Format::Json => {
            let object = json!({
                "program": name, "type": kind.name(),
                "attach_type": spec.attach_type.map(|one| one.name()),
                "id": id, "slots": slots, "jited_bytes": jited, "pinned": pinned.map(escape::path_text),
            });
            format!("{object}\n")
        }
    }
}

fn with_id(id: Option<u32>) -> String {
    id.map_or_else(String::new, |id| format!(", id {id}"))
}

fn at(pinned: Option<&Path>) -> String {
    pinned.map_or_else(String::new, |path| format!(", pinned at {}", escape::shown_path(path)))
}

/// `id` in `struct bpf_map_info`, in words of four bytes.
const MAP_ID: usize = 1;
/// `id` in `struct bpf_prog_info`.
const PROG_ID: usize = 1;
/// `jited_prog_len` in `struct bpf_prog_info`, after a tag of eight bytes.
const PROG_JITED_LEN: usize = 4;

/// The first words of the kernel's information on an object; nothing before Linux 4.13.
fn info(object: BorrowedFd<'_>) -> Option<[u32; 6]> {
    let mut bytes = [0; 24];
    obj_info(&mut ObjInfo { object, info: &mut bytes, len: 0, arrays: &mut [] }).ok()?;
    let mut words = [0; 6];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = bytes.try_into().map(u32::from_ne_bytes).unwrap_or(0);
    }
    Some(words)
}
