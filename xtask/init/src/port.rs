//! The way out of the machine: frames of a kind, a length and that many bytes.
//!
//! On x86-64 they leave through port 0xe9 (`isa-debugcon`), which needs no driver and is faster than a serial line;
//! elsewhere through a serial device that the host names. The host reads `MAGIC` first and ignores what came before it, so
//! whatever firmware or kernel print there does no harm.

use crate::order::Order;
use nix::sys::termios;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

/// The magic number at the beginning of the report.
const MAGIC: &[u8] = b"\0rawbpf-vm-report-1\n";

/// The kinds of frame. The host's `report.rs` has the same table.
#[derive(Clone, Copy)]
pub enum Frame {
    /// The running job's standard output.
    Stdout = 1,
    /// The running job's standard error.
    Stderr = 2,
    /// A piece of the file that the job left for the host.
    Ledger = 3,
    /// Something that init has to say.
    Note = 4,
    /// A job begins: its name.
    Started = 5,
    /// The job has ended: how, then the milliseconds.
    Ended = 6,
    /// All jobs are done.
    Goodbye = 7,
}

/// An open way out.
pub struct Port {
    out: Out,
}

enum Out {
    #[cfg(target_arch = "x86_64")]
    DebugPort,
    Device(File),
}

impl Port {
    /// Opens the device that the orders name, or else the debug port, and writes the magic.
    pub fn open(orders: &[Order]) -> io::Result<Port> {
        let named = orders.iter().find_map(|order| match order {
            Order::Port(path) => Some(path),
            _ => None,
        });
        let out = match named {
            Some(path) => {
                let device = File::options()
                    .read(true)
                    .write(true)
                    .custom_flags(libc::O_NOCTTY)
                    .open(path)?;
                raw(&device)?;
                Out::Device(device)
            }
            #[cfg(target_arch = "x86_64")]
            None => {
                x86::permit()?;
                Out::DebugPort
            }
            #[cfg(not(target_arch = "x86_64"))]
            None => return Err(io::Error::other("the orders name no port")),
        };
        let mut port = Port { out };
        port.write(MAGIC);
        Ok(port)
    }

    /// Sends one thing, in as many frames as its length needs.
    pub fn frame(&mut self, kind: Frame, bytes: &[u8]) {
        // A frame without content is still one frame.
        let pieces: Vec<&[u8]> =
            if bytes.is_empty() { vec![bytes] } else { bytes.chunks(0xffff).collect() };
        for piece in pieces {
            let [low, high] = (piece.len() as u16).to_le_bytes();
            let mut frame = Vec::with_capacity(piece.len() + 3);
            frame.extend([kind as u8, low, high]);
            frame.extend(piece);
            self.write(&frame);
        }
    }

    /// A failure cannot be reported; the host notices that the report is not whole.
    fn write(&mut self, bytes: &[u8]) {
        match &mut self.out {
            #[cfg(target_arch = "x86_64")]
            Out::DebugPort => x86::out(bytes),
            Out::Device(file) => {
                let _ = file.write_all(bytes);
            }
        }
    }

    /// Sees to it that everything is out, then ends the machine at once where there is a device for it
    /// (`isa-debug-exit`); returns where there is none.
    pub fn leave(self) {
        match self.out {
            #[cfg(target_arch = "x86_64")]
            Out::DebugPort => x86::exit(),
            Out::Device(device) => {
                // A terminal may not have sent yet what was written to it.
                let _ = termios::tcdrain(&device);
            }
        }
    }
}

/// A terminal must pass bytes on as they are.
fn raw(device: &File) -> io::Result<()> {
    let mut settings = termios::tcgetattr(device)?;
    termios::cfmakeraw(&mut settings);
    Ok(termios::tcsetattr(device, termios::SetArg::TCSANOW, &settings)?)
}

/// Port input and output, which Debian's kernels offer to root by system call only (`CONFIG_DEVPORT` is off).
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86 {
    use std::arch::asm;
    use std::io;

    /// `isa-debugcon,iobase=0xe9`
    const REPORT: u16 = 0xe9;
    /// `isa-debug-exit,iobase=0xf4`
    const EXIT: u16 = 0xf4;

    pub fn permit() -> io::Result<()> {
        for port in [REPORT, EXIT] {
            // SAFETY: ioperm(2) touches no memory of ours.
            if unsafe { libc::ioperm(port.into(), 1, 1) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }

    pub fn out(bytes: &[u8]) {
        // SAFETY: `rep outsb` reads `rcx` bytes from `rsi`, all of them in `bytes`; the direction flag is clear by
        // the ABI; the port is the debug console's, which has no effect on memory; `permit` was called.
        unsafe {
            asm!("rep outsb", in("dx") REPORT, inout("rsi") bytes.as_ptr() => _, inout("rcx") bytes.len() => _,
                options(readonly, nostack, preserves_flags));
        }
    }

    pub fn exit() {
        // SAFETY: writing to the exit device ends the machine, or does nothing where it is absent.
        unsafe {
            asm!("out dx, al", in("dx") EXIT, in("al") 0u8, options(nomem, nostack, preserves_flags))
        }
    }
}
