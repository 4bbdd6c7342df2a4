/* Locks that can be tried: of a map's values and of variables (Linux 6.15). */
#include "maps.h"

#define KSYM __attribute__((section(".ksyms")))

struct bpf_res_spin_lock { unsigned int val; } __attribute__((aligned(4)));
struct guarded { struct bpf_res_spin_lock lock; long count; };
struct { NUMBER(type, ARRAY); TYPE(key, int); TYPE(value, struct guarded); NUMBER(max_entries, 1); } guarded SEC(".maps");
/* Hidden, for the kernel lets nobody map a lock into memory. */
__attribute__((visibility("hidden"))) struct bpf_res_spin_lock global_lock SEC(".data.lock");

extern int bpf_res_spin_lock(struct bpf_res_spin_lock *lock) KSYM;
extern void bpf_res_spin_unlock(struct bpf_res_spin_lock *lock) KSYM;

SEC("tc")
int counts(void *ctx)
{
	int key = 0;
	struct guarded *value = lookup(&guarded, &key);

	if (!value)
		return -1;
	if (bpf_res_spin_lock(&value->lock))
		return -2;
	value->count += 3;
	bpf_res_spin_unlock(&value->lock);
	if (bpf_res_spin_lock(&global_lock))
		return -3;
	bpf_res_spin_unlock(&global_lock);
	return value->count;
}
