/* CO-RE: enumerators of 64 bits in the object (clang 15 and later), with the kernel's of 32. */
#include "common.h"

#if __clang_major__ >= 15
enum pid_type { PIDTYPE_PID = 1L << 40, PIDTYPE_TGID };
enum perf_event_state { PERF_EVENT_STATE_DEAD = -(1L << 40), PERF_EVENT_STATE_OFF };
enum never_there { NEVER = 1L << 50 };
#else
enum pid_type { PIDTYPE_PID = 1, PIDTYPE_TGID };
enum perf_event_state { PERF_EVENT_STATE_DEAD = -1, PERF_EVENT_STATE_OFF };
enum never_there { NEVER = 1 };
#endif

SEC("raw_tp/sched_switch")
int wide(void *ctx)
{
	out[0] = enumerator(enum pid_type, PIDTYPE_PID, ENUM_VALUE);
	out[1] = enumerator(enum pid_type, PIDTYPE_TGID, ENUM_EXISTS);
	out[2] = enumerator(enum perf_event_state, PERF_EVENT_STATE_DEAD, ENUM_VALUE);
	out[3] = enumerator(enum perf_event_state, PERF_EVENT_STATE_OFF, ENUM_VALUE);
	out[4] = enumerator(enum never_there, NEVER, ENUM_EXISTS);
	return 0;
}
