//! The command `rawbpf`.

fn main() -> std::process::ExitCode {
    rawbpf::cli::main()
}
