/* An object whose data is zeros alone, and a program that does not use it. */
#include "common.h"

SEC("tc")
int nothing(void *skb)
{
	return 9;
}
