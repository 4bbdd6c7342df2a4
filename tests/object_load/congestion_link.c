/* A struct of functions that is registered by a link. */
#include "congestion.h"

struct tcp_congestion_ops rawbpf_linked SEC(".struct_ops.link") = {
	.name = "rawbpf_linked",
	.ssthresh = (void *)half,
	.cong_avoid = (void *)avoid,
	.undo_cwnd = (void *)undo,
};
