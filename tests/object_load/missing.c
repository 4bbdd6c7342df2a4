/* A field that the kernel does not have is read where nothing tests for it. */
#include "common.h"

struct task_struct___gone { long never_there; } CORE;

SEC("raw_tp/sched_switch")
int reached(void *ctx)
{
	struct task_struct___gone *task = current_task();

	out[0] = task->never_there;
	return 0;
}
