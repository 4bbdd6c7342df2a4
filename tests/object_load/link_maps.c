/* Linked with link_maps_other.c: maps there, and one that both know by its declaration. */
#include "common.h"

static void *(*const lookup)(void *, const void *) = (void *)1;
static long (*const update)(void *, const void *, const void *, unsigned long) = (void *)2;

struct value {
	long n;
	struct task_struct *never;
};

/* The members can be in another order. */
extern struct {
	int (*max_entries)[8];
	int (*type)[1];
	int *key;
	struct value *value;
} shared __attribute__((section(".maps")));

struct {
	int (*type)[2];
	int (*max_entries)[3];
	int *key;
	long *value;
} own SEC(".maps");

__attribute__((weak)) struct {
	int (*type)[2];
	int (*max_entries)[5];
	int *key;
	long *value;
} replaced SEC(".maps");

SEC("socket")
int fills(void *ctx)
{
	struct value value = {};
	int key = 1;
	long *there;

	value.n = *(volatile int *)&key + 4;
	update(&shared, &key, &value, 0);
	there = lookup(&own, &key);
	if (there)
		*there += 3;
	there = lookup(&replaced, &key);
	if (there)
		*there += 4;
	return 0;
}
