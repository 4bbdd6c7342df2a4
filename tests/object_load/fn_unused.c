/* Functions that nobody calls, before and behind those that are called. */
#include "common.h"

__attribute__((noinline, used)) static int before(int number)
{
	return number + 1;
}

static __attribute__((noinline)) int called(int number)
{
	return number + (int)out[0];
}

__attribute__((noinline, used)) static int behind(int number)
{
	return called(number) + 1;
}

SEC("tc")
int calls(void *skb)
{
	return called(40);
}
