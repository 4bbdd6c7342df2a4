/* Maps: sockets by number and by key, and groups of listening ones. */
#include "maps.h"

struct { NUMBER(type, SOCKMAP); TYPE(key, int); TYPE(value, int); NUMBER(max_entries, 2); } by_number SEC(".maps");
struct { NUMBER(type, SOCKHASH); TYPE(key, long); TYPE(value, int); NUMBER(max_entries, 2); } by_key SEC(".maps");

static long (*const redirect_map)(void *, void *, unsigned int, unsigned long) = (void *)52;
static long (*const redirect_hash)(void *, void *, void *, unsigned long) = (void *)72;

SEC("sk_skb/stream_verdict")
int verdict(void *skb)
{
	long key = 1;

	if (out[0])
		return redirect_map(skb, &by_number, 0, 0);
	return redirect_hash(skb, &by_key, &key, 0);
}
