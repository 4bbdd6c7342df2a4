//! The typed program: what is left of a script when everything has been checked.
//!
//! Lowering makes instructions of it without checking anything again. It can rely on this:
//!
//! * **Types are exact.** What is stored somewhere has the type of the place, conversions are explicit
//!   ([`ExprKind::Convert`]); the operands of an operator have been converted to what it works on. Only integers in
//!   registers are free: every value of a scalar type is held sign- or zero-extended to 64 bits, so that a conversion
//!   to a wider type costs nothing.
//! * **Arithmetic is that of 64 bits**, modulo 2^64; the type of its result is `int64` or `uint64`.
//! * **Conditions are `bool`**: of `if`, `while`, `? :`, `&&`, `||`, `!` and the predicate.
//! * **Constants are folded**: an operator with two constants is a constant. Branches with a constant condition are gone.
//! * **Memory reads are flat**: a chain of fields and constant indices in one object is one [`ExprKind::Load`] with one
//!   offset. Another hop through a pointer is another `Load`.
//! * **Nesting is bounded**: by [`MAX_DEPTH`](super::ast::MAX_DEPTH) and a few levels of what is written, with a conversion or a load
//!   added at each level: three times as deep at most. `else if`, `&&` and `||` do not nest.
//!
//! A block with several attach points becomes one [`Probe`] for all that can share a program: those of one kind whose
//! arguments, as far as the block uses them, lie in the same places with the same types.

use super::ast::BinaryOp;
use super::config::Config;
use super::format::Format;
use super::probe::{AttachPoint, Kind};
use super::source::{Source, Span};
use super::types::{Bits, Clock, Enums, Lhist, Structs, Type};
use crate::user::UsdtProbe;
use std::sync::Arc;

/// A typed program.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// The script, for messages.
    pub source: Source,
    /// Its settings.
    pub config: Config,
    /// The structs that types name.
    pub structs: Structs,
    /// The enumerations that types name.
    pub enums: Enums,
    /// The maps, by their numbers in [`MapId`], in the order of their first use.
    pub maps: Vec<Map>,
    /// The format strings, by their numbers in [`FormatId`].
    pub formats: Vec<Format>,
    /// Strings that run-time values name by number: formats of `strftime()`, patterns of `cgroup_path()`.
    pub strings: Vec<Arc<[u8]>>,
    /// The probes, in the order of the script; those without attach points (of a wildcard without match that may be
    /// missing) are left out.
    pub probes: Vec<Probe>,
}

/// The number of a map in [`Program::maps`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct MapId(pub u32);

/// The number of a format string in [`Program::formats`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FormatId(pub u32);

/// The number of a variable in [`Probe::variables`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct VarId(pub u32);

/// A map of the script.
#[derive(Debug, Clone)]
pub(crate) struct Map {
    /// Its name with its `@`.
    pub name: Arc<str>,
    /// The type of its keys; none if it is a single value.
    pub key: Option<Type>,
    /// The type of its values. Integers are `int64` or `uint64`.
    pub value: Type,
    /// The number of elements.
    pub max_entries: u32,
    /// The kind of map that a declaration asked for.
    pub kind: Option<MapKind>,
    /// Whether a probe does something with it that only happens in user space in order (`print`, `clear`, `zero`).
    pub asynchronous: bool,
    /// The location of its first use.
    pub span: Span,
}

/// The kinds of maps that a script can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum MapKind {
    /// `hash`
    Hash,
    /// `lruhash`
    LruHash,
    /// `percpuhash`
    PercpuHash,
    /// `percpulruhash`
    PercpuLruHash,
    /// `percpuarray`, `array`: one value.
    PercpuArray,
}

/// A program and where it is attached.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    /// The kind of all its attach points.
    pub kind: Kind,
    /// The attach points; at least one.
    pub attach_points: Vec<AttachPoint>,
    /// The place of each of them in the script.
    pub point_spans: Vec<Span>,
    /// The USDT probe of a [`Kind::Usdt`], whose arguments lie where the compiler of the program put them.
    pub usdt: Option<Arc<UsdtProbe>>,
    /// The index of the block in the script.
    pub block: u32,
    /// Its variables, those of inner blocks among them. Each declaration is another one.
    pub variables: Vec<Variable>,
    /// The condition under which its statements run.
    pub predicate: Option<Expr>,
    /// Its statements.
    pub body: Vec<Statement>,
    /// Its place.
    pub span: Span,
}

/// A scratch variable.
#[derive(Debug, Clone)]
pub(crate) struct Variable {
    /// Its name with its `$`.
    pub name: Arc<str>,
    /// Its type.
    pub ty: Type,
    /// The location of its declaration.
    pub span: Span,
}

/// A statement and its place.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    /// Its kind.
    pub kind: StatementKind,
    /// Its place.
    pub span: Span,
}

/// The kinds of statements.
#[derive(Debug, Clone)]
pub(crate) enum StatementKind {
    /// Evaluates an expression for its side effects.
    Expr(Expr),
    /// Gives a variable its first value, all zeros. A variable in a loop gets it in each round.
    Declare(VarId),
    /// Stores a value in a variable.
    SetVariable(VarId, Expr),
    /// `@m[key] = value`. The key is evaluated first.
    SetMap {
        /// The map.
        map: MapId,
        /// The key; none if the map is a single value.
        key: Option<Expr>,
        /// The value.
        value: Expr,
    },
    /// `@m[key] op= value`: the element, 0 if there is none, and the value joined by an operator on 64-bit integers. The
    /// key is evaluated once.
    UpdateMap {
        /// The map; its values are integers, or pointers that a multiple of what they point to is added to.
        map: MapId,
        /// The key; none if the map is a single value.
        key: Option<Expr>,
        /// The operator; never a comparison.
        op: BinaryOp,
        /// Whether division, remainder and right shift are signed.
        signed: bool,
        /// The value.
        value: Expr,
    },
    /// `@m[key] = count()` and the like.
    Aggregate {
        /// The map; the type of its values goes with the function.
        map: MapId,
        /// The key; none if the map is a single value.
        key: Option<Expr>,
        /// The function.
        function: Aggregation,
    },
    /// `if`, with all its `else if`.
    If {
        /// The conditions and their bodies, in order.
        arms: Vec<(Expr, Vec<Statement>)>,
        /// The `else` block, run if no condition holds.
        otherwise: Vec<Statement>,
    },
    /// `while`
    While {
        /// The condition, evaluated before each round.
        condition: Expr,
        /// The body.
        body: Vec<Statement>,
    },
    /// `for ($i : start..end)`
    ForRange {
        /// The variable, an integer.
        variable: VarId,
        /// The first value, evaluated once.
        start: Expr,
        /// The value at which it ends, evaluated once.
        end: Expr,
        /// The body.
        body: Vec<Statement>,
    },
    /// `for ($kv : @map)`
    ForMap {
        /// The variable, a tuple of key and value.
        variable: VarId,
        /// The map.
        map: MapId,
        /// The body.
        body: Vec<Statement>,
    },
    /// `unroll(n)`
    Unroll {
        /// The number of repetitions.
        count: u32,
        /// The body.
        body: Vec<Statement>,
    },
    /// Statements with variables of their own.
    Block(Vec<Statement>),
    /// `break`
    Break,
    /// `continue`
    Continue,
    /// `return`: the end of this run of the probe.
    Return(Option<Expr>),
    /// An action of user space, in order with all others.
    Async(Async),
}

/// An aggregating function with its argument, an integer of 64 bits.
#[derive(Debug, Clone)]
pub(crate) enum Aggregation {
    /// `count()`
    Count,
    /// `sum(n)`
    Sum(Expr),
    /// `avg(n)`
    Avg(Expr),
    /// `min(n)`
    Min(Expr),
    /// `max(n)`
    Max(Expr),
    /// `stats(n)`
    Stats(Expr),
    /// `hist(n, bits)`
    Hist(Expr, u32),
    /// `lhist(n, min, max, step)`
    Lhist(Expr, Lhist),
}

/// An action that user space carries out for a probe.
#[derive(Debug, Clone)]
pub(crate) enum Async {
    /// `printf(format, …)`; the arguments in the order of the format, those for `*` among them.
    Printf(FormatId, Vec<Expr>),
    /// `errorf(format, …)`, `warnf(format, …)`: to standard error with the place in the script.
    Message {
        /// Whether it is a warning and no error.
        warning: bool,
        /// The format.
        format: FormatId,
        /// The arguments.
        arguments: Vec<Expr>,
    },
    /// `system(format, …)`
    System(FormatId, Vec<Expr>),
    /// `cat(format, …)`
    Cat(FormatId, Vec<Expr>),
    /// `print(value)`
    PrintValue(Expr),
    /// `print(@map, top, div)`; 0 if not given.
    PrintMap {
        /// The map.
        map: MapId,
        /// The number of elements that are printed.
        top: u32,
        /// The divisor of the printed values.
        div: u32,
    },
    /// `print(@map[key])` of an aggregation: the element as it is in user space when it gets there.
    PrintElement {
        /// The map.
        map: MapId,
        /// The key.
        key: Expr,
    },
    /// `clear(@map)`
    Clear(MapId),
    /// `zero(@map)`
    Zero(MapId),
    /// `exit(status)`: the run of the probe ends here too.
    Exit(Expr),
    /// `time(format)`: the wall clock, printed at once.
    Time(Arc<[u8]>),
    /// `join(array, separator)`: the strings that an array of pointers points to, up to a null pointer.
    Join {
        /// The address of the array.
        array: Expr,
        /// The text between the strings.
        separator: Arc<[u8]>,
    },
}

/// An expression.
#[derive(Debug, Clone)]
pub(crate) struct Expr {
    /// Its kind.
    pub kind: ExprKind,
    /// Its type.
    pub ty: Type,
    /// Its place.
    pub span: Span,
}

/// The kinds of expressions.
#[derive(Debug, Clone)]
pub(crate) enum ExprKind {
    /// A constant of a scalar type, extended to 64 bits.
    Int(u64),
    /// A constant of another type, in its layout: a string, an address of `pton()`, an array.
    Bytes(Arc<[u8]>),
    /// A variable.
    Variable(VarId),
    /// An element of a map; zeros if there is none. Of `count`, `sum`, `min`, `max` and `avg` it has the type of the map's
    /// values: [`ExprKind::Aggregated`] makes it a number.
    Map {
        /// The map.
        map: MapId,
        /// The key; none if the map is a single value.
        key: Option<Box<Expr>>,
    },
    /// The number that an aggregation (`count`, `sum`, `min`, `max`, `avg`) stands for now, over all CPUs.
    Aggregated(Box<Expr>),
    /// A value that the kernel gives.
    Builtin(Builtin),
    /// The context of the program (what `r1` holds at its start), a pointer.
    Context,
    /// Reads an object of the expression's type from memory.
    Load {
        /// The address: a pointer or an integer.
        address: Box<Expr>,
        /// The offset that is added to the address.
        offset: i64,
        /// The kind of memory access.
        access: Access,
        /// The bit-field to extract, if it is one.
        bits: Option<Bits>,
    },
    /// The address of an object in memory, a pointer: an array in a struct, a string in the context.
    Address {
        /// The address that the offset is added to.
        address: Box<Expr>,
        /// The offset that is added to the address.
        offset: i64,
    },
    /// The address of what a `__data_loc` field of a tracepoint stands for: that of the context plus the lower 16 bits of
    /// the field, a `u32` at `offset`. If `relative`, plus the end of the field too.
    DataLocation {
        /// The offset of the field in the context.
        offset: u32,
        /// Whether it counts from the end of the field (`__rel_loc`).
        relative: bool,
    },
    /// A part of a value that does not lie in readable memory: a field of a struct in a variable, an element of a tuple.
    /// Its type is the expression's.
    Extract {
        /// The value.
        value: Box<Expr>,
        /// The offset of the part.
        offset: u32,
        /// An index that is only known at run time, and the size of an element. An index that is too large gives zeros.
        index: Option<(Box<Expr>, u32)>,
        /// The bit-field to extract, if it is one.
        bits: Option<Bits>,
    },
    /// A tuple.
    Tuple(Vec<Expr>),
    /// `!x`, `-x`, `~x`
    Unary(Unary, Box<Expr>),
    /// Arithmetic on 64-bit integers. On pointers the right side has been scaled.
    Binary {
        /// The operator: no comparison.
        op: BinaryOp,
        /// Whether division, remainder and right shift are signed.
        signed: bool,
        /// The left side.
        left: Box<Expr>,
        /// The right side.
        right: Box<Expr>,
    },
    /// A comparison of scalars; the result is `bool`.
    Compare {
        /// The operator.
        op: BinaryOp,
        /// Whether it is signed.
        signed: bool,
        /// The left side.
        left: Box<Expr>,
        /// The right side.
        right: Box<Expr>,
    },
    /// `==` or `!=` of objects: strings (up to the first zero of either), arrays and tuples of one type.
    CompareObjects {
        /// Whether it is `==`.
        equal: bool,
        /// The left side.
        left: Box<Expr>,
        /// The right side.
        right: Box<Expr>,
    },
    /// `a && b && …`, `a || b || …`: the rest is not evaluated once the result is known.
    Logical {
        /// Whether it is `&&`.
        and: bool,
        /// The operands, all `bool`; at least two.
        operands: Vec<Expr>,
    },
    /// `c ? x : y`, both of the expression's type. Of type `Void` if both sides only act.
    Ternary {
        /// The condition.
        condition: Box<Expr>,
        /// The value if it holds.
        then: Box<Expr>,
        /// The value if it does not.
        otherwise: Box<Expr>,
    },
    /// Converts to the expression's type: between scalars as C casts do (to `bool`: whether it is not 0); a string, a
    /// tuple or an array to a larger one of its kind, with zeros behind; an integer to an array of its size and back.
    Convert(Box<Expr>),
    /// `++` and `--` of a variable.
    StepVariable {
        /// The variable: an integer or a pointer.
        variable: VarId,
        /// The amount that is added: 1, -1, or for a pointer the size of the type it points to.
        by: i64,
        /// Whether the value is that after the change.
        prefix: bool,
    },
    /// `++` and `--` of an element of a map, which begins with 0.
    StepMap {
        /// The map: its values are integers or pointers.
        map: MapId,
        /// The key; none if the map is a single value.
        key: Option<Box<Expr>>,
        /// The amount that is added.
        by: i64,
        /// Whether the value is that after the change.
        prefix: bool,
    },
    /// Statements, and then a value.
    Block(Vec<Statement>, Box<Expr>),
    /// A function.
    Call(Box<Call>),
}

/// Operators with one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Unary {
    /// `!`, of a `bool`.
    Not,
    /// `-`, of a 64-bit integer.
    Negate,
    /// `~`, of a 64-bit integer.
    Invert,
}

/// The kind of access by which memory is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Access {
    /// A load from the context.
    Context,
    /// A load through a pointer that the verifier knows the type of (an argument of `fentry`, `curtask`); reading it as
    /// [`Access::Kernel`] is always possible too.
    Btf,
    /// `bpf_probe_read_kernel`
    Kernel,
    /// `bpf_probe_read_user`
    User,
}

/// Values that the kernel gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Builtin {
    /// The process id (`tgid`); in the PID namespace of the initial process if `init`, else in ours.
    Pid {
        /// Whether in the initial namespace.
        init: bool,
    },
    /// The thread id.
    Tid {
        /// Whether in the initial namespace.
        init: bool,
    },
    /// The user id.
    Uid,
    /// The group id.
    Gid,
    /// A clock.
    Nsecs(Clock),
    /// Nanoseconds since the run began.
    Elapsed,
    /// The CPU.
    Cpu,
    /// The number of CPUs.
    Ncpus,
    /// The NUMA node.
    NumaNode,
    /// The name of the thread, `String(16)`.
    Comm,
    /// The id of the cgroup.
    Cgroup,
    /// The task, a pointer to `struct task_struct`.
    Curtask,
    /// A random number.
    Rand,
    /// The process id of the parent.
    Ppid,
    /// The process id of the command of `-c`, 0 if there is none.
    Cpid,
    /// The kernel's ticks.
    Jiffies,
    /// Whether the interrupted code is that of user space.
    Usermode,
    /// The n-th argument of the function: an integer register, or a word of a raw tracepoint or a USDT probe.
    Arg(u32),
    /// The n-th argument on the stack.
    StackArg(u32),
    /// The return value of a function, of `kretprobe` and `uretprobe`; `fexit` has it in the context.
    Retval,
    /// A register, by where it is in `struct pt_regs`.
    Register {
        /// Bytes from the beginning of `struct pt_regs`.
        offset: u16,
    },
    /// The stack of the kernel or of the process; the type gives the depth.
    Stack,
    /// The name of the probe (type `Probe`) or of the function (type `Function`).
    Name,
    /// The user id to be printed as a name, of type `User`.
    Username,
}

/// Functions that are expressions.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    /// `str(address, length)`: a string of the expression's type, at most `length` bytes and zeros.
    Str {
        /// The address.
        address: Expr,
        /// The address space.
        space: super::types::Space,
        /// The most bytes, without the zero, if it is not the size of the type.
        length: Option<Expr>,
    },
    /// `debugf(format, …)`: integers of 64 bits, and strings.
    Debugf {
        /// The format as the kernel reads it, with a zero.
        format: Arc<[u8]>,
        /// The values; at most three.
        arguments: Vec<Expr>,
    },
    /// `buf(address, length)`
    Buf {
        /// The address.
        address: Expr,
        /// The address space.
        space: super::types::Space,
        /// The number of bytes; cut to what the type holds.
        length: Expr,
    },
    /// `ksym(address)`
    KernelSymbol(Expr),
    /// `usym(address)`
    UserSymbol(Expr),
    /// `ntop(family, address)`, the address an integer (IPv4 in network order, as it lies in memory) or an array of 4 or 16
    /// bytes.
    Ntop {
        /// The address family; inferred from the size of the address if not given.
        family: Option<Expr>,
        /// The address.
        address: Expr,
    },
    /// `macaddr(address)` of an array of 6 bytes.
    Mac(Expr),
    /// `bswap(x)`: the bytes of an integer of the type's size in reverse order.
    Bswap(Expr),
    /// `strftime(format, ns)`
    Strftime {
        /// The format, its number in [`Program::strings`].
        format: u32,
        /// The clock that the time is of.
        clock: Clock,
        /// The time.
        nanoseconds: Expr,
    },
    /// `strerror(n)`, `signal_name(n)`: the type says of which kind the number is.
    Describe(Expr),
    /// `cgroup_path(id, pattern)`
    CgroupPath {
        /// The cgroup.
        id: Expr,
        /// The pattern, its number in [`Program::strings`].
        pattern: u32,
    },
    /// `strncmp(a, b, n)`: 0 if the first `n` bytes are the same up to a zero.
    Strncmp {
        /// One string.
        left: Expr,
        /// The other.
        right: Expr,
        /// The number of bytes to compare.
        length: u32,
    },
    /// `strcontains(a, b)`, of type `bool`.
    Strcontains {
        /// The string.
        text: Expr,
        /// The substring to look for.
        part: Expr,
    },
    /// `strlen(s)`
    Strlen(Expr),
    /// `has_key(@map, key)`, of type `bool`.
    HasKey {
        /// The map.
        map: MapId,
        /// The key.
        key: Expr,
    },
    /// `delete(@map, key)`: whether there was such an element, of type `bool`. Without key: the single value.
    Delete {
        /// The map.
        map: MapId,
        /// The key.
        key: Option<Expr>,
    },
    /// `len(@map)`: the number of elements.
    MapLen(MapId),
    /// `len(stack)`: the number of frames.
    StackLen(Expr),
    /// `signal(n)`, `signal_thread(n)`
    Signal {
        /// The signal's number.
        number: Expr,
        /// Whether it goes to this thread alone.
        thread: bool,
    },
    /// `override(value)`
    Override(Expr),
    /// `path(address)`
    Path(Expr),
    /// `percpu_kaddr(name, cpu)`: the address of a variable of the kernel on a CPU.
    PerCpuAddress {
        /// The address that kallsyms has.
        symbol: Arc<str>,
        /// The CPU; this one if none.
        cpu: Option<Expr>,
    },
    /// `socket_cookie(sock)`
    SocketCookie(Expr),
}
