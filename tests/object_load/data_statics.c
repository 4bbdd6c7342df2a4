/* Variables that only one function knows, of one name, with strings. */
#include "common.h"

static long (*const print)(const char *, unsigned int, ...) = (void *)6;

static __attribute__((noinline)) int counted(int by)
{
	static volatile int count = 10;

	return count += by;
}

SEC("tc")
int counts(void *skb)
{
	static volatile int count;
	static const char format[] = "counted\n";

	count++;
	if (count > 100)
		print(format, sizeof(format));
	return counted(3) + count;
}
