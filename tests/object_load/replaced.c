/* A program with a function that another program takes the place of. */
#include "common.h"

struct __sk_buff { unsigned int len; };

__attribute__((noinline)) int answer(struct __sk_buff *skb)
{
	volatile int number = 41;

	return number;
}

SEC("tc")
int asks(struct __sk_buff *skb)
{
	return answer(skb) + 1;
}
