/* Storage with inodes. */
#include "maps.h"

struct { NUMBER(type, INODE_STORAGE); NUMBER(map_flags, NO_PREALLOC); TYPE(key, int); TYPE(value, long); } storage SEC(".maps");
struct inode;
struct file { struct inode *f_inode; } CORE;

static long *(*const get)(void *, void *, void *, unsigned long) = (void *)145;

SEC("lsm/file_open")
int keeps(unsigned long *ctx)
{
	struct file *file = (void *)ctx[0];
	long *value = get(&storage, file->f_inode, 0, 1);

	if (value)
		*value += 1;
	return 0;
}
