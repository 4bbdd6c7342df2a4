/* CO-RE: members that are read, one behind the pointer in the other. */
#include "common.h"

struct nsproxy { struct uts_namespace *uts_ns; } CORE;
struct uts_namespace { struct { char name[16]; } name; } CORE;
struct task_struct { struct task_struct *group_leader; struct task_struct *real_parent; int tgid; unsigned int flags; } CORE;

SEC("raw_tp/sched_switch")
int reads(void *ctx)
{
	struct task_struct *task = current_task();

	out[0] = task->group_leader->tgid == task->tgid;
	out[1] = task->real_parent->real_parent != 0;
	out[2] = task->group_leader->group_leader->flags;
	return 0;
}
