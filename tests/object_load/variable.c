/* A variable of the kernel with a type, one for each CPU. */
#include "common.h"

struct rq { unsigned int nr_running; } CORE;
extern const struct rq runqueues __attribute__((section(".ksyms")));

static void *(*const this_cpu)(const void *) = (void *)154;

SEC("raw_tp/sched_switch")
int variable(void *ctx)
{
	struct rq *rq = this_cpu(&runqueues);

	out[0] = rq->nr_running;
	return 0;
}
