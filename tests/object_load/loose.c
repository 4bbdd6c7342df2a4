/* Maps that libbpf 1.x refuses: what is in a ring is said, sizes of which only one is possible are not, and one is defined as before BTF. */
#include "maps.h"

struct event {
	int id;
	long value;
};

struct { NUMBER(type, RINGBUF); TYPE(value, struct event); NUMBER(max_entries, 4096); } ring SEC(".maps");
struct { NUMBER(type, PERF_EVENT_ARRAY); } events SEC(".maps");
struct { NUMBER(type, ARRAY); TYPE(value, long); NUMBER(max_entries, 2); } numbers SEC(".maps");
struct bpf_map_def { unsigned int type, key_size, value_size, max_entries, map_flags; };
struct bpf_map_def old SEC("maps") = { HASH, 4, 8, 3, NO_PREALLOC };

SEC("raw_tp/sched_switch")
int uses(void *ctx)
{
	int key = 1;

	out[0] = (long)lookup(&numbers, &key);
	out[1] = (long)lookup(&old, &key);
	return 0;
}
