/* Callbacks: a function for each element of a map, and one that it calls. */
#include "maps.h"

struct { NUMBER(type, ARRAY); TYPE(key, int); TYPE(value, long); NUMBER(max_entries, 4); } numbers SEC(".maps");

static long (*const for_each)(void *, void *, void *, unsigned long) = (void *)164;

static __attribute__((noinline)) long squared(long number)
{
	return number * number;
}

static long each(void *map, int *key, long *value, long *context)
{
	*value = squared(*key);
	*context += *value;
	return 0;
}

SEC("tc")
int walks(void *skb)
{
	long sum = 0;

	out[0] = for_each(&numbers, each, &sum, 0);
	return sum;
}
