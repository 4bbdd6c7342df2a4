//! A table of functions of the kernel: congestion control of TCP.

use super::raw;
use crate::common::requires::{Thing, needs, needs_tried};
use rawbpf::map::{Array, StructOps};
use rawbpf::{Errno, Error, Loader, MapFlags, MapSpec, ProgramSpec, ProgramType, bpf};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

const OPS: &str = "tcp_congestion_ops";

/// The number of calls of each function: `init`, `cong_avoid`.
static CALLS: MapSpec = MapSpec::array("calls", 16, 1);
static CALLS_OF: [ProgramSpec; 2] = [
    spec(
        "init",
        "tcp_congestion_ops.init",
        bpf! {
            r1 = CALLS[0] ll;
            r2 = 1;
            lock *(u64 *)(r1 + 0) += r2;
            r0 = 0;
            exit;
        },
    ),
    // What is acknowledged is the second argument.
    spec(
        "avoid",
        "tcp_congestion_ops.cong_avoid",
        bpf! {
            r2 = *(u64 *)(r1 + args.arg2);
            r1 = CALLS[0] + 8 ll;
            r2 = 1;
            lock *(u64 *)(r1 + 0) += r2;
            r0 = 0;
            exit;
        },
    ),
];
static OTHERS: [ProgramSpec; 2] = [
    spec("half", "tcp_congestion_ops.ssthresh", bpf! { r0 = 2; exit; }),
    spec("undo", "tcp_congestion_ops.undo_cwnd", bpf! { r0 = 10; exit; }),
];

const fn spec(
    name: &'static str,
    target: &'static str,
    code: rawbpf::asm::Code<'static>,
) -> ProgramSpec<'static, 'static> {
    ProgramSpec::new(name, ProgramType::StructOps, code).with_target(target)
}

static BY_MAP: MapSpec = MapSpec::struct_ops("rawbpf_map", OPS);
static BY_LINK: MapSpec = MapSpec::struct_ops("rawbpf_link", OPS).with_flags(MapFlags::LINK);

fn member(spec: &ProgramSpec<'static, 'static>) -> &'static str {
    spec.target.unwrap().split_once('.').unwrap().1
}

/// Sends something over the loopback device by the algorithm of that name.
fn talk(name: &str) -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut ours = TcpStream::connect(listener.local_addr()?)?;
    let (mut theirs, _) = listener.accept()?;
    raw::congestion_control(&ours, name)?;
    ours.write_all(&[7; 4096])?;
    theirs.read_exact(&mut [0; 4096])
}

fn registers(table: &'static MapSpec<'static>) {
    let mut loader = Loader::new();
    let map = loader.map(table).unwrap_or_else(|error| panic!("{error}")).clone();
    let mut ops = StructOps::of(&map).unwrap();
    ops.set("name", table.name.as_bytes()).unwrap();
    for spec in OTHERS.iter().chain(&CALLS_OF) {
        let program = loader.load(spec).unwrap_or_else(|error| panic!("{error}"));
        ops.program(member(spec), &program).unwrap();
    }
    assert!(talk(table.name).is_err());

    let registered = ops.register().unwrap_or_else(|error| panic!("{error}"));
    talk(table.name).unwrap();
    let calls = Array::<[u64; 2]>::of(loader.map(&CALLS).unwrap()).unwrap();
    let [init, avoid] = calls.lookup(0).unwrap();
    assert!(init == 1 && avoid > 0, "{init} {avoid}");
    // What user space reads of it has the name, and the numbers of programs in the places of descriptors.
    let value = map.lookup(&[0; 4]).unwrap().unwrap();
    let name = table.name.as_bytes();
    assert!(value.windows(name.len()).any(|window| window == name));

    drop(registered);
    assert!(talk(table.name).is_err());
}

/// Why there are no such maps here, or none of a kind of registration.
fn lacks(table: &'static MapSpec<'static>) -> Option<String> {
    super::lacks(table)
}

#[test]
fn a_table_of_functions() {
    needs!(Root, Bpf, Btf, Jit);
    needs_tried!("struct_ops", lacks(&BY_MAP));
    registers(&BY_MAP);
}

#[test]
fn a_table_of_functions_by_a_link() {
    needs!(Root, Bpf, Btf, Jit);
    needs_tried!("struct_ops by links", lacks(&BY_LINK));
    registers(&BY_LINK);
}

#[test]
fn what_a_table_has_not_is_told() {
    needs!(Root, Bpf, Btf, Jit);
    needs_tried!("struct_ops", lacks(&BY_MAP));
    static NONE: MapSpec = MapSpec::struct_ops("none", "tcp_congestion_op");
    let mut loader = Loader::new();
    let error = loader.map(&NONE).unwrap_err();
    assert!(error.to_string().contains(OPS), "{error}");

    let mut ops = StructOps::of(loader.map(&BY_MAP).unwrap()).unwrap();
    let error = ops.set("nam", b"x").unwrap_err();
    assert!(error.to_string().contains("the nearest: name"), "{error}");
    let error = ops.set("name", &[b'x'; 17]).unwrap_err();
    assert!(matches!(error, Error::MapLength { has: 17, needs: 16, .. }), "{error}");
    let error = ops.set("flags", &[1]).unwrap_err();
    assert!(matches!(error, Error::MapLength { has: 1, needs: 4, .. }), "{error}");
    let program = loader.load(&OTHERS[0]).unwrap();
    let error = ops.program("flags", &program).unwrap_err();
    assert!(error.to_string().contains("no function"), "{error}");
    // Functions that the kernel needs are missing.
    ops.set("name", b"rawbpf_empty").unwrap();
    let error = ops.register().unwrap_err();
    assert!(matches!(error, Error::Call { errno: Errno(libc::EINVAL), .. }), "{error}");

    let wrong = spec("wrong", "tcp_congestion_ops.sstresh", bpf! { r0 = 2; exit; });
    let error = loader.load(&wrong).unwrap_err();
    assert!(error.to_string().contains("ssthresh"), "{error}");
    let error = loader.load(&wrong.with_target(OPS)).unwrap_err();
    assert!(error.to_string().contains("a struct and a member of it"), "{error}");
}
