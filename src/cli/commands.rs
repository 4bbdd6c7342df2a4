//! The commands beside `bt`: their command line, and what becomes of their results.

use super::{
    Failure, asm, bt, check, disasm, exec, explain, features, list, load, map, prog, run, session,
    stdio, trace, words,
};
use crate::error::ErrorKind;
use crate::insn::ByteOrder;
use crate::program::Loader;
use crate::util::escape;
use clap::error::ContextValue;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::io::IsTerminal;
use std::process::ExitCode;

/// Write, load and attach BPF programs without a compiler.
#[derive(Debug, Parser)]
#[command(name = "rawbpf", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a script in the language of bpftrace
    #[command(disable_help_flag = true)]
    Bt {
        /// As bpftrace has them: see `rawbpf bt --help`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<std::ffi::OsString>,
    },
    /// Run a program that ships with rawbpf, and print what it reports
    Run(RunArgs),
    /// Assemble a text
    Asm(asm::AsmArgs),
    /// Have the kernel's verifier check the programs of a text, and print why it rejects one
    Check(check::CheckArgs),
    /// Print the instructions that bytes are
    Disasm(disasm::DisasmArgs),
    /// Run a program once in the kernel, without attaching it, and print what it returns
    Exec(exec::ExecArgs),
    /// Show an instruction bit by bit, and say what it does
    Explain(explain::ExplainArgs),
    /// Print what this kernel can do, found by asking it
    Features(features::FeaturesArgs),
    /// List what programs can be attached to here
    List(list::ListArgs),
    /// Load the programs of a text into the kernel, and show how that is done
    Load(load::LoadArgs),
    /// List, show and print the maps that are in the kernel, and change what is in them
    Map(map::MapArgs),
    /// List, show, print and pin the programs that are in the kernel
    Prog(prog::ProgArgs),
    /// Attach the programs of a text, and print what they report and count
    Trace(trace::TraceArgs),
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The program: see --list
    #[arg(required_unless_present = "list", value_parser = words::any())]
    pub name: Option<String>,

    /// List the programs that can be run
    #[arg(long, conflicts_with_all = ["attach", "count", "duration", "command"])]
    pub list: bool,

    /// Attach to TARGET and to nothing else: kprobe:NAME, tracepoint:CATEGORY/NAME, …, as `rawbpf list` names them
    /// (repeatable)
    #[arg(long, value_name = "TARGET", value_parser = words::parsed::<crate::attach::Target>())]
    pub attach: Vec<crate::attach::Target>,

    #[command(flatten)]
    pub limits: session::Limits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Columns for people
    Text,
    /// One JSON object a line
    Json,
}

/// The byte order of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Order {
    Little,
    Big,
}

impl From<Order> for ByteOrder {
    fn from(order: Order) -> ByteOrder {
        match order {
            Order::Little => ByteOrder::Little,
            Order::Big => ByteOrder::Big,
        }
    }
}

impl Failure {
    /// The exit statuses: 1 failed, 2 the command line was wrong (mostly from clap), 3 not supported by this kernel, 4
    /// not permitted.
    fn status(&self) -> u8 {
        match self {
            Failure::Library(error) => match error.kind() {
                ErrorKind::Failed => 1,
                ErrorKind::Unsupported => 3,
                ErrorKind::NotPermitted => 4,
            },
            Failure::Other(_) | Failure::Shown(_) => 1,
            Failure::Usage(_) => 2,
            Failure::NotRun { status, .. } => *status,
            Failure::OutputClosed => 0,
        }
    }
}

/// The log level of the verifier that the user asks for: the environment's `RAWBPF_LOG`.
pub(super) fn log_level() -> Option<u32> {
    std::env::var("RAWBPF_LOG").ok()?.parse().ok()
}

/// The loader of every command.
pub(super) fn loader<'a>() -> Loader<'a> {
    Loader::new().log_level(log_level().unwrap_or(1))
}

/// Runs the command line of this process, which is none for scripts.
pub(super) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return say(error),
    };
    let result = match cli.command {
        Command::Bt { words } => return bt::main(&words),
        Command::Run(args) => run::run(&args),
        Command::Asm(args) => asm::asm(&args),
        Command::Check(args) => check::check(&args),
        Command::Disasm(args) => disasm::disasm(&args),
        Command::Exec(args) => exec::exec(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Features(args) => features::features(&args),
        Command::List(args) => list::list(&args),
        Command::Load(args) => load::load(&args),
        Command::Map(args) => map::map(&args),
        Command::Prog(args) => prog::prog(&args),
        Command::Trace(args) => trace::trace(&args),
    };
    match result {
        Ok(status) => ExitCode::from(stdio::finish(status)),
        Err(failure) => {
            match &failure {
                Failure::OutputClosed => {}
                Failure::Shown(text) => stdio::write_stderr(&format!("{text}\n")),
                failure => stdio::warn(failure),
            }
            if let Failure::Library(error) = &failure
                && let (Some(error), Some(_)) = (error.verifier(), log_level())
            {
                stdio::write_stderr(&format!("{}\n", error.log().trim_end()));
            }
            ExitCode::from(stdio::finish(failure.status()))
        }
    }
}

/// Prints clap's output instead of running a command, help or a mistake, and returns the exit status. Clap would print
/// the words of the command line unescaped.
fn say(mut error: clap::Error) -> ExitCode {
    if error.use_stderr() {
        let words: Vec<_> = error.context().map(|(kind, value)| (kind, value.clone())).collect();
        for (kind, value) in words {
            let shown = |text: String| escape::shown(&text).to_string();
            let value = match value {
                ContextValue::String(word) => ContextValue::String(shown(word)),
                ContextValue::Strings(words) => {
                    ContextValue::Strings(words.into_iter().map(shown).collect())
                }
                _ => continue,
            };
            error.insert(kind, value);
        }
        let text = error.render();
        stdio::write_stderr(&text.to_string());
        return ExitCode::from(error.exit_code().try_into().unwrap_or(2));
    }
    let text = error.render();
    let colors = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let text = if colors { text.ansi().to_string() } else { text.to_string() };
    match stdio::print_bytes(text.as_bytes()) {
        Ok(()) | Err(Failure::OutputClosed) => ExitCode::SUCCESS,
        Err(failure) => {
            stdio::warn(&failure);
            ExitCode::from(failure.status())
        }
    }
}
