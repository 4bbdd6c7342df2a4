/* Static functions that are not inlined, one calling the other. */
#include "common.h"

static __attribute__((noinline)) long least(long number)
{
	return number * 3 + out[1];
}

static __attribute__((noinline)) long middle(long number)
{
	return least(number + 1) ^ least(number);
}

SEC("tc")
int calls(void *skb)
{
	out[0] = middle(7) + least(2);
	return out[0];
}
