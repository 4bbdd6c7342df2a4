//! The kernel's symbols, from `/proc/kallsyms`.
//!
//! The file has some 120,000 lines and is made anew, in tens of milliseconds, each time it is read: it is
//! read as a stream, one line in memory at a time, and only to explain or to resolve a name that the
//! kernel did not take. Where `kernel.kptr_restrict` or a missing capability hides addresses they read
//! as zero, while the names are there for everyone.

use crate::error::Result;
use crate::permission;
use crate::util::file;
use crate::util::nearest::{Nearest, OFFERED};
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::Path;

/// A kernel without symbols in fuzzing, where reading them would take most of the time.
const KALLSYMS: &str = if cfg!(fuzzing) { "/dev/null" } else { "/proc/kallsyms" };

/// No line is longer: an address, a type, a name of `KSYM_NAME_LEN` (512 since Linux 6.1) and a module.
const LONGEST: u64 = 1024;

/// A symbol of the kernel: a line of `/proc/kallsyms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// Its address; 0 where addresses are hidden.
    pub address: u64,
    /// Its type as `nm(1)` has it: `T` and `t` for code, `D`, `R`, `B` … for data, small if it is local.
    pub kind: char,
    /// Its name.
    pub name: &'a str,
    /// The module it belongs to, if it is not part of the kernel itself.
    pub module: Option<&'a str>,
}

impl<'a> Symbol<'a> {
    /// Reads a line, `ffffffff81356da0 T __x64_sys_clone` or, for a module, with `\t[name]` after it.
    pub fn parse(line: &'a [u8]) -> Option<Symbol<'a>> {
        let line = std::str::from_utf8(line).ok()?.trim_end_matches('\n');
        let (address, rest) = line.split_once(' ')?;
        let (kind, rest) = rest.split_once(' ')?;
        let mut letters = kind.chars();
        let (Some(kind), None) = (letters.next(), letters.next()) else { return None };
        let (name, module) = match rest.split_once('\t') {
            Some((name, module)) => (name, Some(module.strip_prefix('[')?.strip_suffix(']')?)),
            None => (rest, None),
        };
        let address = u64::from_str_radix(address, 16).ok()?;
        (!name.is_empty()).then_some(Symbol { address, kind, name, module })
    }

    /// Whether it is code. A weak one (`W`, `w`) is a function that another one could have replaced.
    pub fn is_function(&self) -> bool {
        matches!(self.kind, 't' | 'T' | 'w' | 'W')
    }
}

/// Passes every symbol to `f`, until it breaks. A name comes as often as the kernel has it: static
/// functions of the same name are common.
///
/// # Errors
/// [`Error::File`](crate::Error::File) if `/proc/kallsyms` cannot be read: no `/proc`, or a kernel without
/// `CONFIG_KALLSYMS`.
pub fn each(f: impl FnMut(&Symbol<'_>) -> ControlFlow<()>) -> Result<()> {
    let path = Path::new(KALLSYMS);
    let file = file::open(path).map_err(|source| permission::file("open", path, source))?;
    // The kernel fills at most a page at each read.
    scan(BufReader::with_capacity(4096, file), f)
        .map_err(|source| permission::file("read", path, source))
}

fn scan(
    mut lines: impl BufRead,
    mut f: impl FnMut(&Symbol<'_>) -> ControlFlow<()>,
) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut lines).take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if Symbol::parse(&line).is_some_and(|symbol| f(&symbol).is_break()) {
            return Ok(());
        }
    }
}

/// Whether the kernel or a loaded module has a function of this name. Not every function can be probed.
///
/// # Errors
/// As [`each`].
pub fn function_exists(name: &str) -> Result<bool> {
    let mut found = false;
    each(|symbol| {
        found = symbol.is_function() && symbol.name == name;
        if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(found)
}

/// The address of the first symbol of this name; 0 where addresses are hidden.
///
/// # Errors
/// As [`each`].
pub fn address_of(name: &str) -> Result<Option<u64>> {
    let mut found = None;
    each(|symbol| {
        found = (symbol.name == name).then_some(symbol.address);
        if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(found)
}

/// The functions of the kernel and its modules by their addresses, to find the one in which an address lies: the frames of a
/// stack. Some megabytes, read once and kept.
#[derive(Debug, Clone)]
pub struct KernelSymbols {
    /// Sorted by address; of several names of one the first in the file is kept.
    places: Vec<Place>,
    names: String,
}

/// A symbol, in 16 bytes: there are some hundred thousand.
#[derive(Debug, Clone, Copy)]
struct Place {
    address: u64,
    /// The start of its name in `names`. The module's name follows.
    start: u32,
    name_length: u16,
    module_length: u8,
    is_function: bool,
}

/// The function in which an address lies: `vfs_read+0x1f` or, in a module, `nf_hook+0x4 [nf_tables]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelLocation<'a> {
    /// The function.
    pub name: &'a str,
    /// The offset from its start, in bytes.
    pub offset: u64,
    /// The module that it belongs to, if it is not part of the kernel itself.
    pub module: Option<&'a str>,
}

impl fmt::Display for KernelLocation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:#x}", self.name, self.offset)?;
        self.module.map_or(Ok(()), |module| write!(f, " [{module}]"))
    }
}

impl KernelSymbols {
    /// Reads them. Where addresses are hidden (`kernel.kptr_restrict`, or without `CAP_SYSLOG`) there are none.
    ///
    /// ```no_run
    /// let symbols = rawbpf::kernel::symbols::KernelSymbols::read()?;
    /// if let Some(place) = symbols.at(0xffffffff81356da4) {
    ///     println!("{place}");
    /// }
    /// # Ok::<(), rawbpf::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`each`].
    pub fn read() -> Result<KernelSymbols> {
        let mut symbols = KernelSymbols { places: Vec::new(), names: String::new() };
        each(|symbol| symbols.add(symbol))?;
        Ok(symbols.sorted())
    }

    fn add(&mut self, symbol: &Symbol<'_>) -> ControlFlow<()> {
        if symbol.address == 0 {
            return ControlFlow::Continue(());
        }
        // No kernel has 4 GiB of names.
        let Ok(start) = u32::try_from(self.names.len()) else { return ControlFlow::Break(()) };
        let module = symbol.module.unwrap_or_default();
        // The kernel's limits are 512 and 56.
        if let (Ok(name_length), Ok(module_length)) =
            (symbol.name.len().try_into(), module.len().try_into())
        {
            self.names.push_str(symbol.name);
            self.names.push_str(module);
            let (address, is_function) = (symbol.address, symbol.is_function());
            self.places.push(Place { address, start, name_length, module_length, is_function });
        }
        ControlFlow::Continue(())
    }

    fn sorted(mut self) -> KernelSymbols {
        // At an address where code and something else begin, such as `_text`, the code is meant.
        self.places.sort_by_key(|place| (place.address, !place.is_function));
        self.places.dedup_by_key(|place| place.address);
        self
    }

    /// Returns the function in which an address lies: the last one that starts at or before it. `None` before the first one,
    /// if the last symbol before it is data, or if all addresses are hidden.
    ///
    /// The file has no sizes, so addresses after the last function of the kernel or of a module seem to lie in it.
    pub fn at(&self, address: u64) -> Option<KernelLocation<'_>> {
        let after = self.places.partition_point(|place| place.address <= address);
        let place = self.places.get(after.checked_sub(1)?).filter(|place| place.is_function)?;
        let text = self.names.get(place.start as usize..)?;
        let (name, text) = text.split_at_checked(place.name_length.into())?;
        let module = text.get(..place.module_length.into()).filter(|module| !module.is_empty());
        Some(KernelLocation { name, offset: address - place.address, module })
    }
}

/// The prefix that a kernel for this architecture puts before the name of a system call to name its entry
/// function: since Linux 4.17 to 6.6, where the architecture has its own wrappers
/// (`arch/*/include/asm/syscall_wrapper.h`).
const WRAPPER: Option<&str> = if cfg!(target_arch = "x86_64") {
    Some("__x64_sys_")
} else if cfg!(target_arch = "x86") {
    Some("__ia32_sys_")
} else if cfg!(target_arch = "aarch64") {
    Some("__arm64_sys_")
} else if cfg!(target_arch = "s390x") {
    Some("__s390x_sys_")
} else if cfg!(any(target_arch = "riscv64", target_arch = "riscv32")) {
    Some("__riscv_sys_")
} else {
    None
};

/// The other prefixes: that of the function itself, where there is no wrapper (`include/linux/syscalls.h`), and
/// the two of the function that widens its arguments, since Linux 4.17 and before.
const OTHERS: [&str; 3] = ["sys_", "__se_sys_", "SyS_"];

/// The prefixes of all architectures, and of the functions behind the wrapper.
const ALL_PREFIXES: [&str; 10] = [
    "sys_",
    "__x64_sys_",
    "__ia32_sys_",
    "__arm64_sys_",
    "__s390x_sys_",
    "__riscv_sys_",
    "__se_sys_",
    "__do_sys_",
    "SyS_",
    "SYSC_",
];

fn prefixes() -> impl Iterator<Item = &'static str> {
    WRAPPER.into_iter().chain(OTHERS)
}

/// The name of a system call without what kernels put before it: `clone` for `sys_clone`,
/// `__arm64_sys_clone` and `clone`.
fn bare_call(call: &str) -> &str {
    ALL_PREFIXES.iter().find_map(|prefix| call.strip_prefix(prefix)).unwrap_or(call)
}

/// The names of the function that a kernel for this architecture can have for a system call, the likeliest
/// first. `call` is `clone`, `sys_clone`, or the name that another architecture gives it.
///
/// ```
/// let names: Vec<_> = rawbpf::kernel::symbols::syscall_symbols("clone").collect();
/// # #[cfg(target_arch = "x86_64")]
/// assert_eq!(names, ["__x64_sys_clone", "sys_clone", "__se_sys_clone", "SyS_clone"]);
/// ```
pub fn syscall_symbols(call: &str) -> impl Iterator<Item = String> + '_ {
    prefixes().map(|prefix| format!("{prefix}{}", bare_call(call)))
}

/// The name this kernel has for the function of a system call: the first of [`syscall_symbols`] that
/// exists, found in one pass. `None` if it has no such system call.
///
/// # Errors
/// As [`each`].
pub fn resolve_syscall(call: &str) -> Result<Option<String>> {
    let names: Vec<_> = syscall_symbols(call).collect();
    let mut first = names.len();
    each(|symbol| {
        // Only a better one than was already found is of interest.
        if let Some(place) = names.iter().take(first).position(|name| name == symbol.name)
            && symbol.is_function()
        {
            first = place;
        }
        if first == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(names.into_iter().nth(first))
}

/// The functions whose names come nearest to `name`, at most three, the nearest first. Where it could
/// mean a system call, that call's function counts as near.
///
/// # Errors
/// As [`each`].
pub fn nearest(name: &str) -> Result<Vec<String>> {
    let mut search = Search::new(name);
    each(|symbol| {
        search.offer(symbol);
        ControlFlow::Continue(())
    })?;
    Ok(search.found.into_names())
}

/// The functions of a module whose names come nearest to `name`, as `MODULE:NAME`; and whether the module is loaded and has any
/// functions. If it is not, those of this name in others.
///
/// # Errors
/// As [`each`].
pub(crate) fn nearest_in_module(module: &str, name: &str) -> Result<(Vec<String>, bool)> {
    let (mut near, mut others, mut is_loaded) = (Nearest::new(name, OFFERED), Vec::new(), false);
    each(|symbol| {
        if !symbol.is_function() {
            return ControlFlow::Continue(());
        }
        if symbol.module == Some(module) {
            is_loaded = true;
            near.offer(symbol.name);
        }
        if symbol.name == name && others.len() < OFFERED {
            let other = match symbol.module {
                Some(other) => format!("{other}:{name}"),
                None => name.to_owned(),
            };
            if !others.contains(&other) {
                others.push(other);
            }
        }
        ControlFlow::Continue(())
    })?;
    let near = near.into_names().iter().map(|name| format!("{module}:{name}")).collect();
    Ok((if is_loaded { near } else { others }, is_loaded))
}

/// A search for the nearest functions.
struct Search<'a> {
    wanted: &'a str,
    found: Nearest<'a>,
    /// The same search by the name of a system call; keeps nothing itself.
    call: Nearest<'a>,
    /// Whether the name has the prefix of a system call.
    is_call: bool,
}

impl<'a> Search<'a> {
    fn new(name: &'a str) -> Self {
        let call = bare_call(name);
        Search {
            wanted: name,
            found: Nearest::new(name, OFFERED),
            call: Nearest::new(call, OFFERED),
            is_call: call != name,
        }
    }

    fn offer(&mut self, symbol: &Symbol<'_>) {
        let name = symbol.name;
        // A dot marks what a compiler split off or specialised (`.cold`, `.isra.0`); the prefixes mark
        // padding, not code.
        let shadow = ["__pfx_", "__cfi_"].iter().any(|prefix| name.starts_with(prefix));
        if !symbol.is_function() || shadow {
            return;
        }
        if let Some((base, suffix)) = name.split_once('.') {
            // What has become of the very function comes before all that is called otherwise.
            if base == self.wanted {
                self.found.keep(split_off(suffix), name);
            }
            return;
        }
        if let Some(call) = prefixes().next().and_then(|prefix| name.strip_prefix(prefix)) {
            // `sys_clon` is as near to `__x64_sys_clone` as to `sys_clone`; `clone` may mean it. The
            // prefixes being alike says nothing.
            if let Some(distance) = self.call.distance(call) {
                self.found.keep(distance + usize::from(!self.is_call), name);
            }
            return;
        }
        self.found.offer(name);
    }
}

/// Returns the distance of a compiler-made variant from its function: a whole function with other parameters (`.isra.0`,
/// `.constprop.0`), a part that is called (`.part.0`), or the cold part (`.cold`).
fn split_off(suffix: &str) -> usize {
    match suffix {
        _ if suffix.contains("cold") => 2,
        _ if suffix.contains("part") => 1,
        _ => 0,
    }
}

/// Returns an explanation if the nearest name is a compiler-made variant of the function.
pub(crate) fn changed_by_compiler(name: &str, nearest: &[String]) -> Option<&'static str> {
    let first = nearest.first()?.strip_prefix(name)?;
    first.starts_with('.').then_some(
        "the compiler changed it: .isra and .constprop take other arguments, .part and .cold are parts of it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// From a Linux 6.18 on x86-64, some lines of a module added.
    const LINES: &str = "\
ffffffff81356970 t __pfx___do_sys_clone
ffffffff81356980 t __do_sys_clone
ffffffff81356d90 T __pfx___x64_sys_clone
ffffffff81356da0 T __x64_sys_clone
ffffffff81356dd0 T __pfx___ia32_sys_clone
ffffffff81356de0 T __ia32_sys_clone
ffffffff81356e00 T __x64_sys_clone3
ffffffff81a0bb40 T __x64_sys_close
ffffffff8204f5a0 T __pfx_icmp_rcv
ffffffff8204f5b0 T icmp_rcv
ffffffff8204f5c0 t icmp_rcv.cold
ffffffff8204f5d0 t igmp_rcv.isra.0
ffffffff81a0bb50 W weak_function
ffffffff81a0bb60 t finish_task_switch.isra.0
ffffffff81a0bb70 t finish_task_switch.isra.0.cold
ffffffff81a0bb80 t finish_task_switches
ffffffff81a0bb90 t split.cold
ffffffff81a0bba0 t split.part.0
ffffffff81a0bbb0 t split.constprop.0
ffffffff82a0bb50 D icmp_rcw
0000000000000000 t ftrace_trampoline\t[__builtin__ftrace]
ffffffffc0201000 t nf_hook\t[nf_tables]
";

    fn names(name: &str) -> Vec<String> {
        let mut search = Search::new(name);
        scan(LINES.as_bytes(), |symbol| {
            search.offer(symbol);
            ControlFlow::Continue(())
        })
        .unwrap();
        search.found.into_names()
    }

    #[test]
    fn addresses_lie_in_functions() {
        let mut symbols = KernelSymbols { places: Vec::new(), names: String::new() };
        scan(LINES.as_bytes(), |symbol| symbols.add(symbol)).unwrap();
        let symbols = symbols.sorted();
        let at = |address| symbols.at(address).map(|place| place.to_string());
        let is = |text: &str| Some(text.to_owned());
        assert_eq!(at(0xffff_ffff_8135_6da0), is("__x64_sys_clone+0x0"));
        assert_eq!(at(0xffff_ffff_8135_6dcf), is("__x64_sys_clone+0x2f"));
        assert_eq!(at(0xffff_ffff_8135_6dd0), is("__pfx___ia32_sys_clone+0x0"));
        assert_eq!(at(0xffff_ffff_c020_1004), is("nf_hook+0x4 [nf_tables]"));
        assert_eq!(at(u64::MAX), is("nf_hook+0x3fdfefff [nf_tables]"));
        // Before the first, in data, and one whose address is hidden.
        assert_eq!(at(0xffff_ffff_8135_696f), None);
        assert_eq!(at(0xffff_ffff_82a0_bb51), None);
        assert_eq!(at(0), None);
    }

    #[test]
    fn code_is_meant_where_data_begins_too() {
        let lines = "10 D data\n10 t code\n10 T again\n20 D later\n";
        let mut symbols = KernelSymbols { places: Vec::new(), names: String::new() };
        scan(lines.as_bytes(), |symbol| symbols.add(symbol)).unwrap();
        let symbols = symbols.sorted();
        assert_eq!(symbols.at(0x1f).map(|place| place.to_string()), Some("code+0xf".into()));
        assert_eq!(symbols.at(0x20), None);
    }

    #[test]
    fn lines() {
        assert_eq!(
            Symbol::parse(b"ffffffff81356da0 T __x64_sys_clone\n"),
            Some(Symbol {
                address: 0xffff_ffff_8135_6da0,
                kind: 'T',
                name: "__x64_sys_clone",
                module: None
            })
        );
        assert_eq!(
            Symbol::parse(b"0000000000000000 t nf_hook\t[nf_tables]\n"),
            Some(Symbol { address: 0, kind: 't', name: "nf_hook", module: Some("nf_tables") })
        );
        let refused: &[&[u8]] = &[
            b"",
            b"\n",
            b"ffffffff81356da0",
            b"ffffffff81356da0 T",
            b"ffffffff81356da0 T ",
            b"ffffffff81356da0 TT x",
            b"xyz T x",
            b"1 T x\tnf",
            b"1 T \xff",
            b"11111111111111111 T x",
        ];
        for line in refused {
            assert_eq!(Symbol::parse(line), None, "{:?}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn code_is_told_from_data() {
        let mut functions = 0;
        scan(LINES.as_bytes(), |symbol| {
            functions += u32::from(symbol.is_function());
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(functions, 21);
    }

    #[test]
    fn a_scan_ends_where_it_is_told_to() {
        let mut seen = 0;
        scan(LINES.as_bytes(), |_| {
            seen += 1;
            ControlFlow::Break(())
        })
        .unwrap();
        assert_eq!(seen, 1);
    }

    #[test]
    fn a_line_without_end_is_not_held() {
        let endless = io::repeat(b'x').take(10 << 20);
        scan(BufReader::new(endless), |symbol| panic!("{symbol:?}")).unwrap();
    }

    #[test]
    fn misspelled_functions_get_the_nearest() {
        assert_eq!(names("icmp_rcvv"), ["icmp_rcv"]);
        assert_eq!(names("weak_funtcion"), ["weak_function"]);
        assert!(names("nothing_like_it_at_all").is_empty());
        // What compilers make of functions, and never instead of others.
        let made =
            ["finish_task_switch.isra.0", "finish_task_switches", "finish_task_switch.isra.0.cold"];
        assert_eq!(names("finish_task_switch"), made);
        assert_eq!(names("split"), ["split.constprop.0", "split.part.0", "split.cold"]);
        assert_eq!(names("finish_task_swich"), ["finish_task_switches"]);
        let note = |name| changed_by_compiler(name, &names(name));
        assert!(note("split").is_some() && note("icmp_rcvv").is_none());
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn misspelled_system_calls_get_the_nearest() {
        assert_eq!(names("sys_clon")[0], "__x64_sys_clone");
        assert_eq!(names("clone")[0], "__x64_sys_clone");
        assert_eq!(names("__x64_sys_clome")[..2], ["__x64_sys_clone", "__x64_sys_close"]);
        // Alike only in what all of them begin with.
        assert!(names("__x64_sys_poll").iter().all(|name| name != "__x64_sys_clone"));
        assert_eq!(names("__arm64_sys_clone")[0], "__x64_sys_clone");
    }

    #[test]
    fn system_calls_by_any_name() {
        let wanted: Vec<_> = syscall_symbols("clone").collect();
        assert!(wanted.contains(&"sys_clone".to_string()));
        for call in
            ["sys_clone", "__x64_sys_clone", "__arm64_sys_clone", "__se_sys_clone", "SyS_clone"]
        {
            assert_eq!(syscall_symbols(call).collect::<Vec<_>>(), wanted, "{call}");
        }
    }

    #[test]
    fn this_kernel_has_its_system_calls() {
        fn here() {}
        let found = match resolve_syscall("clone") {
            Ok(found) => found,
            Err(why) => return crate::requires::skip("kallsyms", &why.to_string(), here),
        };
        let found = found.expect("every kernel has clone");
        assert!(function_exists(&found).unwrap());
        assert!(address_of(&found).unwrap().is_some());
        assert_eq!(resolve_syscall("no_such_call").unwrap(), None);
        assert!(!function_exists("no_such_function").unwrap());
        assert!(nearest("sys_clon").unwrap().iter().any(|name| name.ends_with("sys_clone")));
        assert_eq!(nearest("vfs_reda").unwrap()[0], "vfs_read");
    }

    proptest! {
        #[test]
        fn any_bytes_are_symbols_or_not(bytes: Vec<u8>, text in "[0-9a-f]{0,3}[ tT\t\\[\\]a-z\n]{0,30}") {
            for bytes in [&bytes, text.as_bytes()] {
                let _ = Symbol::parse(bytes);
                scan(bytes, |symbol| {
                    assert!(!symbol.name.is_empty());
                    ControlFlow::Continue(())
                })
                .unwrap();
            }
        }

        #[test]
        fn a_printed_symbol_reads_back(
            address: u64,
            kind in "[a-zA-Z]",
            name in "[a-zA-Z0-9_.$]{1,40}",
            module in prop::option::of("[a-z0-9_]{1,12}"),
        ) {
            let kind = kind.chars().next().unwrap();
            let mut line = format!("{address:016x} {kind} {name}");
            if let Some(module) = &module {
                line += &format!("\t[{module}]");
            }
            let symbol = Symbol { address, kind, name: &name, module: module.as_deref() };
            prop_assert_eq!(Symbol::parse(line.as_bytes()), Some(symbol));
            line.push('\n');
            prop_assert_eq!(Symbol::parse(line.as_bytes()), Some(symbol));
        }
    }
}
