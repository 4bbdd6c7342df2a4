//! The command line of bpftrace.

use crate::cli::Failure;
use crate::util::escape;
use crate::util::nearest::{Nearest, OFFERED};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// The action of a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Mode {
    #[default]
    Run,
    List,
    Help,
    Version,
    Info,
}

/// Buffering of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Buffering {
    /// Written when all that has come is printed.
    #[default]
    Line,
    /// Written when much has come, and at the end.
    Full,
    /// After each event.
    None,
}

/// The source of the script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Program {
    Text(String),
    /// A path; `-` is standard input.
    File(OsString),
}

/// A stage that `-d` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    All,
    Parse,
    Types,
    Codegen,
    Instructions,
}

/// The command line, read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Args {
    pub mode: Mode,
    pub program: Option<Program>,
    /// The pattern of `-l`.
    pub pattern: Option<String>,
    pub parameters: Vec<String>,
    /// The script's own options.
    pub options: Vec<(String, Option<String>)>,
    pub verbose: bool,
    pub quiet: bool,
    pub warnings: bool,
    /// Whether failed reads of memory are reported (`-k`).
    pub failures: bool,
    pub json: bool,
    pub allow_unsafe: bool,
    pub dry_run: bool,
    pub pid: Option<u32>,
    pub command: Option<String>,
    pub output: Option<OsString>,
    pub buffering: Buffering,
    pub debug: Vec<Stage>,
}

/// An option: its letter, its name, whether it has a value, and what it does.
struct Row {
    letter: Option<char>,
    name: &'static str,
    value: bool,
    set: fn(&mut Args, &str) -> Result<(), String>,
}

const fn flag(
    letter: Option<char>,
    name: &'static str,
    set: fn(&mut Args, &str) -> Result<(), String>,
) -> Row {
    Row { letter, name, value: false, set }
}

const fn valued(
    letter: Option<char>,
    name: &'static str,
    set: fn(&mut Args, &str) -> Result<(), String>,
) -> Row {
    Row { letter, name, value: true, set }
}

/// Something that bpftrace has and that changes nothing here.
fn ignored(_: &mut Args, _: &str) -> Result<(), String> {
    Ok(())
}

/// The most that `/proc/sys/kernel/pid_max` can be, `proc_sys_kernel(5)`.
const MAX_PID: u32 = 1 << 22;

fn mode(args: &mut Args, mode: Mode) -> Result<(), String> {
    args.mode = mode;
    Ok(())
}

const ROWS: &[Row] = &[
    valued(Some('e'), "execute", |args, text| {
        args.program = Some(Program::Text(text.to_owned()));
        Ok(())
    }),
    flag(Some('l'), "list", |args, _| mode(args, Mode::List)),
    flag(Some('h'), "help", |args, _| mode(args, Mode::Help)),
    flag(Some('V'), "version", |args, _| mode(args, Mode::Version)),
    flag(None, "info", |args, _| mode(args, Mode::Info)),
    flag(Some('v'), "verbose", |args, _| {
        args.verbose = true;
        Ok(())
    }),
    flag(Some('q'), "quiet", |args, _| {
        args.quiet = true;
        Ok(())
    }),
    flag(None, "no-warnings", |args, _| {
        args.warnings = false;
        Ok(())
    }),
    flag(Some('k'), "warnings", |args, _| {
        args.failures = true;
        Ok(())
    }),
    flag(None, "unsafe", |args, _| {
        args.allow_unsafe = true;
        Ok(())
    }),
    flag(None, "dry-run", |args, _| {
        args.dry_run = true;
        Ok(())
    }),
    flag(None, "usdt-file-activation", ignored),
    valued(Some('p'), "pid", |args, text| {
        let pid = text.parse().ok().filter(|pid| (1..=MAX_PID).contains(pid));
        let problem = || format!("-p: `{text}`, expected a process id, 1 to {MAX_PID}");
        args.pid = Some(pid.ok_or_else(problem)?);
        Ok(())
    }),
    valued(Some('c'), "cmd", |args, text| {
        args.command = Some(text.into());
        Ok(())
    }),
    valued(Some('o'), "output", |args, text| {
        args.output = Some(escape::path(text).into());
        Ok(())
    }),
    valued(Some('f'), "format", |args, text| {
        args.json = match text {
            "json" => true,
            "text" => false,
            _ => return Err(format!("-f: `{text}`, expected text or json")),
        };
        Ok(())
    }),
    valued(Some('B'), "buffering", |args, text| {
        args.buffering = match text {
            "line" => Buffering::Line,
            "full" => Buffering::Full,
            "none" => Buffering::None,
            _ => return Err(format!("-B: `{text}`, expected line, full or none")),
        };
        Ok(())
    }),
    valued(Some('I'), "include-dir", ignored),
    valued(None, "include", ignored),
    valued(None, "debuginfo", ignored),
    valued(None, "traceable-functions", ignored),
    valued(None, "no-feature", ignored),
    // Its value may be missing.
    flag(Some('d'), "debug", |args, text| {
        args.debug.push(stage(text).unwrap_or(Stage::All));
        Ok(())
    }),
];

/// The stage of a name, those of bpftrace among them.
fn stage(name: &str) -> Option<Stage> {
    match name {
        "all" => Some(Stage::All),
        "parse" => Some(Stage::Parse),
        "ast" | "types" => Some(Stage::Types),
        "codegen" | "codegen-opt" => Some(Stage::Codegen),
        "dis" | "libbpf" | "verifier" => Some(Stage::Instructions),
        _ => None,
    }
}

/// Reads the words behind the program's name.
pub(super) fn read(words: impl IntoIterator<Item = OsString>) -> Result<Args, Failure> {
    let mut args = Args { warnings: true, ..Args::default() };
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let text = escape::path_text(word.as_ref()).into_owned();
        match (text.as_str(), text.strip_prefix("--"), text.strip_prefix('-')) {
            ("--", ..) => {
                if args.program.is_none() && args.mode == Mode::Run {
                    args.program = words.next().map(Program::File);
                } else if args.pattern.is_none() && args.mode == Mode::List {
                    args.pattern =
                        words.next().map(|word| escape::path_text(word.as_ref()).into_owned());
                }
                parameters(&mut args, words);
                break;
            }
            (_, Some(long), _) => {
                let (name, given) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (long, None),
                };
                let row = ROWS.iter().find(|row| row.name == name);
                let Some(row) = row else { return Err(unknown(&text)) };
                let value = match (row.value, given) {
                    (true, None) => self::value(&text, words.next())?,
                    (_, given) => given.unwrap_or_default(),
                };
                (row.set)(&mut args, &value).map_err(wrong)?;
            }
            (_, None, Some(letters)) if !letters.is_empty() => {
                for (at, letter) in letters.char_indices() {
                    let row = ROWS.iter().find(|row| row.letter == Some(letter));
                    let Some(row) = row else { return Err(unknown(&text)) };
                    let rest = letters.get(at + letter.len_utf8()..).unwrap_or_default();
                    if row.value {
                        let value = match rest {
                            "" => self::value(&text, words.next())?,
                            rest => rest.to_owned(),
                        };
                        (row.set)(&mut args, &value).map_err(wrong)?;
                        break;
                    }
                    if letter == 'd' && !rest.is_empty() && stage(rest).is_some() {
                        (row.set)(&mut args, rest).map_err(wrong)?;
                        break;
                    }
                    let named = words.peek().and_then(|word| word.to_str());
                    let stage = named.filter(|word| letter == 'd' && stage(word).is_some());
                    let stage = stage.unwrap_or_default().to_owned();
                    if !stage.is_empty() {
                        words.next();
                    }
                    (row.set)(&mut args, &stage).map_err(wrong)?;
                }
            }
            _ if args.mode == Mode::List && args.pattern.is_none() => args.pattern = Some(text),
            _ if args.program.is_none() && args.mode == Mode::Run => {
                args.program = Some(Program::File(word));
            }
            _ => args.parameters.push(text),
        }
    }
    if args.pid.is_some() && args.command.is_some() {
        return Err(wrong(
            "-p and -c cannot be used together: each names the process to watch".into(),
        ));
    }
    Ok(args)
}

/// The value of an option.
fn value(option: &str, word: Option<OsString>) -> Result<String, Failure> {
    match word {
        Some(word) => Ok(escape::path_text(word.as_ref()).into_owned()),
        None => Err(Failure::Usage(format!("{option}: its value is missing"))),
    }
}

/// Reads what is the script's own, its parameters and options: all behind `--`.
fn parameters(args: &mut Args, words: impl Iterator<Item = OsString>) {
    for word in words {
        let text = escape::path_text(word.as_ref()).into_owned();
        match text.strip_prefix("--") {
            Some(option) if !option.is_empty() => args.options.push(match option.split_once('=') {
                Some((name, value)) => (name.into(), Some(value.into())),
                None => (option.into(), None),
            }),
            _ => args.parameters.push(text),
        }
    }
}

/// A value that an option does not take, in words of one line.
fn wrong(why: String) -> Failure {
    Failure::Usage(escape::shown(&why).to_string())
}

fn unknown(option: &str) -> Failure {
    let word = option.split('=').next().unwrap_or_default().trim_start_matches('-');
    let mut nearest = Nearest::new(word, OFFERED);
    ROWS.iter().for_each(|row| nearest.offer(row.name));
    let nearest = nearest.into_names();
    let hint = match nearest.as_slice() {
        _ if !option.starts_with("--") => String::new(),
        [] => String::new(),
        names => format!("; the nearest: --{}", names.join(", --")),
    };
    let option = escape::shown(option);
    Failure::Usage(format!("unknown option: {option}{hint}\n\n{}", super::help::usage()))
}

/// Takes a command line apart at spaces, as a shell does with quotes and backslashes.
pub(super) fn command(line: &str) -> Result<Vec<OsString>, Failure> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let os = |word: String| OsString::from_vec(escape::bytes(&word).into());
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        match (quote, char) {
            (Some(end), char) if end == char => quote = None,
            (None, '\'' | '"') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, char) if char.is_whitespace() => words.extend(word.take().map(os)),
            (_, char) => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word.map(os));
    match (words.is_empty(), quote) {
        (false, None) => Ok(words),
        (true, _) => Err(Failure::Usage("-c: the command is empty".into())),
        (_, Some(quote)) => Err(Failure::Usage(format!("-c: the {quote} is not closed"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> Args {
        match read(words.iter().map(OsString::from)) {
            Ok(args) => args,
            Err(failure) => panic!("{failure}"),
        }
    }

    #[test]
    fn scripts_have_parameters_and_options() {
        let one = args(&["-e", "BEGIN {}", "a", "-q", "b", "--", "--name=x", "--flag", "c"]);
        assert_eq!(one.program, Some(Program::Text("BEGIN {}".into())));
        assert_eq!((one.parameters, one.quiet), (vec!["a".into(), "b".into(), "c".into()], true));
        let options = [("name".into(), Some("x".into())), ("flag".into(), None)];
        assert_eq!(one.options, options);

        // As with bpftrace 0.27.1: options of ours can follow the file.
        let two = args(&["-v", "x.bt", "5", "-q", "-c", "ls", "6", "--", "--name=3", "-q"]);
        assert_eq!(two.program, Some(Program::File("x.bt".into())));
        assert_eq!(two.parameters, ["5", "6", "-q"]);
        assert_eq!((two.quiet, two.command.as_deref()), (true, Some("ls")));
        assert_eq!(two.options, [("name".into(), Some("3".into()))]);
        let three = args(&["--", "-x.bt", "1"]);
        assert_eq!(three.program, Some(Program::File("-x.bt".into())));
        assert_eq!(three.parameters, ["1"]);
        assert_eq!(args(&["-"]).program, Some(Program::File("-".into())));
    }

    #[test]
    fn letters_can_stand_together() {
        let list = args(&["-lv", "t:*"]);
        assert_eq!((list.mode, list.verbose), (Mode::List, true));
        assert_eq!(list.pattern.as_deref(), Some("t:*"));
        assert_eq!(args(&["-fjson", "-p12"]).pid, Some(12));
        // A pattern that begins like an option.
        let list = args(&["-l", "--", "-t:*"]);
        assert_eq!((list.pattern.as_deref(), list.program), (Some("-t:*"), None));
        assert!(args(&["-kk"]).failures && !args(&["-q"]).failures);
        assert_eq!(args(&["-d", "ast", "-e", "x"]).debug, [Stage::Types]);
        assert_eq!(args(&["-d", "-e", "x"]).debug, [Stage::All]);
        assert_eq!(args(&["-ddis", "-e", "x"]).debug, [Stage::Instructions]);
        assert_eq!(args(&["--cmd=ls -l"]).command.as_deref(), Some("ls -l"));
    }

    #[test]
    fn wrong_words_are_refused() {
        for words in [
            &["-x"][..],
            &["x.bt", "--name=3"],
            &["x.bt", "-5"],
            &["--nope"],
            &["-p", "x"],
            &["-p", "0"],
            &["-e"],
            &["-B", "x"],
            &["-p", "1", "-c", "ls", "-e", "x"],
        ] {
            assert!(read(words.iter().map(OsString::from)).is_err(), "{words:?}");
        }
        let error = |word: &str| match read([OsString::from(word)]) {
            Err(failure) => failure.to_string(),
            Ok(args) => panic!("{args:?}"),
        };
        assert!(error("--unsaef").starts_with("unknown option: --unsaef; the nearest: --unsafe\n"));
        assert!(error("--qqqqqqq").starts_with("unknown option: --qqqqqqq\n"));
    }

    #[test]
    fn process_ids_are_those_that_there_can_be() {
        assert_eq!(args(&["-p", "4194304"]).pid, Some(4_194_304));
        assert!(read(["-p", "4194305"].map(OsString::from)).is_err());
    }

    #[test]
    fn commands_are_taken_apart_as_by_a_shell() {
        let apart = |line| command(line).ok().unwrap_or_default();
        assert_eq!(apart("ls  -l"), ["ls", "-l"]);
        assert_eq!(apart(r#"sh -c "echo 'a' \"b\"" ''"#), ["sh", "-c", "echo 'a' \"b\"", ""]);
        assert!(command("").is_err() && command("a 'b").is_err());
    }
}
