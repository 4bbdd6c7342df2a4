//! The server that lesson 14 traces: a small HTTP server with a static probe, as Node.js had one.
//!
//! `http__server__request` and its arguments are Node's: the request, the connection, the client's address and port, the
//! method, the path, the descriptor. With `sys/sdt.h` of SystemTap a C program writes `DTRACE_PROBE7(…)`; here the same is
//! written out.
#![allow(unsafe_code, reason = "the instruction that a probe is")]

use std::arch::asm;
use std::ffi::{CStr, CString};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

// The address at which the notes were written. If the code is moved, the difference from it shows by how much.
std::arch::global_asm!(
    ".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat",
    ".weak _.stapsdt.base",
    ".hidden _.stapsdt.base",
    "_.stapsdt.base: .space 1",
    ".size _.stapsdt.base, 1",
    ".popsection",
);

/// An instruction that does nothing.
#[cfg(not(target_arch = "s390x"))]
macro_rules! nothing {
    () => {
        "nop"
    };
}
#[cfg(target_arch = "s390x")]
macro_rules! nothing {
    () => {
        "nopr"
    };
}

/// The probe: an instruction that does nothing, and a note with its address and the registers of its arguments. The
/// note is not loaded, so the cost to the program is one instruction.
macro_rules! probe {
    ($($value:expr),* ; $($more:ident)?) => {
        asm!(
            concat!("990: ", nothing!()),
            ".pushsection .note.stapsdt,\"\",\"note\"",
            ".balign 4",
            ".4byte 992f-991f, 994f-993f, 3",   // sizes of name and description, NT_STAPSDT
            "991: .asciz \"stapsdt\"",
            "992: .balign 4",
            "993: .8byte 990b, _.stapsdt.base, 0", // the place, the base, no semaphore
            ".asciz \"rawbpf_lesson\"",
            ".asciz \"http__server__request\"",
            // A size in bytes, with a minus if there is a sign, and the register.
            ".asciz \"8@{} 8@{} 8@{} -4@{} 8@{} 8@{} -4@{}\"",
            "994: .balign 4",
            ".popsection",
            $(in(reg) $value,)*
            options(nostack, preserves_flags, readonly $(, $more)?),
        )
    };
}

/// Passes the probe. Not copied to where it is called, so that there is one of it.
#[inline(never)]
fn http_server_request(stream: &TcpStream, peer: &SocketAddr, method: &CStr, path: &CStr) {
    let address = CString::new(peer.ip().to_string()).unwrap_or_default();
    let (port, fd) = (i64::from(peer.port()), i64::from(stream.as_raw_fd()));
    let (request, connection) = (std::ptr::from_ref(stream), std::ptr::from_ref(peer));
    let (address, method, path) = (address.as_ptr(), method.as_ptr(), path.as_ptr());
    // Notes say registers as the machine's own assembler writes them: `%rdi`, where Rust's says `rdi`.
    // SAFETY: it does nothing, and the note is in a section that is not loaded.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        probe!(request, connection, address, port, method, path, fd; att_syntax);
    }
    // SAFETY: as above.
    #[cfg(not(target_arch = "x86_64"))]
    unsafe {
        probe!(request, connection, address, port, method, path, fd;);
    }
}

/// Answers every request, until the program ends. Returns the address.
pub fn start() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let serve = move || {
        for stream in listener.incoming().flatten() {
            // A client that goes away in the middle is no reason to stop.
            let _ = answer(stream);
        }
    };
    std::thread::Builder::new().name("http".into()).spawn(serve)?;
    Ok(address)
}

/// Reads the first line of a request and answers it.
fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < 4096 {
        let mut bytes = [0; 512];
        match stream.read(&mut bytes)? {
            0 => break,
            len => request.extend_from_slice(&bytes[..len]),
        }
    }
    let mut words = request.split(|byte| byte.is_ascii_whitespace());
    let mut word = || CString::new(words.next().unwrap_or_default()).unwrap_or_default();
    let (method, path) = (word(), word());
    http_server_request(&stream, &stream.peer_addr()?, &method, &path);
    stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 14\r\n\r\nHello, World!\n")
}
