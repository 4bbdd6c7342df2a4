/* Every kind of CO-RE relocation, of types, fields and enumerators that the kernel has and does not have. */
#include "common.h"

struct list_head___own { struct list_head___own *next, *prev; } CORE;
union thread_union { long task; } CORE;
typedef unsigned short umode_t;
typedef struct CORE { int counter; } atomic_t;
typedef int no_such_typedef_t;

struct load_weight { unsigned long weight; } CORE;
struct sched_entity { struct load_weight load; unsigned long vruntime; } CORE;
struct task_struct {
	struct task_struct *group_leader;
	int pid;
	unsigned int flags;
	char comm[16];
	struct sched_entity se;
	unsigned int sched_reset_on_fork : 1;
	unsigned int in_execve : 1;
	unsigned int no_execve_gone : 1;
	int tgid;
} CORE;
struct task_struct___gone {
	int pid;
	struct { long never_there; };
} CORE;
/* The kernel's member is an integer. */
struct task_struct___wrong { void *tgid; } CORE;
/* The kernel's member has 4 bytes. */
struct task_struct___wide { unsigned long flags; long tgid; } CORE;
struct no_such_struct { int member; struct { int inner; }; } CORE;
/* Named members here are in anonymous ones in the kernel. */
struct sk_buff___flat { struct sk_buff___flat *next; unsigned short protocol; char cb[48]; } CORE;
struct sock_common { unsigned int skc_daddr; unsigned short skc_family; } CORE;
struct sock___nested { struct sock_common __sk_common; } CORE;

enum pid_type { PIDTYPE_TGID = 77, PIDTYPE_SID, PIDTYPE_GONE };
enum bpf_map_type___own { BPF_MAP_TYPE_RINGBUF___own = 5 };
enum no_such_enum { NO_SUCH_VALUE = 3 };

SEC("raw_tp/sched_switch")
int fields(void *ctx)
{
	struct task_struct *task = 0;
	struct task_struct___gone *gone = 0;
	struct no_such_struct *none = 0;
	struct sk_buff___flat *skb = 0;
	struct sock___nested *sock = 0;

	out[0] = field(task->tgid, FIELD_OFFSET);
	out[1] = field(task->comm, FIELD_SIZE);
	out[2] = field(task->comm[3], FIELD_OFFSET);
	out[3] = field(task->se.load.weight, FIELD_OFFSET);
	out[4] = field(task->tgid, FIELD_SIGNED);
	out[5] = field(task->flags, FIELD_SIGNED);
	out[6] = field(task->in_execve, FIELD_OFFSET);
	out[7] = field(task->in_execve, FIELD_SIZE);
	out[8] = field(task->in_execve, FIELD_LSHIFT);
	out[9] = field(task->in_execve, FIELD_RSHIFT);
	out[10] = field(task->in_execve, FIELD_SIGNED);
	out[11] = field(task->sched_reset_on_fork, FIELD_LSHIFT);
	out[12] = field(task->pid, FIELD_LSHIFT);
	out[13] = field(task->pid, FIELD_RSHIFT);
	out[14] = field(task->tgid, FIELD_EXISTS);
	out[15] = field(gone->never_there, FIELD_EXISTS);
	out[16] = field(none->member, FIELD_EXISTS);
	out[17] = field(none->inner, FIELD_EXISTS);
	out[18] = field(skb->protocol, FIELD_OFFSET);
	out[19] = field(skb->cb, FIELD_OFFSET);
	out[20] = field(sock->__sk_common.skc_family, FIELD_OFFSET);
	out[21] = field(sock->__sk_common, FIELD_SIZE);
	return 0;
}

SEC("raw_tp/sched_switch")
int types(void *ctx)
{
	out[0] = type(struct task_struct, TYPE_EXISTS);
	out[1] = type(struct task_struct, TYPE_SIZE);
	out[2] = type(struct no_such_struct, TYPE_EXISTS);
	out[3] = type(struct no_such_struct, TYPE_SIZE);
	out[4] = type(struct list_head___own, TYPE_SIZE);
	out[5] = type(union thread_union, TYPE_SIZE);
	out[6] = type(umode_t, TYPE_SIZE);
	out[7] = type(atomic_t, TYPE_EXISTS);
	out[8] = type(no_such_typedef_t, TYPE_EXISTS);
	out[9] = type(enum pid_type, TYPE_EXISTS);
	out[10] = type_id(struct task_struct, TYPE_ID_TARGET);
	out[11] = type_id(struct no_such_struct, TYPE_ID_TARGET);
	out[12] = type_id(struct list_head___own, TYPE_ID_LOCAL);
	out[13] = type_id(umode_t, TYPE_ID_TARGET);
#if __clang_major__ >= 15
	out[14] = type(struct load_weight, TYPE_MATCHES);
	out[15] = type(struct task_struct___gone, TYPE_MATCHES);
	out[16] = type(struct list_head___own, TYPE_MATCHES);
	out[17] = type(struct task_struct___wrong, TYPE_MATCHES);
	out[18] = type(enum no_such_enum, TYPE_MATCHES);
	out[19] = type(enum bpf_map_type___own, TYPE_MATCHES);
#endif
	return 0;
}

SEC("raw_tp/sched_switch")
int enumerators(void *ctx)
{
	out[0] = enumerator(enum pid_type, PIDTYPE_TGID, ENUM_VALUE);
	out[1] = enumerator(enum pid_type, PIDTYPE_SID, ENUM_EXISTS);
	out[2] = enumerator(enum pid_type, PIDTYPE_GONE, ENUM_EXISTS);
	out[3] = enumerator(enum no_such_enum, NO_SUCH_VALUE, ENUM_EXISTS);
	out[4] = enumerator(enum bpf_map_type___own, BPF_MAP_TYPE_RINGBUF___own, ENUM_VALUE);
	if (enumerator(enum pid_type, PIDTYPE_GONE, ENUM_EXISTS))
		out[5] = enumerator(enum pid_type, PIDTYPE_GONE, ENUM_VALUE);
	return 0;
}

/* Instructions that the kernel has no number for are dead here. */
SEC("raw_tp/sched_switch")
int guarded(void *ctx)
{
	struct task_struct *task = current_task();
	struct task_struct___gone *gone = (void *)task;
	struct task_struct___wide *wide = (void *)task;

	out[0] = task->tgid;
	out[1] = task->group_leader->pid;
	out[2] = task->comm[1];
	out[3] = task->se.vruntime;
	out[4] = wide->flags;
	if (field(gone->never_there, FIELD_EXISTS))
		out[5] = gone->never_there;
	if (type(struct no_such_struct, TYPE_EXISTS))
		out[6] = ((struct no_such_struct *)task)->inner;
	return 0;
}
