/* Settings: whether system calls have wrappers, which libbpf finds out with a kprobe. */
#include "common.h"

extern _Bool LINUX_HAS_SYSCALL_WRAPPER __attribute__((section(".kconfig")));

SEC("raw_tp/sched_switch")
int wrapper(void *ctx)
{
	out[0] = LINUX_HAS_SYSCALL_WRAPPER;
	return 0;
}
