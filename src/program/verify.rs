//! Loading with the verifier's log of a program that it accepts.

use super::{ENOSPC, LOG_MOST, LOG_START, LOG_STATS, Loader, Program, explain, load_retrying};
use crate::error::Result;
use crate::spec::ProgramSpec;
use crate::syscall::{Log, ProgLoad};

impl<'a> Loader<'a> {
    /// Loads a program, and returns the verifier's log: the statistics
    /// ([`VerifierLog::statistics`](crate::verifier::VerifierLog::statistics)), and with a log level of 1 or 2 the
    /// path too. Without the path, the log is empty on kernels before 5.2, which write no statistics alone.
    ///
    /// This takes the verifier twice as long as [`load`](Loader::load): once to check the program, once more for
    /// the log.
    ///
    /// # Errors
    /// The errors of [`load`](Loader::load).
    pub fn load_with_log(&mut self, spec: &ProgramSpec<'a, '_>) -> Result<(Program, String)> {
        let level = self.log_level;
        let ((fd, log), arguments) = self.prepared(spec, None, |load| {
            let fd = match load_retrying(load) {
                Ok(fd) => fd,
                Err(errno) => explain(spec, load, errno, level.max(1))?,
            };
            Ok((fd, log_of(load, level | LOG_STATS)))
        })?;
        Ok((Program::of(spec, fd, arguments), log))
    }
}

/// Returns the verifier's log of a program that it accepts; the part that fits, if it is too long.
fn log_of(load: &ProgLoad<'_>, level: u32) -> String {
    let mut buffer = vec![0; LOG_START];
    loop {
        let log = Log { level, buffer: &mut buffer, true_size: 0 };
        let mut again = ProgLoad { log: Some(log), ..*load };
        let answer = load_retrying(&mut again);
        let too_long = matches!(answer, Err(ENOSPC));
        if !too_long || buffer.len() == LOG_MOST {
            let end = buffer.iter().position(|byte| *byte == 0).unwrap_or(buffer.len());
            return String::from_utf8_lossy(buffer.get(..end).unwrap_or_default()).into_owned();
        }
        buffer = vec![0; LOG_MOST];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf;
    use crate::syscall::{Call, fake};
    use crate::uapi::{Errno, ProgramType};
    use std::cell::RefCell;
    use std::rc::Rc;

    const SPEC: ProgramSpec<'_, '_> =
        ProgramSpec::new("two", ProgramType::Kprobe, bpf! { r0 = 0; exit; });

    #[test]
    fn the_log_of_an_accepted_program_is_asked_for_afterwards() {
        let asked = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&asked);
        let kernel = move |call: &mut Call<'_, '_>| {
            let Call::ProgLoad(load) = call else { return None };
            seen.borrow_mut().push(load.log.as_ref().map(|log| (log.level, log.buffer.len())));
            match &mut load.log {
                Some(log) if log.buffer.len() < LOG_MOST => return Some(Err(ENOSPC)),
                Some(log) => log.buffer[..4].copy_from_slice(b"0: x"),
                None => {}
            }
            Some(fake::descriptor())
        };
        let (_, log) =
            fake::with(kernel, || Loader::new().log_level(1).load_with_log(&SPEC)).unwrap();
        assert_eq!(log, "0: x");
        assert_eq!(asked.borrow()[..], [None, Some((5, LOG_START)), Some((5, LOG_MOST))]);
    }

    /// A security module refuses the load after the verifier has written its statistics.
    #[test]
    fn a_refusal_without_a_word_of_the_verifier_is_no_rejection() {
        let load = |text: &'static [u8]| {
            let kernel = move |call: &mut Call<'_, '_>| {
                let Call::ProgLoad(load) = call else { return None };
                if let Some(log) = &mut load.log {
                    log.buffer[..text.len()].copy_from_slice(text);
                }
                Some(Err(Errno(libc::EACCES)))
            };
            fake::with(kernel, || Loader::new().load(&SPEC)).unwrap_err()
        };
        let error = load(b"processed 0 insns (limit 1000000)\n");
        assert!(error.verifier().is_none() && error.to_string().contains("EACCES"), "{error}");
        assert!(load(b"R3 !read_ok\nprocessed 0 insns (limit 1000000)\n").verifier().is_some());
    }

    #[test]
    fn a_kernel_that_writes_none_has_loaded_it_all_the_same() {
        let kernel = |call: &mut Call<'_, '_>| match call {
            Call::ProgLoad(load) if load.log.is_some() => Some(Err(Errno(libc::EINVAL))),
            Call::ProgLoad(_) => Some(fake::descriptor()),
            _ => None,
        };
        let (_, log) = fake::with(kernel, || Loader::new().load_with_log(&SPEC)).unwrap();
        assert_eq!(log, "");
    }
}
