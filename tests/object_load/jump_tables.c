/* What clang 22 and later make jump tables of: large `switch` statements and labels whose addresses are taken. Which case is taken is the first
 * argument of the tracepoint. */
#include "common.h"

#define NOINLINE __attribute__((noinline))

/* Each case does something else, or clang would make a table of results. */
#define CASES(with) \
	with(0, +=, 11) with(1, ^=, 7) with(2, -=, 29) with(3, |=, 31) with(4, +=, 5) with(5, ^=, 101) with(6, -=, 54) \
	with(7, |=, 3) with(8, +=, 77) with(9, ^=, 1001) with(10, -=, 6) with(11, |=, 13) with(12, +=, 17) with(13, ^=, 900) \
	with(14, -=, 42) with(15, |=, 23) with(16, +=, 9)

#define STORE(n, op, number) case n: out[n] op number; return out[n];

/* Behind another function, and called by two programs, at different places of each. */
static NOINLINE long shared(unsigned long n)
{
	switch (n) {
	CASES(STORE)
	default:
		return -1;
	}
}

#define STORE_MORE(n, op, number) case 3 * n: out[20 + n] op 2 * number; return out[20 + n] + 1;

/* Verified by itself. */
NOINLINE int global(unsigned long n)
{
	switch (n) {
	CASES(STORE_MORE)
	default:
		return -2;
	}
}

SEC("raw_tp/sched_switch")
int plain(unsigned long *args)
{
	return shared(args[0]);
}

#define STORE_TWICE(n, op, number) case n + 100: out[40 + n] op 3 * number; result = out[40 + n]; break;

/* It has a table of its own before it calls those that have others. */
SEC("raw_tp/sched_switch")
int several(unsigned long *args)
{
	unsigned long n = args[0], result = 0;

	switch (n) {
	CASES(STORE_TWICE)
	default:
		result = 5000;
	}
	return result + global(n) + 7 * shared(n);
}

/* Labels whose addresses are taken, which older compilers cannot have. */
#if __clang_major__ >= 22
SEC("raw_tp/sched_switch")
int labels(unsigned long *args)
{
	const void *const table[] = { &&one, &&two, &&one, &&three, &&three, &&two, &&one, &&two };
	unsigned long n = args[0];

	if (n > 7)
		return 99;
	goto *table[n];
one:
	out[60] += 1;
	return out[60];
two:
	out[61] += 2;
	return out[61] + 100;
three:
	out[62] += 3;
	return out[62] + 200;
}
#endif
