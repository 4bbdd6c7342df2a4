/* Callbacks: one function as the callback of two programs. */
#include "common.h"

static long (*const loop)(unsigned int, void *, void *, unsigned long) = (void *)181;

static long each(unsigned int index, void *context)
{
	out[index & 7]++;
	return 0;
}

SEC("tc")
int one(void *skb)
{
	return loop(3, each, 0, 0);
}

SEC("tc")
int two(void *skb)
{
	return loop(5, each, 0, 0) + loop(2, each, 0, 0);
}
