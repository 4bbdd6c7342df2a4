/* Maps in a hash: one there is, of a type that is defined in place. */
#include "maps.h"

struct inner { NUMBER(type, HASH); TYPE(key, int); TYPE(value, int); NUMBER(max_entries, 5); } one SEC(".maps");

struct {
	NUMBER(type, HASH_OF_MAPS);
	TYPE(key, int);
	NUMBER(max_entries, 4);
	ELEMENTS(values, struct inner);
} filled SEC(".maps") = { .values = { &one } };

struct {
	NUMBER(type, HASH_OF_MAPS);
	TYPE(key, long);
	NUMBER(max_entries, 4);
	ELEMENTS(values, struct { NUMBER(type, ARRAY); TYPE(key, int); TYPE(value, int); NUMBER(max_entries, 1); });
} empty SEC(".maps");

SEC("tc")
int finds(void *skb)
{
	int key = 0, number = 7;
	long wide = 0;
	void *inner = lookup(&filled, &key);

	if (inner)
		out[0] = update(inner, &number, &number, 0);
	out[1] = lookup(&empty, &wide) != 0;
	return 0;
}
