//! Starts an emulator, passes on what its guest reports, and ends it.
//!
//! Two things that were found the hard way are kept here: two processors never run in two threads of the emulator
//! (kprobes being set while another processor runs the function crash the guest), and the memory is sized from the
//! initramfs (a kernel with too little of it drops files without a word).

use crate::arch::Arch;
use crate::interrupt::Owned;
use crate::kernels::Kernel;
use crate::report::{Event, Reader};
use crate::{paths, tools};
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// The accelerator: KVM or emulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accel {
    Tcg,
    Kvm,
}

/// A machine to boot.
pub struct Machine<'a> {
    pub arch: Arch,
    pub accel: Accel,
    pub cpus: u32,
    pub memory_mib: u64,
    /// More of the kernel's command line.
    pub append: &'a str,
    pub kernel: &'a Kernel,
    pub initramfs: &'a [u8],
    /// The time until init must have spoken.
    pub boot_limit: Duration,
    /// The time limit in all.
    pub limit: Duration,
}

/// The end of the machine.
pub struct Outcome {
    /// Init reported that all its jobs are done.
    pub whole: bool,
    /// Why not, when it did not.
    pub trouble: Option<String>,
    /// The kernel's console output.
    pub console: String,
    /// From start to end.
    pub took: Duration,
    /// From start to the first word of init.
    pub booted: Option<Duration>,
}

/// The memory in MiB for an initramfs of that size: room for programs and their rings, and the initramfs twice, since
/// it is there as an archive and as files for a moment. The host gives only what is used.
pub fn memory_for(initramfs: usize, room_mib: u64) -> u64 {
    let twice = (2 * initramfs as u64).div_ceil(1 << 20);
    (room_mib + twice).next_multiple_of(32)
}

/// Boots it and hands every event to `sink` as it comes; an error from the sink ends the machine.
pub fn run(machine: &Machine, mut sink: impl FnMut(Event) -> Result<()>) -> Result<Outcome> {
    let scratch = paths::Scratch::new()?;
    let console_path = scratch.path().join("console");
    let initrd = scratch.path().join("initramfs");
    fs::write(&initrd, machine.initramfs).context("cannot write the initramfs")?;
    let errors_path = scratch.path().join("errors");

    let (program, packages) = machine.arch.emulator();
    let mut command = tools::find(program, packages)?.command();
    arguments(&mut command, machine, &initrd, &console_path);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&errors_path)?);
    die_with_us(&mut command);
    let start = Instant::now();
    let mut child = Owned::spawn(&mut command).with_context(|| format!("cannot run {program}"))?;
    let mut stdout = child.0.stdout.take().context("no pipe")?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 64 * 1024];
        while let Ok(count @ 1..) = stdout.read(&mut buffer) {
            if sender.send(buffer[..count].to_vec()).is_err() {
                break;
            }
        }
    });

    let mut reader = Reader::default();
    let mut booted = None;
    let mut whole = false;
    let mut trouble = None;
    loop {
        let limit =
            if booted.is_some() { machine.limit } else { machine.limit.min(machine.boot_limit) };
        match receiver.recv_timeout(limit.saturating_sub(start.elapsed())) {
            Ok(bytes) => {
                for event in reader.feed(&bytes) {
                    match event {
                        Event::Hello => booted = Some(start.elapsed()),
                        Event::Goodbye => whole = true,
                        other => sink(other)?,
                    }
                }
                if whole {
                    break;
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let seconds = limit.as_secs();
                trouble = Some(match booted {
                    Some(_) => format!("the guest did not finish within {seconds} s"),
                    None => format!("the guest did not start within {seconds} s"),
                });
                break;
            }
        }
    }
    // After init's last message there is nothing more to come, and its own end need not be waited for.
    drop(child);
    let console =
        String::from_utf8_lossy(&fs::read(&console_path).unwrap_or_default()).into_owned();
    let errors = fs::read_to_string(&errors_path).unwrap_or_default();
    if !whole && trouble.is_none() {
        trouble = Some(if console.contains("Kernel panic") {
            "the guest's kernel panicked".into()
        } else if let Some(complaint) = reader.complaint() {
            complaint
        } else if booted.is_none() && !errors.trim().is_empty() {
            format!("{program}: {}", errors.trim())
        } else {
            "the guest ended before its work was done".into()
        });
    }
    Ok(Outcome { whole, trouble, console, took: start.elapsed(), booted })
}

/// The device that the guest's init reports through; on x86 it has a port for it.
pub fn report_device(arch: Arch) -> Option<&'static str> {
    match arch {
        Arch::X86_64 => None,
        Arch::Aarch64 => Some("/dev/ttyS0"),
        Arch::S390x => Some("/dev/ttysclp0"),
    }
}

/// The last lines of the console, for a person who must find out what went wrong.
pub fn console_tail(console: &str, lines: usize) -> String {
    let all: Vec<&str> =
        console.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    if all.is_empty() {
        return "    (the console is empty)".into();
    }
    let last = &all[all.len().saturating_sub(lines)..];
    last.iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

fn arguments(command: &mut Command, machine: &Machine, initrd: &Path, console: &Path) {
    let mut line = String::from("quiet panic=-1 oops=panic cryptomgr.notests");
    // Linux 5.10 of Debian leaves out `bpf`, without which no hook runs a program. A later `lsm=` takes the place of this.
    line += " lsm=lockdown,yama,bpf";
    command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
    command.args(["-m", &machine.memory_mib.to_string(), "-smp", &machine.cpus.to_string()]);
    match machine.accel {
        Accel::Kvm => command.args(["-accel", "kvm"]),
        // See the top of this file.
        Accel::Tcg if machine.cpus > 1 => command.args(["-accel", "tcg,thread=single"]),
        Accel::Tcg => command.args(["-accel", "tcg"]),
    };
    command.arg("-chardev").arg(format!("file,id=console,path={}", console.display()));
    command.args(["-chardev", "stdio,id=report,signal=off"]);
    match machine.arch {
        Arch::X86_64 => {
            command.args(["-M", "q35", "-bios", "qboot.rom"]);
            command
                .args(["-cpu", if machine.accel == Accel::Kvm { "host" } else { "max,la57=off" }]);
            command.args(["-serial", "chardev:console"]);
            command.args(["-device", "isa-debugcon,iobase=0xe9,chardev=report"]);
            command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
            // Initialisations that cost time here and serve nothing.
            line += " console=ttyS0 initcall_blacklist=load_system_certificate_list,i8042_init,init_encrypted,crypto_kdf108_init,hpet_init";
            if let Some(khz) = tsc_khz().filter(|_| machine.accel == Accel::Tcg) {
                // The guest would measure the counter itself, and on a loaded host be wrong by much.
                line += &format!(" tsc=reliable tsc_early_khz={khz}");
            }
        }
        Arch::Aarch64 => {
            command.args([
                "-M",
                "virt",
                "-cpu",
                if machine.accel == Accel::Kvm { "host" } else { "cortex-a72" },
            ]);
            command.args(["-serial", "chardev:console", "-device", "pci-serial,chardev=report"]);
            line += " console=ttyAMA0";
        }
        Arch::S390x => {
            command.args(["-M", "s390-ccw-virtio", "-cpu", "max"]);
            // The console of lines of text for the kernel, the other one, which passes on any byte, for the report.
            command.args([
                "-device",
                "sclplmconsole,chardev=console",
                "-device",
                "sclpconsole,chardev=report",
            ]);
            line += " console=ttyS0";
        }
    }
    if !machine.append.is_empty() {
        line.push(' ');
        line += machine.append;
    }
    command
        .arg("-kernel")
        .arg(&machine.kernel.image)
        .arg("-initrd")
        .arg(initrd)
        .args(["-append", &line]);
}

/// An emulator whose parent was killed goes too.
#[allow(unsafe_code)]
fn die_with_us(command: &mut Command) {
    let die =
        || nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).map_err(Into::into);
    // SAFETY: between fork and exec only a system call is made; nothing is allocated and no lock is taken.
    unsafe { command.pre_exec(die) };
}

/// The rate of this processor's time stamp counter, which an emulated x86 shows its guest.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
fn tsc_khz() -> Option<u64> {
    // SAFETY: every x86-64 processor has the instruction; it touches no memory.
    let now = || unsafe { std::arch::x86_64::_rdtsc() };
    let mut rates: Vec<u64> = (0..5)
        .map(|_| {
            let (ticks, time) = (now(), Instant::now());
            std::thread::sleep(Duration::from_millis(10));
            let (ticks, time) = (now().wrapping_sub(ticks), time.elapsed());
            (u128::from(ticks) * 1_000_000 / time.as_nanos().max(1)) as u64
        })
        .collect();
    // Of several, the middle one: a pause between the two readings spoils one, not most.
    rates.sort_unstable();
    Some(rates[rates.len() / 2]).filter(|&khz| khz > 100_000)
}

/// Elsewhere the emulator has another source for it, whose rate is not known here.
#[cfg(not(target_arch = "x86_64"))]
fn tsc_khz() -> Option<u64> {
    None
}

/// Whether /dev/kvm is there and works. On nested machines it may be there and hang, so it is tried once in each boot
/// of the host, for a few seconds.
pub fn kvm_works(arch: Arch, kernel: &Kernel, initramfs: &[u8]) -> Result<bool> {
    let device = File::options().read(true).write(true).open("/dev/kvm");
    if !arch.is_host() || device.is_err() {
        return Ok(false);
    }
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let answer_file = paths::cache()?.join("kvm");
    if let Some((known, answer)) =
        fs::read_to_string(&answer_file).ok().as_deref().and_then(|text| text.split_once(' '))
        && known == boot.trim()
    {
        return Ok(answer.trim() == "works");
    }
    let limit = Duration::from_secs(5);
    let machine = Machine {
        arch,
        accel: Accel::Kvm,
        cpus: 1,
        memory_mib: memory_for(initramfs.len(), 256),
        append: "",
        kernel,
        initramfs,
        boot_limit: limit,
        limit,
    };
    let works = run(&machine, |_| Ok(())).is_ok_and(|outcome| outcome.whole);
    if !works {
        eprintln!(
            "xtask: /dev/kvm is here but no guest starts with it; emulating (this is remembered until the host restarts)"
        );
    }
    paths::write_whole(
        &answer_file,
        format!("{} {}\n", boot.trim(), if works { "works" } else { "fails" }).as_bytes(),
    )?;
    Ok(works)
}

/// The number of MiB in `512`, `512M` or `2G`.
pub fn parse_memory(text: &str) -> Result<u64, String> {
    let (number, factor) = match text.strip_suffix(['G', 'g']) {
        Some(number) => (number, 1024),
        None => (text.strip_suffix(['M', 'm']).unwrap_or(text), 1),
    };
    let number: u64 =
        number.parse().map_err(|_| format!("{text:?} is not a size such as 512M or 2G"))?;
    match number.checked_mul(factor) {
        Some(mib @ 64..=65536) => Ok(mib),
        _ => Err(format!("{text} is not between 64M and 64G")),
    }
}

/// Refuses numbers of CPUs that would crash the guest or are invalid.
pub fn check_cpus(arch: Arch, cpus: u32) -> Result<()> {
    if !(1..=8).contains(&cpus) {
        bail!("--cpus takes 1 to 8 (on {})", arch.name());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_has_units() {
        assert_eq!(parse_memory("512"), Ok(512));
        assert_eq!(parse_memory("512M"), Ok(512));
        assert_eq!(parse_memory("2G"), Ok(2048));
        assert!(
            parse_memory("63").is_err()
                && parse_memory("many").is_err()
                && parse_memory("99999999999999999999G").is_err()
        );
        assert!(parse_memory("18446744073709551615G").is_err());
    }

    #[test]
    fn memory_grows_with_the_initramfs() {
        assert_eq!(memory_for(0, 224), 224);
        assert_eq!(memory_for(10 << 20, 224), 256);
        assert_eq!(memory_for(100 << 20, 512), 736);
    }

    #[test]
    fn the_consoles_end_is_shown() {
        assert_eq!(console_tail("a\n\nb\r\nc\n", 2), "    b\n    c");
        assert_eq!(console_tail("", 2), "    (the console is empty)");
    }
}
