/* Probes of many functions, and static ones. */
#include "common.h"

SEC("uprobe.multi//bin/true:ma*")
int many(unsigned long *regs)
{
	return 0;
}

SEC("usdt//bin/true:app:start")
int fixed(unsigned long *regs)
{
	return 0;
}
