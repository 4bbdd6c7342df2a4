/* Objects of the kernel's in maps: masks of processors, made, kept and taken out. */
#include "maps.h"

#define KSYM __attribute__((section(".ksyms")))
#define KPTR __attribute__((btf_type_tag("kptr")))

struct bpf_cpumask { unsigned long opaque; } CORE;
struct cpumask { unsigned long opaque; } CORE;
struct kept { struct bpf_cpumask KPTR *mask; };
struct { NUMBER(type, ARRAY); TYPE(key, int); TYPE(value, struct kept); NUMBER(max_entries, 2); } masks SEC(".maps");
struct { NUMBER(type, HASH); TYPE(key, int[2]); TYPE(value, struct kept); NUMBER(max_entries, 20); NUMBER(map_flags, 1); } by_pair SEC(".maps");

extern struct bpf_cpumask *bpf_cpumask_create(void) KSYM;
extern void bpf_cpumask_release(struct bpf_cpumask *mask) KSYM;
extern void bpf_cpumask_set_cpu(unsigned int cpu, struct bpf_cpumask *mask) KSYM;
extern unsigned int bpf_cpumask_first(const struct cpumask *mask) KSYM;
static void *(*const xchg)(void *, void *) = (void *)194;

SEC("tp_btf/task_newtask")
int keeps(unsigned long *ctx)
{
	struct bpf_cpumask *mask, *old;
	int key = 1;
	struct kept *kept = lookup(&masks, &key);

	if (!kept)
		return 1;
	mask = bpf_cpumask_create();
	if (!mask)
		return 2;
	bpf_cpumask_set_cpu(0, mask);
	out[0] = bpf_cpumask_first((const struct cpumask *)mask);
	old = xchg(&kept->mask, mask);
	if (old)
		bpf_cpumask_release(old);
	return 0;
}
