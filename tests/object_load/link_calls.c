/* Linked with link_calls_other.c: calls of functions there, weak ones that are replaced, static ones of the same name. */
#include "common.h"

#define NOINLINE __attribute__((noinline))
#define WEAK __attribute__((weak))

struct pair;

extern int sum(int a, int b);
extern long through(struct pair *pair, long more);
extern int absent(int n) WEAK;

static NOINLINE int twice(int n)
{
	out[0]++;
	return 2 * n;
}

/* The strong one is there. */
WEAK NOINLINE int strong(int n)
{
	out[1]++;
	return n + 1000;
}

/* This one is taken: it comes first. */
WEAK NOINLINE int either(int n)
{
	out[2]++;
	return n + 20;
}

/* This one is taken: that there is weak. */
NOINLINE int own(int n)
{
	out[3]++;
	return n + 300;
}

SEC("socket")
int first(void *ctx)
{
	return sum(twice(1), 3) + strong(4) + either(5) + own(6);
}

/* Replaced, and yet there. */
SEC("socket") WEAK
int replaced(void *ctx)
{
	return 1;
}

SEC("tc")
int alone(void *ctx)
{
	return twice(7) + twice(8);
}
