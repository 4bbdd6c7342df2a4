/* Maps: a trie of prefixes, and queues without keys. */
#include "maps.h"

struct prefix { unsigned int length; unsigned char address[4]; };

struct { NUMBER(type, LPM_TRIE); TYPE(key, struct prefix); TYPE(value, int); NUMBER(max_entries, 8); NUMBER(map_flags, NO_PREALLOC); } trie SEC(".maps");
struct { NUMBER(type, QUEUE); TYPE(value, long); NUMBER(max_entries, 8); } queue SEC(".maps");
struct { NUMBER(type, STACK); NUMBER(value_size, 8); NUMBER(max_entries, 8); } stack SEC(".maps");

static long (*const push)(void *, const void *, unsigned long) = (void *)87;
static long (*const pop)(void *, void *) = (void *)88;

SEC("tc")
int finds(void *skb)
{
	struct prefix key = { 8, { 10 } };
	long value = 5;
	int one = 1;

	update(&trie, &key, &one, 0);
	key.length = 32;
	push(&queue, &value, 0);
	push(&stack, &value, 0);
	pop(&stack, &value);
	out[0] = value;
	return lookup(&trie, &key) != 0;
}
