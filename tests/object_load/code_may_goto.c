/* Loops that end by may_goto, functions with much stack, and a program of instructions that the author wrote. */
#include "common.h"

#define NOINLINE __attribute__((noinline))
#define may_break \
	({ __label__ l_break, l_continue; \
	   asm volatile goto("1: .byte 0xe5; .byte 0; .long ((%l[l_break] - 1b - 8) / 8) & 0xffff; .short 0" : : : : l_break); \
	   goto l_continue; \
	   l_break: break; \
	   l_continue:; })

static NOINLINE int deep(int n)
{
	volatile char room[300];

	room[n & 255] = n;
	return room[n & 255] + n;
}

static NOINLINE int deeper(int n)
{
	volatile char room[200];

	room[n & 127] = deep(n);
	return room[n & 127];
}

SEC("tc")
int loops(void *ctx)
{
	unsigned long sum = 0;

	/* Where it begins is not known, so that one turn is like another to the verifier. */
	for (unsigned long i = out[2]; i < 1000; i++) {
		may_break;
		sum += i;
	}
	out[1] = sum;
	return deeper(3);
}

SEC("tc") __attribute__((naked))
int written(void *ctx)
{
	asm volatile(
		"r1 = %[number] ll;"
		"r2 = *(u64 *)(r1 + 0);"
		"if r2 != 0 goto 1f;"
		"r0 = 11;"
		"goto 2f;"
		"1: r0 = 12;"
		"2: exit;"
		: : [number] "i"(&out[5]) : "r0", "r1", "r2");
}
