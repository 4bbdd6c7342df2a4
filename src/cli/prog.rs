//! `rawbpf prog`: the programs that are in the kernel.

use super::exec::hex;
use super::object::{Holders, WHICH, Which, date, fdinfo, is_named, only, wall_clock};
use super::stdio::print;
use super::{Failure, Format, words};
use crate::asm::Style;
use crate::error::Error;
use crate::insn::ByteOrder;
use crate::program::{Program, ProgramDump, ProgramInfo, programs};
use crate::syscall::{Numbered, fd_by_id};
use crate::uapi::Errno;
use crate::util::escape;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct ProgArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[command(after_help = WHICH)]
enum Command {
    /// List the programs in the kernel
    List(ListArgs),
    /// Show one of them
    #[command(after_help = WHICH)]
    Show {
        #[arg(value_name = "ID", value_parser = words::parsed::<Which>())]
        which: Which,
        #[command(flatten)]
        how: ListArgs,
    },
    /// Print the instructions of one, as the kernel has them
    #[command(after_help = WHICH)]
    Dump(DumpArgs),
    /// Give one a name in the BPF file system, which keeps it in the kernel
    #[command(after_help = WHICH)]
    Pin {
        #[arg(value_name = "ID", value_parser = words::parsed::<Which>())]
        which: Which,
        path: PathBuf,
    },
    /// Take such a name away
    Unpin { path: PathBuf },
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Show who has a descriptor of it
    #[arg(long)]
    pids: bool,

    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Args)]
struct DumpArgs {
    #[arg(value_name = "ID", value_parser = words::parsed::<Which>())]
    which: Which,

    /// xlated: the instructions as the verifier left them; jited: the machine code
    #[arg(value_enum, default_value_t = What::Xlated)]
    what: What,

    /// Show file, line and column of the source
    #[arg(long)]
    linum: bool,

    /// Syntax of the instructions
    #[arg(long, value_enum, default_value_t = Spelling::Kernel)]
    style: Spelling,

    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    Xlated,
    Jited,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Spelling {
    /// As the assembler reads it
    Llvm,
    /// As the kernel's verifier prints it
    Kernel,
}

/// Runs a subcommand of `prog`.
pub(super) fn prog(args: &ProgArgs) -> Result<u8, Failure> {
    match &args.command {
        Command::List(how) => list(how)?,
        Command::Show { which, how } => {
            let program = open(which)?;
            let holders = holders(how);
            let line = row(&program.info()?, program.as_fd(), holders.as_ref(), how.format);
            print(&line)?;
        }
        Command::Dump(how) => dump(how)?,
        Command::Pin { which, path } => open(which)?.pin(path)?,
        Command::Unpin { path } => Program::open_pinned(path)?.unpin(path)?,
    }
    Ok(0)
}

fn open(which: &Which) -> Result<Program, Failure> {
    let id = match which {
        Which::Pinned(path) => return Ok(Program::open_pinned(path)?),
        Which::Id(id) => *id,
        Which::Name(name) => {
            let named = |info: &Result<ProgramInfo, Error>| {
                info.as_ref().map_or(true, |info| is_named(&info.name, name))
            };
            let ids: Result<Vec<_>, Error> =
                programs().filter(named).map(|info| info.map(|info| info.id)).collect();
            only("program", name, &ids?)?
        }
    };
    Ok(Program::open_id(id)?)
}

fn holders(how: &ListArgs) -> Option<Holders> {
    how.pids.then(|| Holders::find("prog_id"))
}

fn list(how: &ListArgs) -> Result<(), Failure> {
    let holders = holders(how);
    let mut out = String::new();
    for info in programs() {
        let info = info?;
        match fd_by_id(Numbered::Program, info.id, 0) {
            Ok(fd) => out += &row(&info, fd.as_fd(), holders.as_ref(), how.format),
            // It has gone since.
            Err(Errno(libc::ENOENT)) => {}
            // The library's call returns the error with its explanation.
            Err(_) => drop(Program::open_id(info.id)?),
        }
    }
    print(&out)
}

/// One program: lines as bpftool has them, or an object with its names.
fn row(
    info: &ProgramInfo,
    fd: BorrowedFd<'_>,
    holders: Option<&Holders>,
    format: Format,
) -> String {
    let memlock = fdinfo(fd, "memlock");
    let loaded = wall_clock(info.loaded);
    match format {
        Format::Text => text(info, memlock, loaded, holders),
        Format::Json => object(info, memlock, loaded, holders).to_string() + "\n",
    }
}

fn kind(info: &ProgramInfo) -> String {
    info.kind().map_or_else(|| format!("type {}", info.type_number), |kind| kind.name().into())
}

fn text(
    info: &ProgramInfo,
    memlock: Option<u64>,
    loaded: Option<u64>,
    holders: Option<&Holders>,
) -> String {
    let mut text = format!("{}: {}", info.id, kind(info));
    if !info.name.is_empty() {
        let _ = write!(text, "  name {}", escape::shown(&info.name));
    }
    let _ = write!(text, "  tag {}", hex(&info.tag, ""));
    text += if info.gpl_compatible { "  gpl" } else { "" };
    if info.run_count > 0 {
        let (time, count) = (info.run_time.as_nanos(), info.run_count);
        let _ = write!(text, "  run_time_ns {time}  run_cnt {count}");
    }
    if info.recursion_misses > 0 {
        let _ = write!(text, "  recursion_misses {}", info.recursion_misses);
    }
    text.push('\n');
    if let Some(loaded) = loaded.filter(|_| !info.loaded.is_zero()) {
        let _ = writeln!(text, "\tloaded_at {}  uid {}", date(loaded), info.uid);
    }
    let _ = write!(text, "\txlated {}B", info.xlated_len);
    text += &match info.jited_len {
        0 => "  not jited".to_owned(),
        len => format!("  jited {len}B"),
    };
    if let Some(memlock) = memlock {
        let _ = write!(text, "  memlock {memlock}B");
    }
    if !info.map_ids.is_empty() {
        let ids: Vec<_> = info.map_ids.iter().map(u32::to_string).collect();
        let _ = write!(text, "  map_ids {}", ids.join(","));
    }
    text.push('\n');
    if info.btf_id > 0 {
        let _ = writeln!(text, "\tbtf_id {}", info.btf_id);
    }
    if let Some(holders) = holders.and_then(|holders| holders.text(info.id)) {
        let _ = writeln!(text, "\tpids {holders}");
    }
    text
}

fn object(
    info: &ProgramInfo,
    memlock: Option<u64>,
    loaded: Option<u64>,
    holders: Option<&Holders>,
) -> Value {
    let number = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
    let mut object = json!({
        "id": info.id,
        "type": info.kind().map_or_else(|| info.type_number.into(), |kind| Value::from(kind.name())),
        "name": info.name,
        "tag": hex(&info.tag, ""),
        "gpl_compatible": info.gpl_compatible,
        "loaded_at": loaded,
        "uid": info.uid,
        "bytes_xlated": info.xlated_len,
        "jited": info.jited_len > 0,
        "bytes_jited": info.jited_len,
        "bytes_memlock": memlock,
        "map_ids": info.map_ids,
        "btf_id": info.btf_id,
        "run_time_ns": number(info.run_time.as_nanos()),
        "run_cnt": info.run_count,
        "recursion_misses": info.recursion_misses,
        "verified_insns": info.verified_insns,
        "attach_btf_obj_id": info.attach_btf_object_id,
        "attach_btf_id": info.attach_btf_id,
    });
    if let (Some(holders), Some(fields)) = (holders, object.as_object_mut()) {
        fields.insert("pids".into(), holders.json(info.id));
    }
    object
}

fn dump(how: &DumpArgs) -> Result<(), Failure> {
    let program = open(&how.which)?;
    let dump = program.dump()?;
    let style = match how.style {
        Spelling::Llvm => Style::Llvm,
        Spelling::Kernel => Style::Kernel,
    };
    let text = match (how.what, how.format) {
        (What::Xlated, _) if dump.slots.is_empty() => {
            let what = "the kernel does not show the instructions: it takes CAP_BPF, and CAP_SYS_ADMIN before Linux 5.8";
            return Err(Failure::Other(what.into()));
        }
        (What::Jited, _) if dump.jited.is_empty() => {
            let what = "there is no machine code to be seen: the program is interpreted \
                        (net.core.bpf_jit_enable), or addresses are hidden (kernel.kptr_restrict)";
            return Err(Failure::Other(what.into()));
        }
        (What::Xlated, Format::Text) => dump.text(style, how.linum),
        (What::Xlated, Format::Json) => xlated_objects(&dump, style),
        (What::Jited, Format::Text) => jited_text(&dump),
        (What::Jited, Format::Json) => jited_objects(&dump),
    };
    print(&text)
}

/// An object an instruction.
fn xlated_objects(dump: &ProgramDump, style: Style) -> String {
    let mut out = String::new();
    let instructions = dump.instructions(style);
    let ends = instructions.iter().skip(1).map(|(slot, _)| *slot).chain([dump.slots.len()]);
    for ((slot, text), end) in instructions.iter().zip(ends) {
        let slots = dump.slots.get(*slot..end).unwrap_or_default();
        let bytes: Vec<u8> =
            slots.iter().flat_map(|slot| slot.to_bytes(ByteOrder::NATIVE)).collect();
        let source = dump.line_at(*slot).map(|line| {
            json!({
                "file": line.file, "line": line.line, "column": line.column, "text": line.text,
            })
        });
        let function = u32::try_from(*slot).ok().and_then(|slot| dump.functions.get(&slot));
        let object = json!({
            "slot": slot, "bytes": hex(&bytes, " "), "text": text,
            "function": function, "source": source,
        });
        let _ = writeln!(out, "{object}");
    }
    out
}

/// The names of the functions in the order of their code, which is that of their instructions.
fn function_names(dump: &ProgramDump) -> impl Iterator<Item = Option<&String>> {
    dump.functions.values().map(Some).chain(std::iter::repeat(None))
}

/// Sixteen bytes a line, after their address.
fn jited_text(dump: &ProgramDump) -> String {
    let mut out = String::new();
    for (function, name) in dump.jited.iter().zip(function_names(dump)) {
        if let Some(name) = name {
            let _ = writeln!(out, "{name}:");
        }
        for (index, line) in function.code.chunks(16).enumerate() {
            let at = function.address.wrapping_add(index as u64 * 16);
            let _ = writeln!(out, "{at:16x}:  {}", hex(line, " "));
        }
    }
    out
}

fn jited_objects(dump: &ProgramDump) -> String {
    let mut out = String::new();
    for (function, name) in dump.jited.iter().zip(function_names(dump)) {
        let object = json!({
            "function": name,
            "address": format!("{:#x}", function.address),
            "bytes": hex(&function.code, ""),
        });
        let _ = writeln!(out, "{object}");
    }
    out
}
