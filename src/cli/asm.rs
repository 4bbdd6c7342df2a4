//! `rawbpf asm`: a text to bytes.

use super::stdio::{print, print_bytes, read_within};
use super::{Failure, Order, words};
use crate::asm::{
    BuildOptions, Collection, CollectionProgram, Diagnostics, Far, ParseOptions, parse,
};
use crate::insn::{ByteOrder, Insn};
use crate::object;
use crate::util::escape;
use clap::{Args, ValueEnum};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct AsmArgs {
    #[command(flatten)]
    input: InputArgs,

    /// Write to OUT instead of standard output; OUT.o is an ELF object
    #[arg(short, value_name = "OUT")]
    output: Option<PathBuf>,

    /// hex: one slot a line; raw: the bytes; c, rust: an array; elf: an object, as libbpf and bpftool load
    /// [default: elf for OUT.o, else hex]
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// The byte order of the machine it is for [default: this machine's]
    #[arg(long, value_enum)]
    endian: Option<Order>,

    /// Encoding of jumps whose distance does not fit in 16 bits
    #[arg(long, value_enum, default_value_t = FarArg::Long)]
    far: FarArg,
}

/// A text by the name of its file, or on the command line.
#[derive(Debug, Args)]
pub(super) struct InputArgs {
    /// Assembly text; check, load and exec take an object, too; - for standard input
    #[arg(required_unless_present = "expression")]
    file: Option<PathBuf>,

    /// Read TEXT instead of a file; statements end with a line break or ;
    #[arg(short = 'e', value_name = "TEXT", conflicts_with = "file", value_parser = words::any())]
    expression: Option<String>,
}

impl InputArgs {
    /// Reads the bytes; returns them after the name that messages use.
    pub(super) fn read(&self) -> Result<(String, Vec<u8>), Failure> {
        match (&self.expression, &self.file) {
            (Some(text), _) => Ok(on_the_command_line(text)),
            (None, Some(file)) => read_bytes(file),
            (None, None) => Err(Failure::Usage("the text is missing".into())),
        }
    }
}

/// Returns a text of the command line after the name that messages use.
pub(super) fn on_the_command_line(text: &str) -> (String, Vec<u8>) {
    ("<command line>".into(), escape::bytes(text).into_owned())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Hex,
    Raw,
    C,
    Rust,
    Elf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FarArg {
    /// gotol, which Linux has since 6.6
    Long,
    /// Several jumps, for older kernels
    Chain,
    /// An error
    Refuse,
}

/// Assembles what the arguments name.
pub(super) fn asm(args: &AsmArgs) -> Result<u8, Failure> {
    let object =
        args.output.as_ref().is_some_and(|out| out.extension().is_some_and(|end| end == "o"));
    let format = args.format.unwrap_or(if object { Format::Elf } else { Format::Hex });
    let (name, bytes) = args.input.read()?;
    let text = text_of(&name, bytes)?;
    let order = args.endian.map_or(ByteOrder::NATIVE, ByteOrder::from);
    let far = match args.far {
        FarArg::Long => Far::Long,
        FarArg::Chain => Far::Chain,
        FarArg::Refuse => Far::Refuse,
    };
    let options = ParseOptions::new().order(order).build(BuildOptions::new().far(far));
    let mistaken = |mistakes: Diagnostics| {
        let count = mistakes.iter().count();
        let mistake = if count == 1 { "mistake" } else { "mistakes" };
        Failure::Shown(format!(
            "{mistakes}\n\nrawbpf: {count} {mistake} in {}",
            escape::shown(&name)
        ))
    };
    let module = parse(&text, &name, &options).map_err(mistaken)?;
    let bytes = match format {
        Format::Elf => object::write(&module, &name, order).map_err(mistaken)?,
        _ => render(&module, format, order),
    };
    match &args.output {
        Some(path) => write_file(path, &bytes).map_err(|error| {
            Failure::Other(format!("cannot write {}: {error}", escape::shown_path(path)))
        }),
        // Of the others the bytes are the matter; these hold statements of the text.
        None => match (format, str::from_utf8(&bytes)) {
            (Format::Hex | Format::C | Format::Rust, Ok(text)) => print(text),
            _ => print_bytes(&bytes),
        },
    }?;
    Ok(0)
}

/// Writes a file so that either all of it is there or what was there before: under another name, which it then loses. Devices and pipes
/// are written to as they are.
fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let there = fs::metadata(path);
    if there.as_ref().is_ok_and(|there| !there.is_file()) {
        return fs::write(path, bytes);
    }
    // Where a link leads to; a file that is not there is made in its folder.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let new = path.with_file_name(name);
    let written = fs::write(&new, bytes).and_then(|()| {
        if let Ok(there) = there {
            fs::set_permissions(&new, there.permissions())?;
        }
        fs::rename(&new, &path)
    });
    if written.is_err() {
        // What is wrong with it has been said.
        let _ = fs::remove_file(&new);
    }
    written
}

/// Returns the bytes of a file as text.
pub(super) fn text_of(name: &str, bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|_| {
        Failure::Other(format!("{} is not text: it is not UTF-8", escape::shown(name)))
    })
}

/// The longest text or object.
pub(super) const MOST_INPUT: u64 = 256 << 20;

/// The bytes of a file or of standard input, and what to call them.
pub(super) fn read_bytes(path: &PathBuf) -> Result<(String, Vec<u8>), Failure> {
    let name = if path.as_os_str() == "-" {
        "<stdin>".into()
    } else {
        escape::path_text(path).into_owned()
    };
    let bytes = if path.as_os_str() == "-" {
        read_within(io::stdin().lock(), MOST_INPUT)
    } else {
        fs::File::open(path).and_then(|file| read_within(file, MOST_INPUT))
    };
    match bytes {
        Ok(bytes) => Ok((name, bytes)),
        Err(error) => Err(Failure::Other(format!("cannot read {}: {error}", escape::shown(&name)))),
    }
}

fn render(module: &Collection<'_>, format: Format, order: ByteOrder) -> Vec<u8> {
    let programs = module.programs();
    if format == Format::Raw {
        let slots = programs.iter().flat_map(|program| program.slots());
        return slots.flat_map(|slot| slot.to_bytes(order)).collect();
    }
    let mut out = String::new();
    for program in programs {
        match format {
            Format::C => {
                array(&mut out, program, order, "static const unsigned char ", "[] = {", "};")
            }
            Format::Rust => {
                let kind = format!(": [u8; {}] = [", 8 * program.slots().len());
                array(&mut out, program, order, "pub static ", &kind, "];");
            }
            _ => {
                if programs.len() > 1 {
                    let target =
                        program.target().map_or_else(String::new, |target| format!(", {target}"));
                    let _ = writeln!(out, "# {}{target}", program.name());
                }
                for slot in program.slots() {
                    out.push_str(&hex(slot, order, "", " "));
                    out.push('\n');
                }
            }
        }
    }
    out.into_bytes()
}

/// A slot's bytes, each with something before it and something between them.
fn hex(slot: &Insn, order: ByteOrder, before: &str, between: &str) -> String {
    let mut text = String::new();
    for (index, byte) in slot.to_bytes(order).iter().enumerate() {
        text.push_str(if index == 0 { "" } else { between });
        text.push_str(before);
        // Without the machinery of formats: it is called for each byte of a text.
        text.extend(
            [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])),
        );
    }
    text
}

/// An array of a programming language, a slot a line, each with the statement it comes from.
fn array(
    out: &mut String,
    program: &CollectionProgram<'_>,
    order: ByteOrder,
    before: &str,
    after: &str,
    end: &str,
) {
    let name = program.name();
    let name = if before.starts_with("pub") { name.to_uppercase() } else { name.into() };
    let _ = writeln!(out, "{before}{name}{after}");
    let mut last = None;
    for (index, slot) in program.slots().iter().enumerate() {
        let statement = program.statement(index);
        let shown = statement.as_ref().filter(|_| statement != last || !slot_continues(slot));
        let bytes = hex(slot, order, "0x", ", ");
        match shown {
            // A comment cannot end early or go on: neither `*/` nor a line break is in a statement's line.
            Some(statement) => {
                let _ = writeln!(out, "    {bytes}, // {}", statement.trim_end_matches('\\'));
            }
            None => {
                let _ = writeln!(out, "    {bytes},");
            }
        }
        last = statement;
    }
    let _ = writeln!(out, "{end}");
}

/// Whether this is the second slot of `lddw`.
fn slot_continues(slot: &Insn) -> bool {
    slot.opcode() == 0
}
