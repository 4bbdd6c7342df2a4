/* CO-RE: types that only a module of the kernel has, if it is loaded. */
#include "common.h"

struct cls_bpf_prog { int exts_integrated; unsigned int gen_flags; } CORE;
struct veth_rq { unsigned int never_there; } CORE;

SEC("raw_tp/sched_switch")
int modules(void *ctx)
{
	struct cls_bpf_prog *prog = 0;

	out[0] = type(struct cls_bpf_prog, TYPE_EXISTS);
	out[1] = type(struct cls_bpf_prog, TYPE_SIZE);
	out[2] = field(prog->gen_flags, FIELD_EXISTS);
	if (field(prog->gen_flags, FIELD_EXISTS))
		out[3] = field(prog->gen_flags, FIELD_OFFSET);
	out[4] = type(struct veth_rq, TYPE_EXISTS);
	return 0;
}
