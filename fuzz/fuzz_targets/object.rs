//! Bytes as an object for BPF: whatever is wrong with it is an error, what was read can be assembled, and a kernel that is made up is asked
//! for nothing that no kernel can be asked for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rawbpf::__fuzz::load_collection;
use rawbpf::btf::{Builder, Enumerator, Member};
use std::path::PathBuf;
use std::sync::LazyLock;

#[path = "../../tests/common/object_bytes.rs"]
mod object_bytes;

/// A folder with the types of that kernel: what the sources of `tests/object_load` ask for, in part and in another order.
static TYPES: LazyLock<PathBuf> = LazyLock::new(|| {
    let mut builder = Builder::new();
    let int = builder.int("int", 4, true);
    let long = builder.int("unsigned long", 8, false);
    let letter = builder.int("char", 1, true);
    let comm = builder.array(letter, int, 16);
    let none = builder.pointer(0);
    let member = |name, of, bit_offset, bits| Member { name, of, bit_offset, bits };
    let words = [member("next", none, 0, None), member("prev", none, 64, None)];
    let list = builder.composite("list_head", false, 16, &words);
    let either = [member("weight", long, 0, None), member("inv_weight", int, 0, None)];
    let either = builder.composite("", true, 8, &either);
    let load = builder.composite("load_weight", false, 8, &[member("", either, 0, None)]);
    let entity = [member("load", load, 0, None), member("vruntime", long, 64, None)];
    let entity = builder.composite("sched_entity", false, 16, &entity);
    let task = [
        member("flags", int, 0, None),
        member("in_execve", int, 32, Some(1)),
        member("sched_reset_on_fork", int, 33, Some(3)),
        member("se", entity, 64, None),
        member("pid", int, 192, None),
        member("tgid", int, 224, None),
        member("tasks", list, 256, None),
        member("comm", comm, 384, None),
    ];
    builder.composite("task_struct", false, 64, &task);
    builder.typedef("umode_t", int);
    let value = |name, value| Enumerator { name, value };
    builder.enumeration("pid_type", &[value("PIDTYPE_PID", 0), value("PIDTYPE_TGID", 1)]);
    let prototype = builder.prototype(0, &[]);
    builder.function("bpf_rcu_read_lock", prototype);
    builder.function("bpf_rcu_read_unlock", prototype);
    builder.function("do_exit", prototype);
    let rq = [member("nr_running", int, 0, None)];
    let rq = builder.composite("rq", false, 4, &rq);
    builder.variable("runqueues", rq);
    let ops = [
        member("name", comm, 0, None),
        member("flags", int, 128, None),
        member("ssthresh", none, 192, None),
        member("cong_avoid", none, 256, None),
        member("undo_cwnd", none, 320, None),
    ];
    let ops = builder.composite("tcp_congestion_ops", false, 48, &ops);
    let value = [member("common", long, 0, None), member("data", ops, 64, None)];
    builder.composite("bpf_struct_ops_tcp_congestion_ops", false, 56, &value);
    let folder = std::env::temp_dir().join(format!("rawbpf-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("vmlinux"), builder.finish().unwrap()).unwrap();
    folder
});

fuzz_target!(|bytes: &[u8]| {
    let Some(object) = object_bytes::read_all(bytes) else { return };
    let Ok(collection) = object.collection("object.o") else { return };
    // In half of the objects one of the kernel's answers is a refusal.
    let sum = bytes.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let refused = Some(sum % 64).filter(|call| *call < 32);
    let _ = load_collection(&collection, &TYPES, refused);
});
