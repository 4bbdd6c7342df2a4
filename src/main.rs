//! The command `rawbpf`.

#![deny(clippy::print_stdout, clippy::print_stderr)]

fn main() -> std::process::ExitCode {
    rawbpf::cli::main()
}
