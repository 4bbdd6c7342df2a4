/* Congestion control of TCP, as a struct of functions. The members are found by their names. */
struct sock;
struct tcp_congestion_ops {
	char name[16];
	unsigned int flags;
	unsigned int (*undo_cwnd)(struct sock *sk);
	unsigned int (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, unsigned int ack, unsigned int acked);
};
