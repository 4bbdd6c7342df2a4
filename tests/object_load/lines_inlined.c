/* Source lines of functions that are inlined, and of a macro. */
#include "common.h"

#define TWICE(number) ((number) + (number))

static inline __attribute__((always_inline)) int inlined(int number)
{
	if (number > (int)out[0])
		return TWICE(number);
	return number;
}

SEC("tc")
int calls(void *skb)
{
	int sum = inlined(3);

	sum += inlined(sum);
	return sum;
}
