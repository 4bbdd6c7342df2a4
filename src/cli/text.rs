//! The text that a command is about, and its programs.

use super::Failure;
use super::asm::{InputArgs, read_bytes, text_of};
use super::stdio::warn;
use crate::asm::{Collection, ParseOptions, parse};
use crate::error::Error;
use crate::object::Object;
use crate::program::TextSpec;
use crate::spec::ProgramSpec;
use crate::uapi::{AttachType, ProgramType};
use crate::util::escape;
use clap::Args;
use std::path::PathBuf;

/// The text, and the type of its programs if it names none.
#[derive(Debug, Args)]
pub(super) struct TextArgs {
    #[command(flatten)]
    pub(super) input: InputArgs,

    /// More objects, which are linked with the first, as `bpftool gen object` links them
    #[arg(value_name = "OBJECT", conflicts_with = "expression")]
    more: Vec<PathBuf>,

    /// Take all programs as this type, whatever the text says: kprobe, tracepoint, socket_filter, …
    #[arg(long = "type", value_name = "TYPE", value_parser = program_type)]
    pub(super) kind: Option<ProgramType>,

    /// Take them as being for this way of attaching: cgroup_inet4_bind, trace_fentry, …
    #[arg(long, value_name = "TYPE", value_parser = attach_type)]
    pub(super) attach_type: Option<AttachType>,
}

/// A program type by its name.
fn program_type(name: &str) -> Result<ProgramType, String> {
    let names = || ProgramType::ALL.iter().map(|kind| kind.name());
    ProgramType::from_name(name).ok_or_else(|| one_of(names()))
}

/// A type of attachment by its name.
fn attach_type(name: &str) -> Result<AttachType, String> {
    let names = || AttachType::ALL.iter().map(|kind| kind.name());
    AttachType::from_name(name).ok_or_else(|| one_of(names()))
}

fn one_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    format!("the types are {}", names.collect::<Vec<_>>().join(", "))
}

/// A text or an object as it was read, and what to call it.
pub(super) struct Text {
    file: String,
    contents: Contents,
}

enum Contents {
    Text(String),
    Object(Box<Object>),
}

impl TextArgs {
    /// Reads the text.
    pub(super) fn read(&self) -> Result<Text, Failure> {
        let (file, bytes) = self.input.read()?;
        self.text(file, bytes)
    }

    /// The text whose first file was read.
    pub(super) fn text(&self, file: String, bytes: Vec<u8>) -> Result<Text, Failure> {
        let mut files = vec![(file, bytes)];
        for path in &self.more {
            files.push(read_bytes(path)?);
        }
        Text::of(files)
    }

    /// One of its programs, of the type that the arguments or the text give.
    pub(super) fn program<'s>(
        &self,
        spec: &'s TextSpec<'_>,
    ) -> Result<ProgramSpec<'s, 's>, Failure> {
        let unsaid = |error| match error {
            Error::NoProgramType { .. } => Failure::Usage(format!("{error}: --type")),
            _ => Failure::Usage(format!(
                "the text does not say of which type program `{}` is: say --type, or `.program {}, kprobe/…`",
                spec.name(),
                spec.name()
            )),
        };
        let named = match self.kind {
            Some(_) => None,
            None if spec.is_of_object() && spec.kind().is_none() => {
                return Err(unsaid(spec.no_type()));
            }
            None => spec.attach_point().map_err(|error| {
                Failure::Usage(format!("program `{}`: {error}; or say --type", spec.name()))
            })?,
        };
        let Some(kind) = self.kind.or(named.map(|named| named.program_type)) else {
            return Err(unsaid(spec.no_type()));
        };
        let mut program = spec.program(kind);
        program.attach_type = self.attach_type.or(program.attach_type);
        Ok(program)
    }
}

/// The magic number of ELF objects.
pub(super) const ELF: &[u8] = b"\x7fELF";

impl Text {
    /// Files that were read: objects if they are several.
    pub(super) fn of(mut files: Vec<(String, Vec<u8>)>) -> Result<Text, Failure> {
        if let [_] = files[..]
            && let Some((file, bytes)) = files.pop()
        {
            return Text::new(file, bytes);
        }
        if let Some((file, _)) = files.iter().find(|(_, bytes)| !bytes.starts_with(ELF)) {
            let file = escape::shown(file);
            return Err(Failure::Usage(format!(
                "{file} is no ELF object: only objects are linked"
            )));
        }
        let all: Vec<_> =
            files.iter().map(|(file, bytes)| (file.as_str(), bytes.as_slice())).collect();
        let object = Object::link(&all).map_err(|error| Failure::Other(error.to_string()))?;
        let file = files.iter().map(|(file, _)| file.as_str()).collect::<Vec<_>>().join(" + ");
        Ok(Text { file, contents: Contents::Object(Box::new(object)) })
    }

    /// A file that was read.
    fn new(file: String, bytes: Vec<u8>) -> Result<Text, Failure> {
        if bytes.starts_with(ELF) {
            let object = Object::read(&bytes);
            let object = object
                .map_err(|error| Failure::Other(format!("{}: {error}", escape::shown(&file))))?;
            return Ok(Text { file, contents: Contents::Object(Box::new(object)) });
        }
        let text = text_of(&file, bytes)?;
        Ok(Text { file, contents: Contents::Text(text) })
    }

    /// Parses the programs, one at least; the error says what is wrong.
    pub(super) fn parse(&self) -> Result<Collection<'_>, Failure> {
        let file = &self.file;
        let collection = match &self.contents {
            Contents::Text(text) => {
                parse(text, file, &ParseOptions::new()).map_err(|mistakes| {
                    let count = mistakes.iter().count();
                    let mistake = if count == 1 { "mistake" } else { "mistakes" };
                    Failure::Shown(format!(
                        "{mistakes}\n\nrawbpf: {count} {mistake} in {}",
                        escape::shown(file)
                    ))
                })?
            }
            Contents::Object(object) => {
                for ignored in object.ignored() {
                    warn(format!("{}: {ignored}", escape::shown(file)));
                }
                object
                    .collection(file)
                    .map_err(|error| Failure::Other(format!("{}: {error}", escape::shown(file))))?
            }
        };
        if collection.programs().is_empty() {
            return Err(Failure::Other(format!("{} holds no program", escape::shown(file))));
        }
        Ok(collection)
    }

    /// The programs of that.
    pub(super) fn specs<'m>(
        &'m self,
        module: &'m Collection<'m>,
    ) -> Result<Vec<TextSpec<'m>>, Failure> {
        let programs = module.programs().iter();
        let specs = programs.map(|program| TextSpec::new(module, program, &self.file));
        Ok(specs.collect::<Result<_, _>>()?)
    }
}
