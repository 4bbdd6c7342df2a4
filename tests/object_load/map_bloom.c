/* Maps: a Bloom filter with the number of its functions. */
#include "maps.h"

struct { NUMBER(type, BLOOM_FILTER); TYPE(value, long); NUMBER(max_entries, 100); NUMBER(map_extra, 3); } filter SEC(".maps");

static long (*const push)(void *, const void *, unsigned long) = (void *)87;
static long (*const peek)(void *, void *) = (void *)89;

/* Linux 7.3 refuses to look for a value on the stack. */
long value = 5;

SEC("tc")
int filters(void *skb)
{
	push(&filter, &value, 0);
	out[0] = peek(&filter, &value);
	return 0;
}
