//! The CPUs: which there can be, and which run now.
//!
//! CPU numbers can have gaps (a machine with CPUs 0 to 3 and 8 to 11), so *how many* CPUs there are and
//! *how high* their numbers go are two questions. A per-CPU map holds one value for each possible CPU,
//! in the order of [`possible`]; a perf event array is indexed by CPU number and needs [`nr_cpu_ids`]
//! elements.

use crate::error::{Error, Result};
use crate::kernel::read_value;
use crate::permission;
use crate::syscall;
use crate::util::file;
use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;

const ONLINE: &str = "/sys/devices/system/cpu/online";
const STAT: &str = "/proc/stat";
/// The list of the CPUs that there can be.
pub(crate) const POSSIBLE: &str = "/sys/devices/system/cpu/possible";

/// A number above that of every CPU. `CONFIG_NR_CPUS` ends at 8192 on x86-64; a larger number in a list is
/// rejected, since it would cost memory.
const LIMIT: u32 = 1 << 16;

/// The numbers of the CPUs that run now, ascending: those a perf event can be opened on.
///
/// Reads `/sys/devices/system/cpu/online` (Linux 2.6.26). In a container there may be no sysfs, or another file system in place of that
/// file, as lxcfs; then `/proc/stat` has them, and where that is not the kernel's either they are those that this thread may run
/// on. A CPU can go offline at any time after.
///
/// # Errors
/// [`Error::File`] and [`Error::Format`], as [`possible`], if there is no other way.
pub fn online() -> Result<Vec<u32>> {
    online_by(ONLINE, STAT)
}

fn online_by(list: &'static str, stat: &'static str) -> Result<Vec<u32>> {
    let missing = match read(list) {
        Ok(cpus) => return Ok(cpus),
        Err(missing) => missing,
    };
    if let Some(cpus) = online_by_times(stat) {
        return Ok(cpus);
    }
    match syscall::allowed_cpus() {
        Ok(cpus) if !cpus.is_empty() => Ok(cpus),
        _ => Err(missing),
    }
}

/// Returns the CPUs whose times `/proc/stat` has; none if that is not the kernel's.
#[inline(never)]
fn online_by_times(path: &str) -> Option<Vec<u32>> {
    let mut file = file::open(path).ok().filter(syscall::is_in_procfs)?;
    let mut text = Vec::new();
    file.read_to_end(&mut text).ok()?;
    let cpus = by_times(&text);
    (!cpus.is_empty()).then_some(cpus)
}

/// Reads the lines that begin with `cpu` and a number.
fn by_times(text: &[u8]) -> Vec<u32> {
    let mut cpus: Vec<u32> = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        let Some(line) = line.strip_prefix(b"cpu") else { continue };
        let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        // The kernel prints them in ascending order (`show_stat`, `fs/proc/stat.c`).
        match number(&line[..end]) {
            Ok(number) if cpus.last().is_none_or(|last| *last < number) => cpus.push(number),
            _ => {}
        }
    }
    cpus
}

/// The numbers of the CPUs there can be until the next boot, ascending: the order in which the kernel
/// lays out the values of a per-CPU map.
///
/// Reads `/sys/devices/system/cpu/possible` (Linux 2.6.26).
///
/// # Errors
/// [`Error::File`] if sysfs is not mounted, [`Error::Format`] if the file is not the kernel's list of CPUs.
pub fn possible() -> Result<Vec<u32>> {
    read(POSSIBLE)
}

/// One more than the highest number a CPU can have, which the kernel calls `nr_cpu_ids`: how many
/// elements an array needs that is indexed by CPU number.
///
/// Reads the same file as [`possible`].
///
/// # Errors
/// As [`possible`].
pub fn nr_cpu_ids() -> Result<u32> {
    // A list is never empty and ends with its highest number.
    Ok(possible()?.last().map_or(1, |highest| highest + 1))
}

/// Returns an upper limit of the number of CPUs, independent of any file: the size of the kernel's CPU mask, in bits.
/// `sched_getaffinity(2)`.
pub(crate) fn most() -> usize {
    static MOST: OnceLock<usize> = OnceLock::new();
    *MOST.get_or_init(|| syscall::cpu_set_bits().unwrap_or(LIMIT as usize))
}

fn read(path: &'static str) -> Result<Vec<u32>> {
    let path = Path::new(path);
    let failed = |source| permission::file("read", path, source);
    let wrong = |problem| Error::Format { path: path.into(), problem };
    let file = file::open(path).map_err(failed)?;
    // The number of CPUs determines the size of buffers that the kernel writes, so it must come from the kernel itself.
    if !syscall::is_in_sysfs(&file) {
        return Err(wrong("it is not the kernel's: something else is mounted there, not sysfs"));
    }
    parse(&read_value(file).map_err(failed)?).map_err(wrong)
}

/// Parses a list as the kernel prints it (`%*pbl`, `lib/vsprintf.c`): numbers and ranges of them,
/// ascending, between commas: `0-3,8,10-11`. The forms that the kernel only reads (`0-7:2/4`, `all`)
/// are not among them.
fn parse(text: &[u8]) -> Result<Vec<u32>, &'static str> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let mut cpus = Vec::new();
    for range in text.split(|byte| *byte == b',') {
        let mut ends = range.splitn(2, |byte| *byte == b'-').map(number);
        let first = ends.next().unwrap_or(Err("an empty list of CPUs"))?;
        let last = ends.next().unwrap_or(Ok(first))?;
        if last < first || cpus.last().is_some_and(|before| *before >= first) {
            return Err("the numbers of the CPUs do not ascend");
        }
        cpus.extend(first..=last);
    }
    Ok(cpus)
}

fn number(digits: &[u8]) -> Result<u32, &'static str> {
    // `parse` would also take a sign.
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err("not a list of CPU numbers");
    }
    std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .filter(|number| *number < LIMIT)
        .ok_or("a CPU number is too large")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_as_the_kernel_prints_them() {
        assert_eq!(parse(b"0-3,8,10-11\n"), Ok(vec![0, 1, 2, 3, 8, 10, 11]));
        assert_eq!(parse(b"0\n"), Ok(vec![0]));
        assert_eq!(parse(b"0-1"), Ok(vec![0, 1]));
        assert_eq!(parse(b"3,5,7\n"), Ok(vec![3, 5, 7]));
    }

    #[test]
    fn anything_else_is_refused() {
        let refused: &[&[u8]] = &[
            b"",
            b"\n",
            b",",
            b"0,",
            b",0",
            b"-1",
            b"1-",
            b"1-2-3",
            b"3-1",
            b"0,0",
            b"2,1",
            b"0-3,2",
            b"+1",
            b" 1",
            b"1 ",
            b"0-7:2/4",
            b"all",
            b"0\n\n",
            b"0\n1",
            b"65536",
            b"0-4294967295",
            b"99999999999999999999",
            b"\xff",
        ];
        for text in refused {
            assert!(parse(text).is_err(), "{:?}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn a_list_that_is_not_the_kernels_is_refused() {
        for other in ["/proc/sys/kernel/pid_max", "/etc/passwd"] {
            let error = read(other).unwrap_err().to_string();
            assert!(error.contains("not sysfs"), "{error}");
        }
        let error = read("/dev/null").unwrap_err().to_string();
        assert!(error.contains("not a regular file"), "{error}");
    }

    /// As in a container without sysfs, or with another file over the kernel's.
    #[test]
    fn cpus_run_without_sysfs_too() {
        let cpus = online().unwrap();
        for list in ["/none", "/proc/sys/kernel/pid_max"] {
            assert_eq!(online_by(list, STAT).unwrap(), cpus, "{list}");
        }
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:\t"));
        let allowed = parse(allowed.unwrap().as_bytes()).unwrap();
        // The mask has CPUs that are offline as well.
        let allowed: Vec<u32> = allowed.into_iter().filter(|cpu| cpus.contains(cpu)).collect();
        for stat in ["/none", "/etc/passwd", "/proc/sys/kernel/pid_max"] {
            assert_eq!(online_by("/none", stat).unwrap(), allowed, "{stat}");
        }
    }

    #[test]
    fn times_are_of_the_cpus_that_run() {
        let text = "cpu  10132153 290696 3084719\ncpu0 1393280 32966\ncpu2 1\ncpu10 2 3\nintr 8 cpu7\ncpufreq 1\n";
        assert_eq!(by_times(text.as_bytes()), [0, 2, 10]);
        assert_eq!(by_times(b""), [0_u32; 0]);
    }

    #[test]
    fn this_machine_has_cpus() {
        let (online, possible) = (online().unwrap(), possible().unwrap());
        assert!(!online.is_empty());
        assert!(online.iter().all(|cpu| possible.contains(cpu)));
        assert!(possible.iter().all(|cpu| *cpu < nr_cpu_ids().unwrap()));
        assert!(possible.len() <= nr_cpu_ids().unwrap() as usize);
        assert!(nr_cpu_ids().unwrap() as usize <= most() && most() <= LIMIT as usize);
    }

    /// As `bitmap_list_string` in `lib/vsprintf.c` prints a set.
    fn format(cpus: &[u32]) -> String {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for &cpu in cpus {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == cpu => *last = cpu,
                _ => ranges.push((cpu, cpu)),
            }
        }
        let print = |&(first, last): &(u32, u32)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        };
        ranges.iter().map(print).collect::<Vec<_>>().join(",") + "\n"
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_list_or_refused(text in "[0-9,\n-]{0,20}", bytes: Vec<u8>) {
            let _ = parse(&bytes);
            if let Ok(cpus) = parse(text.as_bytes()) {
                prop_assert!(cpus.is_sorted());
            }
        }

        #[test]
        fn a_printed_list_reads_back(cpus in prop::collection::btree_set(0..300u32, 1..80)) {
            let cpus: Vec<u32> = cpus.into_iter().collect();
            prop_assert_eq!(parse(format(&cpus).as_bytes()), Ok(cpus));
        }
    }
}
