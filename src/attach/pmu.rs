//! Kprobes and uprobes as PMUs of their own (Linux 4.17): the perf event *is* the probe and goes with its descriptor.

use crate::error::{Error, Result};
use crate::permission;
use crate::util::file;
use std::io;
use std::path::Path;

/// Returns the number of a PMU as a type of event, and the bit of `config` that selects the return of a function, if
/// that is wanted; `None` if the kernel has no such PMU.
pub(super) fn find(name: &str, returns: bool) -> Result<Option<(u32, u64)>> {
    let Some(kind) = read_number(name, "type", "")? else { return Ok(None) };
    let bit = if returns { read_number(name, "format/retprobe", "config:")? } else { None };
    let config = bit.map_or(0, |bit| 1u64.checked_shl(bit).unwrap_or(0));
    Ok(Some((kind, config)))
}

/// The folder of the PMUs.
const DEVICES: &str = "/sys/bus/event_source/devices";

/// Whether the kernel's PMUs can be seen: where sysfs is not mounted there is no telling which there are.
pub(super) fn is_visible() -> bool {
    Path::new(DEVICES).is_dir()
}

/// Refuses to continue without a PMU, if sysfs is not mounted.
pub(super) fn demand<T>(found: Option<T>) -> Result<Option<T>> {
    if found.is_none() && !is_visible() {
        let source = io::Error::from_raw_os_error(libc::ENOENT);
        return Err(permission::file("read", Path::new(DEVICES), source));
    }
    Ok(found)
}

/// Whether events of a PMU have a format field of this name.
pub(super) fn has_format(name: &str, format: &str) -> bool {
    folder(name).join("format").join(format).exists()
}

fn folder(name: &str) -> std::path::PathBuf {
    Path::new(DEVICES).join(name)
}

/// A number in a file of the PMU, behind a prefix; `None` if the file is not there.
fn read_number(name: &str, file: &str, prefix: &str) -> Result<Option<u32>> {
    let path = folder(name).join(file);
    let text = match file::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(permission::file("read", &path, source)),
    };
    let number = text.trim().strip_prefix(prefix).and_then(|text| text.parse().ok());
    number.map(Some).ok_or(Error::Format { path, problem: "it holds no number" })
}
