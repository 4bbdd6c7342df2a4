/* A function in place of that of another program, and one that runs when that has. */
#include "common.h"

struct __sk_buff { unsigned int len; };

long seen;

SEC("freplace/answer")
int other(struct __sk_buff *skb)
{
	return 6;
}

SEC("fexit/asks")
int sees(unsigned long *ctx)
{
	seen = ctx[1];
	return 0;
}
