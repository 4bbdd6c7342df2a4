/* Callbacks: a function that bpf_loop calls. */
#include "common.h"

static long (*const loop)(unsigned int, void *, void *, unsigned long) = (void *)181;

static long each(unsigned int index, void *context)
{
	*(long *)context += index;
	return index == 9;
}

SEC("tc")
int loops(void *skb)
{
	long sum = 0;

	out[0] = loop(20, each, &sum, 0);
	return sum;
}
