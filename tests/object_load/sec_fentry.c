/* Functions of the kernel, at their begin and end, also ones that may sleep. */
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

SEC("fentry.s/security_file_open")
int sleeps(unsigned long *ctx)
{
	out[2] = ctx[0] != 0;
	return 0;
}
