/* Settings: the version of the kernel and what libbpf finds out, in several sizes. */
#include "common.h"

#define KCONFIG __attribute__((section(".kconfig")))
#define WEAK __attribute__((weak))

extern int LINUX_KERNEL_VERSION KCONFIG;
extern _Bool LINUX_HAS_BPF_COOKIE KCONFIG WEAK;

SEC("raw_tp/sched_switch")
int versions(void *ctx)
{
	out[0] = LINUX_KERNEL_VERSION;
	out[1] = LINUX_HAS_BPF_COOKIE;
	return 0;
}
