/* Functions of a struct that the kernel has for tests: called with what a test gives. */
#include "common.h"

struct bpf_dummy_ops_state { int val; } CORE;
struct bpf_dummy_ops {
	int (*test_1)(struct bpf_dummy_ops_state *state);
	int (*test_2)(struct bpf_dummy_ops_state *state, int a1, unsigned short a2, char a3, unsigned long a4);
};

SEC("struct_ops/test_1")
int first(unsigned long *ctx)
{
	return 5;
}

SEC("struct_ops/test_2")
int second(unsigned long *ctx)
{
	out[0] = ctx[1];
	return ctx[2];
}

SEC(".struct_ops")
struct bpf_dummy_ops dummy = { .test_1 = (void *)first, .test_2 = (void *)second };
