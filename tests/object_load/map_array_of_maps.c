/* Maps in an array: two of them are there from the start. */
#include "maps.h"

struct inner { NUMBER(type, ARRAY); TYPE(key, int); TYPE(value, long); NUMBER(max_entries, 3); };
struct inner first SEC(".maps");
struct inner second SEC(".maps");

struct {
	NUMBER(type, ARRAY_OF_MAPS);
	NUMBER(key_size, 4);
	NUMBER(max_entries, 4);
	ELEMENTS(values, struct inner);
} outer SEC(".maps") = { .values = { [1] = &second, [3] = &first } };

SEC("tc")
int finds(void *skb)
{
	int key = 3, zero = 0;
	long one = 1;
	void *inner = lookup(&outer, &key);

	if (inner)
		out[0] = update(inner, &zero, &one, 0);
	key = 2;
	out[1] = lookup(&outer, &key) != 0;
	return 0;
}
