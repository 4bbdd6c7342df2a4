/* A function of the kernel with another prototype is another one: a program can do without a weak one. */
#include "common.h"

#define KSYM __attribute__((section(".ksyms")))
#define WEAK __attribute__((weak))

#ifdef MISSING
#define bpf_rcu_read_lock no_such_lock
#define bpf_rcu_read_unlock no_such_unlock
#endif

/* The kernel's have no parameters. */
extern void bpf_rcu_read_lock(int) KSYM WEAK;
extern void bpf_rcu_read_unlock(int) KSYM WEAK;

SEC("raw_tp/sched_switch")
int prototypes(void *ctx)
{
	out[0] = 1;
	if (bpf_rcu_read_lock)
		bpf_rcu_read_lock(3);
	if (bpf_rcu_read_unlock)
		bpf_rcu_read_unlock(3);
	return 0;
}
