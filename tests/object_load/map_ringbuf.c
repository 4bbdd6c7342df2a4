/* Maps: a ring buffer with a size that is no power of two. */
#include "maps.h"

struct { NUMBER(type, RINGBUF); NUMBER(max_entries, 5000); } ring SEC(".maps");

static void *(*const reserve)(void *, unsigned long, unsigned long) = (void *)131;
static void (*const submit)(void *, unsigned long) = (void *)132;
static unsigned long (*const query)(void *, unsigned long) = (void *)134;

SEC("tc")
int sends(void *skb)
{
	long *record = reserve(&ring, sizeof(*record), 0);

	out[0] = query(&ring, 1);
	if (!record)
		return 1;
	*record = 3;
	submit(record, 1);
	return 0;
}
