/* Programs that may sleep: of processes, and that processes run. */
#include "common.h"

static long (*const copy)(void *, unsigned int, const void *) = (void *)148;

SEC("uprobe.s")
int enters(void *regs)
{
	char byte;

	out[0] = copy(&byte, 1, 0) != 0;
	return 0;
}

SEC("syscall")
int runs(unsigned int *args)
{
	out[1] = args[0];
	return 11;
}
