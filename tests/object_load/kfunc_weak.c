/* Kernel functions that can be missing: what is there is called, the rest is not reached. */
#include "common.h"

#define KSYM __attribute__((section(".ksyms")))
#define WEAK __attribute__((weak))

extern void bpf_rcu_read_lock(void) KSYM WEAK;
extern void bpf_rcu_read_unlock(void) KSYM WEAK;
extern int bpf_never_there(int number) KSYM WEAK;

SEC("raw_tp/sched_switch")
int calls(void *ctx)
{
	if (bpf_rcu_read_lock && bpf_rcu_read_unlock) {
		bpf_rcu_read_lock();
		out[0] = 1;
		bpf_rcu_read_unlock();
	}
	if (bpf_never_there)
		out[1] = bpf_never_there(5);
	return 0;
}
