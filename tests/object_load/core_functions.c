/* CO-RE in functions: static ones and global ones, called by two programs. */
#include "common.h"

struct task_struct { int pid, tgid; } CORE;

static __attribute__((noinline)) int number(struct task_struct *task)
{
	return field(task->tgid, FIELD_OFFSET);
}

__attribute__((noinline)) int size(int by)
{
	return type(struct task_struct, TYPE_SIZE) / (by | 1);
}

SEC("raw_tp/sched_switch")
int first(void *ctx)
{
	out[0] = number(0) + size(3);
	return 0;
}

SEC("raw_tp/sched_wakeup")
int second(void *ctx)
{
	out[1] = number(0) - size(4);
	return 0;
}
