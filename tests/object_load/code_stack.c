/* An array on the stack that is written by numbers that are not known. */
#include "common.h"

const volatile unsigned int which = 5;

SEC("tc")
int stacks(void *skb)
{
	long words[16] = {};
	unsigned int i;

	for (i = 0; i < 16; i++)
		words[i] = i * i + which;
	return words[which & 15];
}
