//! `rawbpf bt`: scripts of bpftrace's language, with bpftrace's command line.

mod args;
mod help;
mod list;
mod play;
mod show;

use self::args::{Args, Mode, Program};
use super::Failure;
use super::stdio::{finish, print, read_within, write_stderr};
use crate::bt::{self, Options, Script};
use crate::util::escape;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

/// The longest script.
const MOST_TEXT: u64 = 64 << 20;

/// Whether these are the words of a command line for scripts: the program is called `bpftrace`, or the first word is
/// `bt`. What comes behind it.
pub(super) fn words(all: &[OsString]) -> Option<&[OsString]> {
    let (program, rest) = all.split_first()?;
    let name = std::path::Path::new(program).file_name();
    match rest.split_first() {
        _ if name.is_some_and(|name| name == "bpftrace") => Some(rest),
        Some((first, rest)) if first == "bt" => Some(rest),
        _ => None,
    }
}

/// Runs the command line of a program that has no other commands, and was not called as [`words`] wants it.
#[cfg(not(feature = "cli"))]
pub(super) fn main_alone(all: &[OsString]) -> ExitCode {
    let first = all.get(1).map(|word| word.to_string_lossy());
    if let Some("-h" | "--help" | "-V" | "--version") = first.as_deref() {
        return main(all.get(1..).unwrap_or_default());
    }
    let problem = match first {
        Some(first) => format!("unknown command: {}, expected bt", escape::shown(&first)),
        None => "no command, expected bt".into(),
    };
    let cause = "this program was built without the other commands (feature `cli`)";
    write_stderr(&format!("rawbpf: {problem}; {cause}\n\n{}\n", help::usage()));
    ExitCode::from(2)
}

/// Runs the command line.
pub(super) fn main(words: &[OsString]) -> ExitCode {
    let failure = match run(words) {
        Ok(status) => return ExitCode::from(finish(status)),
        Err(failure) => failure,
    };
    match failure {
        Failure::OutputClosed => return ExitCode::SUCCESS,
        Failure::Shown(text) => write_stderr(&format!("{text}\n")),
        Failure::NotRun { status, .. } => {
            write_stderr(&format!("ERROR: {failure}\n"));
            return ExitCode::from(status);
        }
        failure => write_stderr(&format!("ERROR: {failure}\n")),
    }
    ExitCode::FAILURE
}

fn run(words: &[OsString]) -> Result<u8, Failure> {
    let args = args::read(words.iter().cloned())?;
    match args.mode {
        Mode::Help => print(help::HELP)?,
        Mode::Version => {
            print(concat!("rawbpf ", env!("CARGO_PKG_VERSION"), "\n"))?;
        }
        Mode::Info => print(&help::info())?,
        Mode::List => return list::list(&args),
        Mode::Run => return script(&args),
    }
    Ok(0)
}

fn script(args: &Args) -> Result<u8, Failure> {
    let (name, text) = source(args)?;
    let options = options(name, args);
    if !args.debug.is_empty() {
        return show::show(&text, &options, args);
    }
    play::play(&text, options, args)
}

/// Returns the name and the text of the script.
fn source(args: &Args) -> Result<(String, String), Failure> {
    Ok(match &args.program {
        None => return Err(Failure::Usage("no script given; see --help".into())),
        Some(Program::Text(text)) => ("stdin".to_owned(), text.clone()),
        Some(Program::File(path)) if path == "-" => {
            ("stdin".to_owned(), text(io::stdin(), "standard input")?)
        }
        Some(Program::File(path)) => {
            let name = escape::path_text(std::path::Path::new(path)).into_owned();
            let file = fs::File::open(path).map_err(|error| {
                Failure::Other(format!("cannot open {}: {error}", escape::shown(&name)))
            })?;
            let text = text(file, &name)?;
            (name, text)
        }
    })
}

/// Returns the options that a script is compiled with.
fn options(name: String, args: &Args) -> Options {
    let mut options = Options::new()
        .name(name)
        .parameters(args.parameters.iter().cloned())
        .allow_unsafe(args.allow_unsafe)
        .report_failed_reads(args.failures)
        .shell(super::child::shell);
    for (name, value) in &args.options {
        options = options.option(name, value.clone());
    }
    for (name, value) in std::env::vars_os() {
        if let Ok(name) = name.into_string()
            && name.starts_with("BPFTRACE_")
        {
            // No setting takes a value that is not UTF-8: it is refused by its name.
            options = options.setting(name, escape::text(value.as_bytes()));
        }
    }
    if let Some(pid) = args.pid {
        options = options.pid(pid);
    }
    options
}

/// Returns the text of a script. Bytes that are not UTF-8 are passed on in strings and names of files, as in parameters.
fn text(from: impl Read, name: &str) -> Result<String, Failure> {
    let bytes = read_within(from, MOST_TEXT)
        .map_err(|error| Failure::Other(format!("cannot read {}: {error}", escape::shown(name))))?;
    Ok(escape::text(&bytes).into_owned())
}

/// Compiles a script; its warnings go to standard error.
fn compile(text: &str, options: &Options, args: &Args) -> Result<Script, Failure> {
    let script = Script::compile_with(text, options)?;
    if args.warnings {
        write_stderr(script.warnings());
    }
    Ok(script)
}

impl From<bt::Error> for Failure {
    fn from(error: bt::Error) -> Failure {
        match error {
            bt::Error::System(error) => Failure::Library(error),
            error => Failure::Shown(error.to_string()),
        }
    }
}
