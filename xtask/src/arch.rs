//! The machines that can be emulated, as a table.

use clap::ValueEnum;

/// The architectures that Debian's kernels are booted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Arch {
    #[value(name = "x86_64", alias = "amd64")]
    X86_64,
    #[value(name = "aarch64", alias = "arm64")]
    Aarch64,
    #[value(name = "s390x")]
    S390x,
}

impl Arch {
    /// Rust's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64",
            Arch::Aarch64 => "aarch64",
            Arch::S390x => "s390x",
        }
    }

    /// Debian's name of it.
    pub fn debian(self) -> &'static str {
        match self {
            Arch::X86_64 => "amd64",
            Arch::Aarch64 => "arm64",
            Arch::S390x => "s390x",
        }
    }

    /// The suffix of its kernels' packages; the cloud flavour is the small one.
    pub fn flavour(self) -> &'static str {
        match self {
            Arch::X86_64 => "-cloud-amd64",
            Arch::Aarch64 => "-cloud-arm64",
            Arch::S390x => "-s390x",
        }
    }

    /// The target that guest programs are built for.
    pub fn target(self) -> String {
        format!("{}-unknown-linux-gnu", self.name())
    }

    /// Whether this is the machine that we run on.
    pub fn is_host(self) -> bool {
        self.name() == std::env::consts::ARCH
    }

    /// The emulator and the packages of Debian that may hold it (they were split over time), the likelier first.
    pub fn emulator(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Arch::X86_64 => ("qemu-system-x86_64", &["qemu-system-x86"]),
            Arch::Aarch64 => ("qemu-system-aarch64", &["qemu-system-arm"]),
            Arch::S390x => ("qemu-system-s390x", &["qemu-system-s390x", "qemu-system-misc"]),
        }
    }
}
