/* CO-RE: types that match those of the kernel, and types that do not (clang 15 and later). */
#include "common.h"

struct list_head { struct list_head *next, *prev; };
struct list_head___shorter { struct list_head *next; };
struct list_head___other { int next; struct list_head *prev; };
struct list_head___more { struct list_head *next, *prev, *middle; };
struct task_struct { int pid, tgid; };
struct task_struct___signed { int pid; long tgid; };
enum pid_type { PIDTYPE_PID, PIDTYPE_TGID };
enum pid_type___more { PIDTYPE_PID___more, PIDTYPE_NEVER___more };
struct never_there { int number; };

SEC("raw_tp/sched_switch")
int matching(void *ctx)
{
#if __clang_major__ >= 15
	out[0] = type(struct list_head, TYPE_MATCHES);
	out[1] = type(struct list_head___shorter, TYPE_MATCHES);
	out[2] = type(struct list_head___other, TYPE_MATCHES);
	out[3] = type(struct list_head___more, TYPE_MATCHES);
	out[4] = type(struct task_struct, TYPE_MATCHES);
	out[5] = type(struct task_struct___signed, TYPE_MATCHES);
	out[6] = type(enum pid_type, TYPE_MATCHES);
	out[7] = type(enum pid_type___more, TYPE_MATCHES);
	out[8] = type(struct never_there, TYPE_MATCHES);
#endif
	return 0;
}
