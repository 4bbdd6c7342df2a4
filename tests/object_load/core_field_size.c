/* CO-RE: sizes of fields; the object declares other ones. */
#include "common.h"

struct list_head { int next; } CORE;
struct task_struct { char comm[3]; struct list_head tasks; long tgid; } CORE;

SEC("raw_tp/sched_switch")
int sizes(void *ctx)
{
	struct task_struct *task = 0;

	out[0] = field(task->comm, FIELD_SIZE);
	out[1] = field(task->tasks, FIELD_SIZE);
	out[2] = field(task->tgid, FIELD_SIZE);
	out[3] = field(task->comm[0], FIELD_SIZE);
	return 0;
}
