//! `time()` and `strftime()`: points in time as text, in the local time zone.

use crate::syscall;
use std::ffi::CString;
use std::time::{Duration, SystemTime};

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallTime {
    nanoseconds: i128,
}

impl WallTime {
    /// Creates the point that lies this many nanoseconds after 1970-01-01 00:00:00 UTC.
    pub const fn from_unix_nanoseconds(nanoseconds: i128) -> WallTime {
        WallTime { nanoseconds }
    }

    /// Returns the text of `strftime()`: the conversions of
    /// [strftime(3)](https://man7.org/linux/man-pages/man3/strftime.3.html), and `%f` for microseconds, six digits.
    /// A conversion that does not exist stands for itself.
    pub fn strftime(self, format: &[u8]) -> Vec<u8> {
        let microseconds = self.nanoseconds.rem_euclid(1_000_000_000) / 1_000;
        self.formatted(format, Some(microseconds))
    }

    /// Returns the text of `time()`: as [`strftime`](WallTime::strftime), without `%f`.
    pub fn time(self, format: &[u8]) -> Vec<u8> {
        self.formatted(format, None)
    }

    fn formatted(self, format: &[u8], microseconds: Option<i128>) -> Vec<u8> {
        let seconds = i64::try_from(self.nanoseconds.div_euclid(1_000_000_000));
        let format = CString::new(portable(format, microseconds)).unwrap_or_default();
        seconds.ok().and_then(|seconds| syscall::local_time(&format, seconds)).unwrap_or_default()
    }
}

impl From<SystemTime> for WallTime {
    fn from(time: SystemTime) -> WallTime {
        let nanoseconds = |duration: Duration| duration.as_nanos() as i128;
        let nanoseconds = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => nanoseconds(after),
            Err(before) => -nanoseconds(before.duration()),
        };
        WallTime { nanoseconds }
    }
}

/// The conversions of strftime that C libraries of Linux share.
const CONVERSIONS: &[u8] = b"aAbBcCdDeFgGhHIjklmMnprRsStTuUVwWxXyYzZ%";

/// `%P`, am or pm in small letters, is of the GNU C library.
const GNU: bool = cfg!(target_env = "gnu");

/// A format that every C library reads alike: with the microseconds in it, and with a second percent sign where no
/// conversion begins. It ends before the first zero byte, as strings of C do.
fn portable(format: &[u8], microseconds: Option<i128>) -> Vec<u8> {
    let mut portable = Vec::with_capacity(format.len());
    let mut rest = format.split(|byte| *byte == 0).next().unwrap_or_default();
    while let [byte, after @ ..] = rest {
        rest = after;
        portable.push(*byte);
        if *byte != b'%' {
            continue;
        }
        let modifiers = after.iter().take_while(|byte| b"_-0^#EO123456789+".contains(byte)).count();
        match (after.get(modifiers), microseconds) {
            (Some(b'f'), Some(microseconds)) if modifiers == 0 => {
                portable.pop();
                portable.extend(format!("{microseconds:06}").bytes());
                rest = after.get(1..).unwrap_or_default();
            }
            (Some(letter), _) if CONVERSIONS.contains(letter) || (GNU && *letter == b'P') => {
                let (conversion, after) = after.split_at(modifiers + 1);
                portable.extend_from_slice(conversion);
                rest = after;
            }
            _ => portable.push(b'%'),
        }
    }
    portable
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requires::{Thing, needs};

    #[test]
    fn formats_are_read_alike_everywhere() {
        let portable = |format: &[u8], microseconds| {
            String::from_utf8(super::portable(format, microseconds)).unwrap()
        };
        assert_eq!(portable(b"%H:%M:%S.%f", Some(42)), "%H:%M:%S.000042");
        assert_eq!(portable(b"%f %% %%f", None), "%%f %% %%f");
        assert_eq!(portable(b"%%f%f", Some(1)), "%%f000001");
        assert_eq!(portable(b"%-d %5Y %! 100%", None), "%-d %5Y %%! 100%%");
        assert_eq!(portable(b"%Y\0%m", None), "%Y");
    }

    #[test]
    fn date_prints_the_same() {
        needs!(Coreutils);
        // In the local time zone, whatever it is; date(1) uses the same rules.
        let format = "%a %A %b %B %c %C %d %D %e %F %g %G %h %H %I %j %k %l %m %M %p %r %R %s %S %T %u %U %V %w %W \
                      %x %X %y %Y %z %Z %%";
        for seconds in [0, 1_234_567_890, 1_700_000_000, -86_400, 4_102_444_800, 1_720_000_000] {
            let date = std::process::Command::new("/usr/bin/date")
                .args([&format!("--date=@{seconds}"), &format!("+{format}")])
                .env("LC_ALL", "C")
                .output()
                .unwrap();
            assert!(date.status.success());
            let ours = WallTime::from_unix_nanoseconds(seconds * 1_000_000_000 + 999_999_999);
            let ours = String::from_utf8(ours.strftime(format.as_bytes())).unwrap();
            assert_eq!(ours, String::from_utf8(date.stdout).unwrap().trim_end_matches('\n'));
        }
    }

    #[test]
    fn microseconds_and_long_texts() {
        let time = WallTime::from_unix_nanoseconds(1_234_567_890);
        assert_eq!(time.strftime(b"%f"), b"234567");
        assert_eq!(WallTime::from_unix_nanoseconds(-1).strftime(b"%f %s"), b"999999 -1");
        assert_eq!(time.time(b"%f"), b"%f");
        assert_eq!(time.time(b""), b"");
        assert_eq!(time.time(&b"%%".repeat(5000)), b"%".repeat(5000));
    }
}
