/* CO-RE: shifts of fields that are no bit-fields, in the object or in the kernel. */
#include "common.h"

struct tcphdr { unsigned short doff; unsigned short syn; } CORE;
struct task_struct { unsigned int tgid : 20; int pid; char comm[16]; } CORE;

SEC("raw_tp/sched_switch")
int shifts(void *ctx)
{
	struct task_struct *task = 0;

	out[0] = field(task->pid, FIELD_LSHIFT);
	out[1] = field(task->pid, FIELD_RSHIFT);
	out[2] = field(task->tgid, FIELD_LSHIFT);
	out[3] = field(task->tgid, FIELD_RSHIFT);
	out[4] = field(task->comm[2], FIELD_RSHIFT);
	return 0;
}
