/* Perf events, with their period. */
#include "common.h"

struct bpf_perf_event_data { unsigned long regs[21]; unsigned long sample_period, addr; };

SEC("perf_event")
int samples(struct bpf_perf_event_data *event)
{
	out[0] = event->sample_period;
	return 0;
}
