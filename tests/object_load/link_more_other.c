/* Linked with link_more.c. */
#define out other_out
#include "link_more.h"

extern _Bool CONFIG_BPF_SYSCALL KCONFIG;
extern int CONFIG_NO_SUCH_NUMBER KCONFIG __attribute__((weak));

NOINLINE int bounded(int n)
{
	return n & 15;
}

SEC("tc")
int second(void *ctx)
{
	trace("second:", sizeof("second:"));
	if (!CONFIG_BPF_SYSCALL)
		return CONFIG_NO_SUCH_NUMBER;
	return bounded(LINUX_KERNEL_VERSION) + text("three")[4];
}

#ifdef LEFT_OUT
SEC("?tc")
int also_left_out(void *ctx)
{
	return bounded(2);
}
#endif
