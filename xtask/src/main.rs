//! Chores of the project: commands in virtual machines, the whole test run, and checks of the sources.

mod api;
mod apt;
mod arch;
mod bpftrace;
mod build;
mod cpio;
mod cross;
mod dist;
mod guest_tests;
mod image;
mod initramfs;
mod interrupt;
mod kernels;
mod layers;
mod lesson;
mod libtest;
mod objects;
#[cfg(test)]
mod package;
mod paths;
mod programs;
mod qemu;
mod report;
mod sources;
mod summary;
mod test;
mod tools;
mod vm;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Chores of the project.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Run a command on one of Debian's kernels, in a virtual machine
    ///
    /// Its output and exit status become ours: 128 + N after signal N, 124 when it ran out of time, 125 when the
    /// machine itself failed. What is needed is downloaded from this machine's Debian mirror the first time.
    Vm(Box<vm::Options>),
    /// Run all tests: on this machine, and in virtual machines with Linux 5.10, 6.1 and the newest that Debian has
    ///
    /// A test that lacks something skips itself; one that ran nowhere is a failure.
    Test(test::Options),
    /// Compare the public API of the library with its snapshot, xtask/api.txt
    ///
    /// It prints the items that were removed (-) and added (+); the exit status is 1 if there are any.
    Api(api::Options),
    /// Run a lesson of the tutorial on one of Debian's kernels, in a virtual machine
    ///
    /// While it is attached, the guest does what the lesson is to see; then it ends as by Ctrl-C.
    Lesson(lesson::Options),
    /// Load objects by libbpf and by this library on Debian's kernels, and compare
    ///
    /// Those of tests/object_load/table.tsv, made here by clang 14, 19 and 22, as far as they are installed.
    Objects(objects::Options),
    /// Check that no module imports from a layer above its own
    Layers,
    /// Build static binaries for x86-64 and arm64, and their checksums
    ///
    /// For each machine there are two: the whole command line, and `rawbpf bt` alone. What is needed beside the toolchain, musl and the
    /// sources of the standard library, is downloaded from this machine's Debian mirror the first time.
    Dist(dist::Options),
    /// Run the tests of Debian's bpftrace 0.17 with `rawbpf bt`
    ///
    /// They are downloaded the first time. A table tells by stage and file how many pass, are refused or different as
    /// docs/bt.md says, or lack something here; the exit status is 1 if any other is among them.
    BpftraceTests(bpftrace::Options),
    /// The part of it that runs in the virtual machine
    #[command(hide = true)]
    BpftraceGuest(bpftrace::GuestOptions),
}

fn main() -> ExitCode {
    let chore = Cli::parse().chore;
    // In the guest there is nothing to clean up, and what is started there has to get its signals.
    if !matches!(chore, Chore::BpftraceGuest(_)) {
        interrupt::watch();
    }
    let done = match chore {
        Chore::Vm(options) => vm::run(&options),
        Chore::Test(options) => test::run(&options),
        Chore::Api(options) => api::run(&options),
        Chore::Lesson(options) => lesson::run(&options),
        Chore::Objects(options) => objects::run(&options),
        Chore::Layers => layers::run(),
        Chore::Dist(options) => dist::run(&options),
        Chore::BpftraceTests(options) => bpftrace::run(&options),
        Chore::BpftraceGuest(options) => bpftrace::run_in_guest(&options),
    };
    match done {
        Ok(status) => status.into(),
        Err(e) => {
            eprintln!("xtask: {e:#}");
            vm::MACHINE_FAILED.into()
        }
    }
}
