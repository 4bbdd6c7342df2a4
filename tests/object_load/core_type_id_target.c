/* CO-RE: ids of types in the BTF of the kernel; 0 for one that there is not. */
#include "common.h"

struct task_struct { int pid; };
struct never_there { int pid; };
union bpf_attr { int number; };
typedef int pid_t;
enum pid_type { PIDTYPE_PID };

SEC("raw_tp/sched_switch")
int ids(void *ctx)
{
	out[0] = type_id(struct task_struct, TYPE_ID_TARGET);
	out[1] = type_id(struct never_there, TYPE_ID_TARGET);
	out[2] = type_id(union bpf_attr, TYPE_ID_TARGET);
	out[3] = type_id(pid_t, TYPE_ID_TARGET);
	out[4] = type_id(enum pid_type, TYPE_ID_TARGET);
	return 0;
}
