/* Kernel functions: one that there is, one that takes and gives back, and in a function of the object. */
#include "common.h"

#define KSYM __attribute__((section(".ksyms")))

struct task_struct;
extern void bpf_rcu_read_lock(void) KSYM;
extern void bpf_rcu_read_unlock(void) KSYM;

static __attribute__((noinline)) int locked(int number)
{
	bpf_rcu_read_lock();
	out[0] = number;
	bpf_rcu_read_unlock();
	return number + 1;
}

SEC("raw_tp/sched_switch")
int calls(void *ctx)
{
	return locked(3) - 4;
}
