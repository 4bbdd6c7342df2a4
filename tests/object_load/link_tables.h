/* What both objects know of congestion control. */
#include "common.h"

/* libbpf before 1.2 has no structs that are registered by links. */
#ifdef LINKS
#define TABLES ".struct_ops.link"
#else
#define TABLES ".struct_ops"
#endif

struct sock;
struct tcp_congestion_ops {
	char name[16];
	unsigned int flags;
	unsigned int (*undo_cwnd)(struct sock *sk);
	unsigned int (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, unsigned int ack, unsigned int acked);
};
