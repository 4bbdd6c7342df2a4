/* CO-RE: offsets of fields, also of fields in fields. */
#include "common.h"

struct load_weight { unsigned long weight; } CORE;
struct sched_entity { struct load_weight load; unsigned long vruntime; } CORE;
struct task_struct { int tgid; int pid; struct sched_entity se; } CORE;

SEC("raw_tp/sched_switch")
int offsets(void *ctx)
{
	struct task_struct *task = 0;

	out[0] = field(task->tgid, FIELD_OFFSET);
	out[1] = field(task->pid, FIELD_OFFSET);
	out[2] = field(task->se.vruntime, FIELD_OFFSET);
	out[3] = field(task->se.load.weight, FIELD_OFFSET);
	return 0;
}
