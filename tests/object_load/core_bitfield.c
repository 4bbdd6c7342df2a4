/* CO-RE: a bit-field that is read by its offset, size and shifts, as BPF_CORE_READ_BITFIELD does. */
#include "common.h"

struct task_struct {
	unsigned int in_execve : 1;
	unsigned int sched_reset_on_fork : 1;
	unsigned int no_new_privs : 1;
} CORE;

#define bits(from, member) ({ \
	unsigned long value = 0; \
	const void *at = (const void *)(from) + field((from)->member, FIELD_OFFSET); \
	switch (field((from)->member, FIELD_SIZE)) { \
	case 1: value = *(const unsigned char *)at; break; \
	case 2: value = *(const unsigned short *)at; break; \
	case 4: value = *(const unsigned int *)at; break; \
	case 8: value = *(const unsigned long *)at; break; \
	} \
	value <<= field((from)->member, FIELD_LSHIFT); \
	value >>= field((from)->member, FIELD_RSHIFT); \
	value; })

static struct task_struct *(*const task_btf)(void) = (void *)158;

SEC("tp_btf/sched_switch")
int shifted(void *ctx)
{
	struct task_struct *task = task_btf();

	out[0] = bits(task, in_execve);
	out[1] = bits(task, sched_reset_on_fork);
	out[2] = field(task->in_execve, FIELD_SIGNED);
	return 0;
}
