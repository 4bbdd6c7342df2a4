/* CO-RE: whether fields have a sign, of integers, enumerations and pointers. */
#include "common.h"

enum pid_type { PIDTYPE_PID };
enum perf_event_state { PERF_EVENT_STATE_DEAD };
struct task_struct { int tgid; unsigned int flags; long nvcsw; void *stack; } CORE;
struct perf_event { enum perf_event_state state; } CORE;

SEC("raw_tp/sched_switch")
int signs(void *ctx)
{
	struct task_struct *task = 0;
	struct perf_event *event = 0;

	out[0] = field(task->tgid, FIELD_SIGNED);
	out[1] = field(task->flags, FIELD_SIGNED);
	out[2] = field(task->nvcsw, FIELD_SIGNED);
	out[3] = field(event->state, FIELD_SIGNED);
	out[4] = field(task->stack, FIELD_EXISTS);
	return 0;
}
