//! `bpf!`: the assembly language inside Rust, assembled by the compiler.
//!
//! The macro itself does little. It passes the text of its tokens to the parser that everything else uses, and
//! beside it, in order, the values that only Rust can compute: those of the expressions in braces and the maps that
//! paths name. To find those it looks at each token with its neighbours, all at once, by repeating over copies of
//! the tokens that are shifted against each other. Nothing recurses over the statements, so the length of a program
//! is not bounded by `recursion_limit`.

mod assemble;

pub use super::statement::{Value, field, stack};
pub use assemble::{Assembled, Measure, Source, assemble, code, count, flatten, measure};

/// Writes a program in the assembly language of BPF; evaluates to its [`Code`](crate::asm::Code), in `const`.
///
/// The syntax is that of LLVM, of the kernel's verifier and of `bpftool`. Statements end with `;`, comments are Rust's.
///
/// ```
/// use rawbpf::{MapSpec, ProgramSpec, ProgramType, bpf};
///
/// static EVENTS: MapSpec = MapSpec::perf_event_array("events");
/// const PID: i16 = 4;
///
/// static SEND_PID: ProgramSpec = ProgramSpec::new("send_pid", ProgramType::Kprobe, bpf! {
///     r6 = r1;                        // the context, kept over the calls
///     call get_current_pid_tgid;
///     r0 >>= 32;
///     *(u32 *)(r10 - {PID}) = r0;
///     r1 = r6;
///     r2 = EVENTS ll;
///     r3 = 0xffffffff ll;             // BPF_F_CURRENT_CPU
///     r4 = r10;
///     r4 += {-PID};
///     r5 = {size_of::<u32>()};
///     call perf_event_output;
///     r0 = 0;
///     exit;
/// });
/// ```
///
/// # Statements
///
/// | | |
/// |---|---|
/// | `r1 = r2` `r1 = 5` `w1 = w2` | moves; `r0` to `r10` have 64 bits, `w0` to `w10` are their low 32 |
/// | `r1 += r2` `-=` `*=` `/=` `%=` `&=` `\|=` `^=` `<<=` `>>=` `s>>=` | arithmetic; `s` is for signed |
/// | `r1 = *(u32 *)(r2 + 8)` | load: `u8` `u16` `u32` `u64` |
/// | `*(u32 *)(r1 + 8) = r2` `= 5` | store |
/// | `lock *(u64 *)(r1 + 8) += r2` | atomic addition |
/// | `if r1 s> 5 goto out` `goto out` | jumps: `==` `!=` `>` `>=` `<` `<=` `&`, signed `s>` `s>=` `s<` `s<=` |
/// | `r1 = 0x1122334455667788 ll` | a number of 64 bits |
/// | `exit` | return `r0` |
///
/// A statement has one operation: `r2 = r1 + 4` is written `r2 = r1; r2 += 4;`.
///
/// These are most of them; the guide to the assembly language (`docs/assembly.md`) has every one, with the kernel that brought it.
///
/// Registers are used as everywhere in BPF: `r1` to `r5` are arguments of calls, which do not survive them, `r0` the result; `r6` to `r9`
/// survive calls; `r10` is the end of the 512 bytes of stack. At the start, `r1` is the context: the registers at a kprobe, the record of a
/// tracepoint, the packet; [`ProgramType`](crate::ProgramType) says for each type.
///
/// # Helpers, functions and labels
///
/// `call NAME` calls a helper of the kernel ([bpf-helpers(7)]), with or without its `bpf_`; [`HELPERS`](crate::asm::HELPERS) has the names. A
/// name that is a label calls that function of the program. `call kfunc NAME` calls a kernel function by its name in BTF. `call log2` calls a
/// function that comes with the assembler, for histograms: [`LibraryFunction`](crate::asm::LibraryFunction).
///
/// A label is a name and `:` before any statement. Jumps name labels, or a distance with a sign in slots, `goto +3`.
///
/// ```
/// # use rawbpf::{asm::Code, bpf};
/// static TWICE: Code = bpf! {
///     r1 = 21;
///     call double;
///     exit;
/// double:
///     r0 = r1;
///     r0 += r1;
///     exit;
/// };
/// assert_eq!(TWICE.slots[1].imm(), 1);        // one slot after the next
/// ```
///
/// [bpf-helpers(7)]: https://man7.org/linux/man-pages/man7/bpf-helpers.7.html
///
/// # Maps, variables and strings
///
/// `PATH ll` is the address of the map that is described by the [`static MapSpec`](crate::MapSpec) at that path, which is created
/// when the program is loaded. `PATH[0] ll` and `PATH[0] + 8 ll` are addresses in the one value of such a map, which makes it a
/// variable (Linux 5.2). A string can be stored in as many instructions as it needs, or be put into read-only data:
///
/// ```
/// # use rawbpf::{MapSpec, asm::Code, bpf};
/// static COUNTS: MapSpec = MapSpec::hash("counts", 4, 8, 1024);
/// static TOTAL: MapSpec = MapSpec::bss("total", 8);
///
/// static EXAMPLES: Code = bpf! {
///     r1 = COUNTS ll;                     // the map
///     r1 = TOTAL[0] ll;                   // the address of the variable
///     *(u8 *)(r10 - 16) = "Hello";        // on the stack, with a NUL as in C; b"Hello" has none
///     r1 = "%d" ll;                       // the address of a constant
///     r0 = 0;
///     exit;
/// };
/// ```
///
/// # Numbers from Rust: `{…}`, `field!`, `stack!`
///
/// A number can be a Rust constant expression in braces. [`field!`](crate::field) is the offset of a field of a `#[repr(C)]` struct, and
/// [`stack!`](crate::stack) that of a field of a struct at the end of the stack; the access must be as wide as the field.
///
/// ```
/// use rawbpf::{asm::Code, bpf, field, stack};
///
/// #[repr(C)]
/// struct Event { pid: u32, time: u64 }
///
/// static FILL: Code = bpf! {
///     *(u32 *)(r10 + {stack!(Event, pid)}) = 1;       // *(u32 *)(r10 - 16)
///     r6 = r10;
///     r6 += {stack!(Event)};                          // where the struct begins
///     *(u64 *)(r6 + {field!(Event, time)}) = 2;       // *(u64 *)(r6 + 8)
///     r2 = {size_of::<Event>()};
///     r0 = 0;
///     exit;
/// };
/// # assert_eq!((FILL.slots[0].offset(), FILL.slots[3].offset()), (-16, 8));
/// ```
///
/// # Names of the running kernel
///
/// Wherever an immediate or an offset may stand, so may a name that is looked up on the kernel when the program is loaded, in its
/// BTF and in tracefs. One program so serves kernels whose structs differ.
///
/// | | |
/// |---|---|
/// | `task_struct.tgid` `task_struct.comm[3]` | the offset of a field |
/// | `sizeof(task_struct)` `sizeof(task_struct.comm)` | a size in bytes; that of a Rust type is `{size_of::<Event>()}` |
/// | `exists(task_struct.cpu)` | 1 if this kernel has such a field or type, else 0; a name that is asked about need not exist |
/// | `pid_type.PIDTYPE_TGID` `enum.BPF_F_CURRENT_CPU` | the value of an enumerator; `enum.` looks in all enumerations |
/// | `pt_regs.parm1` … `pt_regs.ret` `pt_regs.sp` `pt_regs.fp` `pt_regs.ip` | where a kprobe or uprobe finds arguments and result, on this architecture |
/// | `pt_regs.syscall1` … `pt_regs.syscall6` | the same in the registers of a system call |
/// | `args.filename` | an argument of the place of the attachment, by its name |
/// | `call args.arg3` | the value of an argument of a USDT probe, in `r0`, with the context in `r1` |
///
/// ```
/// # use rawbpf::{asm::Code, bpf};
/// static PARENT: Code = bpf! {
///     call get_current_task;
///     r3 = r0;
///     r3 += task_struct.real_parent;
///     r1 = r10;
///     r1 += -8;
///     r2 = sizeof(task_struct.real_parent);
///     call probe_read_kernel;
///     r0 = 0;
///     exit;
/// };
/// ```
///
/// `args.NAME` is what the place passes: fields of the record of a tracepoint, parameters of a kprobe's function (`args.ret` of a
/// kretprobe's), of `fentry` and `fexit`, of raw and BTF tracepoints, `args.arg1` of uprobes and USDT probes. So the program is loaded for its
/// place: by [`load_and_attach`](crate::attach::load_and_attach), or from a spec of [`Target::spec`](crate::attach::Target::spec).
///
/// ```no_run
/// use rawbpf::attach::{self, Target};
/// use rawbpf::{Loader, ProgramSpec, ProgramType, bpf};
///
/// static OPENED: ProgramSpec = ProgramSpec::new("opened", ProgramType::Tracepoint, bpf! {
///     r3 = *(u64 *)(r1 + args.filename);      // a pointer to the name, in the process
///     r0 = 0;
///     exit;
/// });
///
/// let target = Target::tracepoint("syscalls", "sys_enter_openat");
/// let program = Loader::new().load(&target.spec(&OPENED))?;
/// let link = attach::attach(&program, &target)?;
/// # Ok::<(), rawbpf::Error>(())
/// ```
///
/// # Errors
///
/// A mistake is a compile error that names its cause, with what would be right:
///
/// ```compile_fail
/// # use rawbpf::{ProgramSpec, ProgramType, bpf};
/// static WRONG: ProgramSpec = ProgramSpec::new("wrong", ProgramType::Kprobe, bpf! {
///     r12 = 1;
///     exit;
/// });
/// ```
///
/// ```text
/// error[E0080]: evaluation panicked: `r12` is not a register: r0 to r10 (64 bits), w0 to w10 (32 bits)
///                 in: r12 = 1
///  --> src/main.rs:1:76
///   |
/// 1 |   static WRONG: ProgramSpec = ProgramSpec::new("wrong", ProgramType::Kprobe, bpf! {
///   |  ____________________________________________________________________________^
/// 2 | |     r12 = 1;
/// 3 | |     exit;
/// 4 | | });
///   | |_^ evaluation of `WRONG::__BPF_CODE` failed inside this call
/// ```
///
/// A mistake that only the running kernel shows is an [`Error`](crate::Error) of the load, which has the statement, too. The line is that
/// where `bpf!` stands, since a macro does not see the lines of its statements; in a text it is the statement's own:
///
/// ```text
/// cannot load program `wrong` (kprobe): unresolved name `task_struct.tgit`
///   src/main.rs:2: r1 = task_struct.tgit
///   `task_struct` has no field `tgit`; the nearest: tgid
/// ```
#[macro_export]
macro_rules! bpf {
    ($($t:tt)*) => {{
        // Items are not hygienic, so these have names that no user gives to a map. `long_running_const_eval` is
        // triggered by parsing some thousands of statements, which terminates.
        const __BPF_SOURCE: $crate::asm::dsl::Source<'static> = $crate::asm::dsl::Source {
            text: ::core::stringify!($($t)*),
            file: ::core::file!(),
            line: ::core::line!(),
            values: $crate::__bpf_values!($($t)*),
        };
        const __BPF_SIZE: $crate::asm::dsl::Measure = $crate::asm::dsl::measure(&__BPF_SOURCE);
        const __BPF_VALUES: [$crate::asm::dsl::Value<'static>; __BPF_SIZE.values] =
            $crate::asm::dsl::flatten(&__BPF_SOURCE);
        #[allow(long_running_const_eval)]
        const __BPF_COUNTS: $crate::asm::dsl::Measure = $crate::asm::dsl::count(&__BPF_SOURCE, &__BPF_VALUES);
        #[allow(long_running_const_eval)]
        const __BPF_CODE: $crate::asm::dsl::Assembled<
            'static, { __BPF_COUNTS.slots }, { __BPF_COUNTS.relocations }, { __BPF_COUNTS.labels },
            { __BPF_COUNTS.lines }, { __BPF_COUNTS.data },
        > = $crate::asm::dsl::assemble::<
            { __BPF_COUNTS.slots }, { __BPF_COUNTS.relocations }, { __BPF_COUNTS.labels },
            { __BPF_COUNTS.lines }, { __BPF_COUNTS.data },
        >(&__BPF_SOURCE, &__BPF_VALUES);
        const __BPF_DONE: $crate::asm::Code<'static> =
            $crate::__resolvable($crate::asm::dsl::code(&__BPF_SOURCE, &__BPF_CODE));
        __BPF_DONE
    }};
}

/// The values in a sequence of tokens, in their order: each token is matched with the six before it and the one
/// after it.
#[doc(hidden)]
#[macro_export]
macro_rules! __bpf_values {
    ($($t:tt)*) => {
        $crate::__bpf_windows! {
            (@ @ @ @ @ @ @ $($t)*)
            (@ @ @ @ @ @ $($t)* @)
            (@ @ @ @ @ $($t)* @ @)
            (@ @ @ @ $($t)* @ @ @)
            (@ @ @ $($t)* @ @ @ @)
            (@ @ $($t)* @ @ @ @ @)
            (@ $(($t))* @ @ @ @ @ @)
            ($($t)* @ @ @ @ @ @ @)
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __bpf_windows {
    (($($f:tt)*) ($($e:tt)*) ($($d:tt)*) ($($c:tt)*) ($($b:tt)*) ($($a:tt)*) ($($t:tt)*) ($($n:tt)*)) => {
        &[$($crate::__bpf_value!($f $e $d $c $b $a $t $n)),*]
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __bpf_value {
    ($f:tt $e:tt $d:tt $c:tt $b:tt $a:tt ({ $($x:tt)* }) $n:tt) => {
        $crate::asm::dsl::Value::Int(
            #[allow(unused_braces, clippy::unnecessary_cast, clippy::cast_lossless)]
            { ({ $($x)* }) as i128 }
        )
    };
    ($f:tt $e:tt $d:tt $c:tt $b:tt $a:tt (($($x:tt)*)) $n:tt) => {
        $crate::asm::dsl::Value::Group($crate::__bpf_values!($($x)*))
    };
    // `NAME[0] ll`, `NAME[0] + 8 ll`: the address of a value, unless it is an index of something else.
    ($f:tt $e:tt $d:tt $c:tt $b:tt $a:ident ([$($x:tt)*]) ll) => {
        $crate::__bpf_element!($f $e $d $c $b $a $($x)*)
    };
    ($f:tt $e:tt $d:tt $c:tt $b:tt $a:ident ([$($x:tt)*]) +) => {
        $crate::__bpf_element!($f $e $d $c $b $a $($x)*)
    };
    ($f:tt $e:tt $d:tt $c:tt $b:tt $a:ident ([$($x:tt)*]) -) => {
        $crate::__bpf_element!($f $e $d $c $b $a $($x)*)
    };
    ($f:tt $e:tt $d:tt $c:tt $b:tt $a:tt ([$($x:tt)*]) $n:tt) => {
        $crate::asm::dsl::Value::Group($crate::__bpf_values!($($x)*))
    };
    // `enum.NAME ll` is a number.
    ($f:tt $e:tt $d:tt $c:tt $b:tt . ($m:ident) ll) => {
        $crate::asm::dsl::Value::Text
    };
    ($f:tt :: $d:tt :: $b:tt :: ($m:ident) ll) => {
        $crate::asm::dsl::Value::Map(&$f::$d::$b::$m)
    };
    ($f:tt $e:tt $d:tt :: $b:tt :: ($m:ident) ll) => {
        $crate::asm::dsl::Value::Map(&$d::$b::$m)
    };
    ($f:tt $e:tt $d:tt $c:tt $b:tt :: ($m:ident) ll) => {
        $crate::asm::dsl::Value::Map(&$b::$m)
    };
    ($f:tt $e:tt $d:tt $c:tt $b:tt $a:tt ($m:ident) ll) => {
        $crate::asm::dsl::Value::Map(&$m)
    };
    ($($other:tt)*) => {
        $crate::asm::dsl::Value::Text
    };
}

/// A name before brackets, with the five tokens before it and what is in the brackets: the map comes first.
#[doc(hidden)]
#[macro_export]
macro_rules! __bpf_element {
    // `task_struct.comm[3]`, `skb[12]`, and a path with more names than are matched here.
    ($f:tt $e:tt $d:tt $c:tt . $a:ident $($x:tt)*) => {
        $crate::asm::dsl::Value::Group($crate::__bpf_values!($($x)*))
    };
    ($f:tt $e:tt $d:tt $c:tt $b:tt skb $($x:tt)*) => {
        $crate::asm::dsl::Value::Group($crate::__bpf_values!($($x)*))
    };
    (:: $e:tt :: $c:tt :: $a:ident $($x:tt)*) => {
        $crate::asm::dsl::Value::Group($crate::__bpf_values!($($x)*))
    };
    ($f:tt $e:tt :: $c:tt :: $a:ident $($x:tt)*) => {
        $crate::__bpf_element_of!($e::$c::$a, $($x)*)
    };
    ($f:tt $e:tt $d:tt $c:tt :: $a:ident $($x:tt)*) => {
        $crate::__bpf_element_of!($c::$a, $($x)*)
    };
    ($f:tt $e:tt $d:tt $c:tt $b:tt $a:ident $($x:tt)*) => {
        $crate::__bpf_element_of!($a, $($x)*)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __bpf_element_of {
    ($map:path, $($x:tt)*) => {
        $crate::asm::dsl::Value::Group(&[
            $crate::asm::dsl::Value::Map(&$map),
            $crate::asm::dsl::Value::Group($crate::__bpf_values!($($x)*)),
        ])
    };
}

#[cfg(test)]
mod tests;
