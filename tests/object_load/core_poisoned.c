/* CO-RE: what the kernel does not have is not reached, after a test by the object's own constant. */
#include "common.h"

struct task_struct___gone { long never_there; long gone[4]; } CORE;
struct never_there { int member; } CORE;
const volatile int wanted = 0;

SEC("raw_tp/sched_switch")
int guarded(void *ctx)
{
	struct task_struct___gone *task = current_task();

	if (wanted) {
		out[0] = task->never_there + task->gone[2];
		out[1] = ((struct never_there *)task)->member;
		out[2] = field(task->never_there, FIELD_OFFSET);
	}
	out[3] = 1;
	return 0;
}
