/* Security hooks, also ones that may sleep. */
#include "common.h"

struct inode;
struct file { unsigned int f_flags; } CORE;

SEC("lsm/file_open")
int opens(unsigned long *ctx)
{
	struct file *file = (void *)ctx[0];

	out[0] = file->f_flags;
	return 0;
}

SEC("lsm.s/bprm_committed_creds")
int executes(unsigned long *ctx)
{
	return 0;
}
