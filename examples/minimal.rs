//! The least that an embedder ends up with: hello world on the system calls that fork, without the command
//! line. Prints `attached` and keeps the program attached until its standard input ends.
//!
//! `cargo build --profile size --no-default-features --example minimal`; what it costs is measured by
//! `cargo bench --bench start`.

use rawbpf::attach::{Options, Target, tracepoint};
use rawbpf::progs::{forks, hello};
use rawbpf::{Loader, ProgramType, Result};
use std::io::{Read, Write};

fn main() -> Result<()> {
    let program = Loader::new().load(&hello::HELLO.with_kind(ProgramType::Tracepoint))?;
    let links: Result<Vec<_>> = forks::CALLS
        .iter()
        .map(|call| Target::tracepoint("syscalls", format!("sys_enter_{call}")))
        // Not by `attach::attach`, which brings every other kind of place along.
        .map(|target| tracepoint::attach(&program, &target, &Options::new()))
        .collect();
    let _links = links?;
    let _ = std::io::stdout().write_all(b"attached\n");
    let _ = std::io::stdin().read(&mut [0]);
    Ok(())
}
