/* CO-RE: sizes of types of the kernel. */
#include "common.h"

struct task_struct { int pid; };
struct list_head { int next; };
union bpf_attr { int number; };
typedef int umode_t;
enum pid_type { PIDTYPE_PID };
struct never_there { int pid; };

SEC("raw_tp/sched_switch")
int sizes(void *ctx)
{
	out[0] = type(struct task_struct, TYPE_SIZE);
	out[1] = type(struct list_head, TYPE_SIZE);
	out[2] = type(union bpf_attr, TYPE_SIZE);
	out[3] = type(umode_t, TYPE_SIZE);
	out[4] = type(enum pid_type, TYPE_SIZE);
	out[5] = type(struct never_there, TYPE_SIZE);
	return 0;
}
