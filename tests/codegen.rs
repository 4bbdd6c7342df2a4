//! Code over virtual registers, compiled: the verifier takes it, and it computes what it should.

mod common;
#[path = "codegen/random_code.rs"]
mod random_code;

use common::needs::{Thing, needs, needs_tried};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use random_code::program;
use rawbpf::codegen::Isa;
use rawbpf::{Loader, MapSpec};
use std::fs;

static SCRATCH: MapSpec = MapSpec::bss("scratch", 8192);

/// Why the kernel is too old; `None` if it is not.
fn before(version: (u32, u32), what: &str) -> Option<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse().ok());
    let here = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    (here < version).then(|| format!("Linux {}: {what}", release.trim()))
}

/// Random programs, each compiled, loaded and run.
fn random(isa: Isa, fetch: bool, cases: u32) {
    let config =
        Config { failure_persistence: None, cases, max_shrink_iters: 300, ..Config::default() };
    let outcome = TestRunner::new(config).run(&program(fetch), |program| {
        let contents = program.cells();
        let cells = MapSpec::data("cells", &contents);
        let compiled = program
            .compile(&cells, &SCRATCH, isa)
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        let loaded = Loader::new()
            .load(&random_code::spec(&compiled))
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        let run =
            loaded.test_run(&[0; 64], 1).map_err(|error| TestCaseError::fail(error.to_string()))?;
        if run.returned != program.expected() {
            return Err(TestCaseError::fail(format!(
                "{:#x}, expected {:#x}",
                run.returned,
                program.expected()
            )));
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn random_code_of_the_first_instruction_set() {
    needs!(Bpf);
    random(Isa::V1, false, 48);
}

#[test]
fn random_code_of_the_third_instruction_set() {
    needs!(Bpf);
    random(Isa::V3, false, 96);
}

#[test]
fn random_code_with_atomics() {
    needs!(Bpf);
    needs_tried!("fetch", before((5, 12), "no atomic operations with results"));
    random(Isa::V3, true, 64);
}

#[test]
fn random_code_of_the_fourth_instruction_set() {
    needs!(Bpf);
    needs_tried!("isa_v4", before((6, 6), "no fourth version of the instruction set"));
    random(Isa::V4, true, 64);
}
