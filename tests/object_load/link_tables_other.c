/* Linked with link_tables.c: functions of its struct, another struct of the same section, and one that is left out. */
#define out other_out
#include "link_tables.h"

const volatile int factor = 2;

SEC("struct_ops")
unsigned int half(unsigned long *ctx)
{
	return factor;
}

SEC("struct_ops")
unsigned int undo(unsigned long *ctx)
{
	return 3;
}

SEC("struct_ops")
void avoid_there(unsigned long *ctx)
{
	out[0]++;
}

SEC(TABLES)
struct tcp_congestion_ops rawbpf_second = {
	.name = "rawbpf_second",
	.ssthresh = (void *)half,
	.cong_avoid = (void *)avoid_there,
	.undo_cwnd = (void *)undo,
};

#ifdef LINKS
SEC("?.struct_ops.link")
struct tcp_congestion_ops rawbpf_third = {
	.name = "rawbpf_third",
	.ssthresh = (void *)half,
	.cong_avoid = (void *)avoid_there,
	.undo_cwnd = (void *)undo,
};
#endif
