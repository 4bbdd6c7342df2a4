//! Local time, by the C library: it reads the rules of time zones.

use std::ffi::CStr;

/// The longest text of a time, in bytes.
const LONGEST: usize = 1 << 20;

/// Returns the text of a point in local time by
/// [strftime(3)](https://man7.org/linux/man-pages/man3/strftime.3.html). `None` if the year does not fit, or if the text
/// is longer than 1 MiB.
pub(crate) fn local_time(format: &CStr, seconds: i64) -> Option<Vec<u8>> {
    // The text begins with this, so that no text is empty: strftime returns 0 if there is no room.
    let format = [b".", format.to_bytes_with_nul()].concat();
    #[allow(clippy::useless_conversion)] // Not on every architecture.
    let seconds = seconds.try_into().ok()?;
    // SAFETY: All zeros is a valid `tm`; its pointer is null.
    let mut time: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: Both point to what the function wants, and it keeps neither.
    if unsafe { libc::localtime_r(&seconds, &mut time) }.is_null() {
        return None;
    }
    let mut text = vec![0u8; 64 + 2 * format.len()];
    loop {
        // SAFETY: The buffer has as many bytes as it is said to have; the format ends with a zero byte; `time` was filled
        // by localtime_r, so that its zone is null or a string that lives as long as the process.
        let length = unsafe {
            libc::strftime(text.as_mut_ptr().cast(), text.len(), format.as_ptr().cast(), &time)
        };
        match length {
            0 if text.len() >= LONGEST => return None,
            0 => text.resize(2 * text.len(), 0),
            length => {
                text.truncate(length);
                text.remove(0);
                return Some(text);
            }
        }
    }
}
