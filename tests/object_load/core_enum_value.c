/* CO-RE: values of enumerators, which are others in the object. */
#include "common.h"

enum pid_type { PIDTYPE_PID = 40, PIDTYPE_TGID, PIDTYPE_PGID };
enum perf_event_state { PERF_EVENT_STATE_DEAD = 1, PERF_EVENT_STATE_OFF = 2 };
enum bpf_map_type___own { BPF_MAP_TYPE_HASH___own = 9 };

SEC("raw_tp/sched_switch")
int values(void *ctx)
{
	out[0] = enumerator(enum pid_type, PIDTYPE_PID, ENUM_VALUE);
	out[1] = enumerator(enum pid_type, PIDTYPE_PGID, ENUM_VALUE);
	out[2] = enumerator(enum perf_event_state, PERF_EVENT_STATE_DEAD, ENUM_VALUE);
	out[3] = enumerator(enum bpf_map_type___own, BPF_MAP_TYPE_HASH___own, ENUM_VALUE);
	return 0;
}
