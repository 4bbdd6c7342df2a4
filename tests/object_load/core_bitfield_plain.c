/* CO-RE: shifts of fields that are no bit-fields, in the object or in the kernel. */
#include "common.h"

struct task_struct { unsigned int tgid : 20; int pid; } CORE;

SEC("raw_tp/sched_switch")
int shifts(void *ctx)
{
	struct task_struct *task = 0;

	out[0] = field(task->pid, FIELD_LSHIFT);
	out[1] = field(task->pid, FIELD_RSHIFT);
	out[2] = field(task->tgid, FIELD_LSHIFT);
	out[3] = field(task->tgid, FIELD_RSHIFT);
	return 0;
}
