/* Linked with link_calls.c. */
#define LICENSE other_license
#define out other_out
#include "common.h"

#define NOINLINE __attribute__((noinline))
#define WEAK __attribute__((weak))

extern int own(int n);
extern int hidden_there(int n);

static NOINLINE int twice(int n)
{
	out[0] += 2;
	return 4 * n + 1;
}

NOINLINE int sum(int a, int b)
{
	out[1] += 2;
	return twice(a) + b;
}

NOINLINE int strong(int n)
{
	out[2] += 2;
	return n + 10;
}

WEAK NOINLINE int either(int n)
{
	out[3] += 2;
	return n + 2000;
}

WEAK NOINLINE int own(int n)
{
	out[4] += 2;
	return n + 30000;
}

SEC("socket")
int replaced(void *ctx)
{
	return strong(1) + twice(2);
}

SEC("socket")
int second(void *ctx)
{
	return own(1) + either(2) + sum(3, 4) + hidden_there(5);
}
