//! The texts of numbers: of errors and of signals.

use super::types::Described;

/// The signals of Linux on most machines from 1 on, in the words of `strsignal()`.
const SIGNALS: [&str; 31] = [
    "Hangup",
    "Interrupt",
    "Quit",
    "Illegal instruction",
    "Trace/breakpoint trap",
    "Aborted",
    "Bus error",
    "Floating point exception",
    "Killed",
    "User defined signal 1",
    "Segmentation fault",
    "User defined signal 2",
    "Broken pipe",
    "Alarm clock",
    "Terminated",
    "Stack fault",
    "Child exited",
    "Continued",
    "Stopped (signal)",
    "Stopped",
    "Stopped (tty input)",
    "Stopped (tty output)",
    "Urgent I/O condition",
    "CPU time limit exceeded",
    "File size limit exceeded",
    "Virtual timer expired",
    "Profiling timer expired",
    "Window changed",
    "I/O possible",
    "Power failure",
    "Bad system call",
];

/// The first signal without a name of its own, as user space numbers them.
const FIRST_REAL_TIME: i64 = 34;

/// The last signal.
const LAST: i64 = 64;

/// Returns the text of a number. Of errors, the sign makes no difference: system calls return them as negative numbers.
pub(crate) fn text(of: Described, number: i64) -> String {
    match of {
        Described::Error => {
            let number = i32::try_from(number.unsigned_abs()).unwrap_or(i32::MAX);
            let text = std::io::Error::from_raw_os_error(number).to_string();
            // std adds the number.
            match text.rfind(" (os error") {
                Some(end) => text.get(..end).unwrap_or_default().to_owned(),
                None => text,
            }
        }
        Described::Signal => {
            let named = usize::try_from(number).ok().and_then(|at| SIGNALS.get(at.checked_sub(1)?));
            match named {
                Some(name) => (*name).to_owned(),
                None if (FIRST_REAL_TIME..=LAST).contains(&number) => {
                    format!("Real-time signal {}", number - FIRST_REAL_TIME)
                }
                None => format!("Unknown signal {number}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_texts_of_bpftrace() {
        // As bpftrace 0.27 prints them.
        for (number, expected) in [
            (0, "Success"),
            (1, "Operation not permitted"),
            (2, "No such file or directory"),
            (-2, "No such file or directory"),
        ] {
            assert_eq!(text(Described::Error, number), expected);
        }
        for (number, expected) in [
            (0, "Unknown signal 0"),
            (9, "Killed"),
            (15, "Terminated"),
            (64, "Real-time signal 30"),
        ] {
            assert_eq!(text(Described::Signal, number), expected);
        }
    }

    #[test]
    fn any_number_has_a_text() {
        for number in [i64::MIN, -1, 32, 4095, 9999, i64::MAX] {
            for of in [Described::Error, Described::Signal] {
                assert!(!text(of, number).is_empty(), "{of:?} {number}");
            }
        }
    }
}
