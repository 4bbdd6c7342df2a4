/* Constants: 300 KB of them, texts in a table, sections with names of their own, and jumps far away. */
#include "common.h"

static const volatile unsigned int squares[75000] = { 0, 1, 4, 9, [74999] = 1410532097 };
const char *const names[] = { "first", "second", "a third one" };
static const char inside[4][8] = { "one", "two", "three", "four" };
const volatile int own SEC(".rodata.own") = 41;
int more[3] SEC(".data.more") = { 1, 2, 3 };
int zeros[1000] SEC(".bss.zeros");

SEC("tc")
int picks(void *ctx)
{
	unsigned long n = out[0];

	if (n >= 75000)
		return -1;
	zeros[n & 511]++;
	return squares[n] + squares[74999] + inside[n & 3][n & 7] + own + more[n & 1] + zeros[5];
}
