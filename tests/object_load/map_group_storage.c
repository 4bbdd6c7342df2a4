/* Storage with control groups of the second version (Linux 6.2). */
#include "maps.h"

struct { NUMBER(type, CGRP_STORAGE); NUMBER(map_flags, NO_PREALLOC); TYPE(key, int); TYPE(value, long); } storage SEC(".maps");
struct cgroup;
struct css_set { struct cgroup *dfl_cgrp; } CORE;
struct task_struct { struct css_set *cgroups; } CORE;

static long *(*const get)(void *, void *, void *, unsigned long) = (void *)210;

SEC("tp_btf/sched_switch")
int keeps(void *ctx)
{
	struct task_struct *task = current_task();
	long *value = get(&storage, task->cgroups->dfl_cgrp, 0, 1);

	if (value)
		*value += 1;
	return 0;
}
