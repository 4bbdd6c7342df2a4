/* CO-RE relocations of arrays, unions, typedefs, nested types and enumerators with signs. */
#include "common.h"

typedef struct CORE { int counter; } atomic_t;
typedef struct CORE { atomic_t refs; } refcount_t;
typedef atomic_t *counters_t;

struct qspinlock { atomic_t val; } CORE;
struct raw_spinlock { int none; } CORE;
struct list_head { struct list_head *next, *prev; } CORE;
struct hlist_node { struct hlist_node *next, **pprev; } CORE;
struct upid { int nr; } CORE;
struct pid { refcount_t count; unsigned int level; struct upid numbers[3]; } CORE;
struct signal_struct { struct pid *pids[9]; struct list_head thread_head; } CORE;
struct task_struct {
	char comm[16];
	struct signal_struct *signal;
	const volatile unsigned int flags;
	struct list_head tasks;
	unsigned long nvcsw;
} CORE;
/* One element in place of an array, an array in place of a struct, more elements than the kernel has. */
struct task_struct___one { char comm; struct list_head tasks[2]; } CORE;
struct task_struct___more { char comm[64]; } CORE;
struct sock_filter { unsigned short code; unsigned int k; } CORE;
struct bpf_insn { unsigned char code; int imm; } CORE;
struct bpf_prog { unsigned int len; struct bpf_insn insnsi[0]; } CORE;
struct bpf_prog___two { struct bpf_insn insnsi[2]; } CORE;
/* The kernel's addresses are in a struct and in a union there. */
struct in6_addr { union { unsigned char u6_addr8[16]; unsigned int u6_addr32[4]; } in6_u; } CORE;
struct sock_common {
	struct in6_addr skc_v6_daddr;
	struct hlist_node skc_node;
	union { unsigned long skc_flags; void *skc_listener; };
} CORE;
union bpf_attr { unsigned int map_type; struct { unsigned int prog_type, insn_cnt; }; } CORE;
union bpf_attr___flat { unsigned int insn_cnt; unsigned long insns; } CORE;
struct tcp_sock { unsigned int snd_cwnd; } CORE;
struct tcphdr { unsigned short source, dest; unsigned int seq; unsigned short syn : 1, fin : 1, doff : 4; } CORE;
struct iphdr { unsigned char version : 4, ihl : 4; unsigned int saddr; } CORE;
/* Without bit-fields. */
struct tcphdr___plain { unsigned short doff; } CORE;

enum perf_event_state { PERF_EVENT_STATE_DEAD = -9, PERF_EVENT_STATE_OFF = -8, PERF_EVENT_STATE_ACTIVE = 7 };
enum perf_event_state___positive { PERF_EVENT_STATE_DEAD___positive = 9, PERF_EVENT_STATE_OFF___positive = 300 };
enum perf_event_state___wide { PERF_EVENT_STATE_OFF___wide = 1L << 40 };

SEC("raw_tp/sched_switch")
int arrays(void *ctx)
{
	struct task_struct *task = 0;
	struct task_struct___one *one = 0;
	struct task_struct___more *more = 0;
	struct signal_struct *signal = 0;
	struct pid *pid = 0;
	struct bpf_prog *prog = 0;
	struct bpf_prog___two *two = 0;
	struct in6_addr *address = 0;

	out[0] = field(task->comm[15], FIELD_OFFSET);
	out[1] = field(task->comm[15], FIELD_SIZE);
	out[2] = field(task->comm[15], FIELD_EXISTS);
	out[3] = field(more->comm[15], FIELD_EXISTS);
	out[4] = field(more->comm[16], FIELD_EXISTS);
	out[5] = field(more->comm, FIELD_SIZE);
	out[6] = field(one->comm, FIELD_EXISTS);
	out[7] = field(one->tasks, FIELD_EXISTS);
	out[8] = field(signal->pids[1], FIELD_OFFSET);
	out[9] = field(signal->pids[1], FIELD_SIZE);
	out[10] = field(pid->numbers[0].nr, FIELD_OFFSET);
	out[11] = field(pid->numbers[0], FIELD_SIZE);
	out[12] = field(prog->insnsi, FIELD_OFFSET);
	out[13] = field(prog->insnsi, FIELD_SIZE);
	out[14] = field(prog->insnsi[0], FIELD_EXISTS);
	out[15] = field(two->insnsi[1], FIELD_EXISTS);
	out[16] = field(address->in6_u.u6_addr32[2], FIELD_OFFSET);
	out[17] = field(address->in6_u, FIELD_SIZE);
	out[18] = field(task[2].comm[1], FIELD_OFFSET);
	return 0;
}

SEC("raw_tp/sched_switch")
int members(void *ctx)
{
	struct task_struct *task = 0;
	struct sock_common *sock = 0;
	union bpf_attr *attr = 0;
	union bpf_attr___flat *flat = 0;
	struct tcphdr *tcp = 0;
	struct tcphdr___plain *plain = 0;
	struct iphdr *ip = 0;
	atomic_t *counter = 0;
	refcount_t *refs = 0;

	out[0] = field(task->tasks.prev, FIELD_OFFSET);
	out[1] = field(task->flags, FIELD_SIGNED);
	out[2] = field(task->nvcsw, FIELD_SIGNED);
	out[3] = field(task->signal, FIELD_SIZE);
	out[4] = field(task->signal, FIELD_LSHIFT);
	out[5] = field(task->flags, FIELD_RSHIFT);
	out[6] = field(sock->skc_v6_daddr, FIELD_OFFSET);
	out[7] = field(sock->skc_node.pprev, FIELD_OFFSET);
	out[8] = field(sock->skc_listener, FIELD_OFFSET);
	out[9] = field(sock->skc_flags, FIELD_EXISTS);
	out[10] = field(attr->insn_cnt, FIELD_OFFSET);
	out[11] = field(flat->insns, FIELD_OFFSET);
	out[12] = field(flat->insns, FIELD_SIZE);
	out[13] = field(tcp->doff, FIELD_OFFSET);
	out[14] = field(tcp->doff, FIELD_SIZE);
	out[15] = field(tcp->doff, FIELD_LSHIFT);
	out[16] = field(tcp->doff, FIELD_RSHIFT);
	out[17] = field(tcp->doff, FIELD_SIGNED);
	out[18] = field(tcp->syn, FIELD_LSHIFT);
	out[19] = field(plain->doff, FIELD_EXISTS);
	out[20] = field(ip->ihl, FIELD_LSHIFT);
	out[21] = field(ip->saddr, FIELD_OFFSET);
	out[22] = field(counter->counter, FIELD_OFFSET);
	out[23] = field(refs->refs.counter, FIELD_SIZE);
	return 0;
}

SEC("raw_tp/sched_switch")
int names(void *ctx)
{
	out[0] = type(atomic_t, TYPE_SIZE);
	out[1] = type(refcount_t, TYPE_EXISTS);
	out[2] = type(counters_t, TYPE_EXISTS);
	out[3] = type(union bpf_attr, TYPE_EXISTS);
	out[4] = type(struct bpf_insn, TYPE_SIZE);
	/* The kernel's is a union of that name, or a struct. */
	out[5] = type(struct raw_spinlock, TYPE_SIZE);
	out[6] = type_id(union bpf_attr___flat, TYPE_ID_TARGET);
	out[7] = type_id(enum perf_event_state___wide, TYPE_ID_TARGET);
	out[8] = type_id(atomic_t, TYPE_ID_LOCAL) != 0;
	out[9] = type(enum perf_event_state, TYPE_SIZE);
#if __clang_major__ >= 15
	out[10] = type(struct in6_addr, TYPE_MATCHES);
	out[11] = type(struct hlist_node, TYPE_MATCHES);
	out[12] = type(struct tcphdr___plain, TYPE_MATCHES);
	out[13] = type(enum perf_event_state, TYPE_MATCHES);
	out[14] = type(enum perf_event_state___wide, TYPE_MATCHES);
	out[15] = type(union bpf_attr___flat, TYPE_MATCHES);
	out[16] = type(refcount_t, TYPE_MATCHES);
	out[17] = type(counters_t, TYPE_MATCHES);
#endif
	return 0;
}

SEC("raw_tp/sched_switch")
int signs(void *ctx)
{
	out[0] = enumerator(enum perf_event_state, PERF_EVENT_STATE_DEAD, ENUM_VALUE);
	out[1] = enumerator(enum perf_event_state, PERF_EVENT_STATE_OFF, ENUM_VALUE);
	out[2] = enumerator(enum perf_event_state, PERF_EVENT_STATE_ACTIVE, ENUM_VALUE);
	out[3] = enumerator(enum perf_event_state___positive, PERF_EVENT_STATE_DEAD___positive, ENUM_VALUE);
	out[4] = enumerator(enum perf_event_state___positive, PERF_EVENT_STATE_OFF___positive, ENUM_EXISTS);
#if __clang_major__ >= 15
	out[5] = enumerator(enum perf_event_state___wide, PERF_EVENT_STATE_OFF___wide, ENUM_VALUE);
#endif
	return 0;
}

/* Members that are read, in structs that lie one in the other and behind pointers. */
SEC("raw_tp/sched_switch")
int reads(void *ctx)
{
	struct task_struct *task = current_task();
	struct task_struct___more *more = (void *)task;

	out[0] = task->signal->pids[1]->level;
	out[1] = task->signal->pids[2]->numbers[0].nr;
	out[2] = task->comm[2];
	out[3] = more->comm[3];
	out[4] = task->nvcsw;
	if (field(more->comm[20], FIELD_EXISTS))
		out[5] = more->comm[20];
	return 0;
}
