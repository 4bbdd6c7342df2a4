/* A lock in a value. */
#include "maps.h"

struct bpf_spin_lock { unsigned int val; };
struct locked { int number; struct bpf_spin_lock lock; long sum; };
struct { NUMBER(type, ARRAY); TYPE(key, int); TYPE(value, struct locked); NUMBER(max_entries, 2); } values SEC(".maps");

static void (*const lock)(void *) = (void *)93;
static void (*const unlock)(void *) = (void *)94;

SEC("tc")
int locks(void *skb)
{
	int key = 1;
	struct locked *value = lookup(&values, &key);

	if (!value)
		return 1;
	lock(&value->lock);
	value->sum += 5;
	unlock(&value->lock);
	return 0;
}
