//! Tests of the semantics of scripts: types, conversions, constants, places in memory.

use super::*;

#[test]
fn constants_are_folded_as_signed_numbers() {
    for (text, value) in [
        ("-5 / 2", "-2: int8"),
        ("-5 % 3", "-2: int8"),
        ("(uint8)300", "44: uint8"),
        ("(int8)200", "-56: int8"),
        ("1 << 16", "65536: int32"),
        ("-1 >> 1", "-1: int8"),
        ("18446744073709551615", "18446744073709551615: uint64"),
        ("9223372036854775807", "9223372036854775807: int64"),
        ("9223372036854775808", "9223372036854775808: uint64"),
        ("~0", "-1: int64"),
        ("1 == 1", "true: bool"),
        ("2 < 1 || 3 > 2", "true: bool"),
        ("1e3 + 0x10 + 010", "1024: int16"),
        ("1m", "60000000000: int64"),
        ("sizeof(uint64)", "8: uint64"),
        ("sizeof(struct task_struct)", "72: uint64"),
        ("offsetof(struct task_struct, mm)", "24: uint64"),
        ("offsetof(struct task_struct, a)", "32: uint64"),
        ("AF_INET6", "10: int8"),
        ("GREEN", "5: enum color"),
        // As bpftrace has it.
        ("sizeof(GREEN)", "8: uint64"),
        ("$1", "42: int8"),
        ("$3", "-5: int8"),
        ("$9", "0: int8"),
        ("$#", "3: uint64"),
        ("$2", "\"hello\": string[6]"),
        ("str($2)", "\"hello\": string[6]"),
        ("str($2 + 1)", "\"ello\": string[5]"),
        ("str($1)", "\"42\": string[3]"),
        ("bswap((uint16)0x1234)", "13330: uint16"),
        ("kaddr(\"avenrun\")", "18446744071562067968: uint64"),
        ("cgroupid(\"/sys/fs/cgroup\")", "1: uint64"),
        ("strncmp(\"abc\", \"abd\", 2)", "0: int8"),
        ("\"a\" == \"a\"", "true: bool"),
        ("1 ? 2 : \"x\"", "2: int8"),
        ("probetype", "\"special\": string[8]"),
        ("getopt(\"n\", 1)", "7: int8"),
        ("getopt(\"flag\")", "true: bool"),
        ("getopt(\"other\", \"x\")", "\"x\": string[2]"),
        ("strerror(2)", "\"No such file or directory\": string[26]"),
        (
            "pton(\"1.2.3.4\") == pton(\"1.2.3.4\")",
            "(\"\\u{1}\\u{2}\\u{3}\\u{4}\": uint8[4]) == (\"\\u{1}\\u{2}\\u{3}\\u{4}\": uint8[4]): bool",
        ),
        ("(1, \"two\").1", "\"two\": string[4]"),
    ] {
        has_line(&format!("BEGIN {{ print({text}) }}"), &format!("print({value})"));
    }
}

#[test]
fn variables_widen_over_the_whole_block() {
    has_line("BEGIN { $x = 1; $x = 1000; }", "$x: int16");
    has_line("BEGIN { $x = 1; $x = $x + 1 }", "$x: int64");
    has_line("BEGIN { $x = 1; $x++ }", "$x: int64");
    has_line("BEGIN { $x = \"a\"; $x = \"abc\" }", "$x: string[4]");
    has_line("BEGIN { $x = \"a\"; $x = \"abc\" }", "$x = \"a\": string[4]");
    has_line("BEGIN { $x = (1, \"a\"); $x = (300, \"abc\") }", "$x: (int16, string[4])");
    has_line("BEGIN { $x = pid; $x = -1 }", "$x: int64");
    has_line("BEGIN { $x = nsecs; $x = 5 }", "$x: uint64");
    has_line("BEGIN { let $x: uint16 = 5; $x = 7 }", "$x = 7: uint16");
    has_line("BEGIN { $x = 5; $x = nsecs }", "$x: uint64");
    has_line("BEGIN { $x = 5; $x = pid; $x = -1 }", "$x: int64");
    let sum = "print((convert($z: uint32): uint64) u+ (1: uint64): uint64)";
    has_line("BEGIN { $z = (uint32)0xffffffff; print($z + 1) }", sum);
}

#[test]
fn maps_get_their_types_from_all_probes() {
    has_line("BEGIN { print(@x) } END { @x = \"abc\"; }", "map @x: string[4], 1 elements");
    has_line(
        "BEGIN { @x[\"a\"] = 1 } END { @x[\"abc\"] = 2 }",
        "map @x[string[4]]: int64, 4096 elements",
    );
    has_line(
        "BEGIN { @x[1, 2] = 1; @x[(3, 400)] = 2 }",
        "map @x[(int8, int16)]: int64, 4096 elements",
    );
    has_line("BEGIN { @y = @x } END { @x = (1, \"a\") }", "map @y: (int8, string[2]), 1 elements");
    has_line("BEGIN { @x += 1 }", "map @x: int64, 1 elements");
    has_line("BEGIN { @++ }", "(@ += 1, before): int64");
    has_line("BEGIN { @x = @x + 1 }", "map @x: int64, 1 elements");
    has_line("let @x = lruhash(10); BEGIN { @x[1] = 1 }", "map @x[int8]: int64, 10 elements");
    has_line(
        "config = { max_map_keys = 7 } BEGIN { @x[1] = 1 }",
        "map @x[int8]: int64, 7 elements",
    );
    has_line(
        "BEGIN { @ = count(); print(@ + 1) }",
        "print((number(@: count): uint64) u+ (1: uint64): uint64)",
    );
    has_line("BEGIN { @ = sum(-1); @y = @ }", "map @y: int64, 1 elements");
    has_line(
        "BEGIN { @ = hist(pid, 2) }",
        "@ = hist(convert(Pid { init: false }: uint32): uint64, 2)",
    );
    has_line("BEGIN { @ = lhist(5, 0, 100, 10) }", "@ = lhist(5: int64, 0, 100, 10)");
    has_line(
        "BEGIN { @[kstack(3), ustack(perf, 2)] = count() }",
        "map @[(kstack, ustack)]: count, 4096 elements",
    );
    has_line("BEGIN { @x = nsecs; @x -= 5 }", "@x -= 5: uint64");
    has_line("BEGIN { @x = 1; @x /= -2 }", "@x s/= -2: int64");
}

#[test]
fn signs_follow_the_operands() {
    has_line(
        "BEGIN { $x = -5; print($x / 2) }",
        "print((convert($x: int8): int64) s/ (2: int64): int64)",
    );
    has_line(
        "BEGIN { print(nsecs / 1000) }",
        "print((Nsecs(Boot): uint64) u/ (1000: uint64): uint64)",
    );
    has_line(
        "BEGIN { @s[tid] = nsecs; print(nsecs - @s[tid]) }",
        "print((convert(Nsecs(Boot): uint64): int64) u- (convert(@s[Tid { init: false }: uint32]: uint64): int64): int64)",
    );
    has_line(
        "BEGIN { if (pid > 5) { print(1) } }",
        "if (Pid { init: false }: uint32) u> (5: int8): bool",
    );
    has_line("BEGIN { $x = -1; if ($x < 5) { print(1) } }", "if ($x: int8) s< (5: int8): bool");
    has_line(
        "BEGIN { print(pid >> 1) }",
        "print((convert(Pid { init: false }: uint32): uint64) u>> (1: uint64): uint64)",
    );
    has_line(
        "BEGIN { print(-pid) }",
        "print(-(convert(Pid { init: false }: uint32): int64): int64)",
    );
}

#[test]
fn conditions_are_bool() {
    has_line(
        "BEGIN /pid/ { print(1) }",
        "if not (Pid { init: false }: uint32) u!= (0: uint32): bool: return",
    );
    has_line(
        "BEGIN { print(pid && !cpu) }",
        "print(((Pid { init: false }: uint32) u!= (0: uint32): bool) && (!((Cpu: uint32) u!= (0: uint32): bool): bool): bool)",
    );
    has_line(
        "BEGIN { print(comm == \"x\") }",
        "print((Comm: string[16]) == (\"x\": string[2]): bool)",
    );
    has_line(
        "BEGIN { print(1 && pid) }",
        "print((Pid { init: false }: uint32) u!= (0: uint32): bool)",
    );
    // What is never reached need not make sense.
    has_line("BEGIN { if ($1 == 43) { fail(\"no\") } else { print(2) } }", "print(2: int8)");
}

#[test]
fn tracepoints_have_their_fields() {
    let read = |field: &str| format!("tracepoint:sched:sched_switch {{ print({field}) }}");
    has_line(&read("args.prev_pid"), "print(context[(ctx: void *) + 24]: int32)");
    has_line(&read("args->prev_comm"), "print(context[(ctx: void *) + 8]: string[16])");
    has_line(&read("str(args.name)"), "print(str(data_loc(28): int8 *, Kernel): string[1024])");
    has_line(&read("args.numbers[2]"), "print(context[(ctx: void *) + 48]: uint64)");
    has_line(
        &read("args.task.pid"),
        "print(kernel[(context[(ctx: void *) + 80]: struct task_struct *) + 0]: int32)",
    );
    let index = "((convert(Pid { init: false }: uint32): uint64) u% (6: uint64): uint64) s* (8: int64): int64";
    let element = format!("print(kernel[((ctx: void *) u+ ({index}): void *) + 32]: uint64)");
    has_line(&read("args.numbers[pid % 6]"), &element);
    // Pointers of system calls are the process's.
    let open = "tracepoint:syscalls:sys_enter_openat { print(str(args.filename, 8)) }";
    has_line(open, "print(str(context[(ctx: void *) + 24]: int8 *, User): string[8])");
    has_line(
        "t:syscalls:sys_exit_openat { print(args.ret) }",
        "print(context[(ctx: void *) + 16]: int64)",
    );
}

#[test]
fn functions_have_their_arguments_by_btf() {
    let read = |what: &str| format!("fentry:vfs_read {{ print({what}) }}");
    has_line(&read("args.count"), "print(context[(ctx: void *) + 16]: uint64)");
    has_line(
        &read("args.task->mm->owner->pid"),
        "print(btf[(btf[(btf[(context[(ctx: void *) + 0]: struct task_struct *) + 24]: struct mm_struct *) + 8]: struct task_struct *) + 0]: int32)",
    );
    has_line(
        &read("args.task.comm"),
        "print(btf[(context[(ctx: void *) + 0]: struct task_struct *) + 4]: string[16])",
    );
    has_line(
        &read("args.task.b"),
        "print(btf[(context[(ctx: void *) + 0]: struct task_struct *) + 32]: uint32)",
    );
    has_line(
        &read("args.task.color"),
        "print(btf[(context[(ctx: void *) + 0]: struct task_struct *) + 68]: enum color)",
    );
    has_line("fexit:vfs_read { print(retval) }", "print(context[(ctx: void *) + 24]: int32)");
    has_line(
        "rawtracepoint:sched { print(args.prev.pid) }",
        "print(btf[(context[(ctx: void *) + 8]: struct task_struct *) + 0]: int32)",
    );
    has_line(
        "BEGIN { print(curtask.pid) }",
        "print(btf[(Curtask: struct task_struct *) + 0]: int32)",
    );
    has_line("kprobe:f { print(arg2) }", "print(Arg(2): uint64)");
    has_line("kretprobe:f { print(retval) }", "print(Retval: uint64)");
}

#[test]
#[cfg(target_endian = "little")]
fn bit_fields_are_read_from_their_unit() {
    has_line(
        "BEGIN { print(curtask.g) }",
        "print(btf[(Curtask: struct task_struct *) + 40] bits 3+5: uint32)",
    );
    let text = "struct F { unsigned a:3; unsigned b:30; short c:4; } u:/bin/x:f { print(((struct F *)arg0)->b) }";
    // By gcc: b does not fit behind a and begins a new unit.
    has_line(text, "print(user[(convert(Arg(0): uint64): struct F *) + 4] bits 0+30: uint32)");
}

#[test]
fn casts_make_pointers_of_numbers() {
    let kernel = "kprobe:f { print(((struct task_struct *)arg0)->mm.total) }";
    has_line(
        kernel,
        "print(kernel[(kernel[(convert(Arg(0): uint64): struct task_struct *) + 24]: struct mm_struct *) + 0]: uint64)",
    );
    let user =
        "struct F { int a; struct F *next; } uprobe:/bin/x:f { print(((struct F *)arg0).next.a) }";
    has_line(
        user,
        "print(user[(user[(convert(Arg(0): uint64): struct F *) + 8]: struct F *) + 0]: int32)",
    );
    has_line(
        "kprobe:f { print(*(uint16 *)(arg0 + 2)) }",
        "print(kernel[(convert((Arg(0): uint64) u+ (2: uint64): uint64): uint16 *) + 0]: uint16)",
    );
    has_line(
        "kprobe:f { print(((int32 *)arg0)[3]) }",
        "print(kernel[(convert(Arg(0): uint64): int32 *) + 12]: int32)",
    );
    has_line(
        "kprobe:f { print((int32 *)arg0 + 1) }",
        "print((convert(Arg(0): uint64): int32 *) u+ (4: int64): int32 *)",
    );
    has_line(
        "kprobe:f { $p = (struct task_struct *)arg0; print($p->v[pid]) }",
        "print(kernel[(($p: struct task_struct *) u+ ((Pid { init: false }: uint32) s* (4: int64): int64): struct task_struct *) + 52]: uint32)",
    );
    has_line("kprobe:f { print((uint8[8])arg0) }", "print(convert(Arg(0): uint64): uint8[8])");
    has_line(
        "kprobe:f { print(macaddr(((struct task_struct *)arg0)->mac)) }",
        "print(macaddr(kernel[(convert(Arg(0): uint64): struct task_struct *) + 44]: uint8[6]): mac address)",
    );
    has_line(
        "kprobe:f { print(uptr((struct task_struct *)arg0)->pid) }",
        "print(user[(convert(Arg(0): uint64): struct task_struct *) + 0]: int32)",
    );
    has_line(
        "uprobe:/bin/x:f { print(*uaddr(\"counter\")) }",
        "print(user[(16400: uint32 *) + 0]: uint32)",
    );
}

#[test]
fn structs_of_the_script_are_laid_out_as_c_does() {
    let offset = |definition: &str, field: &str, expected: u32| {
        let text = format!("{definition} BEGIN {{ print(offsetof(struct S, {field})) }}");
        has_line(&text, &format!("print({expected}: uint64)"));
    };
    let size = |definition: &str, expected: u32| {
        let text = format!("{definition} BEGIN {{ print(sizeof(struct S)) }}");
        has_line(&text, &format!("print({expected}: uint64)"));
    };
    let mixed = "struct S { char a; long b; short c; char d[3]; int e; };";
    offset(mixed, "b", 8);
    offset(mixed, "d", 18);
    offset(mixed, "e", 24);
    size(mixed, 32);
    size("struct S { char a; long b; } __attribute__((packed));", 9);
    size("struct S { union { char a; int b; }; struct { short c; } d; };", 8);
    offset("struct S { char x; union { char a; int b; }; };", "b", 4);
    offset("struct S { char x; struct { int y; struct { int z; } w; } v; };", "v.w.z", 8);
    size("struct S { int m[2][3]; };", 24);
    size("struct T { long a; char b; }; struct S { char a; struct T t; };", 24);
    size("struct S { unsigned a:3, b:5; char c; };", 4);
}

#[test]
fn values_have_parts() {
    has_line(
        "BEGIN { $t = (1, \"two\", nsecs); print($t.2) }",
        "print(part($t: (int8, string[4], uint64), 8): uint64)",
    );
    has_line(
        "BEGIN { $t = (1, (2, nsecs)); print($t.1.1) }",
        "print(part($t: (int8, (int8, uint64)), 16): uint64)",
    );
    has_line("BEGIN { $t = (1, 2); print($t[1]) }", "print(part($t: (int8, int8), 1): int8)");
    has_line(
        "kprobe:f { $s = *(struct task_struct *)arg0; print($s.mm) }",
        "print(part($s: struct task_struct, 24): struct mm_struct *)",
    );
    has_line(
        "kprobe:f { $v = ((struct task_struct *)arg0)->v; print($v[1]) }",
        "print(part($v: uint32[4], 4): uint32)",
    );
    has_line(
        "kprobe:f { $v = ((struct task_struct *)arg0)->v; print($v[pid]) }",
        "print(part($v: uint32[4], 0 + (Pid { init: false }: uint32) * 4): uint32)",
    );
}

#[test]
fn blocks_have_variables_of_their_own() {
    let text = "BEGIN { if (pid) { $x = 1; print($x) } else { $x = \"a\"; print($x) } }";
    has_line(text, "$x#0: int8");
    has_line(text, "$x#1: string[2]");
    // One that has ended is known on, as up to bpftrace 0.20.
    has_line("BEGIN { if (pid) { $x = 1 } else { $x = 300 } print($x) }", "print($x: int16)");
    has_line("BEGIN { let $x; $x = 5; { let $x = \"a\"; print($x) } }", "print($x#1: string[2])");
    has_line(
        "BEGIN { $a = { let $b = 1; $b + 1 }; }",
        "$a = { $b = 1: int8; (convert($b: int8): int64) s+ (1: int64): int64 }: int64",
    );
}

#[test]
fn loops_are_understood() {
    has_line(
        "BEGIN { @[1, 2] = 3; for ($kv : @) { print($kv.0.1) } }",
        "$kv: ((int8, int8), int64)",
    );
    has_line("BEGIN { @[1] = count(); for ($kv : @) { print($kv.1) } }", "$kv: (int8, uint64)");
    has_line(
        "BEGIN { for ($i : 0..ncpus) { print($i) } }",
        "for $i from 0: int64 to convert(Ncpus: uint32): int64",
    );
    has_line("BEGIN { unroll($1) { @++ } }", "42 times");
    has_line("BEGIN { $i = 0; while ($i < 10) { $i++; if ($i == 5) { break } } }", "break");
}

#[test]
fn macros_have_clean_names() {
    let text = "macro add($a, e, @c) { let $t = e; $a += $t; @c[$t] = e; $a }
                BEGIN { $t = 1; $x = 10; print(add($x, 5 + $t, @m)); }";
    has_line(text, "map @m[int64]: int64, 4096 elements");
    has_line(text, "$t#0: int8");
    has_line(text, "$t#2: int64");
    has_line("macro one() { 1 } BEGIN { print(one + one()) }", "print(2: int8)");
}

#[test]
fn calls_act_or_give_values() {
    has_line("BEGIN { @[1] = 1; print(has_key(@, 1)) }", "print(has_key(@[1: int8]): bool)");
    has_line(
        "BEGIN { @[1, 2] = 1; delete(@[1, 2]); }",
        "delete(@[(1: int8, 2: int8): (int8, int8)]): bool",
    );
    has_line(
        "BEGIN { @[1, 2] = 1; delete(@, (1, 2)); }",
        "delete(@[(1: int8, 2: int8): (int8, int8)]): bool",
    );
    has_line("BEGIN { @ = 1; delete(@) }", "delete(@): bool");
    has_line("BEGIN { @[1] = 1; print(len(@)) }", "print(len(@): uint64)");
    has_line("BEGIN { print(len(kstack)) }", "print(len(Stack: kstack): uint64)");
    has_line("BEGIN { @[1] = count(); print(@[1]); clear(@); zero(@) }", "print(@[1: int8])");
    has_line("BEGIN { @ = 5; print(@, 3, 2) }", "print(@, 3, 2)");
    has_line("BEGIN { exit() }", "exit(0: int32)");
    has_line("BEGIN { time() }", "time(\"%H:%M:%S\\n\")");
    has_line(
        "BEGIN { print(strftime(\"%H\", nsecs(monotonic))) }",
        "print(strftime(#0, Monotonic, Nsecs(Monotonic): uint64): timestamp)",
    );
    has_line(
        "BEGIN { printf(\"%d %s %*d\\n\", 1, comm, 5, pid) }",
        "printf(#0, 1: int8, Comm: string[16], 5: int32, Pid { init: false }: uint32)",
    );
    has_line("BEGIN { print(pid()) }", "print(Pid { init: false }: uint32)");
    has_line("BEGIN { print(pid(init)) }", "print(Pid { init: true }: uint32)");
    has_line(
        "kprobe:f { print(ntop(2, (uint32)arg0)) }",
        "print(ntop(convert(Arg(0): uint64): uint32, 2: uint32): inet)",
    );
    has_line(
        "kprobe:f { print(ksym(reg(\"ip\"))) }",
        "print(ksym(Register { offset: 128 }: uint64): ksym)",
    );
    has_line(
        "kprobe:f { print(buf(arg0, 4)) }",
        "print(buf(Arg(0): uint64, Kernel, 4: uint64): buffer[4])",
    );
    has_line("kprobe:f { signal(\"KILL\"); }", "signal(9: uint32): void");
    has_line("BEGIN { @[1] = 2; let $v = 0; if (find(@, 1, $v)) { print($v) } }", "$v: int64");
    has_line(
        "BEGIN { pid == 1 ? print(\"a\") : print(\"b\") }",
        "((Pid { init: false }: uint32) u== (1: int8): bool) ? ({ print(\"a\": string[2]); (): void }: void) : ({ print(\"b\": string[2]); (): void }: void): void",
    );
}

#[test]
fn attach_points_share_a_program_if_their_arguments_lie_in_the_same_place() {
    let programs = |text: &str| {
        let (program, shown) = checked_with(&Fake::new(), text);
        assert_eq!(shown, "", "{text}");
        let probes = program.unwrap().probes;
        probes.iter().map(|probe| probe.attach_points.len()).collect::<Vec<_>>()
    };
    assert_eq!(programs("kprobe:vfs_* { @[probe] = count() }"), [2]);
    assert_eq!(programs("kprobe:f, kretprobe:f { @ = count() }"), [1, 1]);
    assert_eq!(programs("BEGIN, END { print(1) }"), [1, 1]);
    assert_eq!(programs("t:sched:sched_switch, t:sched:other { @ = count() }"), [2]);
    let three =
        "t:sched:sched_switch, t:sched:other, t:sched:like_switch { @ = sum(args.prev_pid) }";
    assert_eq!(programs(three), [2, 1]);
    // The name as text must be known.
    assert_eq!(programs("kprobe:vfs_* { if (func == \"vfs_read\") { @++ } }"), [1, 1]);
    assert_eq!(programs("kprobe:f, kprobe:f { @++ }"), [1]);
}
