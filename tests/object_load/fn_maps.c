/* Functions that name maps and data: what is relocated is relocated at their place. */
#include "maps.h"

struct { NUMBER(type, ARRAY); TYPE(key, int); TYPE(value, long); NUMBER(max_entries, 4); } numbers SEC(".maps");
long step = 3;
const volatile int which = 2;

static __attribute__((noinline)) long *found(int key)
{
	return lookup(&numbers, &key);
}

static __attribute__((noinline)) int adds(int key)
{
	long *number = found(key);

	if (!number)
		return -1;
	*number += step;
	return *number;
}

SEC("tc")
int calls(void *skb)
{
	return adds(which) + adds(1);
}
