/* Functions of the kernel's for test runs: one at which programs may sleep, and one whose result is changed. */
#include "common.h"

SEC("fentry.s/bpf_fentry_test1")
int sleeps(unsigned long *ctx)
{
	out[0] = ctx[0];
	return 0;
}

SEC("fmod_ret/bpf_modify_return_test")
int changes(unsigned long *ctx)
{
	out[1] = ctx[0];
	return 7;
}
