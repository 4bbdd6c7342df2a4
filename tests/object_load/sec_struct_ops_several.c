/* Several structs of the kernel's, with and without a link, that share functions; one is not to be created. */
#include "common.h"
#include "tcp.h"

struct bpf_dummy_ops_state { int val; } CORE;
struct bpf_dummy_ops {
	int (*test_1)(struct bpf_dummy_ops_state *state);
	int (*test_2)(struct bpf_dummy_ops_state *state, int a1, unsigned short a2, char a3, unsigned long a4);
};

SEC("struct_ops")
int first(unsigned long *ctx) { return 5; }

SEC("struct_ops/another_name")
int second(unsigned long *ctx) { out[0] = ctx[1]; return ctx[2]; }

SEC("struct_ops")
unsigned int half(unsigned long *ctx) { return 2; }

SEC("struct_ops")
unsigned int undo(unsigned long *ctx) { return 10; }

SEC("struct_ops")
int avoid(unsigned long *ctx) { return 0; }

SEC(".struct_ops")
struct bpf_dummy_ops dummy = { .test_1 = (void *)first, .test_2 = (void *)second };
SEC(".struct_ops")
struct bpf_dummy_ops another_dummy = { .test_1 = (void *)first };
SEC(".struct_ops.link")
struct tcp_congestion_ops linked = {
	.name = "rawbpf_sev", .flags = 2, .ssthresh = (void *)half, .undo_cwnd = (void *)undo, .cong_avoid = (void *)avoid,
};
SEC("?.struct_ops")
struct bpf_dummy_ops optional = { .test_1 = (void *)first };
