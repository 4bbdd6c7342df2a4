/* Linked with link_core.c. */
#define LICENSE other_license
#define out other_out
#include "common.h"

/* Not the members that the other source has. */
struct task_struct {
	char comm[16];
	int prio;
	int tgid;
} CORE;

enum pid_type { PIDTYPE_PID, PIDTYPE_TGID };

extern int LINUX_KERNEL_VERSION __attribute__((section(".kconfig")));
extern _Bool LINUX_HAS_BPF_COOKIE __attribute__((section(".kconfig"), weak));
/* libbpf 1.1 does not link functions that two objects declare so. */
#ifdef BOTH
extern void bpf_rcu_read_lock(void) __attribute__((section(".ksyms"), weak));
#endif
extern const void schedule __attribute__((section(".ksyms")));

__attribute__((noinline)) int offset(int n)
{
	out[5] += n;
	return field(((struct task_struct *)0)->prio, FIELD_OFFSET) + n;
}

SEC("raw_tp/sched_switch")
int two(void *ctx)
{
	out[0] = field(((struct task_struct *)0)->comm, FIELD_SIZE);
	out[1] = offset(1);
	out[2] = LINUX_KERNEL_VERSION + LINUX_HAS_BPF_COOKIE;
	out[3] = enumerator(enum pid_type, PIDTYPE_TGID, ENUM_VALUE);
	out[4] = (long)&schedule != 0;
#ifdef BOTH
	out[5] = bpf_rcu_read_lock != 0;
#endif
	return 0;
}
