/* Maps: perf events and stacks. */
#include "maps.h"

struct { NUMBER(type, PERF_EVENT_ARRAY); NUMBER(key_size, 4); NUMBER(value_size, 4); } events SEC(".maps");
struct { NUMBER(type, STACK_TRACE); NUMBER(key_size, 4); NUMBER(value_size, 1016); NUMBER(max_entries, 16); } stacks SEC(".maps");

static long (*const output)(void *, void *, unsigned long, void *, unsigned long) = (void *)25;

SEC("raw_tp/sched_switch")
int sends(void *ctx)
{
	long one = 1;

	out[0] = output(ctx, &events, 0xffffffffUL, &one, sizeof(one)) != 0;
	return (long)&stacks == 0;
}
