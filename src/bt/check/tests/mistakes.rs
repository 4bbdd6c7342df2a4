//! Tests of rejected scripts: each error is reported once, at its place, with a suggestion.

use super::*;

#[test]
fn each_mistake_is_told_once_at_its_place() {
    for (text, expected) in [
        ("BEGIN { print($x) }", "stdin:1:15-17: ERROR: undefined variable: $x"),
        ("BEGIN { print(@x); print(@x); @y = @x }", "stdin:1:15-17: ERROR: undefined map: @x"),
        (
            "BEGIN { @x = 1; @x[1] = 2 }",
            "stdin:1:17-19: ERROR: @x is used without a key in line 1, and with one here",
        ),
        (
            "BEGIN { @x[1] = 1; @x = 2 }",
            "stdin:1:20-22: ERROR: @x is used with a key in line 1, and without here",
        ),
        (
            "BEGIN { @x = 1; @x = \"a\" }",
            "stdin:1:17-25: ERROR: type mismatch: @x is int64, the value is string[2]",
        ),
        (
            "BEGIN { @x[1] = 1; @x[\"a\"] = 1 }",
            "stdin:1:23-26: ERROR: key of @x: type mismatch: it is int8, here string[2]",
        ),
        (
            "BEGIN { @x[1] = 1; @x[1, 2] = 1 }",
            "stdin:1:23-27: ERROR: key of @x: type mismatch: it is int8, here (int8, int8)",
        ),
        (
            "BEGIN { $x = 1; $x = \"a\" }",
            "stdin:1:17-19: ERROR: type mismatch: $x is int8, the value is string[2]",
        ),
        (
            "BEGIN { @x = 1; @x = count() }",
            "stdin:1:17-29: ERROR: type mismatch: @x is int64, the value is count",
        ),
        (
            "BEGIN { @x = count(); @x = sum(1) }",
            "stdin:1:23-34: ERROR: type mismatch: @x is count, the value is sum",
        ),
        ("BEGIN { print(1 / 0) }", "stdin:1:19-20: ERROR: division by 0"),
        ("BEGIN { print(pid % 0) }", "stdin:1:21-22: ERROR: division by 0"),
        ("BEGIN { print(1 << 64) }", "stdin:1:20-22: ERROR: shift by 64, expected 0 to 63"),
        (
            "BEGIN { print(18446744073709551615 + 1) }",
            "stdin:1:15-39: ERROR: the result does not fit into 64 bits",
        ),
        ("BEGIN { pidd }", "stdin:1:9-13: ERROR: unknown identifier: `pidd`"),
        ("BEGIN { prinft(\"x\") }", "stdin:1:9-15: ERROR: unknown function: `prinft`"),
        ("BEGIN { retval }", "stdin:1:9-15: ERROR: `retval` is not available in BEGIN probes"),
        (
            "interval:s:1 { print(arg0) }",
            "stdin:1:22-26: ERROR: `arg0` is not available in interval probes",
        ),
        (
            "kprobe:f { print(args.x) }",
            "stdin:1:18-22: ERROR: `args` is not available in kprobe probes",
        ),
        (
            "t:sched:sched_switch { print(args.prev_pidd) }",
            "stdin:1:35-44: ERROR: tracepoint:sched:sched_switch has no argument `prev_pidd`",
        ),
        (
            "t:sched:nothing { print(1) }",
            "stdin:1:1-16: ERROR: tracepoint not found: sched:nothing",
        ),
        ("kprob:f { print(1) }", "stdin:1:1-6: ERROR: unknown probe type: `kprob`"),
        ("kprobe:none_* { print(1) }", "stdin:1:1-14: ERROR: kprobe:none_*: nothing matches"),
        (
            "kprobe:many_* { print(1) }",
            "stdin:1:1-14: ERROR: more than 1024 probes (max_probes): 2000 or more",
        ),
        (
            "kretprobe:_raw_spin_lock { print(1) }",
            "stdin:1:1-25: ERROR: kretprobe:_raw_spin_lock can't be used",
        ),
        (
            "BEGIN { print(((struct task_struct *)1)->pidd) }",
            "stdin:1:42-46: ERROR: struct task_struct has no field `pidd`",
        ),
        (
            "BEGIN { print(((struct task_strukt *)1)->pid) }",
            "stdin:1:17-35: ERROR: unknown struct or union: `task_strukt`",
        ),
        ("BEGIN { print((uint65)1) }", "stdin:1:16-22: ERROR: unknown type: `uint65`"),
        ("BEGIN { print(pid.x) }", "stdin:1:15-20: ERROR: uint32 has no field `x`"),
        (
            "BEGIN { print(*(1, 2)) }",
            "stdin:1:15-22: ERROR: `*`: expected a pointer, found (int8, int8)",
        ),
        (
            "BEGIN { print((1, 2).2) }",
            "stdin:1:22-23: ERROR: index 2 is out of range: the tuple has 2 elements",
        ),
        (
            "kprobe:f { print(((struct task_struct *)arg0)->v[4]) }",
            "stdin:1:18-52: ERROR: the index 4 is out of bounds for array of size 4",
        ),
        (
            "BEGIN { printf(\"%d %d\\n\", 1) }",
            "stdin:1:9-29: ERROR: printf: not enough arguments for the format: 1, expected 2",
        ),
        (
            "BEGIN { printf(\"%d\\n\", 1, 2) }",
            "stdin:1:9-29: ERROR: printf: too many arguments for the format: 2, expected 1",
        ),
        (
            "BEGIN { printf(\"%d\\n\", comm) }",
            "stdin:1:24-28: ERROR: printf: %d expects an integer, found string[16]",
        ),
        (
            "BEGIN { printf(\"ab %q\\n\", 1) }",
            "stdin:1:20-22: ERROR: printf: unknown conversion `%q`",
        ),
        (
            "BEGIN { printf(comm) }",
            "stdin:1:16-20: ERROR: printf: the format must be a string literal",
        ),
        ("BEGIN { exit(1, 2, 3) }", "stdin:1:9-22: ERROR: exit: 3 arguments, expected 0 to 1"),
        (
            "BEGIN { @x[1] = 1; has_key(@x) }",
            "stdin:1:20-31: ERROR: has_key: 1 arguments, expected 2",
        ),
        (
            "BEGIN { @x = 1; has_key(@x, 1) }",
            "stdin:1:25-27: ERROR: @x is used without a key in line 1, and with one here",
        ),
        ("BEGIN { count() }", "stdin:1:9-16: ERROR: count() can only be assigned to a map"),
        ("BEGIN { $x = count() }", "stdin:1:14-21: ERROR: count() can only be assigned to a map"),
        (
            "BEGIN { @x = hist(1); print(@x + 1) }",
            "stdin:1:29-31: ERROR: hist cannot be used as a value",
        ),
        (
            "BEGIN { @ = lhist(1, 10, 5, 1) }",
            "stdin:1:26-27: ERROR: lhist: max 5, expected more than min, 10",
        ),
        (
            "BEGIN { @ = lhist(1, 0, 100000, 1) }",
            "stdin:1:33-34: ERROR: lhist: 100000 buckets, expected at most 1000",
        ),
        (
            "BEGIN { @ = hist(1, 6) }",
            "stdin:1:21-22: ERROR: hist: bits: expected a constant from 0 to 5",
        ),
        ("BEGIN { break; }", "stdin:1:9-14: ERROR: `break` outside of a loop"),
        (
            "BEGIN { unroll(0) { @++ } }",
            "stdin:1:15-18: ERROR: unroll: expected a constant from 1 to 1000",
        ),
        (
            "BEGIN { 1 = 2 }",
            "stdin:1:9-10: ERROR: expected a variable or a map on the left side of an assignment",
        ),
        ("BEGIN { let $x; let $x; }", "stdin:1:21-23: ERROR: $x is declared already in this block"),
        ("BEGIN { let $x: uint8 = 300; }", "stdin:1:25-28: ERROR: $x: 300 does not fit into uint8"),
        (
            "BEGIN { if (comm) { @++ } }",
            "stdin:1:12-18: ERROR: condition: expected an integer, a pointer or bool, found string[16]",
        ),
        (
            "BEGIN { print(pid ? 1 : \"a\") }",
            "stdin:1:15-28: ERROR: type mismatch: int8 if the condition holds, string[2] if not",
        ),
        (
            "BEGIN { print(comm < \"a\") }",
            "stdin:1:15-25: ERROR: `<`: not possible for string[16] and string[2]",
        ),
        (
            "BEGIN { print(comm + 1) }",
            "stdin:1:15-19: ERROR: `+`: expected an integer, found string[16]",
        ),
        (
            "BEGIN { kstack(200) }",
            "stdin:1:16-19: ERROR: kstack: depth: expected a constant from 1 to 127",
        ),
        (
            "BEGIN { kstack(perv) }",
            "stdin:1:16-20: ERROR: kstack: unknown mode `perv`, expected bpftrace, perf or raw",
        ),
        (
            "kprobe:f { reg(\"xx\") }",
            "stdin:1:16-20: ERROR: reg: this machine has no register `xx`",
        ),
        (
            "BEGIN { kaddr(\"none\") }",
            "stdin:1:9-22: ERROR: kaddr: the kernel has no symbol `none`",
        ),
        ("BEGIN { pton(\"1.2.3\") }", "stdin:1:14-21: ERROR: pton: not an IP address: `1.2.3`"),
        (
            "fexit:nothing { print(retval) }",
            "stdin:1:23-29: ERROR: retval: the function returns nothing",
        ),
        ("fentry:nonsense { print(args.x) }", "stdin:1:1-16: ERROR: fentry:nonsense: "),
        (
            "config = { max_strlem = 1 } BEGIN { print(1) }",
            "stdin:1:12-22: ERROR: unknown setting: `max_strlem`",
        ),
        (
            "config = { max_strlen = x } BEGIN { print(1) }",
            "stdin:1:25-26: ERROR: max_strlen: `x`, expected a number",
        ),
        (
            "let @x = array(1); BEGIN { @x = 1 }",
            "stdin:1:10-15: ERROR: unknown kind of map: `array`",
        ),
        (
            "macro m($a) { $a } BEGIN { m(1) }",
            "stdin:1:30-31: ERROR: macro `m`: expected a variable for `$a`",
        ),
        ("macro m() { m() } BEGIN { m() }", "stdin:1:13-16: ERROR: macro `m` uses itself"),
        (
            "macro m(a) { a } BEGIN { m() }",
            "stdin:1:26-29: ERROR: macro `m`: 0 arguments, expected 1",
        ),
        ("macro m() { $y } BEGIN { $y = 1; m() }", "stdin:1:13-15: ERROR: undefined variable: $y"),
        ("BEGIN { if ($1 == 42) { fail(\"not %d\", $1) } }", "stdin:1:25-43: ERROR: not 42"),
        ("BEGIN { static_assert(1 == 2, \"no\") }", "stdin:1:9-36: ERROR: no"),
        ("BEGIN { print(tseries(1)) }", "stdin:1:15-25: ERROR: not supported: tseries()"),
        ("import \"x\"; BEGIN { print(1) }", "stdin:1:1-12: ERROR: not supported: import"),
        (
            "watchpoint:0x1000:4:w { print(1) }",
            "stdin:1:1-22: ERROR: not supported: watchpoint probes",
        ),
        ("bench:x { print(1) }", "stdin:1:1-21: ERROR: not supported: bench probes"),
        ("BEGIN { $x = &pid; }", "stdin:1:14-18: ERROR: not supported: the address of"),
        (
            "struct S { int x; }; struct S { int y; }; BEGIN { print(1) }",
            "stdin:1:29-30: ERROR: `S` is defined already",
        ),
    ] {
        let found = errors(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(
            found[0].starts_with(expected),
            "{text}\nexpected: {expected}\nfound:    {}",
            found[0]
        );
    }
}

#[test]
fn what_was_meant_is_offered() {
    for (text, meant) in [
        ("BEGIN { pidd }", "`pid`"),
        ("BEGIN { pirntf(\"x\") }", "`printf`"),
        ("BEGIN { $count = 1; print($cuont) }", "`$count`"),
        ("BEGIN { @start = 1; print(@strat) }", "`@start`"),
        ("t:sched:nothing { print(1) }", "`sched:sched_switch`"),
        ("BEGIN { print(((struct task_strukt *)1)->pid) }", "`task_struct`"),
        ("BEGIN { print(curtask.piid) }", "`pid`"),
        ("kprob:f { print(1) }", "`kprobe`"),
        ("t:sched:sched_switch { print(args.prev_pidd) }", "`prev_pid`"),
        ("config = { max_strlem = 1 } BEGIN { print(1) }", "`max_strlen`"),
    ] {
        let (_, shown) = checked_with(&Fake::new(), text);
        // The nearest one comes first.
        let first = shown.lines().any(|line| {
            let names = line
                .strip_prefix("HINT: did you mean ")
                .map(|names| names.trim_start_matches("one of "));
            names.is_some_and(|names| names.starts_with(meant))
        });
        assert!(first, "{text}\nexpected: {meant}\n{shown}");
    }
    for (text, hint) in [
        ("kretprobe:f { print(arg0) }", "HINT: kretprobe probes have func, retval"),
        ("BEGIN { exit(1, 2) }", "HINT: it is called as exit([int status])"),
    ] {
        let (_, shown) = checked_with(&Fake::new(), text);
        assert!(shown.lines().any(|line| line == hint), "{text}\nexpected: {hint}\n{shown}");
    }
}

#[test]
fn no_error_follows_from_another() {
    // The value is wrong: that the variable and the map have no type is not another mistake.
    assert_eq!(errors("BEGIN { $x = pidd; print($x); @m = $x; print(@m + 1) }").len(), 1);
    assert_eq!(errors("BEGIN { @m[pidd] = 1; print(@m[1]) }").len(), 1);
    // The same block for several attach points.
    assert_eq!(errors("kprobe:vfs_*, kretprobe:f { pidd }").len(), 1);
    // A probe that is missing takes what it would have assigned with it.
    assert_eq!(errors("t:sched:nothing { @m[1] = 1 } END { print(@m[1]) }").len(), 1);
    // But unrelated mistakes are all reported.
    assert_eq!(errors("BEGIN { pidd; comn; $x = 1 / 0; } END { print(@y) }").len(), 4);
}

#[test]
fn functions_that_can_harm_need_permission() {
    let safe = Fake { allow_unsafe: false, ..Fake::new() };
    for text in
        ["BEGIN { system(\"ls\") }", "kprobe:f { signal(\"KILL\") }", "kprobe:f { override(1) }"]
    {
        let (program, shown) = checked_with(&safe, text);
        assert!(program.is_none() && shown.contains("it needs --unsafe"), "{shown}");
        assert!(checked_with(&Fake::new(), text).0.is_some(), "{text}");
    }
}

#[test]
fn without_the_kernels_types_most_still_works() {
    let bare = Fake { types: Err("this kernel has no BTF".into()), ..Fake::new() };
    let (program, shown) =
        checked_with(&bare, "t:sched:sched_switch { @[args.prev_pid, comm] = count() }");
    assert!(program.is_some(), "{shown}");
    let (program, shown) =
        checked_with(&bare, "kprobe:f { print(((struct task_struct *)arg0)->pid) }");
    assert!(program.is_none() && shown.contains("this kernel has no BTF"), "{shown}");
}

#[test]
fn macros_do_not_nest_without_bounds() {
    let mut text = String::new();
    for level in 0..15 {
        let body = format!("{}m{}(){}", "(1 + ".repeat(60), level + 1, ")".repeat(60));
        text += &format!("macro m{level}() {{ {body} }} ");
    }
    let found = errors(&format!("{text} macro m15() {{ 1 }} BEGIN {{ print(m0()) }}"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("nested too deeply"), "{found:?}");
}

/// A struct that the kernel has too would be read with the kernel's layout without notice.
#[test]
fn unknown_types_of_the_probed_file_are_reported() {
    let body =
        "{ $t = (struct task_struct *)arg0; print($t->pid); print(sizeof(struct task_struct)) }";
    let warnings = |path: &str| {
        let (program, shown) = checked_with(&Fake::new(), &format!("uprobe:{path}:f {body}"));
        assert!(program.is_some(), "{shown}");
        let lines = shown.lines().filter(|line| line.contains(": WARNING: "));
        lines.map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(warnings("/bin/x"), [""; 0]);
    let damaged = "stdin:1:31-49: WARNING: /bin/damaged: its debug information is damaged: types of this file are not known, only the script's and the kernel's";
    assert_eq!(warnings("/bin/damaged"), [damaged]);
    let split = warnings("/bin/split");
    assert!(
        split.len() == 1 && split[0].contains("not supported: split debug information (.dwo)"),
        "{split:?}"
    );
}
