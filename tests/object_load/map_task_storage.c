/* Storage with tasks. */
#include "maps.h"

struct { NUMBER(type, TASK_STORAGE); NUMBER(map_flags, NO_PREALLOC); TYPE(key, int); TYPE(value, long); } storage SEC(".maps");

static long *(*const get)(void *, void *, void *, unsigned long) = (void *)156;

SEC("tp_btf/sched_switch")
int keeps(void *ctx)
{
	long *value = get(&storage, current_task(), 0, 1);

	if (value)
		*value += 1;
	return 0;
}
