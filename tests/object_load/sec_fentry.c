/* Functions of the kernel, at their begin and end. */
#include "common.h"

struct task_struct { int pid; } CORE;

SEC("fentry/wake_up_new_task")
int begins(unsigned long *ctx)
{
	struct task_struct *task = (void *)ctx[0];

	out[0] = task->pid;
	return 0;
}

SEC("fexit/wake_up_new_task")
int ends(unsigned long *ctx)
{
	out[1]++;
	return 0;
}
