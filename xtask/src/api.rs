//! The public API as text, and a comparison with the snapshot in the repository.
//!
//! The text is made from rustdoc's JSON, which is unstable: rustdoc writes it only with `-Z unstable-options`, which a stable toolchain
//! takes if `RUSTC_BOOTSTRAP` allows it. Here it allows it to the crate `rawbpf` alone, for one call of rustdoc whose output is
//! read and thrown away; nothing that is shipped or tested is built that way, and neither `cargo build` nor `cargo xtask test` needs it.
//! A nightly toolchain beside the stable one would be the alternative, and would have to be kept at one date: each version of
//! `public-api` reads one version of the format.

use crate::paths;
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The snapshot, below the workspace.
const SNAPSHOT: &str = "xtask/api.txt";

/// The version of rustdoc's JSON that the `public-api` of `Cargo.toml` reads, and the Rust that writes it.
const FORMAT: (u64, &str) = (57, "1.95");

/// Options of `cargo xtask api`.
#[derive(clap::Args)]
pub struct Options {
    /// Write the snapshot anew
    #[arg(long)]
    bless: bool,
}

/// Compares the API with the snapshot, or writes the snapshot; the exit status is 1 if they differ.
pub fn run(options: &Options) -> Result<u8> {
    let now = current()?;
    let path = paths::workspace().join(SNAPSHOT);
    if options.bless {
        fs::write(&path, now).with_context(|| format!("cannot write {}", path.display()))?;
        return Ok(0);
    }
    let before = fs::read_to_string(&path).with_context(|| {
        format!("cannot read {}; `cargo xtask api --bless` makes it", path.display())
    })?;
    let Some(report) = difference(&before, &now) else { return Ok(0) };
    eprint!("{report}");
    Ok(1)
}

/// The public API of the library with all features, one item a line.
fn current() -> Result<String> {
    let target = paths::workspace().join("target/api");
    let status = Command::new(env!("CARGO"))
        .current_dir(paths::workspace())
        .args(["rustdoc", "--quiet", "--package", "rawbpf", "--lib", "--all-features", "--locked"])
        .arg("--target-dir")
        .arg(&target)
        .args(["--", "-Z", "unstable-options", "--output-format", "json"])
        .env("RUSTC_BOOTSTRAP", "rawbpf")
        .status()
        .context("cannot start cargo")?;
    if !status.success() {
        bail!("rustdoc failed ({status})");
    }
    let json = target.join("doc/rawbpf.json");
    check_format(&json)?;
    let api = public_api::Builder::from_rustdoc_json(&json)
        .omit_blanket_impls(true)
        .build()
        .with_context(|| format!("cannot read {}", json.display()))?;
    Ok(text(api.items().map(ToString::to_string)))
}

/// Refuses JSON of a version that `public-api` would misread.
fn check_format(json: &Path) -> Result<()> {
    let text =
        fs::read_to_string(json).with_context(|| format!("cannot read {}", json.display()))?;
    let value: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("cannot read {}", json.display()))?;
    let (expected, rust) = FORMAT;
    match value["format_version"].as_u64() {
        Some(found) if found == expected => Ok(()),
        found => bail!(
            "rustdoc's JSON: format version: {}, expected {expected}: compare with Rust {rust}, or choose the version of \
             `public-api` in xtask/Cargo.toml that reads the other",
            found.map_or("none".to_owned(), |found| found.to_string())
        ),
    }
}

/// The lines of the snapshot: the items, without what repeats what another line says.
fn text(items: impl Iterator<Item = String>) -> String {
    let mut lines = String::new();
    for item in items.filter(|item| !is_noise(item)) {
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{item}");
    }
    lines
}

/// Methods of traits of std, with the beginning and the end of their signatures.
const METHODS: [(&str, &str, &str); 7] = [
    ("clone", "(&self) -> ", ""),
    ("cmp", "(&self, &", ") -> core::cmp::Ordering"),
    ("drop", "(&mut self)", ""),
    ("eq", "(&self, &", ") -> bool"),
    ("fmt", "(&self, &mut core::fmt::Formatter<'_>) -> ", "core::fmt::Result"),
    ("hash", "(&self, &mut ", ")"),
    ("partial_cmp", "(&self, &", ") -> core::option::Option<core::cmp::Ordering>"),
];

/// Whether an item goes without saying: a trait that the compiler implements by itself, or a method of a trait of std whose
/// implementation has a line of its own. A type's own method of such a name has another signature.
///
/// Of the first kind, `Send` and `Sync` matter to users. Nearly every type has them, so the snapshot has those that lack them.
fn is_noise(item: &str) -> bool {
    const AUTOMATIC: [&str; 8] = [
        "core::marker::Freeze",
        "core::marker::Send",
        "core::marker::StructuralPartialEq",
        "core::marker::Sync",
        "core::marker::Unpin",
        "core::marker::UnsafeUnpin",
        "core::panic::unwind_safe::RefUnwindSafe",
        "core::panic::unwind_safe::UnwindSafe",
    ];
    const KEPT: [&str; 2] = ["!core::marker::Send", "!core::marker::Sync"];
    if let Some(rest) = item.strip_prefix("impl") {
        // `impl<T> core::marker::Send for X where …`: the trait is the word before the first ` for `.
        let of = rest.split_once(" for ").and_then(|(before, _)| before.rsplit(' ').next());
        return of.is_some_and(|of| {
            AUTOMATIC.contains(&of.trim_start_matches('!')) && !KEPT.contains(&of)
        });
    }
    let path = item.split('(').next().unwrap_or_default();
    let signature = item.strip_prefix(path).unwrap_or_default();
    let is_of_trait = |(name, start, end): &(&str, &str, &str)| {
        last_name(path) == *name
            && signature.starts_with(start)
            && signature.ends_with(end)
            && (*name != "hash" || item.contains(": core::hash::Hasher"))
    };
    path.starts_with("pub fn ") && METHODS.iter().any(is_of_trait)
}

/// The last name of a path, without the generic parameters behind it.
fn last_name(path: &str) -> &str {
    let mut depth = 0;
    let end = path.rfind(|c| {
        depth += i32::from(c == '>') - i32::from(c == '<');
        depth == 0 && c != '<'
    });
    let path = end.map_or(path, |end| &path[..=end]);
    path.rsplit("::").next().unwrap_or(path)
}

/// The items that were removed and added, if there are any.
fn difference(before: &str, now: &str) -> Option<String> {
    let count = |text: &str, line: &str| text.lines().filter(|other| *other == line).count();
    // A line may stand there twice: two implementations of one generic trait with equal methods.
    let lacking = |text: &str, other: &str, sign: char| -> Vec<String> {
        let mut lines: Vec<_> = text.lines().collect();
        lines.dedup();
        let differs = |line: &&str| count(text, line) > count(other, line);
        lines.into_iter().filter(differs).map(|line| format!("{sign}{line}\n")).collect()
    };
    let removed = lacking(before, now, '-');
    let added = lacking(now, before, '+');
    if removed.is_empty() && added.is_empty() {
        return None;
    }
    Some(format!(
        "{}{}xtask: api: the public API differs from {SNAPSHOT}: {} removed or changed, {} added. If that is meant: \
         `cargo xtask api --bless`, and CHANGELOG.md\n",
        removed.concat(),
        added.concat(),
        removed.len(),
        added.len()
    ))
}

#[cfg(test)]
mod tests;
