/* Maps: one on a node, and one with a size that others change. */
#include "maps.h"

struct { NUMBER(type, HASH); TYPE(key, int); TYPE(value, int); NUMBER(max_entries, 2); NUMBER(map_flags, NUMA_NODE); NUMBER(numa_node, 0); } node SEC(".maps");
struct { NUMBER(type, ARRAY); TYPE(key, int); TYPE(value, int); NUMBER(max_entries, 2); NUMBER(map_flags, MMAPABLE); } mapped SEC(".maps");

SEC("tc")
int finds(void *skb)
{
	int key = 1;

	return lookup(&node, &key) != 0 || lookup(&mapped, &key) == 0;
}
