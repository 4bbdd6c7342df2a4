/* Congestion control of TCP, as a struct of functions. The members are found by their names. */
#include "common.h"

struct sock;
struct tcp_congestion_ops {
	char name[16];
	unsigned int flags;
	unsigned int (*undo_cwnd)(struct sock *sk);
	unsigned int (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, unsigned int ack, unsigned int acked);
};

SEC("struct_ops/half")
unsigned int half(unsigned long *ctx)
{
	return 2;
}

SEC("struct_ops/avoid")
void avoid(unsigned long *ctx)
{
}

SEC("struct_ops/undo")
unsigned int undo(unsigned long *ctx)
{
	return 3;
}
