/* A program array with programs from the start, which are called. */
#include "maps.h"

static long (*const tail_call)(void *, void *, unsigned int) = (void *)12;

int first(void *skb);
int third(void *skb);

struct {
	NUMBER(type, PROG_ARRAY);
	NUMBER(key_size, 4);
	NUMBER(max_entries, 4);
	ELEMENTS(values, int (void *));
} calls SEC(".maps") = { .values = { [0] = (void *)&first, [2] = (void *)&third } };

SEC("tc")
int first(void *skb)
{
	return 31;
}

SEC("tc")
int third(void *skb)
{
	tail_call(skb, &calls, 0);
	return 33;
}

SEC("tc")
int enters(void *skb)
{
	out[0] = 1;
	tail_call(skb, &calls, 1);
	out[0] = 2;
	tail_call(skb, &calls, 2);
	return 1;
}
