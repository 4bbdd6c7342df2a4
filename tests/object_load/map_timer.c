/* A timer in a value, and the function that it calls. */
#include "maps.h"

struct bpf_timer { unsigned long words[2]; } __attribute__((aligned(8)));
struct timed { long ticks; struct bpf_timer timer; };
struct { NUMBER(type, ARRAY); TYPE(key, int); TYPE(value, struct timed); NUMBER(max_entries, 1); } values SEC(".maps");

static long (*const init)(void *, void *, unsigned long) = (void *)169;
static long (*const set)(void *, void *) = (void *)170;
static long (*const start)(void *, unsigned long, unsigned long) = (void *)171;

static int ticks(void *map, int *key, struct timed *value)
{
	value->ticks += 1;
	return 0;
}

SEC("tc")
int starts(void *skb)
{
	int key = 0;
	struct timed *value = lookup(&values, &key);

	if (!value)
		return 1;
	init(&value->timer, &values, 1);
	set(&value->timer, ticks);
	/* In a day. */
	return start(&value->timer, 86400000000000, 0);
}
