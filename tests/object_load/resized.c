/* A signed field of another size than in the kernel: a changed load would not extend the sign. */
#include "common.h"

struct task_struct___wide { long tgid; } CORE;

SEC("raw_tp/sched_switch")
int reached(void *ctx)
{
	struct task_struct___wide *task = current_task();

	out[0] = task->tgid;
	return 0;
}
