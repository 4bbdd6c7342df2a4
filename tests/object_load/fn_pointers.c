/* Functions whose addresses are taken: callbacks of several helpers, one of them by two programs, one in another callback. */
#include "maps.h"

struct bpf_timer { unsigned long words[2]; } __attribute__((aligned(8)));
struct entry { long count; struct bpf_timer timer; };
struct { NUMBER(type, ARRAY); TYPE(key, int); TYPE(value, struct entry); NUMBER(max_entries, 4); } entries SEC(".maps");

static long (*const loop)(unsigned int, void *, void *, unsigned long) = (void *)181;
static long (*const for_each)(void *, void *, void *, unsigned long) = (void *)164;
static long (*const timer_init)(struct bpf_timer *, void *, unsigned long) = (void *)169;
static long (*const timer_set_callback)(struct bpf_timer *, void *) = (void *)170;

struct state { long sum; long turns; };

static long inner(unsigned int index, struct state *state)
{
	state->sum += index;
	return 0;
}

static long outer(unsigned int index, struct state *state)
{
	state->turns++;
	loop(3, inner, state, 0);
	return index >= 4;
}

static long visits(void *map, int *key, struct entry *value, struct state *state)
{
	state->sum += *key + value->count;
	return 0;
}

static int fires(void *map, int *key, struct entry *value)
{
	value->count++;
	return 0;
}

SEC("tc")
int loops(void *ctx)
{
	struct state state = { 1, 2 };

	loop(10, outer, &state, 0);
	for_each(&entries, visits, &state, 0);
	return state.sum * 100 + state.turns;
}

SEC("tc")
int times(void *ctx)
{
	struct state state = { 0, 0 };
	int key = 1;
	struct entry *entry = lookup(&entries, &key);

	if (!entry)
		return 1;
	timer_init(&entry->timer, &entries, 1);
	timer_set_callback(&entry->timer, fires);
	loop(2, inner, &state, 0);
	return state.sum;
}
