/* Symbols and functions of the kernel, and weak ones that it does not have. */
#include "common.h"

#define KSYM __attribute__((section(".ksyms")))
#define WEAK __attribute__((weak))

struct rq;
extern const struct rq no_such_variable KSYM WEAK;
extern const void schedule KSYM;
extern const void no_such_symbol KSYM WEAK;
extern void bpf_rcu_read_lock(void) KSYM;
extern void bpf_rcu_read_unlock(void) KSYM WEAK;
extern void no_such_kfunc(int) KSYM WEAK;

SEC("raw_tp/sched_switch")
int ksyms(void *ctx)
{
	out[1] = (unsigned long)&schedule;
	out[2] = (unsigned long)&no_such_symbol;
	if (&no_such_variable)
		out[3] = 1;
	bpf_rcu_read_lock();
	if (bpf_rcu_read_unlock)
		bpf_rcu_read_unlock();
	if (no_such_kfunc)
		no_such_kfunc(3);
	return 0;
}
