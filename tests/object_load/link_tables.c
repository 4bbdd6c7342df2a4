/* Linked with link_tables_other.c: a struct of functions, some of them of the other object. */
#include "common.h"

struct sock;
struct tcp_congestion_ops {
	char name[16];
	unsigned int flags;
	unsigned int (*undo_cwnd)(struct sock *sk);
	unsigned int (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, unsigned int ack, unsigned int acked);
};

extern unsigned int half(struct sock *sk);
extern unsigned int undo(struct sock *sk);

SEC("struct_ops")
void avoid(unsigned long *ctx)
{
	out[0]++;
}

SEC(".struct_ops.link")
struct tcp_congestion_ops rawbpf_first = {
	.name = "rawbpf_first",
	.ssthresh = half,
	.cong_avoid = (void *)avoid,
	.undo_cwnd = undo,
};
