/* Linked with link_conflict.c. */
#define LICENSE other_license
#define out other_out
#include "common.h"

int counter;
int counter_of_call;
struct state { int a, b; } state;
__attribute__((noinline)) int sum(int a)
{
	counter += a;
	return counter;
}

struct {
	int (*type)[1];
	int (*max_entries)[16];
	int *key;
	long *value;
} counts SEC(".maps");

SEC("socket")
int second(void *ctx)
{
	return sum(2) + counter_of_call + state.b + ((long (*)(void *, void *))3)(&counts, ctx);
}
