/* A map with a property that there is not. */
#include "maps.h"

struct { NUMBER(type, HASH); NUMBER(key_size, 4); TYPE(key, long); TYPE(value, long); NUMBER(max_entries, 2); NUMBER(color, 3); } odd SEC(".maps");

SEC("raw_tp/sched_switch")
int uses(void *ctx)
{
	int key = 1;

	out[0] = (long)lookup(&odd, &key);
	return 0;
}
