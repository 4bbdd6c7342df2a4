/* CO-RE: types of each kind that there are, that there are not, and that are of another kind. */
#include "common.h"

struct task_struct { int pid; };
struct never_there { int pid; };
union bpf_attr { int number; };
struct bpf_attr___struct { int number; };
typedef int pid_t;
typedef int never_there_t;
enum pid_type { PIDTYPE_PID };
enum never_there_type { NEVER };

SEC("raw_tp/sched_switch")
int existing(void *ctx)
{
	out[0] = type(struct task_struct, TYPE_EXISTS);
	out[1] = type(struct never_there, TYPE_EXISTS);
	out[2] = type(union bpf_attr, TYPE_EXISTS);
	out[3] = type(struct bpf_attr___struct, TYPE_EXISTS);
	out[4] = type(pid_t, TYPE_EXISTS);
	out[5] = type(never_there_t, TYPE_EXISTS);
	out[6] = type(enum pid_type, TYPE_EXISTS);
	out[7] = type(enum never_there_type, TYPE_EXISTS);
	return 0;
}
