/* Linked with link_tables.c: functions of its struct, and another struct of the same section, and one that is left out. */
#define out other_out
#include "common.h"

struct sock;
struct tcp_congestion_ops {
	char name[16];
	unsigned int flags;
	unsigned int (*undo_cwnd)(struct sock *sk);
	unsigned int (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, unsigned int ack, unsigned int acked);
};

static const volatile int factor = 2;

SEC("struct_ops")
unsigned int half(struct sock *sk)
{
	return factor;
}

SEC("struct_ops")
unsigned int undo(struct sock *sk)
{
	return 3;
}

SEC("struct_ops")
void avoid_there(unsigned long *ctx)
{
	out[0]++;
}

SEC(".struct_ops.link")
struct tcp_congestion_ops rawbpf_second = {
	.name = "rawbpf_second",
	.ssthresh = half,
	.cong_avoid = (void *)avoid_there,
	.undo_cwnd = undo,
};

SEC("?.struct_ops.link")
struct tcp_congestion_ops rawbpf_third = {
	.name = "rawbpf_third",
	.ssthresh = half,
	.cong_avoid = (void *)avoid_there,
	.undo_cwnd = undo,
};
