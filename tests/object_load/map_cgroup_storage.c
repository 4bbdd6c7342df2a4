/* Storage with control groups, old and new. */
#include "maps.h"

struct { NUMBER(type, CGROUP_STORAGE); TYPE(key, unsigned long); TYPE(value, long); } storage SEC(".maps");
struct { NUMBER(type, PERCPU_CGROUP_STORAGE); TYPE(key, unsigned long); TYPE(value, long); } each_cpu SEC(".maps");

static long *(*const local)(void *, unsigned long) = (void *)81;

SEC("cgroup_skb/ingress")
int keeps(void *skb)
{
	*local(&storage, 0) += 1;
	*local(&each_cpu, 0) += 1;
	return 1;
}
