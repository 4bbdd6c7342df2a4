/* Linked with link_core_other.c: CO-RE relocations, externs of the kernel, settings. */
#include "common.h"

struct task_struct {
	int tgid;
	int pid;
} CORE;

struct only_here {
	long a, b;
};

extern int LINUX_KERNEL_VERSION __attribute__((section(".kconfig")));
extern const void schedule __attribute__((section(".ksyms")));
extern void bpf_rcu_read_lock(void) __attribute__((section(".ksyms"), weak));

SEC("raw_tp/sched_switch")
int one(void *ctx)
{
	out[0] = field(((struct task_struct *)0)->pid, FIELD_OFFSET);
	out[1] = type_id(struct only_here, TYPE_ID_LOCAL) != 0;
	out[2] = LINUX_KERNEL_VERSION;
	out[3] = type(struct only_here, TYPE_EXISTS);
	out[4] = (long)&schedule != 0;
	out[5] = bpf_rcu_read_lock != 0;
	return 0;
}
