//! `rawbpf map`: the maps that are in the kernel, and what is in them.

use super::contents::number;
use super::disasm::parse_hex;
use super::exec::hex;
use super::object::{Holders, WHICH, Which, fdinfo, is_named, only};
use super::stdio::{print, warn};
use super::typed::Types;
use super::{Failure, Format, words};
use crate::error::Error;
use crate::kernel::cpu;
use crate::map::{Map, MapInfo, Update, is_by_index};
use crate::permission::{Need, explain};
use crate::program::ids;
use crate::syscall::Numbered;
use crate::uapi::Errno;
use crate::util::escape;
use crate::util::lines::is_octal;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::os::fd::AsFd;

#[derive(Debug, Args)]
pub(super) struct MapArgs {
    #[command(subcommand)]
    command: Command,
}

/// The syntax of keys and values, for `--help`.
const BYTES: &str = "ID is a number, name:NAME, or the path of a pin (pinned:PATH, or PATH with a / in it). KEY and \
    VALUE are bytes, 'hex 01 00 00 00', or a number, 1 or 0x1, if they have 1, 2, 4 or 8 bytes. In a map that has a \
    value for each CPU, VALUE is that of every CPU, or those of all one after the other, each filled up to 8 bytes.";

#[derive(Debug, Subcommand)]
enum Command {
    /// List the maps in the kernel
    List(ListArgs),
    /// Show one of them
    #[command(after_help = WHICH)]
    Show {
        #[arg(value_name = "ID", value_parser = words::parsed::<Which>())]
        which: Which,
        #[command(flatten)]
        how: ListArgs,
    },
    /// Print all elements of one
    #[command(after_help = WHICH)]
    Dump {
        #[arg(value_name = "ID", value_parser = words::parsed::<Which>())]
        which: Which,
        /// Output format
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Print one element
    #[command(after_help = BYTES)]
    Lookup {
        #[arg(value_name = "ID", value_parser = words::parsed::<Which>())]
        which: Which,
        #[arg(allow_hyphen_values = true, value_parser = words::any())]
        key: String,
        /// Output format
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Set one element
    #[command(after_help = BYTES)]
    Update {
        #[arg(value_name = "ID", value_parser = words::parsed::<Which>())]
        which: Which,
        #[arg(allow_hyphen_values = true, value_parser = words::any())]
        key: String,
        #[arg(allow_hyphen_values = true, value_parser = words::any())]
        value: String,
        /// any: in either case; noexist: only if there is none; exist: only if there is one
        #[arg(long, value_enum, default_value_t = If::Any)]
        when: If,
    },
    /// Delete one element
    #[command(after_help = BYTES)]
    Delete {
        #[arg(value_name = "ID", value_parser = words::parsed::<Which>())]
        which: Which,
        #[arg(allow_hyphen_values = true, value_parser = words::any())]
        key: String,
    },
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Show who has a descriptor of it
    #[arg(long)]
    pids: bool,

    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum If {
    Any,
    Noexist,
    Exist,
}

/// Runs a subcommand of `map`.
pub(super) fn map(args: &MapArgs) -> Result<u8, Failure> {
    match &args.command {
        Command::List(how) => list(how)?,
        Command::Show { which, how } => {
            print(&row(&open(which)?, holders(how).as_ref(), how.format)?)?;
        }
        Command::Dump { which, format } => dump(&open(which)?, *format)?,
        Command::Lookup { which, key, format } => {
            let map = open(which)?;
            let key = key_of(&map, key)?;
            let Some(value) = map.lookup(&key)? else { return Err(no_such(&map, &key)) };
            let types = Types::of(&map.info()?);
            let line = element(&map, types.as_ref(), &key, &value, *format)?;
            print(&line)?;
        }
        Command::Update { which, key, value, when } => {
            let map = open(which)?;
            let update = match when {
                If::Any => Update::Any,
                If::Noexist => Update::NoExist,
                If::Exist => Update::Exist,
            };
            map.update(&key_of(&map, key)?, &value_of(&map, value)?, update)?;
        }
        Command::Delete { which, key } => {
            let map = open(which)?;
            let key = key_of(&map, key)?;
            if !map.delete(&key)? {
                return Err(no_such(&map, &key));
            }
        }
    }
    Ok(0)
}

fn no_such(map: &Map, key: &[u8]) -> Failure {
    let (name, most) = (escape::shown(map.name()), map.max_entries());
    let index = number(key).filter(|index| is_by_index(map.kind()) && *index >= u64::from(most));
    Failure::Other(match index {
        Some(index) => format!(
            "map `{name}`: index {index} is beyond the end, expected 0 to {}",
            most.saturating_sub(1)
        ),
        None => format!("map `{name}` has no element with the key {}", hex(key, " ")),
    })
}

/// The maps that there are, one after the other; those that go away meanwhile are left out.
fn maps() -> impl Iterator<Item = Result<Map, Error>> {
    ids(Numbered::Map).filter_map(|id| match id.map(Map::open_id) {
        Ok(Err(Error::Call { errno: Errno(libc::ENOENT), .. })) => None,
        Ok(opened) => Some(opened),
        Err(errno) => {
            let why = explain(errno, Need::Numbers);
            let object = "map ids".into();
            Some(Err(Error::Call { action: "list", object, errno, why, note: None }))
        }
    })
}

fn open(which: &Which) -> Result<Map, Failure> {
    Ok(match which {
        Which::Pinned(path) => Map::open_pinned(path)?,
        Which::Id(id) => Map::open_id(*id)?,
        Which::Name(name) => {
            let mut found = Vec::new();
            for map in maps() {
                let map = map?;
                if is_named(map.name(), name) {
                    found.push(map.info()?.id);
                }
            }
            Map::open_id(only("map", name, &found)?)?
        }
    })
}

fn holders(how: &ListArgs) -> Option<Holders> {
    how.pids.then(|| Holders::find("map_id"))
}

fn list(how: &ListArgs) -> Result<(), Failure> {
    let holders = holders(how);
    let mut out = String::new();
    for map in maps() {
        match map {
            Ok(map) => out += &row(&map, holders.as_ref(), how.format)?,
            // Of a type that is newer than this: the others are shown all the same.
            Err(error @ Error::Call { errno: Errno(libc::EINVAL), .. }) => {
                warn(error);
            }
            Err(error) => return Err(error.into()),
        }
    }
    print(&out)
}

/// One map: lines as bpftool has them, or an object with its names.
fn row(map: &Map, holders: Option<&Holders>, format: Format) -> Result<String, Failure> {
    let info = map.info()?;
    let memlock = fdinfo(map.as_fd(), "memlock");
    let frozen = fdinfo(map.as_fd(), "frozen").unwrap_or(0);
    let MapInfo { id, key_size, value_size, max_entries, flags, btf_id, .. } = info;
    let kind = map.kind();
    if format == Format::Json {
        let mut object = json!({
            "id": id, "type": kind.name(), "name": info.name, "flags": flags.bits(),
            "bytes_key": key_size, "bytes_value": value_size, "max_entries": max_entries,
            "bytes_memlock": memlock, "frozen": frozen, "btf_id": btf_id, "map_extra": info.map_extra,
        });
        if let (Some(holders), Some(fields)) = (holders, object.as_object_mut()) {
            fields.insert("pids".into(), holders.json(id));
        }
        return Ok(object.to_string() + "\n");
    }
    let mut text = format!("{id}: {kind}");
    if !info.name.is_empty() {
        let _ = write!(text, "  name {}", escape::shown(&info.name));
    }
    let _ = writeln!(text, "  flags {flags:#x}");
    let _ = write!(text, "\tkey {key_size}B  value {value_size}B  max_entries {max_entries}");
    if let Some(memlock) = memlock {
        let _ = write!(text, "  memlock {memlock}B");
    }
    text.push('\n');
    if btf_id > 0 || frozen > 0 {
        let btf = (btf_id > 0).then(|| format!("btf_id {btf_id}"));
        let frozen = (frozen > 0).then(|| "frozen".to_owned());
        let words: Vec<_> = btf.into_iter().chain(frozen).collect();
        let _ = writeln!(text, "\t{}", words.join("  "));
    }
    if let Some(holders) = holders.and_then(|holders| holders.text(id)) {
        let _ = writeln!(text, "\tpids {holders}");
    }
    Ok(text)
}

fn dump(map: &Map, format: Format) -> Result<(), Failure> {
    let types = Types::of(&map.info()?);
    let mut count = 0u64;
    let mut out = String::new();
    for entry in map {
        let (key, value) = entry?;
        out += &element(map, types.as_ref(), &key, &value, format)?;
        count += 1;
        if out.len() > 1 << 16 {
            print(&out)?;
            out.clear();
        }
    }
    if format == Format::Text {
        let _ = writeln!(out, "Found {count} element{}", if count == 1 { "" } else { "s" });
    }
    print(&out)
}

/// The values of a map that has one for each CPU, each with its CPU; else none.
pub(super) fn per_cpu<'v>(map: &Map, value: &'v [u8]) -> Result<Vec<(u32, &'v [u8])>, Failure> {
    let size = map.value_size() as usize;
    if map.value_len()? == size && size == value.len() {
        return Ok(Vec::new());
    }
    let values = value.chunks(size.next_multiple_of(8).max(8));
    let values = values.map(|value| value.get(..size).unwrap_or(value));
    Ok(cpu::possible()?.into_iter().zip(values).collect())
}

/// One element: in hexadecimal, or by the names that its types have.
fn element(
    map: &Map,
    types: Option<&Types>,
    key: &[u8],
    value: &[u8],
    format: Format,
) -> Result<String, Failure> {
    let cpus = per_cpu(map, value)?;
    if format == Format::Json {
        let array = |bytes: &[u8]| -> Value {
            bytes.iter().map(|byte| Value::from(format!("{byte:#04x}"))).collect()
        };
        let each = |show: &dyn Fn(&[u8]) -> Value| -> Value {
            let one = |(cpu, value): &(u32, &[u8])| json!({ "cpu": cpu, "value": show(value) });
            cpus.iter().map(one).collect()
        };
        let name = if cpus.is_empty() { "value" } else { "values" };
        let values = |show: &dyn Fn(&[u8]) -> Value| match cpus[..] {
            [] => show(value),
            _ => each(show),
        };
        let mut object = json!({ "key": array(key), name: values(&array) });
        if let (Some(types), Some(fields)) = (types, object.as_object_mut()) {
            let values = values(&|bytes| types.value(bytes));
            fields.insert("formatted".into(), json!({ "key": types.key(key), name: values }));
        }
        return Ok(object.to_string() + "\n");
    }
    if let Some(types) = types {
        let key = types.key(key);
        return Ok(match cpus[..] {
            [] => format!("key: {key}  value: {}\n", types.value(value)),
            _ => {
                let values = cpus.iter().map(|(cpu, value)| {
                    format!("  value (CPU {cpu:02}): {}\n", types.value(value))
                });
                format!("key: {key}\n{}", values.collect::<String>())
            }
        });
    }
    Ok(match cpus[..] {
        [] => format!("key: {}  value: {}\n", hex(key, " "), hex(value, " ")),
        _ => {
            let values = cpus
                .iter()
                .map(|(cpu, value)| format!("  value (CPU {cpu:02}): {}\n", hex(value, " ")));
            format!("key: {}\n{}", hex(key, " "), values.collect::<String>())
        }
    })
}

fn key_of(map: &Map, text: &str) -> Result<Vec<u8>, Failure> {
    bytes("KEY", text, map.key_size() as usize)
}

fn value_of(map: &Map, text: &str) -> Result<Vec<u8>, Failure> {
    let (size, whole) = (map.value_size() as usize, map.value_len()?);
    if whole == size {
        return bytes("VALUE", text, size);
    }
    // Values for all CPUs are given as bytes in hexadecimal. A number is one of the values, even
    // where there is only one CPU.
    if text.starts_with("hex")
        && let Ok(all) = bytes("VALUE", text, whole)
    {
        return Ok(all);
    }
    // One for all.
    let mut value = bytes("VALUE", text, size)?;
    let padded = size.next_multiple_of(8).max(8);
    value.resize(padded, 0);
    Ok(value.repeat(whole / padded))
}

/// The bytes that a key or a value is, of this length.
fn bytes(what: &str, text: &str, size: usize) -> Result<Vec<u8>, Failure> {
    let wrong =
        |why: String| Err(Failure::Usage(format!("{what} `{}`: {why}", escape::shown(text))));
    if let Some(digits) = text.strip_prefix("hex") {
        return match parse_hex(digits) {
            Ok(bytes) if bytes.len() == size => Ok(bytes),
            Ok(bytes) => wrong(format!("these are {} bytes, and it has {size}", bytes.len())),
            Err((_, why)) => wrong(why),
        };
    }
    if !matches!(size, 1 | 2 | 4 | 8) {
        return wrong(format!("it has {size} bytes, which no number has: write 'hex 01 02 …'"));
    }
    if is_octal(text) {
        return wrong(
            "it begins with a zero, which makes it octal in C and bpftool: leave that out".into(),
        );
    }
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let number = match digits.strip_prefix("0x") {
        Some(digits) => i128::from_str_radix(digits, 16),
        None => digits.parse::<i128>(),
    };
    let Some(number) = number.ok().filter(|_| !digits.starts_with(['+', '-'])) else {
        return wrong("it is neither a number nor 'hex' and bytes".into());
    };
    let (number, bits) = (number.saturating_mul(sign), size as u32 * 8);
    if number >= 1 << bits || number < -(1 << (bits - 1)) {
        return wrong(format!("it does not fit into {size} bytes"));
    }
    let all = number.to_ne_bytes();
    let low =
        if cfg!(target_endian = "little") { all.get(..size) } else { all.get(all.len() - size..) };
    Ok(low.unwrap_or_default().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_bytes_or_numbers() {
        let good = |text, size| bytes("KEY", text, size).map_err(|error| error.to_string());
        assert_eq!(good("hex 01 02 0a", 3), Ok(vec![1, 2, 10]));
        assert_eq!(good("hex:0102", 2), Ok(vec![1, 2]));
        assert_eq!(good("258", 4), Ok(258u32.to_ne_bytes().to_vec()));
        assert_eq!(good("0xffff", 2), Ok(vec![255, 255]));
        assert_eq!(good("-1", 8), Ok(vec![255; 8]));
        assert_eq!(good("18446744073709551615", 8), Ok(vec![255; 8]));
        assert_eq!(good("-128", 1), Ok(vec![128]));
        assert_eq!((good("0", 1), good("-0", 1)), (Ok(vec![0]), Ok(vec![0])));
        for (text, size, why) in [
            ("256", 1, "KEY `256`: it does not fit into 1 bytes"),
            ("-129", 1, "KEY `-129`: it does not fit into 1 bytes"),
            ("1", 3, "KEY `1`: it has 3 bytes, which no number has: write 'hex 01 02 …'"),
            (
                "010",
                4,
                "KEY `010`: it begins with a zero, which makes it octal in C and bpftool: leave that out",
            ),
            (
                "-08",
                4,
                "KEY `-08`: it begins with a zero, which makes it octal in C and bpftool: leave that out",
            ),
            ("0x", 4, "KEY `0x`: it is neither a number nor 'hex' and bytes"),
            ("--1", 4, "KEY `--1`: it is neither a number nor 'hex' and bytes"),
            ("hex 01", 4, "KEY `hex 01`: these are 1 bytes, and it has 4"),
            ("hex zz", 1, "KEY `hex zz`: `zz` is not hexadecimal"),
        ] {
            assert_eq!(good(text, size), Err(why.into()));
        }
    }
}
