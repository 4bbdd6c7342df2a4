//! Tests that the tables of `docs/bt.md` match those of the compiler, and its list of unsupported features matches the
//! constructs that the compiler rejects.

use super::builtins::{self, BUILTINS};
use super::config::SETTINGS;
use super::functions::{self, FUNCTIONS, Usage};
use super::probe::{Kind, PROVIDERS};
use crate::requires::{Thing, needs};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// The kinds of which a provider has its own; the others are [`Kind::Special`].
const KINDS: [Kind; 15] = [
    Kind::Interval,
    Kind::Profile,
    Kind::Software,
    Kind::Hardware,
    Kind::Tracepoint,
    Kind::RawTracepoint,
    Kind::Kprobe,
    Kind::Kretprobe,
    Kind::Fentry,
    Kind::Fexit,
    Kind::Uprobe,
    Kind::Uretprobe,
    Kind::Usdt,
    Kind::Watchpoint,
    Kind::Iter,
];

/// Providers that are parsed and then rejected.
const REFUSED: [&str; 4] = ["watchpoint", "asyncwatchpoint", "bench", "test"];

/// The least kernels that are not the least of all, by provider.
const LEAST: [(&str, &str); 2] =
    [("fentry", "5.10; arm64 6.0, s390x 6.3"), ("fexit", "5.10; arm64 6.0, s390x 6.3")];

/// The minimum kernel of everything else.
const LEAST_OF_ALL: &str = "5.10";

/// Escapes text for a table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('*', "\\*").replace('<', "\\<")
}

fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}

fn codes<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    texts.into_iter().map(code).collect::<Vec<_>>().join(", ")
}

fn probes() -> String {
    let mut out =
        String::from("| probe | spelling | short | also has | Linux |\n|---|---|---|---|---|\n");
    for provider in PROVIDERS {
        let (name, others) = provider.names.split_first().unwrap();
        let kind = KINDS.into_iter().find(|kind| kind.word() == *name).unwrap_or(Kind::Special);
        let least =
            LEAST.iter().find(|(of, _)| of == name).map_or(LEAST_OF_ALL, |(_, least)| least);
        let least = if REFUSED.contains(name) { "not supported" } else { least };
        let offered = codes(builtins::offered(kind));
        let (form, others) = (cell(provider.form), codes(others.iter().copied()));
        writeln!(out, "| {} | {form} | {others} | {offered} | {least} |", code(name)).unwrap();
    }
    out
}

fn builtins_table() -> String {
    let mut out =
        String::from("| builtin | type | meaning | probes | Linux |\n|---|---|---|---|---|\n");
    for row in BUILTINS {
        let kinds = row.kinds.map_or("all".into(), |kinds| {
            kinds.iter().map(|kind| kind.word()).collect::<Vec<_>>().join(", ")
        });
        let (ty, help, since) = (cell(row.ty), cell(row.help), row.since.unwrap_or(LEAST_OF_ALL));
        writeln!(out, "| {} | {ty} | {help} | {kinds} | {since} |", code(row.name)).unwrap();
    }
    out
}

fn functions_table() -> String {
    let mut out = String::from("| function | meaning | used as | Linux |\n|---|---|---|---|\n");
    for row in FUNCTIONS.iter().filter(|row| row.id != functions::Id::Unsupported) {
        let usage = match row.usage {
            Usage::Statement => "statement",
            Usage::Value => "value",
            Usage::MapValue => "value of a map",
        };
        let needs = if row.unsafe_mode { ", `--unsafe`" } else { "" };
        let since = row.since.unwrap_or(LEAST_OF_ALL);
        writeln!(
            out,
            "| {} | {} | {usage}{needs} | {since} |",
            code(row.signature),
            cell(row.help)
        )
        .unwrap();
    }
    out
}

fn settings() -> String {
    let mut out = String::from("| setting | meaning |\n|---|---|\n");
    for setting in SETTINGS {
        writeln!(out, "| {} | {} |", code(setting.name), cell(setting.help)).unwrap();
    }
    out
}

fn refused_functions() -> String {
    let refused = FUNCTIONS.iter().filter(|row| row.id == functions::Id::Unsupported);
    refused.map(|row| format!("- `{}()`\n", row.name)).collect()
}

fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/bt.md")
}

#[test]
fn the_docs_have_the_tables() {
    // The files are where it was built.
    needs!(Cargo);
    let parts = [
        ("probes", probes()),
        ("builtins", builtins_table()),
        ("functions", functions_table()),
        ("settings", settings()),
        ("refused functions", refused_functions()),
    ];
    for (name, expected) in parts {
        let text = fs::read_to_string(document()).unwrap();
        let begin = format!("<!-- {name}: made by UPDATE_DOCS=1 cargo test --lib bt::docs -->\n");
        let end = format!("<!-- end of {name} -->\n");
        let (before, rest) = text.split_once(&begin).expect(name);
        let (found, after) = rest.split_once(&end).expect(name);
        // An empty line makes Markdown see a table behind the comment.
        let expected = format!("\n{expected}\n");
        if found != expected && std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(document(), format!("{before}{begin}{expected}{end}{after}")).unwrap();
            continue;
        }
        assert_eq!(found, expected, "UPDATE_DOCS=1 cargo test --lib bt::docs writes it anew");
    }
}

/// The items of the list of unsupported features.
fn listed() -> Vec<String> {
    let text = fs::read_to_string(document()).unwrap();
    let (_, section) = text.split_once("\n## Not supported\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let items = section.lines().filter_map(|line| line.strip_prefix("- `"));
    items.map(|item| item.split('`').next().unwrap().to_owned()).collect()
}

/// Appends the sources of the compiler, but not those of tests.
fn sources(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap();
        if stem == "tests" || stem == "docs" {
            continue;
        }
        if path.is_dir() {
            sources(&path, all);
        } else {
            all.push(path);
        }
    }
}

/// The words with which a refusal in the source begins: up to what is only known when it is made.
fn refusals(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]").next().unwrap();
    // A literal among the arguments, before anything that closes them.
    let calls = source.split("unsupported(").skip(1).filter_map(|rest| {
        let (before, literal) = rest.split_once('"')?;
        (!before.contains([')', ';'])).then_some(literal)
    });
    let spelled = source.split("\"not supported: ").skip(1);
    let missing = source.split(".missing(\"").skip(1);
    calls
        .chain(spelled)
        .filter_map(beginning)
        .chain(missing.filter_map(beginning).map(|what| format!("{what} on this kernel")))
        .filter(|text| !text.is_empty())
        .collect()
}

/// The part of a literal that does not depend on anything; `text` begins behind its quote.
fn beginning(text: &str) -> Option<String> {
    let text = text.split(['"', '{']).next()?;
    Some(text.trim_start_matches("not supported: ").trim_end().to_owned())
}

#[test]
fn the_docs_list_each_refusal() {
    // The files are where it was built.
    needs!(Cargo);
    assert_eq!(
        refusals(
            "f(\"not supported: a b\"); s.unsupported(x, format!(\"c {d} e\")); s.missing(\"g\", \"h\")"
        ),
        ["c", "a b", "g on this kernel"]
    );
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bt"), &mut files);
    let listed = listed();
    let mut seen = 0;
    // The table of functions has an item for each by the other test.
    for file in files.into_iter().filter(|file| !file.ends_with("functions.rs")) {
        for refusal in refusals(&fs::read_to_string(&file).unwrap()) {
            seen += 1;
            let is_listed = listed.iter().any(|item| {
                let rest = refusal.strip_prefix(&**item);
                rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
            });
            assert!(is_listed, "{}: `{refusal}` is not in {listed:?}", file.display());
        }
    }
    assert!(seen > 20, "found only {seen}");
}
