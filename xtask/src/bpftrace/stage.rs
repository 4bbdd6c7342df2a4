//! The stage of the language that a program needs, and what it needs of the kernel, by the words in it.
//!
//! The stages are cumulative: a program belongs to the last one that any of its words belongs to.

use super::format::{Test, What};
use super::shell;
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

/// A stage of the language; each has all that those before it have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// BEGIN, END, interval, tracepoints, maps, printf.
    S1,
    /// kprobe, fentry, uprobe, wildcards, listings.
    S2,
    /// Kernel structs, pointers, arrays.
    S3,
    /// Stacks, symbols, addresses.
    S4,
    /// Loops, and functions beyond the core.
    S5,
    /// JSON, and structs that the program defines.
    S6,
    /// usdt, watchpoint, iter.
    S7,
    /// In no stage: arguments by DWARF, ahead-of-time compilation.
    Beyond,
}

/// All of them, in order.
pub const STAGES: [Stage; 8] = {
    use Stage::{Beyond, S1, S2, S3, S4, S5, S6, S7};
    [S1, S2, S3, S4, S5, S6, S7, Beyond]
};

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stage::Beyond => f.pad("beyond"),
            stage => f.pad(&format!("{stage:?}")),
        }
    }
}

/// A feature that some kernels lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    Kprobes,
    Fentry,
}

impl Need {
    /// Its name in a ledger.
    pub fn name(self) -> &'static str {
        match self {
            Need::Kprobes => "kprobes",
            Need::Fentry => "fentry",
        }
    }
}

/// The stage and the needs of a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Uses {
    pub stage: Stage,
    pub needs: BTreeSet<Need>,
}

type Row = (&'static [&'static str], Stage);

/// Kinds of probes. What is not here is of the first stage.
const PROBES: [Row; 3] = [
    (
        &[
            "kprobe",
            "k",
            "kretprobe",
            "kr",
            "kfunc",
            "f",
            "kretfunc",
            "fr",
            "fentry",
            "fexit",
            "uprobe",
            "u",
            "uretprobe",
            "ur",
        ],
        Stage::S2,
    ),
    (&["usdt", "U", "iter", "it"], Stage::S7),
    (&["watchpoint", "w", "asyncwatchpoint", "aw"], Stage::S7),
];

const NEEDS: [(&[&str], Need); 2] = [
    (&["kprobe", "k", "kretprobe", "kr"], Need::Kprobes),
    (&["kfunc", "f", "kretfunc", "fr", "fentry", "fexit"], Need::Fentry),
];

/// Names of builtins, functions and keywords. What is not here is of the first stage.
const NAMES: [Row; 5] = [
    (&["retval", "func"], Stage::S2),
    (&["curtask", "ctx", "sizeof", "offsetof", "uptr", "kptr"], Stage::S3),
    (
        &[
            "kstack", "ustack", "ksym", "usym", "kaddr", "uaddr", "reg", "ntop", "pton", "macaddr",
            "bswap",
        ],
        Stage::S4,
    ),
    (
        &[
            "macro",
            "while",
            "for",
            "unroll",
            "break",
            "continue",
            "return",
            "system",
            "cat",
            "cgroup_path",
            "cgroupid",
            "signal",
            "strncmp",
            "strcontains",
            "strerror",
            "path",
            "override",
            "debugf",
        ],
        Stage::S5,
    ),
    (&["skboutput"], Stage::Beyond),
];

/// Options of the command line.
const OPTIONS: [Row; 5] = [
    (&["-l", "-lv"], Stage::S2),
    (&["-k", "-kk"], Stage::S5),
    (&["json"], Stage::S6),
    (&["--usdt-file-activation"], Stage::S7),
    (&["--aot"], Stage::Beyond),
];

/// Features that a test may ask for in so many words.
const FEATURES: [Row; 1] = [(&["dwarf", "aot", "skboutput"], Stage::Beyond)];

/// Tests whose listing has to hold kprobes, which no word of theirs says.
const LIST_KPROBES: [&str; 2] =
    ["basic.it lists kprobes", "regression.single_arg_wildcard_listing"];

fn look_up(rows: &[Row], word: &str) -> Stage {
    rows.iter().find(|(words, _)| words.contains(&word)).map_or(Stage::S1, |(_, stage)| *stage)
}

/// Returns the stage and the needs of a test; scripts that it names are read from `folder`.
pub fn of_test(test: &Test, folder: &Path) -> Uses {
    let mut uses = Uses { stage: Stage::S1, needs: BTreeSet::new() };
    match &test.what {
        What::Program(text) => uses.program(text),
        What::Command(text) => uses.command(text, folder),
    }
    for feature in test.features.iter().chain(&test.without_features) {
        uses.at_least(look_up(&FEATURES, feature));
    }
    // A listing that is searched by another program.
    if test.expect.contains("usdt:") {
        uses.at_least(Stage::S7);
    }
    if LIST_KPROBES.contains(&test.id().as_str()) {
        uses.needs.insert(Need::Kprobes);
    }
    uses
}

impl Uses {
    fn at_least(&mut self, stage: Stage) {
        self.stage = self.stage.max(stage);
    }

    fn command(&mut self, text: &str, folder: &Path) {
        let mut ours = false;
        let mut last = String::new();
        for word in shell::words(text) {
            match word.as_str() {
                "{{BPFTRACE}}" => ours = true,
                "|" | ";" | "&" => ours = false,
                _ if !ours => {}
                script if script.ends_with(".bt") => {
                    if let Ok(text) = std::fs::read_to_string(folder.join(script)) {
                        self.program(&text);
                    }
                }
                option if option.starts_with('-') => self.at_least(look_up(&OPTIONS, option)),
                // The program, or the probes to list.
                text if last.starts_with('-') && (last.ends_with('e') || last.contains("-l")) => {
                    self.program(text);
                }
                "json" if last == "-f" => self.at_least(Stage::S6),
                _ => {}
            }
            last = word;
        }
    }

    fn program(&mut self, text: &str) {
        let tokens = tokens(text);
        let at = |i: usize| tokens.get(i).map_or("", |token| token.text.as_str());
        let before = |i: usize, n: usize| i.checked_sub(n).map_or("", at);
        let mut depth = 0;
        // Kinds of the probes of the block that comes or is.
        let mut user = false;
        let mut in_predicate = false;
        for (i, token) in tokens.iter().enumerate() {
            match token.text.as_str() {
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    if depth == 0 {
                        user = false;
                    }
                }
                // A path stands in a probe without white space.
                "/" if depth == 0 && !in_predicate && tokens[i].spaced => in_predicate = true,
                "/" if in_predicate && at(i + 1) == "{" => in_predicate = false,
                // `#include` says nothing, and neither does the first line of a script; `$#` is a number.
                "#" if matches!(at(i + 1), "include" | "!") || before(i, 1) == "$" => {}
                "#" => self.at_least(Stage::S3),
                "*" if depth == 0 && !in_predicate => self.at_least(Stage::S2),
                "*" if is_prefix_place(before(i, 1)) || at(i + 1) == ")" => {
                    self.at_least(Stage::S3);
                }
                "->" if before(i, 1) != "args" => self.at_least(Stage::S3),
                // Of a tuple it is a number.
                "." if is_name(at(i + 1))
                    && before(i, 1) != "args"
                    && (depth > 0 || in_predicate) =>
                {
                    self.at_least(Stage::S3);
                }
                "[" if before(i, 1).starts_with('$') || matches!(before(i, 1), ")" | "]") => {
                    self.at_least(Stage::S3);
                }
                "[" if matches!(before(i, 2), "->" | ".") => self.at_least(Stage::S3),
                "struct" | "union" | "enum" => {
                    let defined = at(i + 1) == "{" || at(i + 2) == "{";
                    self.at_least(if defined { Stage::S6 } else { Stage::S3 });
                }
                "args" if user => self.at_least(Stage::Beyond),
                word if is_name(word) => {
                    let first = tokens[i].spaced || matches!(before(i, 1), "" | "," | "}");
                    if depth == 0 && first && at(i + 1) == ":" {
                        self.at_least(look_up(&PROBES, word));
                        user |= matches!(word, "uprobe" | "u" | "uretprobe" | "ur");
                        for (kinds, need) in NEEDS {
                            if kinds.contains(&word) {
                                self.needs.insert(need);
                            }
                        }
                    } else if (depth > 0 || in_predicate)
                        && before(i, 1) != "->"
                        && before(i, 1) != "."
                    {
                        self.name(word);
                    }
                }
                _ => {}
            }
        }
    }

    fn name(&mut self, word: &str) {
        self.at_least(look_up(&NAMES, word));
        let numbered = ["arg", "sarg"].iter().any(|name| {
            word.strip_prefix(name)
                .is_some_and(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit()))
        });
        if numbered {
            self.at_least(Stage::S2);
        }
        // A constant of the kernel.
        let shouted = word.len() > 2
            && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
            && word.chars().any(|c| c.is_ascii_uppercase());
        if shouted {
            self.at_least(Stage::S3);
        }
    }
}

/// Whether a star behind this is no multiplication.
fn is_prefix_place(before: &str) -> bool {
    matches!(before, "" | "(" | "," | "=" | "{" | ";" | "[" | "!" | "&&" | "||" | "+" | "-")
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// A token, and whether white space stands before it.
struct Token {
    text: String,
    spaced: bool,
}

/// Names (with what marks variables and maps), numbers, two-letter operators and single characters. Comments are left out
/// and strings are empty.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens: Vec<Token> = Vec::new();
    let mut spaced = true;
    let mut at = 0;
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    while let Some(&c) = chars.get(at) {
        let rest = &chars[at..];
        let next = rest.get(1).copied().unwrap_or(' ');
        let length = if c == '"' {
            string_length(rest)
        } else if c == '/' && next == '/' {
            rest.iter().position(|&c| c == '\n').unwrap_or(rest.len())
        } else if c == '/' && next == '*' {
            let end = rest[2..].windows(2).position(|pair| pair == ['*', '/']);
            end.map_or(rest.len(), |end| end + 4)
        } else if is_word(c) || ((c == '$' || c == '@') && is_word(next)) {
            rest[1..].iter().position(|&c| !is_word(c)).map_or(rest.len(), |end| end + 1)
        } else if matches!((c, next), ('-', '>') | ('&', '&') | ('|', '|') | ('=', '=')) {
            2
        } else {
            1
        };
        let comment = c == '/' && length > 1;
        if c.is_whitespace() || comment {
            spaced = true;
        } else {
            let text = if c == '"' { "\"\"".into() } else { rest[..length].iter().collect() };
            tokens.push(Token { text, spaced: std::mem::take(&mut spaced) });
        }
        at += length;
    }
    tokens
}

/// Returns the length of the string literal that `chars` begins with.
fn string_length(chars: &[char]) -> usize {
    let mut at = 1;
    while chars.get(at).is_some_and(|&c| c != '"') {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn of_program(text: &str) -> Uses {
        let what = What::Program(text.into());
        of_test(&Test { what, ..Test::default() }, &PathBuf::from("/nonexistent"))
    }

    #[test]
    fn programs_have_their_stage() {
        for (text, stage) in [
            (r#"BEGIN { printf("kstack while struct x { %d\n", $1 * 2); exit(); }"#, Stage::S1),
            ("i:s:1 { @[pid, comm] = count(); } END { clear(@); }", Stage::S1),
            (
                "t:syscalls:sys_enter_openat /args->flags * 2 == pid/ { @[str(args.filename)] = hist(args->flags); }",
                Stage::S1,
            ),
            ("BEGIN { print($#); print($1) }", Stage::S1),
            ("BEGIN { $t = (1, (2, 3)); print($t.1.0); @ = $t.0 ? 1 : 2 }", Stage::S1),
            ("tracepoint:syscalls:sys_*_openat { @ = count() }", Stage::S2),
            ("kprobe:vfs_read { @ = hist(arg2) } kretprobe:vfs_read { @ = retval }", Stage::S2),
            ("uprobe:/bin/bash:readline { print(arg0) }", Stage::S2),
            ("BEGIN { print(*(uint32*)kptr(1)) }", Stage::S3),
            ("i:ms:1 { print(curtask) }", Stage::S3),
            ("kprobe:a { print(((struct task_struct *)arg0)->pid) }", Stage::S3),
            ("t:a:b { print(args->rqtp->tv_sec) }", Stage::S3),
            ("BEGIN { print(AF_INET) }", Stage::S3),
            ("#include <a.h>\nBEGIN { exit() }", Stage::S1),
            ("#!/usr/bin/env bpftrace\nBEGIN { exit() }", Stage::S1),
            ("#define A 1\nBEGIN { exit() }", Stage::S3),
            ("p:hz:99 { @[kstack(3)] = count() } // while", Stage::S4),
            ("BEGIN { @ = strncmp(comm, \"a\", 1); /* struct x { */ }", Stage::S5),
            ("struct Foo { int x; } BEGIN { exit() }", Stage::S6),
            ("usdt:./a:b:c { @ = arg0 }", Stage::S7),
            ("watchpoint:0x100:8:w { exit() }", Stage::S7),
            ("uprobe:./a:b { print(args->x) }", Stage::Beyond),
            ("t:a:b { @ = args->x } uprobe:./a:b /pid/ { @ = 1 } t:a:c { @ = args->x }", Stage::S2),
        ] {
            assert_eq!(of_program(text).stage, stage, "{text}");
        }
    }

    #[test]
    fn needs_are_found() {
        let needs = |text: &str| of_program(text).needs.into_iter().collect::<Vec<_>>();
        assert_eq!(needs("k:a, fexit:b { @ = 1 }"), [Need::Kprobes, Need::Fentry]);
        assert_eq!(needs("BEGIN { @ = pid ? k:1 }"), []);
        assert_eq!(needs("uprobe:./k:f { }"), []);
    }

    #[test]
    fn commands_have_their_stage() {
        let stage = |text: &str| {
            let what = What::Command(text.into());
            of_test(&Test { what, ..Test::default() }, &PathBuf::from("/nonexistent")).stage
        };
        for (text, expected) in [
            ("{{BPFTRACE}} --info", Stage::S1),
            ("{{BPFTRACE}} -e 'BEGIN { exit() }' -c 'a kstack'", Stage::S1),
            ("{{BPFTRACE}} -l | grep usdt:", Stage::S2),
            ("{{BPFTRACE}} -l 'usdt:./a:*'", Stage::S7),
            ("{{BPFTRACE}} -f json -e 'BEGIN { exit() }'", Stage::S6),
            ("{{BPFTRACE}} --unsafe -e 'BEGIN { system(\"a\") }'", Stage::S5),
            ("{{BPFTRACE}} -ve \"k:a { exit() }\"", Stage::S2),
        ] {
            assert_eq!(stage(text), expected, "{text}");
        }
    }
}
