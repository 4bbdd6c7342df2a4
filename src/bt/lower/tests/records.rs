//! Tests of records: their contents and their order.

use super::records;
use super::run::run;
use crate::requires::{Thing, needs};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

#[test]
fn arguments_lie_where_the_layout_says() {
    records(&[
        ("printf(\"%d %u %s %c %d\\n\", -5, 6, \"str\", 65, 1 > 0)", "Printf(-5,6,str,65,true)"),
        ("$x = (uint8)7; printf(\"%d %s %d\", $x, \"a\", (uint64)1)", "Printf(7,a,1)"),
        (
            "print((1, \"x\", (uint8)3)); print(5); print(\"abc\")",
            "PrintValue((1,x,3)) | PrintValue(5) | PrintValue(abc)",
        ),
        ("printf(\"%r\", buf(\"abcdef\", 4))", "Printf([61, 62, 63, 64])"),
        ("printf(\"%r\", buf(\"abc\", 7))", "Printf([61, 62, 63, 00, 00, 00, 00])"),
        ("$n = 6; printf(\"%r\", buf(\"abc\", $n))", "Printf([61, 62, 63, 00, 00, 00])"),
        ("$n = 3; printf(\"%r\", buf(\"abcdef\", $n))", "Printf([61, 62, 63])"),
    ]);
}

#[test]
fn everything_comes_in_the_order_of_the_script() {
    records(&[
        (
            "@a[1] = 1; @c[2] = count(); print(@a); clear(@a); zero(@a); print(@c[2]); time(\"%H\"); printf(\"x\")",
            "PrintMap() | Clear() | Zero() | PrintElement(2) | Time() | Printf()",
        ),
        ("printf(\"a\"); exit(3); printf(\"never\")", "Printf() | Exit(3)"),
        ("$a = 1; if ($a == 1) { printf(\"%d\", $a); return; } printf(\"never\")", "Printf(1)"),
    ]);
}

#[test]
fn strings_of_memory_are_cut_with_a_mark() {
    needs!(Btf);
    // The name of the thread lies in the task; of its first bytes one more than fits is read.
    let script = "config = { max_strlen = 5 } BEGIN { $t = (struct task_struct *)curtask; $p = (uint64)$t + offsetof(struct task_struct, comm); \
                  printf(\"%s\", str((uint8 *)$p)); @ = str((uint8 *)$p); @l = strlen(str((uint8 *)$p)); @n = str((uint8 *)$p, 3); @e = str((uint8 *)0) }";
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    let comm: String = name.chars().take(15).collect();
    let outcome = run(script);
    let cut: String = comm.chars().take(5).collect();
    assert_eq!(outcome.records().join(" "), format!("Printf({cut}..)"));
    let three: String = comm.chars().take(3).collect();
    assert_eq!(outcome.maps(), format!("@={cut}.. @l=5 @n={three}.. @e="));
}

/// Records after `exit()` would not be printed, so they do not count as lost.
#[test]
fn records_after_exit_are_not_lost() {
    let sends = "rawtracepoint:sched_switch { unroll(300) { print((1, 2, 3, 4, 5, 6)) } }";
    for (first, lost) in [("BEGIN { @ = 1 }", true), ("BEGIN { exit() }", false)] {
        let text = format!("config = {{ perf_rb_pages = 1 }} {first} {sends}");
        let outcome = super::run::run(&text);
        assert!(outcome.records().len() < 300);
        assert_eq!(outcome.lost[0] > 0, lost, "{first}");
    }
    // Those of END are printed.
    let text = format!(
        "config = {{ perf_rb_pages = 1 }} BEGIN {{ exit() }} {}",
        sends.replace("rawtracepoint:sched_switch", "END")
    );
    assert!(super::run::run(&text).lost[0] > 0);
}

#[test]
fn lost_records_are_counted() {
    let mut script = super::run::Script::new(
        "config = { perf_rb_pages = 1 } BEGIN { printf(\"%s\", \"x\"); unroll(100) { print((1, 2, 3, 4, 5, 6)) } }",
    );
    script.times = 2;
    let outcome = script.run();
    let sent = outcome.records().len() as u64;
    assert!(outcome.lost[0] > 0);
    assert_eq!(sent + outcome.lost[0], 202);
}

#[test]
fn lost_records_count_for_the_cpu_that_lost_them() {
    let mut script = super::run::Script::new(
        "config = { perf_rb_pages = 1 } BEGIN { unroll(100) { print((1, 2, 3, 4, 5, 6)) } }",
    );
    script.times = 3;
    // A thread of its own, since it stays where it was put.
    let of_cpu = |cpu: usize| {
        std::thread::scope(|scope| {
            let run = scope.spawn(|| {
                let mut set = CpuSet::new();
                set.set(cpu).unwrap();
                sched_setaffinity(Pid::from_raw(0), &set).unwrap();
                script.run()
            });
            run.join().unwrap()
        })
    };
    for cpu in crate::kernel::cpu::online().unwrap() {
        let outcome = of_cpu(cpu as usize);
        let lost: Vec<_> = (0..).zip(&outcome.lost_by_cpu).filter(|(_, lost)| **lost > 0).collect();
        assert_eq!(lost, [(cpu, &(300 - outcome.records().len() as u64))]);
    }
}
