//! Loads an object that clang made and attaches its programs: counts the system calls of a process each second.
//!
//! `clang -target bpf -g -O2 -c examples/load_object.c`, then `cargo run --example load_object load_object.o PID [SECONDS]`, as
//! root; runs until Ctrl-C, or for so many seconds.

use rawbpf::object::Object;
use rawbpf::{Loader, attach};
use std::time::Duration;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

pub(crate) fn run(file: &str, pid: u32, seconds: u64) -> Result<()> {
    let object = Object::read(&std::fs::read(file)?)?;
    let mut collection = object.collection(file)?;
    // A constant of the programs: the verifier takes out what it makes unreachable.
    collection.variable("targ_pid")?.set(&pid)?;

    let mut loader = Loader::new();
    let programs = loader.load_collection(&collection)?;
    // Each where its section says, until this is dropped.
    let _attached = attach::attach_collection(&mut loader, &collection, &programs)?;
    println!("Counting the system calls of process {pid}...");
    let mut before = 0;
    for _ in 0..seconds {
        std::thread::sleep(Duration::from_secs(1));
        let calls: u64 = loader.variable(&collection, "calls")?;
        println!("{}", calls - before);
        before = calls;
    }
    Ok(())
}

#[allow(dead_code, reason = "tests start it by `run`")]
fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(file), Some(pid)) = (args.next(), args.next()) else {
        return Err("usage: load_object FILE.o PID [SECONDS]".into());
    };
    run(&file, pid.parse()?, args.next().map_or(Ok(u64::MAX), |seconds| seconds.parse())?)
}
