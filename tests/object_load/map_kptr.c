/* A pointer of the kernel's in a value. */
#include "maps.h"

#define KPTR __attribute__((btf_type_tag("kptr")))
#define KPTR_UNTRUSTED KPTR

struct task_struct { int pid; } CORE;
struct kept { struct task_struct KPTR_UNTRUSTED *task; long number; };
struct { NUMBER(type, ARRAY); TYPE(key, int); TYPE(value, struct kept); NUMBER(max_entries, 1); } values SEC(".maps");

SEC("tp_btf/sched_switch")
int keeps(unsigned long *ctx)
{
	int key = 0;
	struct kept *value = lookup(&values, &key);

	if (value)
		value->number = value->task != 0;
	return 0;
}
