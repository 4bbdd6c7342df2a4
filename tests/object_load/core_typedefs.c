/* CO-RE through typedefs of structs, of pointers and of typedefs. */
#include "common.h"

typedef struct CORE { int counter; } atomic_t;
typedef struct CORE { atomic_t refs; } refcount_t;
typedef const volatile refcount_t counted_t;
struct task_struct { counted_t usage; } CORE;

SEC("raw_tp/sched_switch")
int typedefs(void *ctx)
{
	struct task_struct *task = 0;
	refcount_t *refs = 0;

	out[0] = field(task->usage.refs.counter, FIELD_OFFSET);
	out[1] = field(task->usage, FIELD_SIZE);
	out[2] = field(refs->refs.counter, FIELD_SIGNED);
	out[3] = type(refcount_t, TYPE_SIZE);
	out[4] = type_id(atomic_t, TYPE_ID_TARGET);
	return 0;
}
