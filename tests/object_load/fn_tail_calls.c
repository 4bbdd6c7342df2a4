/* Tail calls in functions that are not inlined. */
#include "maps.h"

struct { NUMBER(type, PROG_ARRAY); NUMBER(key_size, 4); NUMBER(value_size, 4); NUMBER(max_entries, 3); } calls SEC(".maps");

static long (*const tail_call)(void *, void *, unsigned int) = (void *)12;

static __attribute__((noinline)) int leaves(void *skb, int which)
{
	tail_call(skb, &calls, which);
	return 7;
}

SEC("tc")
int enters(void *skb)
{
	return leaves(skb, 1) + 1;
}
