/* An object without types: no lines, no functions, no maps that need them. */
#include "common.h"

static __attribute__((noinline)) int called(int number)
{
	return number + 3;
}

SEC("xdp")
int plain(void *xdp)
{
	return called(-1);
}
