/* A map that is pinned by its name. */
#include "maps.h"

#ifndef ENTRIES
#define ENTRIES 5
#endif

struct { NUMBER(type, HASH); TYPE(key, int); TYPE(value, long); NUMBER(max_entries, ENTRIES); NUMBER(pinning, 1); } rawbpf_pinned SEC(".maps");

SEC("raw_tp/sched_switch")
int finds(void *ctx)
{
	int key = 1;

	out[0] = (long)lookup(&rawbpf_pinned, &key);
	return 0;
}
