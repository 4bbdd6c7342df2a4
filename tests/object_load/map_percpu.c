/* Maps: those with a value for each CPU. */
#include "maps.h"

struct { NUMBER(type, PERCPU_HASH); TYPE(key, int); TYPE(value, long); NUMBER(max_entries, 4); } hash SEC(".maps");
struct { NUMBER(type, PERCPU_ARRAY); TYPE(key, unsigned int); TYPE(value, long[3]); NUMBER(max_entries, 2); } array SEC(".maps");

SEC("tc")
int counts(void *skb)
{
	int key = 1;
	long *value = lookup(&array, &key);

	if (value)
		value[2] = 7;
	return lookup(&hash, &key) != 0;
}
