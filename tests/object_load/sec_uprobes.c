/* Probes of processes, with a place and without, and probes of the kernel. */
#include "common.h"

SEC("uprobe")
int enters(unsigned long *regs)
{
	out[0] = regs[14];
	return 0;
}

SEC("uretprobe//bin/true:main")
int leaves(unsigned long *regs)
{
	out[1] = regs[10];
	return 0;
}

SEC("kprobe/do_exit")
int kernel(unsigned long *regs)
{
	return 0;
}

SEC("ksyscall/getpid")
int call(unsigned long *regs)
{
	return 0;
}
