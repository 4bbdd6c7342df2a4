//! Resolution of stack frames for any process that is running, or that was watched while it ran.

use super::code::{Code, code_of};
use super::files::Files;
use super::process::Process;
use super::stack::UserLocation;
use super::watch::Watch;
use crate::error::Result;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The processes whose addresses may be looked up.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    watched: Vec<Watch>,
    /// Processes whose mappings were read, by their PIDs.
    known: HashMap<u32, Known>,
    /// All processes that were running at the first stack of a process that is not watched.
    living: OnceCell<Vec<Vec<Code>>>,
    files: Files,
}

/// The mappings of a process when they were last read.
#[derive(Debug)]
struct Known {
    code: Vec<Code>,
    asked: Instant,
}

/// The time for which the mappings of a process are not read again, if it had nothing at an address.
const PAUSE: Duration = Duration::from_millis(100);

/// The most processes whose mappings are kept.
const MOST: usize = 1 << 10;

impl Processes {
    /// Records from now on the mappings of a process, and of those that it starts, so that their addresses have names
    /// also when they have ended.
    ///
    /// # Errors
    /// The errors of [`Watch::new`]: the process has names only while it runs then.
    pub(crate) fn watch(&mut self, pid: u32) -> Result<()> {
        self.watched.push(Watch::new(pid)?);
        self.files.hold(pid, None);
        Ok(())
    }

    /// Records the new mappings of the watched processes.
    pub(crate) fn look(&mut self) {
        self.watched.iter_mut().for_each(Watch::look);
        for watch in &self.watched {
            watch.makers().for_each(|pid| self.files.hold(pid, Some(watch.pid())));
        }
    }

    /// Whether a process is watched.
    pub(crate) fn watches(&self) -> bool {
        !self.watched.is_empty()
    }

    /// Resolves an address of a process.
    pub(crate) fn frame(&mut self, pid: u32, address: u64) -> Option<UserLocation> {
        let noted = self.watched.iter().find_map(|watch| watch.code_at(pid, address));
        if let Some(found) = noted.and_then(|code| self.files.locate(code, address)) {
            return Some(found);
        }
        if self.known.len() >= MOST && !self.known.contains_key(&pid) {
            self.known.clear();
        }
        let ask = || code_of(Process(pid)).unwrap_or_default();
        let known = self.known.entry(pid);
        let known = known.or_insert_with(|| Known { code: ask(), asked: Instant::now() });
        // New mappings since then; or the PID was reused.
        if !known.code.iter().any(|code| code.holds(address)) && known.asked.elapsed() >= PAUSE {
            known.asked = Instant::now();
            if let Ok(code) = code_of(Process(pid)) {
                known.code = code;
            }
        }
        let code = known.code.iter().find(|code| code.holds(address))?;
        self.files.locate(code, address)
    }

    /// Resolves the frames of the stack of an unknown process, the innermost first. An address gets a name only if it
    /// can have no other one. If a watched process has code where the stack begins, the stack belongs to that process,
    /// or to one of those that it starts.
    pub(crate) fn locate(&self, frames: &[u64]) -> Vec<Option<UserLocation>> {
        // The innermost frame is the program's own place and not found by walking.
        let innermost = frames.iter().copied().find(|frame| !is_kernel(*frame)).unwrap_or(0);
        let ran = |code: &[Code]| code.iter().any(|code| code.holds(innermost));
        let mut owners: Vec<&[Code]> = self.watched.iter().map(Watch::code).collect();
        owners.retain(|code| ran(code));
        if owners.is_empty() {
            let living = self.living.get_or_init(|| {
                Process::all().into_iter().filter_map(|process| code_of(process).ok()).collect()
            });
            let tells = |code: &[Code]| frames.iter().any(|frame| tells(code, *frame));
            let living = living.iter().map(Vec::as_slice);
            owners.extend(living.filter(|code| ran(code) && tells(code)));
        }
        let locate = |frame: &u64| {
            let mut holding = owners.iter().copied().flatten().filter(|code| code.holds(*frame));
            let code = holding.next()?;
            let same = holding.all(|other| other.place(*frame) == code.place(*frame));
            if same { self.files.locate(code, *frame) } else { None }
        };
        frames.iter().map(locate).collect()
    }
}

/// Whether code at this address identifies a process. Above 4 GiB addresses are random; below there are programs with
/// fixed addresses, which many others have, too.
fn tells(code: &[Code], frame: u64) -> bool {
    frame >= 1 << 32 && code.iter().any(|code| code.holds(frame))
}

/// Whether an address is in the upper half, which is the kernel's. On s390x both have all addresses.
fn is_kernel(address: u64) -> bool {
    address >> 63 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_a_living_process_are_located() {
        let processes = Processes::default();
        let here = frames_of_a_living_process_are_located as fn() as usize as u64;
        let on_the_stack = 0;
        let not_code = &raw const on_the_stack as usize as u64;
        let places = processes.locate(&[here, not_code, u64::MAX - 7]);
        if here < 1 << 32 {
            // A program at a fixed address, as static ones are on some machines, does not identify its process.
            return assert_eq!(places, [None, None, None]);
        }
        let name = places[0].as_ref().and_then(|place| place.name.as_deref()).unwrap();
        assert!(name.contains("frames_of_a_living_process_are_located"), "{name}");
        assert_eq!(places[1..], [None, None]);
        // An unidentified process: the other frames may be those of any.
        assert_eq!(processes.locate(&[not_code, here]), [None, None]);
    }

    fn paths(processes: &Processes, frames: &[u64]) -> Vec<Option<String>> {
        let places = processes.locate(frames).into_iter();
        places.map(|place| place.map(|place| place.path.display().to_string())).collect()
    }

    #[test]
    fn code_that_can_be_anothers_has_no_name() {
        let code = |start: u64, path: &str| Code::of(start, start + 0x1000, 0, path.as_ref());
        let high = 1 << 40;
        let living = vec![
            vec![code(0x400000, "/a"), code(high, "/c")],
            vec![code(0x400000, "/b"), code(high, "/c")],
            vec![code(0x500000, "/d")],
        ];
        let processes = Processes { living: living.into(), ..Processes::default() };
        let paths = |frames: &[u64]| self::paths(&processes, frames);
        // Both have it, and the same there; each has its own there.
        assert_eq!(paths(&[high + 5, 0x400010]), [Some("/c".into()), None]);
        // Only one has it, but that does not prove that it is the one.
        assert_eq!(paths(&[0x500010]), [None]);

        let watched = vec![Watch::of(vec![code(0x400000, "/e"), code(0x600000, "/e")])];
        let processes = Processes { watched, ..processes };
        let paths = |frames: &[u64]| self::paths(&processes, frames);
        // The frames of the command, although other processes have code there; and frames of other processes.
        assert_eq!(paths(&[0x600010]), [Some("/e".into())]);
        assert_eq!(paths(&[0x400010]), [Some("/e".into())]);
        assert_eq!(paths(&[high + 5]), [Some("/c".into())]);

        // Two programs that the command starts, one after the other, in the same place.
        let watched = vec![Watch::of(vec![code(0x400000, "/e"), code(0x400000, "/f")])];
        let processes = Processes { watched, ..processes };
        assert_eq!(self::paths(&processes, &[0x400010]), [None]);
    }

    #[test]
    fn a_process_that_is_known_is_asked_again() {
        let mut processes = Processes::default();
        let us = std::process::id();
        let here = a_process_that_is_known_is_asked_again as fn() as usize as u64;
        processes.known.insert(us, Known { code: Vec::new(), asked: Instant::now() });
        assert_eq!(processes.frame(us, here), None, "not at once");
        let before = Instant::now().checked_sub(PAUSE).unwrap();
        processes.known.insert(us, Known { code: Vec::new(), asked: before });
        let name = processes.frame(us, here).unwrap().name.unwrap();
        assert!(name.contains("a_process_that_is_known_is_asked_again"), "{name}");
        assert_eq!(processes.frame(u32::MAX, here), None);
    }
}
