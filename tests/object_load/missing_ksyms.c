/* Each program needs something that the kernel does not have, or has with another type. */
#include "common.h"

#define KSYM __attribute__((section(".ksyms")))

extern const struct no_such no_such_variable KSYM;
extern const void no_such_symbol KSYM;
extern void no_such_kfunc(void) KSYM;
extern const int runqueues KSYM;
extern void bpf_rcu_read_lock___one(int) KSYM;

static void *(*const this_cpu)(const void *) = (void *)154;

SEC("raw_tp/sched_switch")
int variable(void *ctx)
{
	return this_cpu(&no_such_variable) != 0;
}

SEC("raw_tp/sched_switch")
int symbol(void *ctx)
{
	return (unsigned long)&no_such_symbol > 1;
}

SEC("raw_tp/sched_switch")
int kfunc(void *ctx)
{
	no_such_kfunc();
	return 0;
}

SEC("raw_tp/sched_switch")
int mistyped(void *ctx)
{
	return this_cpu(&runqueues) != 0;
}

SEC("raw_tp/sched_switch")
int prototype(void *ctx)
{
	bpf_rcu_read_lock___one(1);
	return 0;
}
