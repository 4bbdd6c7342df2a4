/* Global functions, which the kernel verifies by themselves, and a weak one. */
#include "common.h"

struct __sk_buff { unsigned int len; };

__attribute__((noinline)) int doubled(int number)
{
	return number * 2;
}

__attribute__((noinline, weak)) int length(struct __sk_buff *skb)
{
	return skb->len + doubled(4);
}

SEC("tc")
int calls(struct __sk_buff *skb)
{
	return length(skb) + doubled(5);
}

SEC("tc")
int also_calls(struct __sk_buff *skb)
{
	return length(skb);
}
