//! Tests of values that come from the kernel: builtins, structs, contexts of all kinds of probes.

use super::maps;
use super::run::{Script, load, refused, run};
use crate::bt::plan::Feature;
use crate::requires::{Thing, needs};

#[test]
fn builtins_say_who_and_where() {
    needs!(Btf);
    let (pid, uid) = (
        std::process::id(),
        std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()),
    );
    let name: String = std::thread::current().name().unwrap_or_default().chars().take(15).collect();
    let parent = std::os::unix::process::parent_id();
    assert_eq!(
        run("BEGIN { @p = pid; @u = uid; @n = username; @c = comm; @pp = ppid; @d = cpid }").maps(),
        format!("@p={pid} @u={uid} @n={uid} @c={name} @pp={parent} @d=0")
    );
    maps(&[
        (
            "@a = nsecs > 0; @b = elapsed > 0; @c = cpu < ncpus; @d = rand == rand; @e = cgroup > 0",
            "@a=true @b=true @c=true @d=false @e=true",
        ),
        ("@ = nsecs(monotonic) <= nsecs(boot)", "@=true"),
        ("@k = len(kstack(3)); @p = probe", "@k=3 @p=0"),
    ]);
}

#[test]
fn structs_of_the_kernel_are_read() {
    needs!(Btf);
    let name: String = std::thread::current().name().unwrap_or_default().chars().take(15).collect();
    let text = "BEGIN { $t = curtask; @p = $t->pid == tid; @tg = $t->tgid == pid; @c = $t->comm; @d = curtask->comm; \
                @pp = $t->real_parent->tgid == ppid; @f = $t->nsproxy->uts_ns->name.sysname; @i = $t->comm[0]; \
                @b = curtask->in_execve; @q = $t->mm->mmap_base != 0 }";
    let first = name.as_bytes().first().copied().unwrap_or_default();
    let expected =
        format!("@p=true @tg=true @c={name} @d={name} @pp=true @f=Linux @i={first} @b=0 @q=true");
    assert_eq!(run(text).maps(), expected);
    let mut old = Script::new(text);
    old.without.insert(Feature::CurrentTaskBtf);
    assert_eq!(old.run().maps(), expected);
}

#[test]
fn a_raw_tracepoint_has_its_words() {
    let mut script = Script::new(
        "rawtracepoint:sched_switch / arg0 == 5 / { @[arg0] = arg2; @h = count() } rawtracepoint:sched_switch / arg0 == 6 / { @no = 1 }",
    );
    script.arguments[0] = 5;
    script.arguments[2] = u64::MAX;
    assert_eq!(script.run().maps(), "@[5]=18446744073709551615 @h=1");
}

/// The verifier accepts programs of all kinds.
#[test]
fn programs_of_all_kinds_load() {
    needs!(Btf);
    for script in [
        "kprobe:vfs_read { @ = hist(arg2); @f[func] = count(); printf(\"%s %s %d\", probe, str(arg1), pid); @r = reg(\"ip\"); @s = sarg0 }",
        "kprobe:vfs_read, kprobe:vfs_write { @[probe] = count(); @b[func] = sum(arg2) }",
        "kretprobe:vfs_read { @[comm] = hist(retval) }",
        "kprobe:vfs_open { $p = (struct path *)arg0; @ = str($p->dentry->d_name.name) }",
        "uprobe:/bin/sh:main { @ = str(arg0); @u = usym(arg1); @st[ustack] = count() }",
        "uretprobe:/bin/sh:main { @ = retval }",
        "tracepoint:syscalls:sys_enter_openat { printf(\"%s %s\\n\", comm, str(args.filename)); @[comm] = count() }",
        "tracepoint:sched:sched_switch { @[args.prev_comm, args.next_pid] = count(); if (args.next_comm == \"abc\") { @x = 1 } }",
        "tracepoint:sched:sched_process_exec { @ = str(args.filename) }",
        "tracepoint:raw_syscalls:sys_enter { @[args.id] = count(); @a = args.args[1]; $i = pid % 3; @b = args.args[$i] }",
        "tracepoint:syscalls:sys_enter_execve { join(args.argv); join(args.argv, \",\") }",
        "profile:hz:99 { @[kstack] = count(); @u[ustack(5), comm] = count(); @m = usermode; @r = reg(\"ip\") }",
        "interval:s:1 { print(@a); clear(@a); @a = count() }",
        "software:faults:1 { @[comm, pid] = count() }",
        "hardware:cache-misses:1000 { @[pid] = count() }",
        "kprobe:tcp_connect { $sk = (struct sock *)arg0; $f = $sk->__sk_common.skc_family; if ($f == AF_INET) { @d = ntop($sk->__sk_common.skc_daddr) } \
         else { @d = ntop($sk->__sk_common.skc_v6_daddr.in6_u.u6_addr8) } @p = bswap($sk->__sk_common.skc_dport) }",
    ] {
        load(script);
    }
}

#[test]
fn one_program_for_each_point_without_cookies() {
    let text = "kprobe:vfs_read, kprobe:vfs_write { @[probe] = count() }";
    let mut script = Script::new(text);
    script.without.insert(Feature::Cookie);
    assert_eq!(script.programs(), [(0..1, false), (1..2, false)]);
    script.without.clear();
    match super::run::has(Feature::Cookie) {
        true => assert_eq!(script.programs(), [(0..2, true)]),
        false => assert_eq!(script.programs(), [(0..1, false), (1..2, false)]),
    }
    let plain = Script::new("kprobe:vfs_read, kprobe:vfs_write { @ = count() }");
    assert_eq!(plain.programs(), [(0..2, false)]);
}

#[test]
fn what_is_missing_is_refused_by_its_name() {
    for (script, problem) in [
        (
            "BEGIN { $s = kstack(3); @ = len($s) }",
            "not supported: len of a stack that was taken before",
        ),
        (
            "BEGIN { $s = str(0, 1000); @ = strcontains($s, \"abcdefgh\") }",
            "not supported: strcontains",
        ),
    ] {
        let shown = refused(script);
        assert!(shown.contains(problem), "{shown}");
    }
}
