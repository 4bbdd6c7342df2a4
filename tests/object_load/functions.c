/* Functions: global ones, static ones that call each other, one in a section of its own, one that nobody calls. */
#include "common.h"

#define NOINLINE __attribute__((noinline))

struct point {
	int x, y;
};

static long (*const random)(void) = (void *)7;

static NOINLINE long third(long n)
{
	return n * random();
}

NOINLINE int global(struct point *point, int factor)
{
	if (!point)
		return 0;
	return point->x * factor + point->y + third(factor);
}

static NOINLINE long first(long n)
{
	return third(n) + random();
}

/* For libbpf all that is not in .text is a program. */
#ifndef ALONE
SEC("functions")
NOINLINE int elsewhere(int n)
{
	return n + random();
}
#endif

__attribute__((weak)) NOINLINE int weak(int n)
{
	return n - random();
}

__attribute__((visibility("hidden"))) NOINLINE int hidden(int n)
{
	return n ^ random();
}

int nobody_calls(int n)
{
	return n;
}

SEC("tc")
int sums(void *ctx)
{
	struct point point = { 1, 2 };

	return weak(1) + hidden(2) + first(3) + global(&point, 4);
}

#ifndef ALONE
SEC("tc")
int sums_elsewhere(void *ctx)
{
	return elsewhere(1);
}
#endif

SEC("tc")
int first_alone(void *ctx)
{
	return first(1) + third(2);
}
