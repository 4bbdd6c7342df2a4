/* Functions with five arguments, and with addresses of the caller's stack. */
#include "common.h"

static __attribute__((noinline)) long five(long a, int b, short c, char d, long *e)
{
	*e += a;
	return a - b + c * d;
}

SEC("tc")
int calls(void *skb)
{
	long place = out[0];

	out[1] = five(1, 2, 3, 4, &place);
	return place + out[1];
}
