/* Externs: a variable of each CPU with its type, of this CPU and of another. */
#include "common.h"

#define KSYM __attribute__((section(".ksyms")))

struct rq { unsigned int nr_running; int cpu; } CORE;
extern const struct rq runqueues KSYM;

static struct rq *(*const per_cpu)(const void *, unsigned int) = (void *)153;
static struct rq *(*const this_cpu)(const void *) = (void *)154;

SEC("raw_tp/sched_switch")
int per(void *ctx)
{
	struct rq *rq = per_cpu(&runqueues, 0);

	if (rq)
		out[0] = rq->cpu;
	out[1] = this_cpu(&runqueues)->nr_running > 1000000;
	return 0;
}
