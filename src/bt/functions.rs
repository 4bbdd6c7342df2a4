//! The functions of the language: a table for the checker, for errors and for the documentation.

/// A function.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// Its name.
    pub name: &'static str,
    /// Its identity to the checker.
    pub id: Id,
    /// Its signature, with types.
    pub signature: &'static str,
    /// The least and the most number of arguments.
    pub arguments: (usize, usize),
    /// The least kernel, if it is newer than 5.10.
    pub since: Option<&'static str>,
    /// Whether it is an unsafe function, which needs `--unsafe`.
    pub unsafe_mode: bool,
    /// The positions in which it may be used.
    pub usage: Usage,
    /// One line of help.
    pub help: &'static str,
}

/// The functions in which the kernel allows `path()` (`bpf_d_path_allowed`).
pub(crate) const PATH: &str = "fentry and fexit of security_file_permission, security_inode_getattr, security_file_open, \
                               security_path_truncate, vfs_truncate, vfs_fallocate, dentry_open, vfs_getattr and filp_close; \
                               iter from Linux 5.12 on";

/// The positions in which a function may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Usage {
    /// Only as a statement.
    Statement,
    /// As a value.
    Value,
    /// Only as the value assigned to a map.
    MapValue,
}

/// The functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each has its help in the table")]
pub(crate) enum Id {
    Assert,
    Avg,
    Bswap,
    Buf,
    Cat,
    CgroupPath,
    Cgroup,
    Clear,
    Count,
    Delete,
    Debugf,
    Errorf,
    Exit,
    Fail,
    Find,
    GetOpt,
    HasKey,
    Hist,
    IsArray,
    IsErr,
    IsInteger,
    IsLiteral,
    IsPtr,
    IsStr,
    IsUnsigned,
    Join,
    Kaddr,
    Kptr,
    Kstack,
    Ksym,
    LeaderComm,
    LeaderTid,
    Len,
    Lhist,
    MacAddr,
    Max,
    Min,
    Nsecs,
    Ntop,
    Override,
    Path,
    Pcomm,
    PercpuKaddr,
    Pid,
    Ppid,
    Print,
    Printf,
    Pton,
    Reg,
    Signal,
    SignalName,
    SignalThread,
    SocketCookie,
    StaticAssert,
    Stats,
    Str,
    Strcontains,
    Strerror,
    Strftime,
    Strlen,
    Strncmp,
    Sum,
    System,
    Tid,
    Time,
    Uaddr,
    Uptr,
    Ustack,
    Usym,
    Warnf,
    Zero,
    /// A function of the language that this compiler does not support.
    Unsupported,
}

const fn value(
    name: &'static str,
    id: Id,
    arguments: (usize, usize),
    signature: &'static str,
    help: &'static str,
) -> Row {
    Row {
        name,
        id,
        signature,
        arguments,
        since: None,
        unsafe_mode: false,
        usage: Usage::Value,
        help,
    }
}

const fn statement(
    name: &'static str,
    id: Id,
    arguments: (usize, usize),
    signature: &'static str,
    help: &'static str,
) -> Row {
    Row { usage: Usage::Statement, ..value(name, id, arguments, signature, help) }
}

const fn map_value(
    name: &'static str,
    id: Id,
    arguments: (usize, usize),
    signature: &'static str,
    help: &'static str,
) -> Row {
    Row { usage: Usage::MapValue, ..value(name, id, arguments, signature, help) }
}

const fn unsupported(name: &'static str) -> Row {
    value(name, Id::Unsupported, (0, MANY), "", "not supported")
}

/// Any number of arguments.
const MANY: usize = usize::MAX;

/// All functions.
pub(crate) const FUNCTIONS: &[Row] = &[
    statement(
        "assert",
        Id::Assert,
        (2, 2),
        "assert(bool condition, string message)",
        "ends the script with an error if the condition does not hold",
    ),
    map_value("avg", Id::Avg, (1, 1), "avg(int64 n)", "average of all n"),
    value("bswap", Id::Bswap, (1, 1), "uintN bswap(uintN n)", "n with its bytes in reverse order"),
    value("buf", Id::Buf, (1, 2), "buffer buf(void *data [, uint64 length])", "bytes from memory"),
    statement(
        "cat",
        Id::Cat,
        (1, MANY),
        "cat(string format, ...)",
        "prints the contents of a file",
    ),
    value(
        "cgroup_path",
        Id::CgroupPath,
        (1, 2),
        "cgroup_path(uint64 id [, string pattern])",
        "path of a cgroup, looked up when it is printed",
    ),
    value(
        "cgroupid",
        Id::Cgroup,
        (1, 1),
        "uint64 cgroupid(string path)",
        "id of a cgroup, looked up when the script starts",
    ),
    statement("clear", Id::Clear, (1, 1), "clear(@map)", "removes all elements of a map"),
    map_value("count", Id::Count, (0, 0), "count()", "number of calls"),
    statement(
        "debugf",
        Id::Debugf,
        (1, 4),
        "debugf(string format, ...)",
        "prints to the trace buffer of the kernel (trace_pipe); at most three values",
    ),
    value(
        "delete",
        Id::Delete,
        (1, 2),
        "bool delete(@map, key)",
        "removes an element of a map; whether there was one",
    ),
    statement(
        "errorf",
        Id::Errorf,
        (1, MANY),
        "errorf(string format, ...)",
        "prints an error with the place in the script",
    ),
    statement("exit", Id::Exit, (0, 1), "exit([int status])", "ends the script"),
    statement(
        "fail",
        Id::Fail,
        (1, MANY),
        "fail(string format, ...)",
        "refuses the script if it is reached by the compiler",
    ),
    value(
        "find",
        Id::Find,
        (3, 3),
        "bool find(@map, key, $variable)",
        "puts an element of a map into a variable; whether there is one",
    ),
    value(
        "getopt",
        Id::GetOpt,
        (1, 3),
        "getopt(string name [, default [, string help]])",
        "option of the command line",
    ),
    value("has_key", Id::HasKey, (2, 2), "bool has_key(@map, key)", "whether a map has an element"),
    map_value(
        "hist",
        Id::Hist,
        (1, 2),
        "hist(int64 n [, int bits])",
        "histogram of all n by powers of two",
    ),
    value("is_array", Id::IsArray, (1, 1), "bool is_array(x)", "whether it is an array"),
    value(
        "is_err",
        Id::IsErr,
        (1, 1),
        "bool is_err(T *pointer)",
        "whether it is an error number in place of a pointer",
    ),
    value("is_integer", Id::IsInteger, (1, 1), "bool is_integer(x)", "whether it is an integer"),
    value("is_literal", Id::IsLiteral, (1, 1), "bool is_literal(x)", "whether it is a literal"),
    value("is_ptr", Id::IsPtr, (1, 1), "bool is_ptr(x)", "whether it is a pointer"),
    value("is_str", Id::IsStr, (1, 1), "bool is_str(x)", "whether it is a string"),
    value(
        "is_unsigned_integer",
        Id::IsUnsigned,
        (1, 1),
        "bool is_unsigned_integer(x)",
        "whether it is an unsigned integer",
    ),
    statement(
        "join",
        Id::Join,
        (1, 2),
        "join(char *array[] [, string separator])",
        "prints strings that an array points to",
    ),
    value(
        "kaddr",
        Id::Kaddr,
        (1, 1),
        "uint64 kaddr(string name)",
        "address of a symbol of the kernel",
    ),
    value("kptr", Id::Kptr, (1, 1), "T *kptr(T *pointer)", "the pointer, as one into the kernel"),
    value(
        "kstack",
        Id::Kstack,
        (0, 2),
        "kstack([mode, ][int depth])",
        "kernel stack; mode: bpftrace, perf or raw",
    ),
    value("ksym", Id::Ksym, (1, 1), "ksym(uint64 address)", "symbol of the kernel at an address"),
    value(
        "leader_comm",
        Id::LeaderComm,
        (0, 1),
        "string leader_comm([struct task_struct *task])",
        "name of the first thread of the process",
    ),
    value(
        "leader_tid",
        Id::LeaderTid,
        (0, 1),
        "uint32 leader_tid([struct task_struct *task])",
        "thread id of the first thread of the process",
    ),
    value(
        "len",
        Id::Len,
        (1, 1),
        "uint64 len(@map or stack)",
        "number of elements of a map, of frames of a stack",
    ),
    map_value(
        "lhist",
        Id::Lhist,
        (4, 4),
        "lhist(int64 n, int64 min, int64 max, int64 step)",
        "histogram of all n with buckets of one width",
    ),
    value("macaddr", Id::MacAddr, (1, 1), "macaddr(char address[6])", "a hardware address"),
    map_value("max", Id::Max, (1, 1), "max(int64 n)", "largest of all n"),
    map_value("min", Id::Min, (1, 1), "min(int64 n)", "smallest of all n"),
    value(
        "nsecs",
        Id::Nsecs,
        (0, 1),
        "uint64 nsecs([clock])",
        "nanoseconds of a clock: boot, monotonic, tai, sw_tai",
    ),
    value("ntop", Id::Ntop, (1, 2), "ntop([int family, ]address)", "an IP address"),
    Row {
        unsafe_mode: true,
        ..statement(
            "override",
            Id::Override,
            (1, 1),
            "override(uint64 result)",
            "makes the probed function return at once (kprobe)",
        )
    },
    value(
        "path",
        Id::Path,
        (1, 2),
        "string path(struct path *path [, int size])",
        "full path (fentry, fexit, iter)",
    ),
    value(
        "pcomm",
        Id::Pcomm,
        (0, 1),
        "string pcomm([struct task_struct *task])",
        "name of the parent",
    ),
    value(
        "percpu_kaddr",
        Id::PercpuKaddr,
        (1, 2),
        "uint64 *percpu_kaddr(string name [, int cpu])",
        "address of a per-CPU variable of the kernel; refused so far",
    ),
    value(
        "pid",
        Id::Pid,
        (0, 1),
        "uint32 pid([namespace])",
        "process id; namespace: curr_ns or init",
    ),
    value(
        "ppid",
        Id::Ppid,
        (0, 1),
        "uint32 ppid([struct task_struct *task])",
        "process id of the parent",
    ),
    statement(
        "print",
        Id::Print,
        (1, 3),
        "print(x) or print(@map [, int top [, int divisor]])",
        "prints a value or a map",
    ),
    statement("printf", Id::Printf, (1, MANY), "printf(string format, ...)", "prints text"),
    value("pton", Id::Pton, (1, 1), "char[] pton(string address)", "bytes of an IP address"),
    value(
        "reg",
        Id::Reg,
        (1, 1),
        "uint64 reg(string name)",
        "a register (kprobe, uprobe, profile …)",
    ),
    Row {
        unsafe_mode: true,
        ..statement(
            "signal",
            Id::Signal,
            (1, 1),
            "signal(string or int signal)",
            "sends a signal to the process",
        )
    },
    value(
        "signal_name",
        Id::SignalName,
        (1, 1),
        "string signal_name(int signal)",
        "text of a signal's number",
    ),
    Row {
        unsafe_mode: true,
        ..statement(
            "signal_thread",
            Id::SignalThread,
            (1, 1),
            "signal_thread(string or int signal)",
            "sends a signal to the thread",
        )
    },
    value(
        "socket_cookie",
        Id::SocketCookie,
        (1, 1),
        "uint64 socket_cookie(struct sock *sock)",
        "the kernel's number for a socket",
    ),
    statement(
        "static_assert",
        Id::StaticAssert,
        (2, 2),
        "static_assert(bool condition, string message)",
        "refuses the script if a constant does not hold",
    ),
    map_value("stats", Id::Stats, (1, 1), "stats(int64 n)", "count, average and total of all n"),
    value("str", Id::Str, (1, 2), "string str(char *text [, uint64 length])", "string from memory"),
    value(
        "strcontains",
        Id::Strcontains,
        (2, 2),
        "bool strcontains(string text, string part)",
        "whether a string contains another",
    ),
    value(
        "strerror",
        Id::Strerror,
        (1, 1),
        "string strerror(int error)",
        "text of an error number",
    ),
    value(
        "strftime",
        Id::Strftime,
        (2, 2),
        "strftime(string format, uint64 nsecs)",
        "a time in a format",
    ),
    value("strlen", Id::Strlen, (1, 1), "uint64 strlen(string text)", "length of a string"),
    value(
        "strncmp",
        Id::Strncmp,
        (3, 3),
        "int64 strncmp(string a, string b, int64 n)",
        "0 if the first n bytes are the same",
    ),
    map_value("sum", Id::Sum, (1, 1), "sum(int64 n)", "sum of all n"),
    Row {
        unsafe_mode: true,
        ..statement(
            "system",
            Id::System,
            (1, MANY),
            "system(string format, ...)",
            "runs a command of the shell",
        )
    },
    value(
        "tid",
        Id::Tid,
        (0, 1),
        "uint32 tid([namespace])",
        "thread id; namespace: curr_ns or init",
    ),
    statement("time", Id::Time, (0, 1), "time([string format])", "prints the time"),
    value(
        "uaddr",
        Id::Uaddr,
        (1, 1),
        "T *uaddr(string name)",
        "address of a symbol of the probed program (uprobe)",
    ),
    value("uptr", Id::Uptr, (1, 1), "T *uptr(T *pointer)", "the pointer, as one into the process"),
    value(
        "ustack",
        Id::Ustack,
        (0, 2),
        "ustack([mode, ][int depth])",
        "user stack; mode: bpftrace, perf or raw",
    ),
    value("usym", Id::Usym, (1, 1), "usym(uint64 address)", "symbol of the process at an address"),
    statement(
        "warnf",
        Id::Warnf,
        (1, MANY),
        "warnf(string format, ...)",
        "prints a warning with the place in the script",
    ),
    statement("zero", Id::Zero, (1, 1), "zero(@map)", "makes all values of a map 0"),
    unsupported("dw_ustack"),
    unsupported("globmatch"),
    unsupported("kfunc_allowed"),
    unsupported("kfunc_exist"),
    unsupported("memcmp"),
    unsupported("skboutput"),
    unsupported("str_concat"),
    unsupported("strcap"),
    unsupported("strstr"),
    unsupported("syscall_name"),
    unsupported("tseries"),
    unsupported("typeof"),
    unsupported("typeinfo"),
    unsupported("unwatch"),
    unsupported("write_user"),
];

/// Returns the function of a name.
pub(crate) fn find(name: &str) -> Option<&'static Row> {
    FUNCTIONS.iter().find(|row| row.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_name_is_there_once() {
        let mut seen = HashSet::new();
        assert!(FUNCTIONS.iter().all(|row| seen.insert(row.name)));
    }

    #[test]
    fn signatures_name_the_function() {
        for row in FUNCTIONS.iter().filter(|row| row.id != Id::Unsupported) {
            assert!(row.signature.contains(row.name), "{}", row.name);
            assert!(row.arguments.0 <= row.arguments.1, "{}", row.name);
        }
    }
}
