/* CO-RE: several flavours of one type, with members that were renamed. */
#include "common.h"

struct task_struct { int pid; } CORE;
struct task_struct___old { int state; } CORE;
struct task_struct___new { int __state; } CORE;
struct task_struct___none___twice { long never_there; } CORE;

SEC("raw_tp/sched_switch")
int flavours(void *ctx)
{
	struct task_struct *task = current_task();
	struct task_struct___old *old = (void *)task;
	struct task_struct___new *new = (void *)task;
	struct task_struct___none___twice *none = (void *)task;

	if (field(new->__state, FIELD_EXISTS))
		out[0] = field(new->__state, FIELD_SIZE);
	else
		out[0] = field(old->state, FIELD_SIZE);
	if (field(none->never_there, FIELD_EXISTS))
		out[1] = none->never_there;
	out[2] = task->pid != 0;
	return 0;
}
