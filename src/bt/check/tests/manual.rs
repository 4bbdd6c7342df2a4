//! Tests of what bpftrace's manual says, of versions up to 0.27.

use super::*;

#[test]
fn a_choice_without_a_middle_evaluates_its_condition_once() {
    has_line("BEGIN { print(5 ?: 3) }", "print(5: int8)");
    has_line("BEGIN { print(0 ?: 3) }", "print(3: int8)");
    let shown = understood("BEGIN { print(rand ?: 3) }");
    assert_eq!(shown.matches("Rand").count(), 1, "{shown}");
    // Each has a variable of its own.
    understood("BEGIN { print((rand ?: 0) ?: (cpu ?: pid)); print(rand ?: 3) }");
    assert_eq!(errors("BEGIN { print(comm ?: 3) }").len(), 1);
}

#[test]
fn an_if_can_be_an_expression() {
    has_line("BEGIN { $a = if (1) { 5 } else { 6 } }", "$a = 5: int8");
    has_line("BEGIN { $a = if (pid) { 1 } else if cpu { 2000 } else { 3 } }", "$a: int16");
    // At the end of a block that is an expression, and of a macro.
    has_line("BEGIN { $x = { let $y = rand; if ($y > 2) { 1 } else { 300 } }; }", "$x: int16");
    let text = "macro sign(x) { if (x > 0) { \"pos\" } else if (x == 0) { \"0\" } else { \"neg\" } } BEGIN { print(sign(5)); print(sign(-5)); }";
    assert!(understood(text).contains("print(\"pos\": string[4])\n  print(\"neg\": string[4])"));
    // Elsewhere it is a statement.
    has_line("BEGIN { if (pid) { print(1) } else { print(2) } }", "print(2: int8)");
    let missing = parse(&Source::new("stdin", "BEGIN { $a = if (pid) { 1 }; }"), &Given::default());
    assert!(missing.1.has_errors());
}

#[test]
fn types_are_taken_from_expressions() {
    has_line("BEGIN { let $x : typeof(pid) = 5; }", "$x = 5: uint32");
    has_line("BEGIN { $y = nsecs; $x = (typeof($y))3; }", "$x = 3: uint64");
    // Names of types of the script, which no `_t` shows to be types.
    let word = "typedef unsigned int word; BEGIN";
    has_line(&format!("{word} {{ print(sizeof(word)) }}"), "print(4: uint64)");
    has_line(&format!("{word} {{ $x = (word)-pid; }}"), "$x: uint32");
    has_line(&format!("{word} {{ print(sizeof((word[2])1)) }}"), "print(8: uint64)");
    has_line(&format!("{word} {{ let $x : typeof(word) = 5; }}"), "$x = 5: uint32");
    has_line("BEGIN { print(sizeof(typeof(curtask.comm))) }", "print(16: uint64)");
    has_line("BEGIN { print(sizeof(typeof(struct task_struct))) }", "print(72: uint64)");
}

#[test]
fn strings_have_a_size_if_one_is_given() {
    has_line("BEGIN { $x = (string[4])\"ab\"; }", "$x = \"ab\": string[4]");
    has_line("BEGIN { let $x : string[8] = \"ab\"; }", "$x = \"ab\": string[8]");
}

#[test]
fn literal_strings_are_joined() {
    has_line("BEGIN { print(\"a\" + \"bc\") }", "print(\"abc\": string[4])");
    understood("macro show(format, x) { printf(format, x) } BEGIN { show(\"%d\", 5); }");
    assert_eq!(errors("BEGIN { print(comm + \"x\") }").len(), 1);
}

#[test]
fn values_of_an_enum_are_made_of_earlier_ones() {
    let text = "enum E { A = 1 << 3, B = A + 1, C }; BEGIN { print((B, C)); @ = C; }";
    has_line(text, "print((9: enum E, 10: enum E): (enum E, enum E))");
}

#[test]
fn enums_can_be_defined_in_structs() {
    let text = "struct S { char a; enum { Q = 3 } e; enum named { R = 7 } n; } BEGIN { print((Q, R, sizeof(struct S))) }";
    assert!(
        understood(text).contains("3: enum, 7: enum named, 12: uint64"),
        "{}",
        understood(text)
    );
}

#[test]
fn packed_can_stand_before_the_name() {
    for definition in [
        "struct __attribute__((packed)) S { char a; int b; };",
        "struct S { char a; int b; } __attribute__((packed));",
        "struct S { struct __attribute__((packed)) { char a; int b; } x; };",
    ] {
        has_line(&format!("{definition} BEGIN {{ print(sizeof(struct S)) }}"), "print(5: uint64)");
    }
}

#[test]
fn the_struct_around_a_field_is_found() {
    let text = "kprobe:f { print(container_of(arg0, struct task_struct, mm)) }";
    let line = "print(convert((convert(Arg(0): uint64): uint8 *) u- (24: int64): uint8 *): struct task_struct *)";
    has_line(text, line);
}

#[test]
fn error_numbers_are_told_from_pointers() {
    has_line(
        "kretprobe:f { print(is_err(retval)) }",
        "print((Retval: uint64) u>= (18446744073709547521: uint64): bool)",
    );
}

#[test]
fn numbers_become_texts_when_they_are_printed() {
    has_line("BEGIN { print(strerror(-2)) }", "print(\"No such file or directory\": string[26])");
    has_line(
        "t:syscalls:sys_exit_openat { print(strerror(args.ret)) }",
        "print(text(context[(ctx: void *) + 16]: int64): error text)",
    );
    has_line("BEGIN { print(signal_name(9)) }", "print(\"Killed\": string[7])");
}

#[test]
fn signed_and_unsigned_numbers_of_64_bits_are_signed_together() {
    // As bpftrace 0.27, which warns.
    has_line("BEGIN { $x = (uint64)1; $x = (int64)-1 }", "$x: int64");
    has_line("BEGIN { $x = (int64)-1; $x = nsecs }", "$x: int64");
}

#[test]
fn the_process_of_the_command_line_limits_the_events() {
    let fake = Fake { process: Some(42), ..Fake::new() };
    let shown = |text: &str| dump(&checked_with(&fake, text).0.unwrap());
    let is_it = "(Pid { init: false }: uint32) u== (42: uint32): bool";
    for probe in ["kprobe:f", "kretprobe:f", "fentry:vfs_read", "rawtracepoint:sched"] {
        let shown = shown(&format!("{probe} {{ @ = 1; }}"));
        assert!(shown.contains(&format!("if not {is_it}: return")), "{shown}");
    }
    let both = shown("t:sched:sched_switch /cpu == 1/ { @ = 1; }");
    assert!(both.contains(&format!("if not ({is_it}) && (")), "{both}");
    // The kernel attaches these to the process alone, or they are the script's own.
    for probe in ["BEGIN", "interval:s:1", "profile:hz:99", "uprobe:/bin/x:f", "software:cs:1"] {
        assert!(!shown(&format!("{probe} {{ @ = 1; }}")).contains("Pid"), "{probe}");
    }
}

#[test]
fn a_stray_percent_sign_is_warned_of() {
    let (program, shown) = checked_with(&Fake::new(), "BEGIN { printf(\"%d%\\n\", 5) }");
    assert!(program.is_some());
    let warning = "stdin:1:19-20: WARNING: printf: a percent sign without a conversion, write `%%`";
    assert!(shown.starts_with(warning), "{shown}");
}

#[test]
fn steps_of_lhist_fit_into_its_range() {
    // As bpftrace 0.27.
    assert_eq!(
        errors("BEGIN { @ = lhist(5, 0, 10, 20) }"),
        ["stdin:1:29-31: ERROR: lhist: step 20, expected at most 10, max - min"]
    );
}

#[test]
fn records_are_refused_by_name() {
    let expected = "stdin:1:14-28: ERROR: not supported: records";
    assert_eq!(errors("BEGIN { $x = (a=1, b=\"xyz\"); }"), [expected]);
}
