//! Scripts, before they run.

use super::live::Run;
use super::start;
use crate::bt::config::Config;
use crate::bt::diagnostic::{Diagnostic, Diagnostics};
use crate::bt::expand::Machine;
use crate::bt::hir::Program;
#[cfg(feature = "bt-cli")]
use crate::bt::probe::Kind;
use crate::bt::source::Source;
use crate::bt::{ast, check, parser};
use crate::syscall::BTF_FOLDER;
use crate::util::escape;
use std::fmt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// An error in a script, or a feature that it needs and this machine does not have, with the place in the script.
///
/// It is shown as bpftrace shows it, with the line and an underline; control characters in it are escaped.
#[derive(Debug)]
pub struct ScriptError {
    text: String,
    source: Option<Box<crate::error::Error>>,
}

impl ScriptError {
    pub(super) fn new(diagnostics: &Diagnostics, source: &Source) -> ScriptError {
        ScriptError { text: diagnostics.render(source), source: None }
    }

    pub(super) fn at(
        diagnostic: &Diagnostic,
        source: &Source,
        error: Option<crate::error::Error>,
    ) -> ScriptError {
        ScriptError { text: diagnostic.render(source), source: error.map(Box::new) }
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text.trim_end_matches('\n'))
    }
}

impl std::error::Error for ScriptError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|error| &**error as &(dyn std::error::Error + 'static))
    }
}

/// An error of compiling or running a script.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error in the script.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// An error of the machine.
    #[error(transparent)]
    System(#[from] crate::error::Error),
}

/// The result of compiling or running a script.
pub type Result<T> = std::result::Result<T, Error>;

/// Options to compile and run a script.
///
/// ```
/// use rawbpf::bt::Options;
///
/// let options = Options::new().parameters(["sshd"]).setting("max_strlen", "128");
/// # let _ = options;
/// ```
#[derive(Debug, Clone)]
pub struct Options {
    pub(super) name: String,
    pub(super) parameters: Vec<String>,
    pub(super) options: Vec<(String, Option<String>)>,
    pub(super) allow_unsafe: bool,
    pub(super) pid: Option<u32>,
    pub(super) settings: Vec<(String, String)>,
    pub(super) command: Option<u32>,
    pub(super) shell: fn() -> Command,
    pub(super) report_failed_reads: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options::new()
    }
}

impl Options {
    /// Returns the options of a script without parameters in safe mode.
    pub fn new() -> Options {
        Options {
            name: "stdin".into(),
            parameters: Vec::new(),
            options: Vec::new(),
            allow_unsafe: false,
            pid: None,
            settings: Vec::new(),
            command: None,
            report_failed_reads: false,
            shell,
        }
    }

    /// Sets the name of the script in messages.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Options {
        self.name = name.into();
        self
    }

    /// Sets the positional parameters, `$1` and so on. A byte that is not UTF-8 is written as the private code point U+EF00 plus the
    /// byte.
    #[must_use]
    pub fn parameters<P: Into<String>>(mut self, all: impl IntoIterator<Item = P>) -> Options {
        self.parameters = all.into_iter().map(Into::into).collect();
        self
    }

    /// Adds an option of the script, which it reads with `getopt()`.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: Option<String>) -> Options {
        self.options.push((name.into(), value));
        self
    }

    /// Sets a setting, as the variables of the environment do: `max_strlen`, `BPFTRACE_MAX_STRLEN`. It goes before the
    /// script's own `config` block.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Options {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Allows the unsafe functions: `system()`, `signal()`, `override()`.
    #[must_use]
    pub fn allow_unsafe(mut self, allow: bool) -> Options {
        self.allow_unsafe = allow;
        self
    }

    /// Sets whether a message is given when memory that a script reads cannot be read. What cannot be read is 0 anyway.
    #[must_use]
    pub fn report_failed_reads(mut self, report: bool) -> Options {
        self.report_failed_reads = report;
        self
    }

    /// Limits all probes to a process, but for `BEGIN`, `END`, `interval` and iterators over other things than tasks. The run does
    /// not end with it.
    #[must_use]
    pub fn pid(mut self, pid: u32) -> Options {
        self.pid = Some(pid);
        self
    }

    /// Sets the process whose number is the script's `cpid`. It should not have begun its work when the script is attached.
    #[must_use]
    pub fn command(mut self, pid: u32) -> Options {
        self.command = Some(pid);
        self
    }

    /// Sets the shell that `system()` runs commands with.
    #[cfg(feature = "bt-cli")]
    pub(crate) fn shell(mut self, shell: fn() -> Command) -> Options {
        self.shell = shell;
        self
    }
}

/// The shell, up to the command.
fn shell() -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c");
    command
}

/// A compiled script.
///
/// It can be attached more than once, each time with maps of its own.
///
/// ```no_run
/// use rawbpf::bt::{Event, Script};
///
/// let script = Script::compile(
///     r#"
///     tracepoint:syscalls:sys_enter_openat { printf("%s %s\n", comm, str(args.filename)); @[comm] = count(); }
///     interval:s:5 { exit(); }
///     "#,
/// )?;
/// let mut run = script.attach()?;
/// for event in &mut run {
///     match event? {
///         Event::Printf { text, .. } => print!("{}", String::from_utf8_lossy(&text)),
///         Event::Lost { records, .. } => eprintln!("{records} records were lost"),
///         event => println!("{event:?}"),
///     }
/// }
/// run.finish()?;
/// for (command, opened) in run.read_map("@")?.entries() {
///     println!("{command:?} has opened {:?} files", opened.as_u64());
/// }
/// # Ok::<(), rawbpf::bt::Error>(())
/// ```
///
/// Nothing is global: a process can have several runs, each with a descriptor ([`Run::as_pollable`]) to wait for in a loop
/// of its own. What a run has attached goes when it is dropped, or when the process ends in whichever way.
#[derive(Debug, Clone)]
pub struct Script {
    pub(super) program: Arc<Program>,
    pub(super) options: Options,
    warnings: String,
}

impl Script {
    /// Compiles a script.
    ///
    /// # Errors
    /// [`Error::Script`] with all errors that were found.
    pub fn compile(text: &str) -> Result<Script> {
        Script::compile_with(text, &Options::new())
    }

    /// Compiles a script with options.
    ///
    /// # Errors
    /// As [`Script::compile`].
    pub fn compile_with(text: &str, options: &Options) -> Result<Script> {
        let source = Source::new(&options.name, text);
        let parsed = Parsed::new(source, options)?;
        parsed.check(options)
    }

    /// Returns the warnings of the compiler, as bpftrace shows them; empty if there are none.
    pub fn warnings(&self) -> &str {
        &self.warnings
    }

    /// Returns the names of the probes but for `BEGIN` and `END`, those that patterns match among them, each once.
    #[cfg(feature = "bt-cli")]
    pub(crate) fn attach_points(&self) -> Vec<String> {
        let points = self.program.probes.iter().flat_map(|probe| &probe.attach_points);
        let mut names = Vec::new();
        for point in points.filter(|point| point.kind() != Kind::Special) {
            let name = point.to_string();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Loads the programs of the script, runs `BEGIN` and attaches the other probes.
    ///
    /// # Errors
    /// [`Error::Script`] if the kernel refuses a program or an attach point, or lacks something that the script needs;
    /// [`Error::System`] if maps cannot be created.
    pub fn attach(&self) -> Result<Run> {
        self.attach_after(&|| {})
    }

    /// As [`attach`](Script::attach); `loaded` is called when all programs are loaded, and none has run.
    pub(crate) fn attach_after(&self, loaded: &dyn Fn()) -> Result<Run> {
        start::start(self, loaded)
    }
}

/// A script that was parsed.
pub(crate) struct Parsed {
    source: Source,
    pub(crate) script: ast::Script,
    warnings: Diagnostics,
    config: Config,
}

impl Parsed {
    /// Parses a script.
    pub(crate) fn new(source: Source, options: &Options) -> Result<Parsed> {
        let mut macros = Vec::new();
        if Path::new(BTF_FOLDER).join("vmlinux").exists() {
            macros.push(("BPFTRACE_HAVE_BTF", "1".to_owned()));
        }
        let given = parser::Given { parameters: options.parameters.clone().into(), macros };
        let report_failed_reads = options.report_failed_reads;
        let mut config = Config { report_failed_reads, ..Config::default() };
        let settings = options.settings.iter();
        let wrong = config.set_from(settings.map(|(name, value)| (name.as_str(), value.as_str())));
        if let Some((name, problem)) = wrong.first() {
            let text = format!("ERROR: {name}: {problem}\n");
            return Err(ScriptError { text, source: None }.into());
        }
        let (script, diagnostics) = parser::parse(&source, &given);
        if diagnostics.has_errors() {
            return Err(ScriptError::new(&diagnostics, &source).into());
        }
        let given = options.options.iter().map(|(name, _)| name.as_str());
        if let Some(text) = unknown_option(given, &script.options) {
            return Err(ScriptError { text, source: None }.into());
        }
        Ok(Parsed { source, script, warnings: diagnostics, config })
    }

    /// Checks it.
    pub(crate) fn check(self, options: &Options) -> Result<Script> {
        let Parsed { source, script, mut warnings, config } = self;
        let machine = Machine {
            parameters: options.parameters.clone(),
            options: options.options.clone(),
            allow_unsafe: options.allow_unsafe,
            command: options.command.is_some(),
            pid: options.pid,
            ..Machine::default()
        };
        let (program, diagnostics) = check::check(&source, &script, config, &machine);
        let Some(program) = program else {
            return Err(ScriptError::new(&diagnostics, &source).into());
        };
        diagnostics.0.into_iter().for_each(|one| warnings.push(one));
        let warnings = warnings.render(&source);
        Ok(Script { program: Arc::new(program), options: options.clone(), warnings })
    }
}

/// Returns a message about the first option that the script does not read; `None` if it reads all.
fn unknown_option<'a>(
    mut given: impl Iterator<Item = &'a str>,
    known: &[ast::ScriptOption],
) -> Option<String> {
    let unknown = given.find(|name| known.iter().all(|one| one.name != *name))?;
    let mut text = format!("ERROR: unknown option of the script: --{}\n", escape::shown(unknown));
    if known.is_empty() {
        text.push_str("HINT: it has none\n");
        return Some(text);
    }
    text.push_str("HINT: it has\n");
    for (at, option) in known.iter().enumerate() {
        if known.iter().take(at).any(|one| one.name == option.name) {
            continue;
        }
        let colon = if option.help.is_empty() { "" } else { ": " };
        let (name, help) = (escape::shown(&option.name), escape::shown(&option.help));
        text.push_str(&format!("    --{name}{colon}{help}\n"));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_a_script_does_not_read_are_refused() {
        let option =
            |name: &str, help: &str| ast::ScriptOption { name: name.into(), help: help.into() };
        let known = [option("top", "how many"), option("all", ""), option("top", "")];
        assert_eq!(unknown_option(["top", "all"].into_iter(), &known), None);
        let text = unknown_option(["all", "tpo"].into_iter(), &known).unwrap();
        let expected = "ERROR: unknown option of the script: --tpo\nHINT: it has\n    --top: how many\n    --all\n";
        assert_eq!(text, expected);
        let text = unknown_option(["x"].into_iter(), &[]).unwrap();
        assert_eq!(text, "ERROR: unknown option of the script: --x\nHINT: it has none\n");
    }
}
