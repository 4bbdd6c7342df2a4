//! `cargo xtask vm`: runs one command in a virtual machine as if it ran here.

use crate::arch::Arch;
use crate::build;
use crate::initramfs::{self, Orders};
use crate::kernels::{self, Kernel};
use crate::qemu::{self, Accel, Machine};
use crate::report::{End, Event};
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

/// The exit status when the machine, not the command, failed; that of other programs which run programs.
pub const MACHINE_FAILED: u8 = 125;
/// The exit status when the command ran out of time.
const TIMED_OUT: u8 = 124;

/// The accelerator that the user asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AccelWish {
    /// KVM where a trial boot shows that it works, else emulation.
    Auto,
    Tcg,
    Kvm,
}

/// The options of `cargo xtask vm`.
#[derive(Args)]
pub struct Options {
    /// Kernel: 5.10, 6.1, 6.12, latest, all of these one after the other, or another line such as 6.18
    #[arg(long, default_value = "latest")]
    pub kernel: String,
    /// Architecture of the guest
    #[arg(long, value_enum, default_value = "x86_64")]
    pub arch: Arch,
    /// Acceleration
    #[arg(long, value_enum, default_value = "auto")]
    pub accel: AccelWish,
    /// Memory, such as 512M (default: what the initramfs needs)
    #[arg(long, value_parser = qemu::parse_memory)]
    pub memory: Option<u64>,
    /// Processors of the guest
    #[arg(long, default_value_t = 1)]
    pub cpus: u32,
    /// More for the kernel's command line
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    pub append: String,
    /// Leave tracefs (and debugfs, which would bring it in) unmounted
    #[arg(long)]
    pub no_tracefs: bool,
    /// Put a file into the guest
    #[arg(long, value_name = "HOST:GUEST")]
    pub file: Vec<OsString>,
    /// Set a variable in the command's environment (RAWBPF_… and RUST_BACKTRACE are passed on by themselves)
    #[arg(long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Seconds that the command may run
    #[arg(long, default_value_t = 900)]
    pub timeout: u64,
    /// Ask Debian's archive for newer kernels
    #[arg(long)]
    pub refresh: bool,
    /// Do without the `rawbpf` program, so nothing of it need compile
    #[arg(long)]
    pub no_rawbpf: bool,
    /// Show the kernel's console and the times afterwards
    #[arg(short, long)]
    pub verbose: bool,
    /// The command to run in the guest, as root
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,
}

/// Runs it; returns the exit status.
pub fn run(options: &Options) -> Result<u8> {
    let done = run_all(options);
    match done {
        // The exit status that shells show for a program that SIGPIPE ended.
        Err(e) if is_closed_pipe(&e) => Ok(128 + 13),
        other => other,
    }
}

fn run_all(options: &Options) -> Result<u8> {
    let lines = kernels::lines(&options.kernel)?;
    qemu::check_cpus(options.arch, options.cpus)?;
    let files = options.file.iter().map(file_pair).collect::<Result<Vec<_>>>()?;
    let env = options.env.iter().map(env_pair).collect::<Result<Vec<_>>>()?;
    let programs = build::programs(options.arch, !options.no_rawbpf)?;
    let mut status = 0;
    for line in &lines {
        let one = kernels::get(options.arch, line, options.refresh).and_then(|kernel| {
            if lines.len() > 1 {
                eprintln!("== {} ({})", kernel.line, kernel.release);
            }
            boot(options, &kernel, &programs, &files, &env)
        });
        let one = match one {
            // One kernel that cannot be had is no reason to leave out the others.
            Err(e) if lines.len() > 1 && !is_closed_pipe(&e) => {
                eprintln!("xtask: {line}: {e:#}");
                MACHINE_FAILED
            }
            other => other?,
        };
        if status == 0 {
            status = one;
        }
    }
    Ok(status)
}

/// Whether this is because the reader of our output has closed it, as `head` does.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.root_cause().downcast_ref().map(io::Error::kind) == Some(io::ErrorKind::BrokenPipe)
}

fn boot(
    options: &Options,
    kernel: &Kernel,
    programs: &build::Programs,
    files: &[(PathBuf, String)],
    env: &[(String, String)],
) -> Result<u8> {
    let mut cpio = initramfs::base(options.arch, kernel, programs)?;
    for (ours, theirs) in files {
        initramfs::add(&mut cpio, ours, theirs)?;
    }
    let mut orders = Orders::new(options.arch);
    if !options.no_tracefs {
        orders.tracefs();
    }
    let limit = Duration::from_secs(options.timeout);
    orders.job("command", limit);
    for (key, value) in std::env::vars_os() {
        if let Some(key) = key.to_str().filter(|key| passed_on(key)) {
            orders.env(key, value);
        }
    }
    for (key, value) in env {
        orders.env(key, value);
    }
    for arg in &options.command {
        orders.arg(arg);
    }
    let initramfs = initramfs::finish(cpio, &orders);
    let machine = Machine {
        arch: options.arch,
        accel: accel(options.accel, options.arch, kernel, programs)?,
        cpus: options.cpus,
        memory_mib: options.memory.unwrap_or_else(|| qemu::memory_for(initramfs.len(), 512)),
        append: &options.append,
        kernel,
        initramfs: &initramfs,
        boot_limit: Duration::from_secs(180),
        // Init ends the command at its limit; this is for a guest that no longer can.
        limit: limit + Duration::from_secs(120),
    };
    let mut end = None;
    let outcome = qemu::run(&machine, |event| {
        match event {
            Event::Stdout(bytes) => pass_on(io::stdout().lock(), &bytes)?,
            Event::Stderr(bytes) => pass_on(io::stderr().lock(), &bytes)?,
            Event::Note(note) if options.verbose => eprintln!("init: {note}"),
            Event::Ended(how, _) => end = Some(how),
            _ => {}
        }
        Ok(())
    })?;
    if options.verbose {
        let booted =
            outcome.booted.map_or("never".into(), |time| format!("{:.1} s", time.as_secs_f64()));
        eprintln!(
            "== the console of {}\n{}",
            kernel.release,
            qemu::console_tail(&outcome.console, 1000)
        );
        eprintln!("== init after {booted}, end after {:.1} s", outcome.took.as_secs_f64());
    }
    if let Some(trouble) = outcome.trouble {
        eprintln!("xtask: {}: {trouble}; the console's last lines:", kernel.release);
        eprintln!("{}", qemu::console_tail(&outcome.console, 40));
        return Ok(MACHINE_FAILED);
    }
    Ok(match end {
        Some(End::Exit(status)) => u8::try_from(status & 0xff).unwrap_or(1),
        Some(End::Signal(number)) => u8::try_from(128 + number).unwrap_or(u8::MAX),
        Some(End::Timeout) => {
            eprintln!("xtask: the command was ended after {} s (--timeout)", options.timeout);
            TIMED_OUT
        }
        None => {
            eprintln!("xtask: {}: the guest did not say how the command ended", kernel.release);
            MACHINE_FAILED
        }
    })
}

/// The acceleration to use.
pub fn accel(
    wish: AccelWish,
    arch: Arch,
    kernel: &Kernel,
    programs: &build::Programs,
) -> Result<Accel> {
    Ok(match wish {
        AccelWish::Tcg => Accel::Tcg,
        AccelWish::Kvm => Accel::Kvm,
        AccelWish::Auto => {
            let cpio = initramfs::base(arch, kernel, programs)?;
            let initramfs = initramfs::finish(cpio, &Orders::new(arch));
            if qemu::kvm_works(arch, kernel, &initramfs)? { Accel::Kvm } else { Accel::Tcg }
        }
    })
}

fn passed_on(key: &str) -> bool {
    key == "RUST_BACKTRACE"
        || (key.starts_with("RAWBPF_") && key != "RAWBPF_BIN" && !key.contains("MIRROR"))
}

fn pass_on(mut stream: impl Write, bytes: &[u8]) -> Result<()> {
    stream
        .write_all(bytes)
        .and_then(|()| stream.flush())
        .context("cannot pass on the guest's output")
}

fn file_pair(arg: &OsString) -> Result<(PathBuf, String)> {
    let pair = arg.to_str().and_then(|text| text.rsplit_once(':'));
    match pair {
        Some((ours, theirs)) if theirs.starts_with('/') => Ok((ours.into(), theirs.into())),
        _ => bail!("--file {arg:?} is not HOST:GUEST with an absolute GUEST"),
    }
}

fn env_pair(arg: &String) -> Result<(String, String)> {
    let (key, value) =
        arg.split_once('=').with_context(|| format!("--env {arg} is not NAME=VALUE"))?;
    Ok((key.into(), value.into()))
}
