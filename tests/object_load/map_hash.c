/* Maps: hashes of each kind, with keys and values by type and by size. */
#include "maps.h"

struct key { int number; short port; char pad[2]; };

struct { NUMBER(type, HASH); TYPE(key, struct key); TYPE(value, long); NUMBER(max_entries, 10); } typed SEC(".maps");
struct { NUMBER(type, HASH); NUMBER(key_size, 6); NUMBER(value_size, 20); NUMBER(max_entries, 3); NUMBER(map_flags, NO_PREALLOC); } sized SEC(".maps");
struct { NUMBER(type, LRU_HASH); TYPE(key, int); TYPE(value, struct key); NUMBER(max_entries, 64); } least SEC(".maps");

SEC("tc")
int adds(void *skb)
{
	struct key key = { 1, 2 };
	long one = 1;

	out[0] = update(&typed, &key, &one, 0);
	out[1] = update(&least, &key, &key, 0);
	return lookup(&sized, &key) != 0;
}
