/* CO-RE: elements of arrays, by number and behind one another. */
#include "common.h"

struct upid { int nr; } CORE;
struct pid { struct upid numbers[2]; } CORE;
struct task_struct { char comm[16]; } CORE;
struct signal_struct { struct pid *pids[4]; } CORE;

SEC("raw_tp/sched_switch")
int elements(void *ctx)
{
	struct task_struct *task = current_task();
	struct signal_struct *signal = 0;
	struct pid *pid = 0;

	out[0] = field(task->comm[3], FIELD_OFFSET);
	out[1] = field(signal->pids[2], FIELD_OFFSET);
	out[2] = field(signal->pids, FIELD_SIZE);
	out[3] = field(pid->numbers[0].nr, FIELD_OFFSET);
	out[4] = field(pid->numbers[0], FIELD_SIZE);
	out[5] = task->comm[0] | task->comm[7];
	return 0;
}
