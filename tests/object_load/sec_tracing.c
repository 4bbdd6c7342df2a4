/* Tracepoints of each kind, with what they are given. */
#include "common.h"

struct sched_switch { unsigned long common; char prev_comm[16]; int prev_pid; };
struct task_struct { int pid; } CORE;

SEC("tracepoint/sched/sched_switch")
int place(struct sched_switch *args)
{
	out[0] = args->prev_pid;
	return 0;
}

SEC("tp/sched/sched_wakeup")
int other(void *args)
{
	return 0;
}

SEC("raw_tp/sched_switch")
int raw(unsigned long *ctx)
{
	out[1] = ctx[0];
	return 0;
}

SEC("tp_btf/sched_switch")
int typed(unsigned long *ctx)
{
	struct task_struct *previous = (void *)ctx[1];

	out[2] = previous->pid;
	return 0;
}
