/* A function that programs of several types and sections call. */
#include "common.h"

static __attribute__((noinline)) int shared(int number)
{
	static volatile int calls = 5;

	return number + calls++;
}

SEC("tc")
int one(void *skb)
{
	return shared(1);
}

SEC("xdp")
int two(void *xdp)
{
	return shared(2) & 1;
}

SEC("socket")
int three(void *skb)
{
	return shared(3) + shared(4);
}
