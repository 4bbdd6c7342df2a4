//! Every type of map: a program in the kernel and user space both touch it.

mod common;
#[path = "maps/network.rs"]
mod network;
#[path = "maps/objects.rs"]
mod objects;
#[path = "maps/raw.rs"]
mod raw;
#[path = "maps/refusals.rs"]
mod refusals;
#[path = "maps/struct_ops.rs"]
mod struct_ops;
#[path = "maps/system.rs"]
mod system;
#[path = "maps/values.rs"]
mod values;

use rawbpf::map::Map;
use rawbpf::{Errno, Error, Loader, MapSpec, Program, ProgramSpec};

/// A frame of an unknown type.
const FRAME: [u8; 64] = {
    let mut frame = [0; 64];
    (frame[12], frame[13]) = (0x88, 0xb5);
    frame
};

/// Why this kernel has no such map; `None` if it has.
fn lacks(spec: &MapSpec<'_>) -> Option<String> {
    match Map::create(spec) {
        Ok(_) => None,
        Err(Error::CreateMap { errno: errno @ (Errno(libc::EINVAL) | Errno(524)), .. }) => {
            Some(format!("this kernel has no {} maps: {errno}", spec.kind))
        }
        // Maps of pages want a JIT that knows them, tables of functions any JIT: without one there are no types of them.
        Err(Error::CreateMap { errno: errno @ Errno(libc::EOPNOTSUPP), .. }) => {
            Some(format!("this machine has no {} maps: {errno}", spec.kind))
        }
        Err(error) if error.to_string().starts_with("there is no struct `bpf_struct_ops_") => {
            Some(error.to_string())
        }
        Err(error) => panic!("{error}"),
    }
}

/// Loads a program and gives it with the map that it names.
fn load<'a>(spec: &ProgramSpec<'a, 'a>, map: &'a MapSpec<'a>) -> (Program, Map) {
    let mut loader = Loader::new();
    let program = loader.load(spec).unwrap_or_else(|error| panic!("{error}"));
    (program, loader.map(map).unwrap().clone())
}

/// Runs it once over a frame.
fn run(program: &Program) -> u32 {
    program.test_run(&FRAME, 1).unwrap_or_else(|error| panic!("{error}")).returned
}
