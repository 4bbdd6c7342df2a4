/* Functions of the kernel under names with a flavour: libbpf takes them from 1.3 on, and with PLAIN they are without. */
#include "common.h"

#define KSYM __attribute__((section(".ksyms")))
#define WEAK __attribute__((weak))

#ifdef PLAIN
#define bpf_rcu_read_lock___own bpf_rcu_read_lock
#define bpf_rcu_read_unlock___own bpf_rcu_read_unlock
#define no_such_kfunc___own no_such_kfunc
#endif

extern void bpf_rcu_read_lock___own(void) KSYM;
extern void bpf_rcu_read_unlock___own(void) KSYM WEAK;
extern void no_such_kfunc___own(int) KSYM WEAK;

SEC("raw_tp/sched_switch")
int flavours(void *ctx)
{
	bpf_rcu_read_lock___own();
	out[0] = 1;
	if (no_such_kfunc___own)
		no_such_kfunc___own(3);
	if (bpf_rcu_read_unlock___own)
		bpf_rcu_read_unlock___own();
	return 0;
}
