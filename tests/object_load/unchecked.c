/* A function that does not look whether there is an element. */
#include "common.h"

static void *(*const lookup)(void *, const void *) = (void *)1;
static long (*const random)(void) = (void *)7;

struct {
	int (*type)[1];
	int *key;
	long *value;
	int (*max_entries)[8];
} counts SEC(".maps");

static __attribute__((noinline)) long counted(void)
{
	int key = random();
	long *value;

	value = lookup(&counts, &key);
	/* Whoever looks finds nothing here. */
	return *value;
}

SEC("raw_tp/sched_switch")
int reads(void *ctx)
{
	return counted();
}
