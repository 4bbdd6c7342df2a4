/* A function of the kernel that may sleep, as programs at it may: only of those into which errors can be injected, as system calls of x86-64. */
#include "common.h"

SEC("fentry.s/__x64_sys_getpid")
int sleeps(unsigned long *ctx)
{
	out[0] = ctx[0] != 0;
	return 0;
}

SEC("fmod_ret.s/__x64_sys_getpid")
int changes(unsigned long *ctx)
{
	return 0;
}
