//! Resolution of stack frames for any process that is running, or that was watched while it ran.

use super::code::{Code, Keeper, code_kept};
use super::files::Files;
use super::process::{Life, Process};
use super::stack::UserLocation;
use super::watch::Watch;
use crate::error::Result;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::{Duration, Instant};

/// The processes whose addresses may be looked up.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    watched: Vec<Watch>,
    /// Processes whose mappings were read, by their PIDs.
    known: HashMap<u32, Known>,
    /// The files of those.
    kept: Keeper,
    /// All processes that were running at the first stack of a process that is not watched.
    living: OnceCell<Vec<Vec<Code>>>,
    files: Files,
}

/// The mappings of a process when they were last read.
#[derive(Debug)]
struct Known {
    code: Vec<Code>,
    asked: Instant,
    /// The process and the program that it ran; kept when it has ended.
    life: Option<Life>,
    /// The time when that was last looked at.
    checked: Instant,
}

/// The time for which the mappings of a process are not read again, if it had nothing at an address.
const PAUSE: Duration = Duration::from_millis(100);

/// The time for which a process is taken for the one that it was.
const CHECK: Duration = Duration::from_millis(10);

/// The most processes whose mappings are kept.
const MOST: usize = 1 << 10;

impl Processes {
    /// From now on names of C++ and Rust are those of the symbol tables.
    #[cfg(feature = "bt")]
    pub(crate) fn keep_mangled(&mut self) {
        self.files.keep_mangled();
    }

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
            self.kept = Keeper::default();
        }
        if !self.known.contains_key(&pid) && self.kept.is_full() {
            // Their files may be deleted, and they have ended: least is lost with those.
            self.known.retain(|pid, _| Process(*pid).life().is_some());
        }
        let kept = &mut self.kept;
        let known = match self.known.entry(pid) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(Known::new(pid, kept)),
        };
        if known.has_changed(pid) {
            self.files.forget(pid);
            *known = Known::new(pid, kept);
        }
        // New mappings since then.
        if !known.code.iter().any(|code| code.holds(address)) && known.asked.elapsed() >= PAUSE {
            known.asked = Instant::now();
            // One that has ended has none.
            if let Ok(code) = code_kept(Process(pid), kept)
                && !code.is_empty()
            {
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
                let mut kept = Keeper::default();
                let all = Process::all().into_iter();
                all.filter_map(|process| code_kept(process, &mut kept).ok()).collect()
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

impl Known {
    fn new(pid: u32, kept: &mut Keeper) -> Known {
        let process = Process(pid);
        // What happens in between is seen at the next check.
        let life = process.life();
        let code = code_kept(process, kept).unwrap_or_default();
        let asked = Instant::now();
        Known { code, asked, life, checked: asked }
    }

    /// Whether the PID is another process's since then, or the process has executed another program.
    fn has_changed(&mut self, pid: u32) -> bool {
        if self.checked.elapsed() < CHECK {
            return false;
        }
        self.checked = Instant::now();
        // The stacks of one that has ended are still to be shown.
        Process(pid).life().is_some_and(|life| Some(life) != self.life)
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
        let known = |asked| Known {
            code: Vec::new(),
            asked,
            life: Process(us).life(),
            checked: Instant::now(),
        };
        processes.known.insert(us, known(Instant::now()));
        assert_eq!(processes.frame(us, here), None, "not at once");
        let before = Instant::now().checked_sub(PAUSE).unwrap();
        processes.known.insert(us, known(before));
        let name = processes.frame(us, here).unwrap().name.unwrap();
        assert!(name.contains("a_process_that_is_known_is_asked_again"), "{name}");
        assert_eq!(processes.frame(u32::MAX, here), None);
    }

    /// The code that a process had is not that of the next one with its PID, nor that of the next program that it runs.
    #[test]
    fn another_life_has_other_code() {
        let mut processes = Processes::default();
        let us = std::process::id();
        let here = another_life_has_other_code as fn() as usize as u64;
        let now = Process(us).life().unwrap();
        let before = Instant::now().checked_sub(CHECK).unwrap();
        let wrong = || vec![Code::of(here & !0xfff, (here & !0xfff) + 0x2000, 0, "/dead".as_ref())];
        let known = |life, checked| Known { code: wrong(), asked: Instant::now(), life, checked };
        for place in 0..now.len() {
            let mut old = now;
            old[place] += 1;
            processes.known.insert(us, known(Some(old), before));
            let found = processes.frame(us, here).unwrap();
            assert_ne!(found.path, std::path::Path::new("/dead"), "field {place}");
            assert!(found.name.unwrap().contains("another_life_has_other_code"));
        }
        // The same life, or none any more.
        processes.known.insert(us, known(Some(now), before));
        assert_eq!(processes.frame(us, here).unwrap().path, std::path::Path::new("/dead"));
        processes.known.insert(u32::MAX, known(Some(now), before));
        assert_eq!(processes.frame(u32::MAX, here).unwrap().path, std::path::Path::new("/dead"));
    }

    /// A process can have only so many files open.
    #[test]
    fn files_of_processes_that_have_ended_make_room() {
        use super::super::code::{MOST_HELD, Source};
        use super::super::fake::Written;
        use super::super::process::{Backing, Mapping};
        use std::os::unix::fs::MetadataExt;
        let mut processes = Processes { kept: Keeper::of_all(), ..Processes::default() };
        let code = (0..MOST_HELD as u64).map(|number| {
            let file = Written::new(b"");
            let mapping = Mapping {
                start: number << 12,
                end: (number + 1) << 12,
                executable: true,
                offset: 0,
                path: file.path().into(),
                inode: std::fs::metadata(file.path()).unwrap().ino(),
                device: (0, 0),
                backing: Backing::File,
            };
            Code::new(Process(u32::MAX), mapping, &mut processes.kept)
        });
        let code: Vec<_> = code.collect();
        assert!(processes.kept.is_full());
        let (asked, life) = (Instant::now(), Some([1; 11]));
        processes.known.insert(u32::MAX, Known { code, asked, life, checked: asked });
        let us = std::process::id();
        let here = files_of_processes_that_have_ended_make_room as fn() as usize as u64;
        assert!(processes.frame(us, here).is_some());
        let ours = processes.known[&us].code.iter().find(|code| code.holds(here)).unwrap();
        assert!(matches!(ours.source, Source::Held(_)));
        assert!(!processes.known.contains_key(&u32::MAX));
    }

    /// A process that has ended and was not waited for is still there, without memory.
    #[test]
    fn a_process_that_is_not_reaped_keeps_its_code() {
        use std::process::{Command, Stdio};
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = child.id();
        let limit = Instant::now() + Duration::from_secs(60);
        // It may have begun to execute the program, and have nothing of it mapped.
        let address = loop {
            assert!(Instant::now() < limit, "it has no code");
            let code = super::super::code::code_of(Process(pid)).unwrap();
            if let Some(first) = code.first() {
                break first.start;
            }
        };
        let mut processes = Processes::default();
        let before = processes.frame(pid, address);
        assert!(before.is_some());
        child.kill().unwrap();
        let stat = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        while !stat().contains(") Z ") {
            assert!(Instant::now() < limit, "it does not end: {}", stat());
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(Process(pid).life(), None);
        let pass = |processes: &mut Processes, pause| {
            let known = processes.known.get_mut(&pid).unwrap();
            known.checked = Instant::now().checked_sub(pause).unwrap();
            known.asked = known.checked;
        };
        pass(&mut processes, CHECK);
        assert_eq!(processes.frame(pid, address), before);
        // Its mappings are read again for an address that is in none of them.
        pass(&mut processes, PAUSE);
        assert_eq!(processes.frame(pid, 0), None);
        assert_eq!(processes.frame(pid, address), before);
        child.wait().unwrap();
    }

    #[test]
    fn a_process_that_executes_has_the_code_of_the_new_program() {
        use std::io::{BufRead, BufReader, Write};
        use std::process::{Command, Stdio};
        let mut command = Command::new("sh");
        command.args(["-c", "echo; read line; exec sleep 60"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        let process = Process(child.id());
        let before = process.life().unwrap();
        assert_eq!(process.life(), Some(before), "it stays the same");
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        let limit = Instant::now() + Duration::from_secs(60);
        // There is none for a moment: the new memory has no code before the program is mapped (`begin_new_exec`, `fs/exec.c`).
        let after = loop {
            if let Some(life) = process.life().filter(|life| *life != before) {
                break life;
            }
            assert!(Instant::now() < limit, "the execve is not seen");
            std::thread::sleep(Duration::from_millis(1));
        };
        assert_eq!(after[0], before[0], "started once");
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(process.life(), None);
    }
}
