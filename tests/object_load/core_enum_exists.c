/* CO-RE: enumerators that there are and that there are not; the value of one that there is not, where it is not reached. */
#include "common.h"

enum pid_type { PIDTYPE_TGID, PIDTYPE_NEVER };
enum never_there { NEVER };

SEC("raw_tp/sched_switch")
int existing(void *ctx)
{
	out[0] = enumerator(enum pid_type, PIDTYPE_TGID, ENUM_EXISTS);
	out[1] = enumerator(enum pid_type, PIDTYPE_NEVER, ENUM_EXISTS);
	out[2] = enumerator(enum never_there, NEVER, ENUM_EXISTS);
	if (enumerator(enum pid_type, PIDTYPE_NEVER, ENUM_EXISTS))
		out[3] = enumerator(enum pid_type, PIDTYPE_NEVER, ENUM_VALUE);
	return 0;
}
