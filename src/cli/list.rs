//! `rawbpf list`: what there is to attach programs to.

use super::stdio::{print, warn};
use super::{Failure, Format, words};
use crate::error::Error;
use crate::list::{Argument, KIND, Place, Places};
use crate::util::escape;
use clap::Args;
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::sync::LazyLock;

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP.as_str())]
pub(super) struct ListArgs {
    /// Only what matches; everything without it
    #[arg(value_parser = words::any())]
    pattern: Option<String>,

    /// Also print what a program gets there: the fields of a tracepoint, the arguments of a function
    #[arg(short, long)]
    verbose: bool,

    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

static AFTER_HELP: LazyLock<String> = LazyLock::new(|| {
    format!(
        "PATTERN is KIND:NAME with `*`, `?` and `[a-z]`: 'kprobe:*clone*', 'tracepoint:syscalls:*', 'tp_btf:*', \
         'iter:*', 'software:*'. A kind alone is all of that kind; another word is looked for in the names of \
         every kind. Of programs and libraries: 'uprobe:FILE:str*', 'usdt:FILE:*'. Kinds: {}.",
        Places::kinds().collect::<Vec<_>>().join(", ")
    )
});

/// Prints the attach points that match the arguments. It is a failure if there are none.
pub(super) fn list(args: &ListArgs) -> Result<u8, Failure> {
    let places = Places::new();
    let pattern = args.pattern.as_deref().unwrap_or_default();
    let found = places.find(pattern).map_err(|error| match error {
        Error::NotFound { what: KIND, .. } => Failure::Usage(error.to_string()),
        error => error.into(),
    })?;
    for (kind, why) in &found.left_out {
        warn(format_args!("{kind}: {why}"));
    }
    if found.places.is_empty() {
        return Err(Failure::Other(format!("nothing here matches `{}`", escape::shown(pattern))));
    }
    let mut out = String::new();
    for place in &found.places {
        let arguments = match args.verbose {
            true => places.arguments(place)?,
            false => None,
        };
        match args.format {
            Format::Text => text(&mut out, args.verbose, place, arguments.as_deref()),
            Format::Json => object(&mut out, place, arguments.as_deref()),
        }
    }
    print(&out)?;
    Ok(0)
}

fn text(out: &mut String, verbose: bool, place: &Place, arguments: Option<&[Argument]>) {
    let _ = write!(out, "{}:{}", place.kind, escape::shown(&place.name));
    if let (true, Some(module)) = (verbose, &place.module) {
        let _ = write!(out, " [{}]", escape::shown(module));
    }
    out.push('\n');
    for Argument { declaration, offset, size, .. } in arguments.unwrap_or_default() {
        let _ = match (offset, size) {
            (Some(offset), Some(size)) => {
                writeln!(out, "    {:<40} offset {offset}, size {size}", escape::shown(declaration))
            }
            _ => writeln!(out, "    {}", escape::shown(declaration)),
        };
    }
}

fn object(out: &mut String, place: &Place, arguments: Option<&[Argument]>) {
    let mut row = Map::new();
    row.insert("kind".into(), place.kind.into());
    row.insert("name".into(), place.name.as_str().into());
    row.insert("target".into(), place.to_string().into());
    row.insert("module".into(), place.module.as_deref().into());
    if let Some(arguments) = arguments {
        let list = arguments.iter().map(|Argument { name, declaration, offset, size, .. }| {
            json!({ "name": name, "declaration": declaration, "offset": offset, "size": size })
        });
        row.insert("arguments".into(), list.collect());
    }
    let _ = writeln!(out, "{}", Value::Object(row));
}
