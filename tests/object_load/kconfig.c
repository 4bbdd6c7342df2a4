/* The version of the kernel, which libbpf fills in. */
#include "common.h"

extern int LINUX_KERNEL_VERSION __attribute__((section(".kconfig")));

SEC("raw_tp/sched_switch")
int version(void *ctx)
{
	out[0] = LINUX_KERNEL_VERSION;
	return 0;
}
