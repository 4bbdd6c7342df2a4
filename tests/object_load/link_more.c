/* Linked with link_more_other.c: strings, settings, and programs that are turned off. */
#include "link_more.h"

extern int bounded(int n);

SEC("tc")
int first(void *ctx)
{
	trace("first: %d", sizeof("first: %d"), LINUX_KERNEL_VERSION);
	return bounded(40) + text("one")[1];
}

#ifdef LEFT_OUT
SEC("?tc")
int left_out(void *ctx)
{
	return bounded(1);
}
#endif
