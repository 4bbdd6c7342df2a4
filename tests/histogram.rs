//! The function of the module's documentation that finds the bucket of a value, run by the kernel.

mod common;

use common::requires::{Thing, needs};
use rawbpf::{Loader, ProgramSpec, ProgramType, bpf};

/// r0 = the bucket of the first eight bytes of a packet's payload, in the byte order of the machine.
static BUCKET: ProgramSpec = ProgramSpec::new(
    "bucket",
    ProgramType::Xdp,
    bpf! {
        r2 = *(u32 *)(r1 + 0);
        r3 = *(u32 *)(r1 + 4);
        r0 = 0;
        r4 = r2;
        r4 += 22;
        if r4 > r3 goto out;
        r1 = *(u64 *)(r2 + 14);
        call log2;
    out:
        exit;

    log2:                       // r0 = the bucket of r1
        r0 = 1;
        r2 = r1;
        r2 >>= 32;
        if r2 == 0 goto below_32;
        r0 += 32;
        r1 = r2;
    below_32:
        r2 = r1;
        r2 >>= 16;
        if r2 == 0 goto below_16;
        r0 += 16;
        r1 = r2;
    below_16:
        r2 = r1;
        r2 >>= 8;
        if r2 == 0 goto below_8;
        r0 += 8;
        r1 = r2;
    below_8:
        r2 = r1;
        r2 >>= 4;
        if r2 == 0 goto below_4;
        r0 += 4;
        r1 = r2;
    below_4:
        r2 = r1;
        r2 >>= 2;
        if r2 == 0 goto below_2;
        r0 += 2;
        r1 = r2;
    below_2:
        r1 >>= 1;
        r0 += r1;
        exit;
    },
);

#[test]
fn a_program_finds_the_bucket_of_every_value() {
    needs!(Bpf);
    let program = Loader::new().load(&BUCKET).unwrap();
    let bucket = |value: u64| {
        let mut packet = [0; 64];
        packet[14..22].copy_from_slice(&value.to_ne_bytes());
        program.test_run(&packet, 1).unwrap().returned
    };
    assert_eq!(bucket(0), 1);
    for n in 0..64 {
        let (first, last) = (1u64 << n, u64::MAX >> (63 - n));
        // From 2^n to 2^(n+1) - 1, whose logarithm is n.
        for value in [first, last, first + (last - first) / 3] {
            assert_eq!(bucket(value), n + 1, "{value:#x}");
        }
    }
}

/// The documentation shows the same instructions: what is pasted from there has been run here.
#[test]
fn the_documentation_shows_that_function() {
    let function = |text: &str, comment: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.trim_start_matches(comment).trim().to_owned());
        let lines: Vec<_> = lines.skip_while(|line| !line.starts_with("log2:")).collect();
        let end = lines.iter().position(|line| line == "exit;").unwrap();
        lines[..end].to_vec()
    };
    let shown = function(include_str!("../src/histogram.rs"), "//!");
    assert!(shown.len() > 20, "{shown:?}");
    assert_eq!(shown, function(include_str!("histogram.rs"), "//!"));
}
