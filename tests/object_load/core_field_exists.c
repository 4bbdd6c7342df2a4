/* CO-RE: fields and types that there are, and that there are not. */
#include "common.h"

struct task_struct { int tgid; int never_there; char comm[16]; } CORE;
struct task_struct___typed { struct { int inner; } tgid; } CORE;
struct never_there { int tgid; } CORE;

SEC("raw_tp/sched_switch")
int existing(void *ctx)
{
	struct task_struct *task = 0;
	struct task_struct___typed *typed = 0;
	struct never_there *never = 0;

	out[0] = field(task->tgid, FIELD_EXISTS);
	out[1] = field(task->never_there, FIELD_EXISTS);
	out[2] = field(never->tgid, FIELD_EXISTS);
	out[3] = field(task->comm[15], FIELD_EXISTS);
	out[4] = field(typed->tgid, FIELD_EXISTS);
	out[5] = field(typed->tgid.inner, FIELD_EXISTS);
	return 0;
}
