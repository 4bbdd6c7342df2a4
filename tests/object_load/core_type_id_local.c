/* CO-RE: ids of types in the object's own BTF. */
#include "common.h"

struct own { int number; };
typedef struct own own_t;
enum choice { ONE = 1 };

SEC("raw_tp/sched_switch")
int ids(void *ctx)
{
	out[0] = type_id(struct own, TYPE_ID_LOCAL);
	out[1] = type_id(own_t, TYPE_ID_LOCAL);
	out[2] = type_id(enum choice, TYPE_ID_LOCAL);
	out[3] = type_id(int, TYPE_ID_LOCAL);
	return 0;
}
