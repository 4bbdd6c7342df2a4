/* CO-RE: loads that get the size of the kernel's unsigned member, narrower and wider than the object's. */
#include "common.h"

struct task_struct___wide { unsigned long flags; } CORE;
struct task_struct___narrow { unsigned char flags; unsigned short nvcsw; } CORE;

SEC("raw_tp/sched_switch")
int resized(void *ctx)
{
	struct task_struct___wide *wide = current_task();
	struct task_struct___narrow *narrow = (void *)wide;

	out[0] = wide->flags != 0;
	out[1] = narrow->flags != 0;
	out[2] = narrow->nvcsw != 0;
	return 0;
}
