/* One thing in one program that cannot be done: a call of a function that the kernel does not have. */
#include "common.h"

extern int no_such_kfunc(int n) __attribute__((section(".ksyms")));

SEC("tc")
int fine(void *ctx)
{
	return 0;
}

SEC("tc")
int calls(void *ctx)
{
	return no_such_kfunc(1);
}
