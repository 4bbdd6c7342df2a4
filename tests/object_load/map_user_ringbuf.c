/* Maps: a ring buffer that processes write to, with a function that is called for each record. */
#include "maps.h"

struct { NUMBER(type, USER_RINGBUF); NUMBER(max_entries, 4096); } ring SEC(".maps");

static long (*const drain)(void *, void *, void *, unsigned long) = (void *)209;

static long each(void *dynptr, void *context)
{
	*(long *)context += 1;
	return 0;
}

SEC("tc")
int reads(void *skb)
{
	long count = 0;

	out[0] = drain(&ring, each, &count, 0);
	return count;
}
