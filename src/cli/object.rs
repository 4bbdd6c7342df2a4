//! Programs and maps in the kernel, as the command line names them, and what `/proc` knows of them.

use super::Failure;
use crate::util::{escape, file};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The syntax that selects an object, for `--help`.
pub(super) const WHICH: &str =
    "ID is a number, name:NAME, or the path of a pin (pinned:PATH, or PATH with a / in it)";

/// An object of the kernel as the command line names it.
#[derive(Debug, Clone)]
pub(super) enum Which {
    Id(u32),
    Name(String),
    Pinned(PathBuf),
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Which, String> {
        match text.split_once(':') {
            Some(("id", id)) => Which::from_str(id),
            Some(("name", name)) => Ok(Which::Name(name.into())),
            Some(("pinned", path)) => Ok(Which::Pinned(escape::path(path))),
            _ if text.contains('/') => Ok(Which::Pinned(escape::path(text))),
            _ => text
                .parse()
                .map(Which::Id)
                .map_err(|_| "a number, name:NAME or pinned:PATH is wanted".into()),
        }
    }
}

/// The only one that there is of a name, by the numbers of those that have it.
pub(super) fn only(what: &str, name: &str, ids: &[u32]) -> Result<u32, Failure> {
    match ids {
        [id] => Ok(*id),
        [] => Err(Failure::Other(format!(
            "there is no {what} with the name `{}`",
            escape::shown(name)
        ))),
        several => {
            let ids: Vec<_> = several.iter().map(u32::to_string).collect();
            Err(Failure::Usage(format!(
                "there are several of the name `{}`: say which {what}, {}",
                escape::shown(name),
                ids.join(", ")
            )))
        }
    }
}

/// Whether the kernel's name, of which it keeps 15 bytes, is that of something that is called so.
pub(super) fn is_named(kept: &str, name: &str) -> bool {
    kept == name || kept.len() == 15 && name.starts_with(kept)
}

/// A number that `/proc/self/fdinfo` holds for an object: `memlock`, `frozen`.
pub(super) fn fdinfo(object: BorrowedFd<'_>, key: &str) -> Option<u64> {
    let path = format!("/proc/self/fdinfo/{}", object.as_raw_fd());
    field(&file::read_to_string(path).ok()?, key)
}

fn field(text: &str, key: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(name, _)| *name == key)?.1.trim().parse().ok()
}

/// The processes that hold a descriptor of an object, by its number.
#[derive(Debug, Default)]
pub(super) struct Holders(BTreeMap<u32, Vec<(u32, String)>>);

impl Holders {
    /// Looks through all processes that this one may look into; `key` is `prog_id` or `map_id`.
    pub(super) fn find(key: &str) -> Holders {
        let mut found = Holders::default();
        let own = std::process::id();
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let name = process.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            if pid == own {
                continue;
            }
            let files = fs::read_dir(process.path().join("fdinfo")).into_iter().flatten().flatten();
            let texts = files.filter_map(|file| file::read_to_string(file.path()).ok());
            let ids = texts.filter_map(|text| u32::try_from(field(&text, key)?).ok());
            let mut ids: Vec<u32> = ids.collect();
            ids.sort_unstable();
            ids.dedup();
            if ids.is_empty() {
                continue;
            }
            let comm = file::read(process.path().join("comm")).unwrap_or_default();
            let comm = escape::text(comm.trim_ascii_end()).into_owned();
            for id in ids {
                found.0.entry(id).or_default().push((pid, comm.clone()));
            }
        }
        found
    }

    /// `comm(1), other(2)`; nothing if there are none.
    pub(super) fn text(&self, id: u32) -> Option<String> {
        let holders = self.0.get(&id)?;
        Some(
            holders
                .iter()
                .map(|(pid, comm)| format!("{}({pid})", escape::shown(comm)))
                .collect::<Vec<_>>()
                .join(", "),
        )
    }

    pub(super) fn json(&self, id: u32) -> Value {
        let holders = self.0.get(&id).map(Vec::as_slice).unwrap_or_default();
        holders.iter().map(|(pid, comm)| json!({ "pid": pid, "comm": comm })).collect()
    }
}

/// Seconds since 1970 of a time that is counted from the start of the machine.
pub(super) fn wall_clock(since_boot: Duration) -> Option<u64> {
    let uptime = file::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let booted = now.checked_sub(Duration::try_from_secs_f64(uptime).ok()?)?;
    Some(booted.checked_add(since_boot)?.as_secs())
}

/// `2026-11-24T13:55:23+0000`.
pub(super) fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    // Years that begin with March have the leap day as their last; 400 of them are 146097 days.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    let year = year + era * 400;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}+0000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // As date(1) has them.
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00+0000"),
            (951_782_400, "2000-02-29T00:00:00+0000"),
            (1_795_528_523, "2026-11-24T13:55:23+0000"),
            (4_107_542_399, "2100-02-28T23:59:59+0000"),
            (4_107_542_400, "2100-03-01T00:00:00+0000"),
        ] {
            assert_eq!(date(seconds), expected);
        }
    }

    #[test]
    fn an_object_is_said_in_four_ways() {
        let which = |text: &str| format!("{:?}", text.parse::<Which>());
        assert_eq!(which("12"), "Ok(Id(12))");
        assert_eq!(which("id:12"), "Ok(Id(12))");
        assert_eq!(which("name:a:b"), "Ok(Name(\"a:b\"))");
        assert_eq!(which("pinned:x"), "Ok(Pinned(\"x\"))");
        assert_eq!(which("/sys/fs/bpf/x"), "Ok(Pinned(\"/sys/fs/bpf/x\"))");
        assert!("hello".parse::<Which>().is_err() && "-1".parse::<Which>().is_err());
    }

    #[test]
    fn a_name_that_was_cut_is_known() {
        assert!(is_named("abcdefghijklmno", "abcdefghijklmnop"));
        assert!(is_named("abc", "abc") && !is_named("abc", "abcd"));
    }
}
